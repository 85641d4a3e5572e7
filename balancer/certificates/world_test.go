package certificates

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// authority signs certificates for tests.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

var theAuthority = sync.OnceValue(newAuthority)

func newAuthority() *authority {
	a := &authority{key: newECDSA()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority of tests"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		panic(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		panic(err)
	}
	return a
}

func newECDSA() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func (a *authority) pem() string { return block("CERTIFICATE", a.cert.Raw) }

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func keyPEM(t testing.TB, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return block("PRIVATE KEY", der)
}

// chain issues a certificate, PEM with its issuer; change may be nil.
func (a *authority) chain(t testing.TB, key crypto.Signer, change func(*x509.Certificate), names ...string) string {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "a leaf"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return block("CERTIFICATE", der) + a.pem()
}

func (a *authority) issue(t testing.TB, object string, key crypto.Signer, names ...string) *Certificate {
	t.Helper()
	c, err := Parse(object, a.chain(t, key, nil, names...), keyPEM(t, key))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// meet has a client meet a server, and returns what both found.
func meet(t testing.TB, server, client *tls.Config) (seen, shown tls.ConnectionState, err error) {
	t.Helper()
	one, other := net.Pipe()
	defer one.Close()
	defer other.Close()
	s, c := tls.Server(one, server), tls.Client(other, client)
	served := make(chan error, 1)
	go func() {
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte("x"))
		}
		if err != nil {
			one.Close()
		}
		served <- err
	}()
	got := make([]byte, 1)
	_, err = io.ReadFull(c, got) // with TLS 1.3 the ticket comes with it
	if failed := <-served; failed != nil && (err == nil || errors.Is(err, io.EOF)) {
		err = failed
	}
	if err == nil && !bytes.Equal(got, []byte("x")) {
		t.Errorf("got %q", got)
	}
	return c.ConnectionState(), s.ConnectionState(), err
}

func serverOf(t testing.TB, s Settings) *tls.Config {
	t.Helper()
	config, err := Server(s)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func has(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }
