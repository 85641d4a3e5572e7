package fsm

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
)

// Bounds of a certificate, part of the feature level.
const (
	maxChain     = 64 << 10
	maxSealedKey = 64 << 10
)

// CertificateSpec is a chain of certificates with its private key. Listeners show
// it to clients, and pools to their backends.
type CertificateSpec struct {
	// Chain is one or more certificates in PEM, at most 64 KiB: that of the server
	// or client itself (the leaf) first, and behind each the one that signed it. The
	// root may be left out.
	Chain string `json:"chain"`
	// Key is the leaf's private key in PEM. It is written and never shown, and is not
	// part of any state: a node seals it before it proposes the write, and a command
	// that has one is refused.
	Key string `json:"key,omitempty"`
	// SealedKey is the key sealed with the registry's [DataKey], at most 64 KiB of
	// text. It leaves no node but to its peers and into snapshots, see [Shown].
	SealedKey string `json:"sealed_key,omitempty"`
}

// Kind implements [Spec].
func (CertificateSpec) Kind() Kind { return KindCertificate }

func (s CertificateSpec) validate(f *faults) {
	const at = "/spec/chain"
	checkCertificates(f, at, s.Chain)
	if f.writing && !f.has(at) {
		checkUsable(f, at, s.Chain)
		if !f.has(at) {
			checkChainOrder(f, at, s.Chain)
		}
	}
	switch {
	case s.Key != "":
		f.add("/spec/key", "is not sealed: a private key never enters the registry as it is")
	case s.SealedKey == "":
		f.add("/spec/key", "is missing: give the private key of the chain's first certificate in PEM")
	case len(s.SealedKey) > maxSealedKey:
		f.add("/spec/key", "has %d bytes when it is sealed, at most %d are taken", len(s.SealedKey), maxSealedKey)
	case !isBase64(s.SealedKey):
		f.add("/spec/sealed_key", "is not what a node seals a key to")
	}
}

func isBase64(text string) bool {
	_, err := base64.StdEncoding.Strict().DecodeString(text)
	return err == nil
}

// checkChainOrder reports a certificate that is not from the one behind it. It looks
// at names alone; whether the signature is right is for those who write.
func checkChainOrder(f *faults, pointer, text string) {
	var before *x509.Certificate
	rest := []byte(text)
	for number := 1; ; number++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return // told by checkUsable
		}
		if before != nil && !bytes.Equal(before.RawIssuer, certificate.RawSubject) {
			f.add(pointer, "item %d is of %q, and item %d before it is from %q: put the server's own certificate first, and behind each the one that signed it",
				number, clip(certificate.Subject.String()), number-1, clip(before.Issuer.String()))
		}
		before = certificate
	}
}

// newFields names the whole spec: level 5 knows no certificates.
func (CertificateSpec) newFields() []newField { return []newField{{"/kind", levelProtocols, true}} }
