package certificates

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Names of faults.
const (
	FaultChain       = "bad-chain"
	FaultKey         = "bad-key"
	FaultKeyMismatch = "key-mismatch"
	FaultExpired     = "expired"
	FaultNotYetValid = "not-yet-valid"
	FaultNoName      = "no-name"
)

// Fault is what is wrong with a certificate.
type Fault struct {
	Kind        string // one of the Fault constants
	Certificate string // its name
	Detail      string // what is wrong, and what to do
}

// Error implements error.
func (f *Fault) Error() string {
	return fmt.Sprintf("certificate %q: %s (%s)", f.Certificate, f.Detail, f.Kind)
}

func newFault(kind, name, detail string) *Fault {
	return &Fault{Kind: kind, Certificate: name, Detail: detail}
}

// Check returns all that is wrong with a chain and its key at a time; nil if
// nothing is.
func Check(name, chain, key string, now time.Time) []*Fault {
	c, err := Parse(name, chain, key)
	if err == nil {
		return c.Faults(now)
	}
	var faults []*Fault
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range all.Unwrap() {
			if fault, ok := one.(*Fault); ok {
				faults = append(faults, fault)
			}
		}
	}
	return faults
}

// Faults returns why the certificate is of no use at a time, to anybody or to a
// listener whose routes have those hosts; without hosts any name will do. Hosts
// may begin with "*.".
func (c *Certificate) Faults(now time.Time, hosts ...string) []*Fault {
	var faults []*Fault
	if now.After(c.NotAfter) {
		faults = append(faults, newFault(FaultExpired, c.Name, "it expired at "+c.NotAfter.UTC().Format(time.RFC3339)+": replace it by a new one"))
	}
	if now.Before(c.NotBefore) {
		faults = append(faults, newFault(FaultNotYetValid, c.Name, "it is valid from "+c.NotBefore.UTC().Format(time.RFC3339)+": wait, or set this machine's clock"))
	}
	switch {
	case len(c.Names) == 0:
		faults = append(faults, newFault(FaultNoName, c.Name, "it has no name that clients look at: have it issued with a subject alternative name"))
	case len(hosts) > 0 && !slices.ContainsFunc(hosts, c.covers):
		faults = append(faults, newFault(FaultNoName, c.Name, "it is for "+strings.Join(c.Names, ", ")+", and no route of the listener has such a host"))
	}
	return faults
}

// covers tells whether a host of a route could be asked for with the certificate.
func (c *Certificate) covers(host string) bool {
	host = strings.ToLower(host)
	suffix, wild := strings.CutPrefix(host, "*")
	if !wild {
		return c.isFor(host)
	}
	return slices.ContainsFunc(c.Names, func(name string) bool { return strings.HasSuffix(name, suffix) })
}
