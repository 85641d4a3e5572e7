// Package keypair is what a client says of a certificate: a chain and its private
// key, on their way into the registry.
//
// It owns the form of that, whether chain and key are of use together, and the mark
// by which a key that is not sealed yet is known. It refuses to own the sealing,
// which needs the registry's data key, and what a chain alone must be, which is the
// registry's to say. No fault of it has anything of a key. All of it is pure.
package keypair

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"evenkeel/fsm"
)

// Document is what a client writes.
type Document struct {
	Chain string `json:"chain"`
	// Key is the private key in PEM. It is written and never read; absent: the one
	// that is there stays.
	Key string `json:"key,omitempty"`
}

// mark begins, in base64, a key that is not sealed yet. No sealed one begins so: those
// begin with a version, which is no letter.
const mark = "unsealed:"

// Spec returns the certificate with its key marked as not sealed yet. The registry
// must not see it before [Key] was asked and the key replaced.
func (d *Document) Spec() fsm.CertificateSpec {
	return fsm.CertificateSpec{Chain: d.Chain, SealedKey: base64.StdEncoding.EncodeToString([]byte(mark + d.Key))}
}

// Key returns the key of a spec that is not sealed yet, "" if none was given. It
// reports false for any other spec.
func Key(spec fsm.CertificateSpec) (key string, unsealed bool) {
	plain, err := base64.StdEncoding.DecodeString(spec.SealedKey)
	if err != nil {
		return "", false
	}
	return strings.CutPrefix(string(plain), mark)
}

// Missing is the fault of a certificate that has to come with its key and does not.
func Missing() fsm.Fault {
	return fsm.Fault{Pointer: "/spec/key", Message: "is missing: give the private key of the chain's first certificate in PEM"}
}

// Other is the fault of a chain without a key that is of another key than the one that
// would stay.
func Other() fsm.Fault {
	return fsm.Fault{Pointer: "/spec/key", Message: "is needed: the chain's first certificate is of another key than the one that is there"}
}

// MaxKeys is how many private keys are taken together, in a manifest or a transaction,
// since to check one costs up to some milliseconds.
const MaxKeys = 1000

// minRSA and maxRSA are the least and the greatest length of an RSA key that clients
// take, in bits. What a longer one costs to check grows with the cube of its length, so
// one of more than maxKey bytes, which is not in PEM then, is not looked at.
const (
	minRSA = 2048
	maxRSA = 8192
	maxKey = 5 << 10
)

// Check reports why a chain and a key are of no use together at that time; the zero
// time is before every end. What is wrong with the chain alone is not told.
func Check(chain, key string, now time.Time) (faults []fsm.Fault) {
	fault := func(pointer, format string, args ...any) {
		faults = append(faults, fsm.Fault{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
	}
	block, _ := pem.Decode([]byte(key))
	switch {
	case block == nil || !strings.Contains(key, "PRIVATE KEY"):
		fault("/spec/key", "is no private key in PEM: give it as it is between -----BEGIN PRIVATE KEY----- and -----END PRIVATE KEY-----")
		return faults
	case strings.Contains(key, "ENCRYPTED"):
		fault("/spec/key", "is encrypted with a password, which no node knows: decrypt it first, as with openssl pkey -in FILE")
		return faults
	}
	for rest := []byte(key); block != nil; block, rest = pem.Decode(rest) {
		if len(block.Bytes) > maxKey {
			fault("/spec/key", "has %d bytes, and is longer than an RSA key of %d bits, which is the longest that clients take: use a shorter one, or ECDSA", len(block.Bytes), maxRSA)
			return faults
		}
	}
	pair, err := tls.X509KeyPair([]byte(chain), []byte(key))
	leaf := Leaf(chain)
	switch {
	case leaf == nil: // reported where the chain is
	case err != nil && strings.Contains(err.Error(), "does not match"):
		fault("/spec/key", "belongs to another certificate than the chain's first, that of %s: give the key that it was made with, and that certificate first", clip(leaf.Subject.String()))
	case err != nil:
		fault("/spec/key", "cannot be used: give an RSA, ECDSA or Ed25519 key in PEM of PKCS #8, PKCS #1 or SEC 1")
	default:
		if rsaKey, is := pair.PrivateKey.(*rsa.PrivateKey); is && (rsaKey.N.BitLen() < minRSA || rsaKey.N.BitLen() > maxRSA) {
			fault("/spec/key", "is an RSA key of %d bits, which clients refuse: use one of %d, or ECDSA", rsaKey.N.BitLen(), minRSA)
		}
	}
	if leaf != nil && now.After(leaf.NotAfter) {
		fault("/spec/chain", "the certificate of %s expired at %s: renew it", clip(leaf.Subject.String()), leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return faults
}

// Leaf returns the first certificate of a chain, or nil.
func Leaf(chain string) *x509.Certificate {
	block, _ := pem.Decode([]byte(chain))
	if block == nil {
		return nil
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return leaf
}

// SameKey tells whether the first certificates of two chains are of one key.
func SameKey(one, other string) bool {
	a, b := Leaf(one), Leaf(other)
	return a != nil && b != nil && bytes.Equal(a.RawSubjectPublicKeyInfo, b.RawSubjectPublicKeyInfo)
}

// clip shortens what a message quotes.
func clip(text string) string {
	if len(text) <= 80 {
		return text
	}
	return strings.ToValidUTF8(text[:77], "") + "..."
}
