package tlslink

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/tls"
	"io"
	"net"
	"sync"
)

// Workers sign for handshakes what would hold a loop up. They are goroutines, one
// for each signature, of which so many work at once.
type Workers struct {
	places chan struct{}
	group  sync.WaitGroup
}

// NewWorkers returns workers of which n work at once.
func NewWorkers(n int) *Workers { return &Workers{places: make(chan struct{}, n)} }

// do has f called. Those that wait are as many as there are handshakes.
func (w *Workers) do(f func()) {
	w.group.Go(func() {
		w.places <- struct{}{}
		defer func() { <-w.places }()
		f()
	})
}

// Wait returns when the last one has ended. No handshake may be under way.
func (w *Workers) Wait() { w.group.Wait() }

// Config is a configuration of crypto/tls whose keys are used as package tlslink
// needs it. It may be shared by loops, and is not changed.
type Config struct{ tls *tls.Config }

// NewConfig returns the configuration of a listener. It keeps a copy.
func NewConfig(config *tls.Config) *Config {
	config = config.Clone()
	get := config.GetCertificate
	if certificates := config.Certificates; get == nil && len(certificates) > 0 {
		get = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			for i := range certificates {
				if i == len(certificates)-1 || hello.SupportsCertificate(&certificates[i]) == nil {
					return &certificates[i], nil
				}
			}
			return nil, nil
		}
	}
	config.Certificates = nil
	config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if get == nil {
			return nil, nil
		}
		chosen, err := get(hello)
		if w, ok := hello.Conn.(*wire); ok {
			chosen = (*Link)(w).slowly(chosen)
		}
		return chosen, err
	}
	return &Config{tls: config}
}

// slowly returns the certificate with a key that signs for the link: elsewhere,
// if that takes long.
func (l *Link) slowly(c *tls.Certificate) *tls.Certificate {
	if c == nil {
		return nil
	}
	key, ok := c.PrivateKey.(crypto.Signer)
	if !ok || isQuick(key) {
		return c
	}
	slow := *c
	slow.PrivateKey = &slowKey{Signer: key, link: l}
	return &slow
}

// isQuick tells whether a key signs in less than what a goroutine costs others: 25
// to 50 µs, against 1 ms with RSA of 2048 bits.
func isQuick(key crypto.Signer) bool {
	switch public := key.Public().(type) {
	case ed25519.PublicKey:
		return true
	case *ecdsa.PublicKey:
		return public.Curve == elliptic.P256()
	}
	return false
}

// slowKey is a key that signs in a goroutine while its link's handshake waits.
type slowKey struct {
	crypto.Signer
	link *Link
}

// signature is what comes of it; done tells so on the loop.
type signature struct {
	bytes []byte
	err   error
	done  bool
}

// Sign implements [crypto.Signer].
func (k *slowKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	l := k.link
	h, made := l.work, new(signature)
	l.set(signing)
	l.loop.workers.do(func() {
		made.bytes, made.err = k.Signer.Sign(random, digest, opts)
		l.loop.world.Post(func() { l.signed(h, made) }) // it fails if the loop has ended, and with it the handshake
	})
	for !made.done {
		if !h.wait() {
			return nil, net.ErrClosed
		}
	}
	return made.bytes, made.err
}

// signed lets the handshake go on, if it still waits.
func (l *Link) signed(h *handshake, made *signature) {
	if l.work != h {
		return
	}
	made.done = true
	l.clear(signing)
	l.lower.Resume()
	l.step()
}
