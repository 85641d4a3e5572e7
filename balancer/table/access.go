package table

import (
	"net/netip"

	"evenkeel/fsm"
)

// Access says which clients a route serves. nil serves all. It is immutable.
type Access struct {
	allow, deny networks
	listed      bool // only those are allowed that allow holds
}

// compileAccess reads networks that the registry validated. Should one be
// unreadable all the same, nobody is allowed for it, and everybody is denied.
func compileAccess(spec *fsm.RouteSpec) *Access {
	if len(spec.Allow)+len(spec.Deny) == 0 {
		return nil
	}
	a := &Access{listed: len(spec.Allow) > 0}
	a.allow, _ = parseNetworks(spec.Allow)
	deny, ok := parseNetworks(spec.Deny)
	if !ok {
		deny = networks{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
	}
	a.deny = deny
	return a
}

// Allows tells whether the route serves a client: its address is in none of the
// denied networks and, if any are allowed, in one of those. The zero address,
// of a client that is not known, is never allowed. The cost grows with the
// number of networks, of which a route has up to 512.
func (a *Access) Allows(client netip.Addr) bool {
	if a == nil {
		return true
	}
	client = client.Unmap().WithZone("")
	return client.IsValid() && !a.deny.hold(client) && (!a.listed || a.allow.hold(client))
}

// networks are prefixes of IPv4 and IPv6 addresses, none of them of an IPv4
// address mapped to IPv6.
type networks []netip.Prefix

// parseNetworks reads as many as it can; ok is false if that is not all.
func parseNetworks(texts []string) (all networks, ok bool) {
	ok = true
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			ok = false
			continue
		}
		// A client's address is never of the mapped form, see Allows.
		if addr := network.Addr(); addr.Is4In6() && network.Bits() >= 96 {
			network = netip.PrefixFrom(addr.Unmap(), network.Bits()-96)
		}
		all = append(all, network.Masked())
	}
	return all, ok
}

func (n networks) hold(addr netip.Addr) bool {
	for _, network := range n {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}
