package table

import (
	"net/netip"
	"strings"

	"evenkeel/fsm"
)

// Backend is one server of a pool, as one table sees it. It is immutable but
// for its Stats, which all tables share.
type Backend struct {
	Pool, Name, UID string
	// Address is the address as it was registered: "IP:port" or "host:port".
	Address string
	// Stats are this node's counters of the backend.
	Stats *Stats

	object    *fsm.Backend // as the registry has it
	own       standing
	host      string // the name to resolve, lower case; "" if the address is an IP's
	endpoints []netip.AddrPort
	place     int // among the pool's choices, [noChoice], or [noPlace]
}

const (
	noChoice = -1 - iota // it takes no new requests
	noPlace              // it is in no table yet
)

// Eligible tells whether the backend takes new requests in this table: it is
// among those that [Pool] says are chosen from.
func (b *Backend) Eligible() bool { return b.place >= 0 }

// Weight is the backend's share of its pool, 0 to 1000.
func (b *Backend) Weight() int { return b.spec().Weight }

// Health is the cluster's verdict about the backend, overrides and holds aside.
func (b *Backend) Health() fsm.Health { return b.object.Status.Health }

// AdminState is what an operator wants of the backend.
func (b *Backend) AdminState() fsm.AdminState { return b.spec().AdminState }

// Endpoint returns the address to connect to; a backend with several takes
// them in turn, on each loop. ok is false for a host name that never resolved, which does
// not happen with a backend that [Pool.Pick] returned.
func (b *Backend) Endpoint(loop int) (endpoint netip.AddrPort, ok bool) {
	switch n := len(b.endpoints); n {
	case 0:
		return netip.AddrPort{}, false
	case 1:
		return b.endpoints[0], true
	default:
		local := b.Stats.Local(loop)
		turn := local.rotation
		local.rotation++
		return b.endpoints[turn%uint32(n)], true
	}
}

// Endpoints returns all addresses of the backend, none if its host name never
// resolved. The slice must not be changed.
func (b *Backend) Endpoints() []netip.AddrPort { return b.endpoints }

func newBackend(object *fsm.Backend, own standing, stats *Stats, resolver Resolver) *Backend {
	b := &Backend{
		Pool: object.Pool, Name: object.Name, UID: object.Meta.UID,
		Address: object.Spec.Address,
		Stats:   stats,
		object:  object,
		own:     own,
		place:   noPlace,
	}
	if endpoint, err := netip.ParseAddrPort(b.Address); err == nil {
		b.endpoints = []netip.AddrPort{endpoint}
		return b
	}
	host, port, ok := fsm.SplitAddress(b.Address)
	if !ok || host == "" { // the registry's validation lets nobody register it
		return b
	}
	b.host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, addr := range resolver.Lookup(b.host) {
		b.endpoints = append(b.endpoints, netip.AddrPortFrom(addr, port))
	}
	return b
}

func (b *Backend) spec() *fsm.BackendSpec { return &b.object.Spec }

// at returns the backend with its place in the table that is being made. One
// that is in a table already stays as it is there.
func (b *Backend) at(place int) *Backend {
	switch b.place {
	case place:
		return b
	case noPlace:
	default:
		moved := *b
		b = &moved
	}
	b.place = place
	return b
}
