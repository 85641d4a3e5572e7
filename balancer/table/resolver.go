package table

import "net/netip"

// Resolver gives the addresses of host names; package balancer/resolver has one
// that asks DNS in the background. The [Builder] is its only user and calls it
// from one goroutine; no method may block. Whoever calls [Builder.Update] is to
// call it again when the resolver has news: the pools that use a changed name
// are then compiled with its new addresses, so that a backend whose name starts
// to resolve becomes eligible as if it had just been registered.
type Resolver interface {
	// Lookup returns the last known addresses of the name, which must not be
	// changed; none if it never resolved. From the first call on the name is
	// resolved again and again until Forget.
	Lookup(host string) []netip.Addr
	// Changed returns the names whose addresses changed since the last call,
	// and forgets that they did.
	Changed() []string
	// Forget tells that no backend uses the name any more.
	Forget(host string)
}
