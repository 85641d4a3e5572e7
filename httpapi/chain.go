package httpapi

import (
	"crypto/x509"
	"encoding/pem"
	"sync"
	"time"

	"evenkeel/fsm"
)

// chain is what a certificate's chain says, parsed. It is immutable.
type chain struct {
	text string
	// all are its certificates, that of the key first; none if it cannot be read.
	all []*x509.Certificate
	// names are what the first is for, in lower case.
	names []string
}

func parseChain(text string) *chain {
	c := &chain{text: text}
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			c.names = certificateNames(c.leaf())
			return c
		}
		one, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return &chain{text: text}
		}
		c.all = append(c.all, one)
	}
}

// leaf is the certificate of the key, or nil.
func (c *chain) leaf() *x509.Certificate {
	if len(c.all) == 0 {
		return nil
	}
	return c.all[0]
}

// valid is from when and until when all of the chain is valid; false if it cannot be
// read.
func (c *chain) valid() (from, until time.Time, ok bool) {
	for i, one := range c.all {
		if i == 0 || one.NotBefore.After(from) {
			from = one.NotBefore
		}
		if i == 0 || one.NotAfter.Before(until) {
			until = one.NotAfter
		}
	}
	return from.UTC(), until.UTC(), len(c.all) > 0
}

// chains remembers the chains of the registry's certificates, which metrics and lists
// read again and again. It may be used concurrently.
type chains struct {
	mu     sync.Mutex // guards byName
	byName map[string]*chain
}

// of returns what the chain of a state's certificate says.
func (c *chains) of(s *fsm.State, object *fsm.Certificate) *chain {
	c.mu.Lock()
	known := c.byName[object.Name]
	c.mu.Unlock()
	if known != nil && known.text == object.Spec.Chain {
		return known
	}
	parsed := parseChain(object.Spec.Chain)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byName == nil {
		c.byName = map[string]*chain{}
	}
	if len(c.byName) > s.Count(fsm.KindCertificate) { // some are of certificates that are gone
		for name := range c.byName {
			if s.Certificate(name) == nil {
				delete(c.byName, name)
			}
		}
	}
	c.byName[object.Name] = parsed
	return parsed
}
