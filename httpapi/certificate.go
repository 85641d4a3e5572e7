package httpapi

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"reflect"
	"time"

	"evenkeel/fsm"
	"evenkeel/httpapi/keypair"
	"evenkeel/httpapi/problem"
)

// KeySealer seals what the registry keeps and does not show. It may be called
// concurrently and must not block. The error says why this node cannot seal now, and
// what to do.
type KeySealer interface {
	// SealPrivateKey returns the private key of the certificate of that name as
	// [fsm.CertificateSpec.SealedKey]. The same is always sealed to the same.
	SealPrivateKey(s *fsm.State, name, pem string) (string, error)
	// Reseal returns what does the same with the private keys of a saved state. The
	// error says why this node cannot open those, or is a [cluster.ErrCannotSeal].
	Reseal(s, saved *fsm.State) (func(*fsm.Certificate) (string, error), error)
}

// certificates is the resource of certificates. What is its own of writes is in
// [authorized.seal], so that it holds however a certificate is written.
func certificates() *resource {
	res := describe("/v1/certificates", unfiltered((*fsm.State).Certificates), certificateStatus)
	res.shape.members["status"] = shapeOf(reflect.TypeFor[certificateView]())
	res.newSpec = func() any { return &keypair.Document{} }
	res.spec = func(pointer any) fsm.Spec { return pointer.(*keypair.Document).Spec() }
	return res
}

// seal returns the operation with the private keys in it sealed. dependent tells
// that it holds for the object only that is there now, whose key it keeps. checked
// tells that the keys were found to be of use before, which is not looked at again.
func (a authorized) seal(p *principal, s *fsm.State, op fsm.Operation, checked bool) (sealed fsm.Operation, dependent bool, err error) {
	switch op := op.(type) {
	case fsm.Put:
		faults, dependent, err := a.sealPut(p, s, &op, checked)
		if len(faults) > 0 {
			return op, false, problem.Invalid(faults)
		}
		return op, dependent, err
	case fsm.Txn:
		if fault := tooManyKeys(op); fault != nil {
			return op, false, problem.Invalid([]fsm.Fault{*fault})
		}
		steps, faults := make([]fsm.Step, len(op.Steps)), []fsm.Fault(nil)
		for n, step := range op.Steps {
			if step.Put != nil {
				put := *step.Put
				own, kept, err := a.sealPut(p, s, &put, checked)
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

// tooManyKeys refuses a transaction whose private keys would take too long to check.
func tooManyKeys(txn fsm.Txn) *fsm.Fault {
	keys := 0
	for n, step := range txn.Steps {
		if step.Put == nil {
			continue
		}
		spec, is := step.Put.Spec.(fsm.CertificateSpec)
		if !is {
			continue
		}
		if key, _ := keypair.Key(spec); key != "" {
			keys++
		}
		if keys > keypair.MaxKeys {
			return &fsm.Fault{Pointer: stepAt(n) + "/spec/key", Message: fmt.Sprintf("the transaction holds more than %d private keys: split it", keypair.MaxKeys)}
		}
	}
	return nil
}

// sealPut seals the key of a put that has one in it as it is, or gives it the key that
// is there.
func (a authorized) sealPut(p *principal, s *fsm.State, put *fsm.Put, checked bool) (faults []fsm.Fault, dependent bool, err error) {
	spec, is := put.Spec.(fsm.CertificateSpec)
	if !is {
		return nil, false, nil
	}
	key, unsealed := keypair.Key(spec)
	if !unsealed {
		return nil, false, nil // by who planned it; no client can say so
	}
	if key != "" && !checked {
		faults = keypair.Check(spec.Chain, key, time.Now())
	}
	if len(faults) > 0 {
		return faults, false, nil
	}
	return a.sealChecked(p, s, put)
}

// sealChecked is sealPut of a chain and a key that are known to be of use together.
func (a authorized) sealChecked(p *principal, s *fsm.State, put *fsm.Put) (faults []fsm.Fault, dependent bool, err error) {
	spec := put.Spec.(fsm.CertificateSpec)
	if key, _ := keypair.Key(spec); key != "" {
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
		return []fsm.Fault{keypair.Missing()}, false, nil
	case !keypair.SameKey(there.Spec.Chain, spec.Chain):
		return []fsm.Fault{keypair.Other()}, false, nil
	}
	spec.SealedKey = there.Spec.SealedKey
	if put.If.Revision == 0 {
		put.If.Revision, dependent = there.Meta.Revision, true
	}
	put.Spec = spec
	return nil, dependent, nil
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
