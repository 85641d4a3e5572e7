package secret

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"
)

// The API has an authority of its own beside that of the peers: so that no
// certificate of one can stand for one of the other, and because it is for
// clients that we did not write. Of those, browsers and the TLS of macOS know
// no Ed25519, and all know P-256.

// webSeedLength is 128 bits more than the order of P-256 has, so that the key
// is as good as evenly spread (FIPS 186-5, A.4.1).
const webSeedLength = 48

// WebLifetime is for how long a certificate of [Ring.WebCertificate] is valid
// from the moment of issue. It is below the 398 days that clients take at most.
const WebLifetime = 90 * 24 * time.Hour

// webSkew is by how much a client's clock may be behind that of the node.
const webSkew = 24 * time.Hour

// maxWebNames bounds the names of one certificate.
const maxWebNames = 64

// webKey makes the authority's key of 48 derived bytes.
func webKey(seed []byte) *ecdsa.PrivateKey {
	curve := elliptic.P256()
	one := big.NewInt(1)
	scalar := new(big.Int).SetBytes(seed)
	scalar.Mod(scalar, new(big.Int).Sub(curve.Params().N, one)).Add(scalar, one)
	key, err := ecdsa.ParseRawPrivateKey(curve, scalar.FillBytes(make([]byte, 32)))
	if err != nil {
		// Only a scalar out of range is an error, and this one is within.
		panic(fmt.Sprintf("derive api certificate authority: %v", err))
	}
	return key
}

// WebAuthorities returns the certificates of the authorities that issue the
// certificates of the API, PEM, one for each secret: what curl takes as
// --cacert. The bytes follow from the secrets alone. Without a secret there is
// no authority, and that is an error.
func (r *Ring) WebAuthorities() ([]byte, error) {
	if r.loopback {
		return nil, errNoAuthority
	}
	var text []byte
	for _, e := range r.entries {
		der, err := webAuthority(e.web)
		if err != nil {
			return nil, fmt.Errorf("make certificate of the API's authority: %w", err)
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return text, nil
}

var errNoAuthority = errors.New("without a cluster secret there is no certificate authority: make one with \"evenkeel secret\" and give it to every node")

// webAuthority is the same bytes at each call: without a source of randomness
// ECDSA is deterministic (RFC 6979).
func webAuthority(key *ecdsa.PrivateKey) ([]byte, error) {
	template, err := webAuthorityTemplate(key)
	if err != nil {
		return nil, err
	}
	return x509.CreateCertificate(nil, template, template, key.Public(), key)
}

func webAuthorityTemplate(key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(point)
	return &x509.Certificate{
		SerialNumber: big.NewInt(1),
		// The name has the key in it, for clients that trust several.
		Subject:               pkix.Name{Organization: []string{"Evenkeel"}, CommonName: "Evenkeel cluster " + hex.EncodeToString(id[:4])},
		NotBefore:             time.Unix(0, 0),
		NotAfter:              time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // as in issue
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		SubjectKeyId:          id[:20],
	}, nil
}

// WebCertificate issues a certificate under the first secret by which clients
// know the API of the node with that name, at all of those hosts: at most 64,
// names or IP addresses. It is valid from a day before now for [WebLifetime].
// The key is a new one at each call.
func (r *Ring) WebCertificate(name string, hosts []string, now time.Time) (*tls.Certificate, error) {
	if r.loopback {
		return nil, errNoAuthority
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key for the API of node %q: %w", name, err)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{Organization: []string{"Evenkeel"}, CommonName: name},
		NotBefore:   now.Add(-webSkew),
		NotAfter:    now.Add(WebLifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts[:min(len(hosts), maxWebNames)] {
		ip := net.ParseIP(host)
		switch {
		case ip == nil && !slices.Contains(template.DNSNames, host):
			template.DNSNames = append(template.DNSNames, host)
		case ip != nil && !slices.ContainsFunc(template.IPAddresses, ip.Equal):
			template.IPAddresses = append(template.IPAddresses, ip)
		}
	}
	authority := r.entries[0].web
	parent, err := webAuthorityTemplate(authority)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for the API of node %q: %w", name, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), authority)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for the API of node %q: %w", name, err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for the API of node %q: %w", name, err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}
