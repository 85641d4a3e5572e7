//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// identity is the certificate of all balancers, of P-256 and from an authority
// of the bench's own, and the keys of the tickets that two nodes of a peer share.
type identity struct {
	chain, key string // PEM
	pin        []byte // SHA-256 of the public key
	// The same in files as the peers want them.
	chainFile, keyFile, bundleFile, ticketFile, ticketLines string
}

// newIdentity makes the certificate and writes the files into a directory.
func newIdentity(dir string) (*identity, error) {
	now := time.Now()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "httpbench authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: serverName}, DNSNames: []string{serverName},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 6, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	var chain strings.Builder
	i := &identity{}
	for _, c := range []struct {
		template *x509.Certificate
		key      *ecdsa.PrivateKey
	}{{leaf, leafKey}, {authority, authorityKey}} {
		der, err := x509.CreateCertificate(rand.Reader, c.template, authority, &c.key.PublicKey, authorityKey)
		if err != nil {
			return nil, err
		}
		if err := pem.Encode(&chain, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			return nil, err
		}
	}
	public, err := x509.MarshalPKIXPublicKey(&leafKey.PublicKey)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(public)
	private, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		return nil, err
	}
	i.chain, i.pin = chain.String(), sum[:]
	i.key = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	return i, i.write(dir)
}

// write writes the files. Keys of tickets have 80 bytes, for AES-256.
func (i *identity) write(dir string) error {
	tickets := make([]byte, 3*80)
	if _, err := rand.Read(tickets); err != nil {
		return err
	}
	var lines strings.Builder // HAProxy wants three at least
	for n := 0; n < len(tickets); n += 80 {
		lines.WriteString(base64.StdEncoding.EncodeToString(tickets[n:n+80]) + "\n")
	}
	for _, f := range []struct {
		path       *string
		name, text string
	}{
		{&i.chainFile, "chain.pem", i.chain},
		{&i.keyFile, "key.pem", i.key},
		{&i.bundleFile, "bundle.pem", i.chain + i.key},
		{&i.ticketFile, "tickets.bin", string(tickets[:80])},
		{&i.ticketLines, "tickets.txt", lines.String()},
	} {
		*f.path = filepath.Join(dir, f.name)
		if err := os.WriteFile(*f.path, []byte(f.text), 0o600); err != nil {
			return err
		}
	}
	return nil
}
