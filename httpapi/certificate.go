package httpapi

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"reflect"
	"strings"
	"time"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

// KeySealer seals what the registry keeps and does not show. It may be called
// concurrently and must not block. The error says why this node cannot seal now, and
// what to do.
type KeySealer interface {
	// SealPrivateKey returns the private key of the certificate of that name as
	// [fsm.CertificateSpec.SealedKey]. The same is always sealed to the same.
	SealPrivateKey(s *fsm.State, name, pem string) (string, error)
}

// certificateDocument is what a client says of a certificate.
type certificateDocument struct {
	Chain string `json:"chain"`
	// Key is the private key in PEM. It is written and never read; absent: the one
	// that is there stays.
	Key string `json:"key,omitempty"`
}

// certificates is the resource of certificates. What is its own of writes is in
// [authorized.seal], so that it holds however a certificate is written.
func certificates() *resource {
	res := describe("/v1/certificates", unfiltered((*fsm.State).Certificates), certificateStatus)
	res.shape.members["status"] = shapeOf(reflect.TypeFor[certificateView]())
	res.newSpec = func() any { return &certificateDocument{} }
	res.spec = func(pointer any) fsm.Spec {
		doc := pointer.(*certificateDocument)
		return fsm.CertificateSpec{Chain: doc.Chain, SealedKey: unsealed(doc.Key)}
	}
	return res
}

// unsealedMark begins, in base64, a key that is not sealed yet. No sealed one begins
// so: those begin with a version, which is no letter.
const unsealedMark = "unsealed:"

func unsealed(key string) string {
	return base64.StdEncoding.EncodeToString([]byte(unsealedMark + key))
}

// unsealedKey is the reverse of unsealed.
func unsealedKey(text string) (key string, marked bool) {
	plain, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", false
	}
	return strings.CutPrefix(string(plain), unsealedMark)
}

// seal returns the operation with the private keys in it sealed. dependent tells
// that it holds for the object only that is there now, whose key it keeps.
func (a authorized) seal(p *principal, s *fsm.State, op fsm.Operation) (sealed fsm.Operation, dependent bool, err error) {
	switch op := op.(type) {
	case fsm.Put:
		faults, dependent, err := a.sealPut(p, s, &op)
		if len(faults) > 0 {
			return op, false, problem.Invalid(faults)
		}
		return op, dependent, err
	case fsm.Txn:
		steps, faults := make([]fsm.Step, len(op.Steps)), []fsm.Fault(nil)
		for n, step := range op.Steps {
			if step.Put != nil {
				put := *step.Put
				own, kept, err := a.sealPut(p, s, &put)
				if err != nil {
					return op, false, err
				}
				dependent = dependent || kept
				faults = append(faults, prefixed(own, stepAt(n))...)
				step.Put = &put
			}
			steps[n] = step
		}
		if len(faults) > 0 {
			return op, false, problem.Invalid(faults)
		}
		return fsm.Txn{Steps: steps}, dependent, nil
	}
	return op, false, nil
}

// sealPut seals the key of a put, or gives it the key that is there.
func (a authorized) sealPut(p *principal, s *fsm.State, put *fsm.Put) (faults []fsm.Fault, dependent bool, err error) {
	spec, is := put.Spec.(fsm.CertificateSpec)
	if !is {
		return nil, false, nil
	}
	key, marked := unsealedKey(spec.SealedKey)
	if !marked {
		return []fsm.Fault{{Pointer: "/spec/key", Message: "is missing: give the private key of the chain's first certificate in PEM"}}, false, nil
	}
	if key != "" {
		if faults := checkPair(spec.Chain, key, time.Now()); len(faults) > 0 {
			return faults, false, nil
		}
		if a.sealer == nil {
			return nil, false, problem.New(problem.NotYet, "this node seals no private keys")
		}
		if spec.SealedKey, err = a.sealer.SealPrivateKey(s, put.Name, key); err != nil {
			return nil, false, problem.New(problem.NotYet, "%s", err).With("Retry-After", "1")
		}
		put.Spec = spec
		return nil, false, nil
	}
	there, _ := p.find(s, put.Ref()).(*fsm.Certificate)
	switch {
	case there == nil || put.If.Absent:
		return []fsm.Fault{{Pointer: "/spec/key", Message: "is missing: give the private key of the chain's first certificate in PEM"}}, false, nil
	case !samePublicKey(there.Spec.Chain, spec.Chain):
		return []fsm.Fault{{Pointer: "/spec/key", Message: "is needed: the chain's first certificate is of another key than the one that is there"}}, false, nil
	}
	spec.SealedKey = there.Spec.SealedKey
	if put.If.Revision == 0 {
		put.If.Revision, dependent = there.Meta.Revision, true
	}
	put.Spec = spec
	return nil, dependent, nil
}

