package demo

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// validity is how long the demo's certificates are good: longer than anybody looks at
// it, and than what nodes warn of.
const validity = 30 * 24 * time.Hour

// issued is a certificate with its key, and the authority that clients believe, in PEM.
type issued struct{ chain, key, authority string }

// issue makes an authority and a certificate of its for this machine.
func issue(now time.Time) (issued, error) {
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return issued{}, err
	}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "evenkeel demo"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(validity),
	}
	authorityDER, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	if err != nil {
		return issued{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return issued{}, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, authority, key.Public(), authorityKey)
	if err != nil {
		return issued{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return issued{}, err
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return issued{block("CERTIFICATE", leafDER), block("PRIVATE KEY", keyDER), block("CERTIFICATE", authorityDER)}, nil
}

// secure has a listener speak TLS, and waits until every node does.
func (d *demo) secure(ctx context.Context, through *node) error {
	made, err := issue(time.Now())
	if err != nil {
		return fmt.Errorf("make certificate of the demo: %w", err)
	}
	d.authority = filepath.Join(d.dir, "ca.pem")
	if err := os.WriteFile(d.authority, []byte(made.authority), 0o644); err != nil {
		return fmt.Errorf("write authority of the demo: %w", err)
	}
	d.progress("writing a certificate and a listener of https through %s", through.name)
	for _, object := range []struct {
		path string
		body any
	}{
		{"/v1/certificates/demo", map[string]string{"chain": made.chain, "key": made.key}},
		{"/v1/listeners/secure", map[string]string{"address": ":8443", "protocol": "https"}}, // of which each node has a port of its own
		{"/v1/routes/secure", map[string]any{"listeners": []string{"secure"}, "pools": []map[string]string{{"name": "default"}}}},
	} {
		// Keys are sealed once the leader has given the registry its own.
		write := func() error { return d.request(ctx, http.MethodPut, through.api, object.path, object.body, nil) }
		if err := d.wait(ctx, through.process, write); err != nil {
			return err
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(made.authority))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: 2 * time.Second}
	for _, n := range d.nodes {
		if err := d.wait(ctx, n.process, func() error { return answers(ctx, client, "https://"+n.secure+"/") }); err != nil {
			return err
		}
	}
	return nil
}

// answers is nil if a GET is answered with 200.
func answers(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return nil
}
