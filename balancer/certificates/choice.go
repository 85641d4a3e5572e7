package certificates

import (
	"cmp"
	"crypto/rsa"
	"crypto/tls"
	"slices"
	"strings"
)

// choice finds the certificate for a name: that which bears it, then one with a
// wildcard for it, then the default.
type choice struct {
	byName   map[string][]*Certificate // exact names and wildcards
	fallback []*Certificate            // the default, and others that bear all of its names
	refuses  bool
}

func newChoice(certificates []*Certificate, refuses bool) *choice {
	c := &choice{byName: map[string][]*Certificate{}, refuses: refuses}
	for _, one := range certificates {
		for _, name := range one.Names {
			c.byName[name] = append(c.byName[name], one)
		}
	}
	for _, same := range c.byName {
		slices.SortStableFunc(same, func(a, b *Certificate) int { return cmp.Compare(a.cost(), b.cost()) })
	}
	if len(certificates) > 0 {
		c.fallback = c.like(certificates[0])
	}
	return c
}

// like are a certificate and those that stand in for it with clients that do not
// know its kind of key.
func (c *choice) like(first *Certificate) []*Certificate {
	if len(first.Names) == 0 {
		return []*Certificate{first}
	}
	var same []*Certificate
	for _, other := range c.byName[first.Names[0]] {
		if other == first || slices.Equal(other.Names, first.Names) {
			same = append(same, other)
		}
	}
	return same
}

// cost orders those of one name by what a signature takes.
func (c *Certificate) cost() int {
	if _, ok := c.leaf.PublicKey.(*rsa.PublicKey); ok {
		return 1
	}
	return 0
}

// get is for [tls.Config]. Without a certificate crypto/tls sends the alert
// unrecognized_name, and a connection that wants to know why is told.
func (c *choice) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	found := c.byName[name]
	if len(found) == 0 {
		found = c.byName[wildcardOf(name)]
	}
	if len(found) == 0 && (name == "" || !c.refuses) {
		found = c.fallback
	}
	for i, one := range found {
		shown := one.shown.Load()
		if i == len(found)-1 || knows(hello, shown) {
			return shown, nil
		}
	}
	if told, ok := hello.Conn.(interface{ NoCertificate() }); ok {
		told.NoCertificate()
	}
	return nil, nil
}

// knows tells whether a client can do with a certificate's kind of key, whatever
// name it asked for.
func knows(hello *tls.ClientHelloInfo, shown *tls.Certificate) bool {
	nameless := *hello
	nameless.ServerName = ""
	return nameless.SupportsCertificate(shown) == nil
}