// minRSA is the least length of an RSA key that clients take, in bits.
const minRSA = 2048

// checkPair reports why a chain and a key are of no use together. No fault has
// anything of the key.
func checkPair(chain, key string, now time.Time) (faults []fsm.Fault) {
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
	pair, err := tls.X509KeyPair([]byte(chain), []byte(key))
	leaf := leafOf(chain)
	switch {
	case leaf == nil: // reported where the chain is
	case err != nil && strings.Contains(err.Error(), "does not match"):
		fault("/spec/key", "belongs to another certificate than the chain's first, that of %s: give the key that it was made with, and that certificate first", clip(leaf.Subject.String()))
	case err != nil:
		fault("/spec/key", "cannot be used: give an RSA, ECDSA or Ed25519 key in PEM of PKCS #8, PKCS #1 or SEC 1")
	default:
		if rsaKey, is := pair.PrivateKey.(*rsa.PrivateKey); is && rsaKey.N.BitLen() < minRSA {
			fault("/spec/key", "is an RSA key of %d bits, which clients refuse: use one of %d, or ECDSA", rsaKey.N.BitLen(), minRSA)
		}
	}
	if leaf != nil && now.After(leaf.NotAfter) {
		fault("/spec/chain", "the certificate of %s expired at %s: renew it", clip(leaf.Subject.String()), leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return faults
}

// leafOf returns the first certificate of a chain, or nil.
func leafOf(chain string) *x509.Certificate {
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

func samePublicKey(one, other string) bool {
	a, b := leafOf(one), leafOf(other)
	return a != nil && b != nil && bytes.Equal(a.RawSubjectPublicKeyInfo, b.RawSubjectPublicKeyInfo)
}

// certificateView is what a chain says.
type certificateView struct {
	Subject string `json:"subject"`
	Issuer  string `json:"issuer"`
	// Names are the DNS names and IP addresses that it is for.
	Names     []string  `json:"names"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	// Key is the kind of its key, such as "ECDSA P-256".
	Key string `json:"key"`
	// Fingerprint is the SHA-256 of the certificate, in hexadecimal digits.
	Fingerprint string `json:"fingerprint"`
	// ExpiresInSeconds is until not_after, negative after it.
	ExpiresInSeconds int64  `json:"expires_in_seconds"`
	UsedBy           usedBy `json:"used_by"`
	// Warnings are what is, or soon will be, wrong with it where it is used.
	Warnings []string `json:"warnings,omitempty"`
}

func certificateStatus(v *viewer, o *fsm.Certificate) any {
	used := v.tls().usedBy[o.Name]
	view := certificateView{
		Names: []string{}, UsedBy: usedBy{append([]string{}, used.Listeners...), append([]string{}, used.Pools...)},
		Warnings: v.certificateWarnings(o, time.Now()),
	}
	leaf := v.chains.of(v.nodes(), o).leaf()
	if leaf == nil {
		return view
	}
	view.ExpiresInSeconds = int64(time.Until(leaf.NotAfter).Seconds())
	view.Subject, view.Issuer, view.Key = leaf.Subject.String(), leaf.Issuer.String(), kindOfKey(leaf)
	view.NotBefore, view.NotAfter = leaf.NotBefore.UTC(), leaf.NotAfter.UTC()
	view.Names = certificateNames(leaf)
	sum := sha256.Sum256(leaf.Raw)
	view.Fingerprint = hex.EncodeToString(sum[:])
	return view
}

func kindOfKey(leaf *x509.Certificate) string {
	switch key := leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return leaf.PublicKeyAlgorithm.String()
}
