package certificates

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Certificate is a chain with its key. It is immutable but for its staple.
type Certificate struct {
	// Name is that of the object.
	Name string
	// Names are what it is for: DNS names and IP addresses, in lower case.
	Names []string
	// NotBefore and NotAfter are when all of its chain is valid.
	NotBefore, NotAfter time.Time
	// MustStaple tells that clients want a staple with it: RFC 7633.
	MustStaple bool

	leaf, issuer *x509.Certificate // issuer is nil if the chain has none
	shown        atomic.Pointer[tls.Certificate]
}

// Parse returns the certificate of a chain, PEM with the leaf first, and its
// key, PEM of PKCS #8, PKCS #1 or SEC 1. The error has all that is wrong, as
// *[Fault] joined together. That it has expired is none of it: see
// [Certificate.Faults].
func Parse(name, chain, key string) (*Certificate, error) {
	certificates, faults := parseChain(name, chain)
	signer, fault := parseKey(name, key)
	if fault != nil {
		faults = append(faults, fault)
	}
	if len(certificates) > 0 && signer != nil && !matches(signer, certificates[0]) {
		faults = append(faults, newFault(FaultKeyMismatch, name, "its key belongs to another certificate: give the key that the leaf was made with, and the leaf first"))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	c := &Certificate{Name: name, leaf: certificates[0]}
	shown := &tls.Certificate{PrivateKey: signer, Leaf: c.leaf}
	c.NotBefore, c.NotAfter = c.leaf.NotBefore, c.leaf.NotAfter
	for _, one := range certificates {
		shown.Certificate = append(shown.Certificate, one.Raw)
		if one.NotBefore.After(c.NotBefore) {
			c.NotBefore = one.NotBefore
		}
		if one.NotAfter.Before(c.NotAfter) {
			c.NotAfter = one.NotAfter
		}
	}
	if len(certificates) > 1 {
		c.issuer = certificates[1]
	}
	c.Names, c.MustStaple = namesOf(c.leaf), mustStaple(c.leaf)
	c.shown.Store(shown)
	return c, nil
}

func parseChain(name, chain string) (certificates []*x509.Certificate, faults []error) {
	for rest := []byte(chain); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			faults = append(faults, newFault(FaultChain, name, "its chain holds a block of type "+block.Type+": leave only certificates in it"))
			continue
		}
		one, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, append(faults, newFault(FaultChain, name, "its chain cannot be read: "+err.Error()))
		}
		certificates = append(certificates, one)
	}
	if len(certificates) == 0 {
		return nil, append(faults, newFault(FaultChain, name, "its chain holds no certificate: give PEM, the leaf first"))
	}
	for i := range certificates[1:] {
		if err := certificates[i].CheckSignatureFrom(certificates[i+1]); err != nil {
			faults = append(faults, newFault(FaultChain, name, "its chain is out of order: "+
				certificates[i].Subject.String()+" is not signed by "+certificates[i+1].Subject.String()+", which follows it"))
		}
	}
	return certificates, faults
}

func parseKey(name, text string) (crypto.Signer, error) {
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, newFault(FaultKey, name, "it has no private key: give PEM of PKCS #8, PKCS #1 or SEC 1, not encrypted")
		}
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") { // such as EC PARAMETERS before it
			continue
		}
		if key := keyOf(block.Bytes); key != nil {
			return key, nil
		}
		return nil, newFault(FaultKey, name, "its private key cannot be read: give PEM of PKCS #8, PKCS #1 or SEC 1, not encrypted, of RSA, ECDSA or Ed25519")
	}
}

func keyOf(der []byte) crypto.Signer {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		signer, _ := key.(crypto.Signer) // X25519 keys sign nothing
		return signer
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key
	}
	return nil
}

func matches(key crypto.Signer, leaf *x509.Certificate) bool {
	switch public := key.Public().(type) {
	case *rsa.PublicKey:
		return public.Equal(leaf.PublicKey)
	case *ecdsa.PublicKey:
		return public.Equal(leaf.PublicKey)
	case ed25519.PublicKey:
		return public.Equal(leaf.PublicKey)
	}
	return false
}

// namesOf are the names of a leaf. Its common name counts for nothing, as with
// all clients.
func namesOf(leaf *x509.Certificate) []string {
	var names []string
	for _, name := range leaf.DNSNames {
		names = append(names, strings.ToLower(strings.TrimSuffix(name, ".")))
	}
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	slices.Sort(names)
	return slices.Compact(names)
}

var featureExtension = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24} // RFC 7633

func mustStaple(leaf *x509.Certificate) bool {
	for _, extension := range leaf.Extensions {
		var features []int
		if !extension.Id.Equal(featureExtension) {
			continue
		}
		if _, err := asn1.Unmarshal(extension.Value, &features); err == nil {
			return slices.Contains(features, 5) // status_request, RFC 6066
		}
	}
	return false
}

// isFor tells whether the certificate may be shown for a host, which is in lower
// case.
func (c *Certificate) isFor(host string) bool {
	if slices.Contains(c.Names, host) {
		return true
	}
	return net.ParseIP(host) == nil && slices.Contains(c.Names, wildcardOf(host))
}

// wildcardOf returns the wildcard that covers a host: RFC 6125 section 6.4.3.
func wildcardOf(host string) string {
	_, parent, ok := strings.Cut(host, ".")
	if !ok {
		return ""
	}
	return "*." + parent
}
