package httpapi

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// certificatePoll paces the look at the files of a certificate. They are read
// and not watched, so that it does not matter how they are replaced: written
// over, renamed, or by a link that points elsewhere as Kubernetes does it.
const certificatePoll = 2 * time.Second

// CertificateFiles is a certificate of the API that is read from files, and read
// again when they change. A handshake never waits for the disk.
type CertificateFiles struct {
	certPath, keyPath string
	logger            *slog.Logger
	current           atomic.Pointer[tls.Certificate]
	// seen is what the files held when they were judged last; only Run and
	// OpenCertificate use it.
	seen [sha256.Size]byte
}

// OpenCertificate reads a certificate and its key, PEM, from files.
func OpenCertificate(certPath, keyPath string, logger *slog.Logger) (*CertificateFiles, error) {
	f := &CertificateFiles{certPath: certPath, keyPath: keyPath, logger: logger}
	certificate, key, err := f.read()
	if err != nil {
		return nil, err
	}
	f.seen = fingerprint(certificate, key)
	return f, f.take(certificate, key)
}

// Certificate is what [tls.Config] asks at each handshake.
func (f *CertificateFiles) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.current.Load(), nil
}

// Run takes in what the files hold whenever that changed, until ctx ends. Of a
// pair that cannot be served it warns once, and the one before stays.
func (f *CertificateFiles) Run(ctx context.Context) error {
	tick := time.NewTicker(certificatePoll)
	defer tick.Stop()
	// What differs is judged when it is found the same twice: two files are not
	// replaced at once.
	var pending [sha256.Size]byte
	unread := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		certificate, key, err := f.read()
		if err != nil {
			if err.Error() != unread {
				f.logger.Warn("the certificate of the api is kept, its files cannot be read", "error", err)
			}
			unread = err.Error()
			continue
		}
		unread = ""
		found := fingerprint(certificate, key)
		if found != pending || found == f.seen {
			pending = found
			continue
		}
		f.seen = found
		if err := f.take(certificate, key); err != nil {
			f.logger.Warn("the certificate of the api is kept, what its files hold now cannot be served", "error", err)
			continue
		}
		leaf := f.current.Load().Leaf
		f.logger.Info("the certificate of the api is a new one", "subject", leaf.Subject.String(), "until", leaf.NotAfter)
	}
}

func (f *CertificateFiles) read() (certificate, key []byte, err error) {
	if certificate, err = os.ReadFile(f.certPath); err != nil {
		return nil, nil, fmt.Errorf("read certificate of the api: %w", err)
	}
	if key, err = os.ReadFile(f.keyPath); err != nil {
		return nil, nil, fmt.Errorf("read key of the api's certificate: %w", err)
	}
	return certificate, key, nil
}

// take serves a pair from now on, if it is one that can be.
func (f *CertificateFiles) take(certificate, key []byte) error {
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return fmt.Errorf("take certificate %q with the key %q: %w", f.certPath, f.keyPath, err)
	}
	if end := pair.Leaf.NotAfter; f.current.Load() != nil && time.Now().After(end) {
		return fmt.Errorf("take certificate %q: it has expired at %s", f.certPath, end.UTC().Format(time.RFC3339))
	}
	f.current.Store(&pair)
	return nil
}

func fingerprint(certificate, key []byte) [sha256.Size]byte {
	sum := sha256.Sum256(key)
	return sha256.Sum256(append(sum[:], certificate...))
}
