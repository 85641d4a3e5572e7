package table

import (
	"net/netip"
	"slices"

	"evenkeel/fsm"
)

// Access says which clients a route serves. nil serves all.
type Access struct{ allow, deny []netip.Prefix }

// compileAccess reads networks that the registry validated. One that cannot be
// read denies nobody and allows nobody.
func compileAccess(spec *fsm.RouteSpec) *Access {
	if len(spec.Allow)+len(spec.Deny) == 0 {
		return nil
	}
	a := &Access{allow: prefixes(spec.Allow), deny: prefixes(spec.Deny)}
	if len(spec.Allow) > 0 && len(a.allow) == 0 {
		a.allow = []netip.Prefix{{}} // an empty list would let all in
	}
	return a
}

func prefixes(networks []string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range networks {
		if network, err := netip.ParsePrefix(text); err == nil {
			all = append(all, network.Masked())
		}
	}
	return all
}

// Allows tells whether the route serves a client: its address is in none of the
// denied networks and, if any are allowed, in one of those.
func (a *Access) Allows(client netip.Addr) bool {
	if a == nil {
		return true
	}
	holds := func(network netip.Prefix) bool { return network.Contains(client) }
	if slices.ContainsFunc(a.deny, holds) {
		return false
	}
	return len(a.allow) == 0 || slices.ContainsFunc(a.allow, holds)
}
