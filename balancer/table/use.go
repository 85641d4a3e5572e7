package table

import (
	"slices"

	"evenkeel/fsm"
)

// Use says whether a table gives a backend new requests, and if not why. The
// first that applies counts, in the order of standing.go.
type Use string

// The uses of a backend.
const (
	Used         Use = "used"
	UseDrain     Use = "drain"       // an operator drains it
	UseMaint     Use = "maintenance" // an operator took it out
	UseWeight    Use = "weight"      // its weight is 0, or it asked to be spared all of it
	UseOverride  Use = "override"    // an operator said down
	UseNoAddress Use = "address"     // its host name has no address here
	UseDown      Use = "down"        // the verdict
	UseHeld      Use = "held"        // up, but held for its flaps
	UseVeto      Use = "veto"        // this node's own probes fail
	UseEjected   Use = "ejected"     // this node's own requests failed
	UseTier      Use = "tier"        // a lower tier serves
	UseZone      Use = "zone"        // this node's zone serves; it comes behind that
	UsePanic     Use = "panic"       // used although it is not healthy
)

// Use returns what this table does with one of its backends.
func (p *Pool) Use(b *Backend) Use {
	switch {
	case b.spec().AdminState == fsm.AdminDrain:
		return UseDrain
	case b.spec().AdminState == fsm.AdminMaint:
		return UseMaint
	case b.spec().Weight == 0 || b.object.Status.Reduction >= 100:
		return UseWeight
	case b.overridden(fsm.HealthDown):
		return UseOverride
	case !b.ready():
		return UseNoAddress
	case b.place >= 0:
		return p.useOfChoice(b)
	case !b.healthy():
		return b.unhealthy()
	case b.own.ejected:
		return UseEjected
	}
	return UseTier
}

// useOfChoice is of one that is chosen from.
func (p *Pool) useOfChoice(b *Backend) Use {
	switch {
	case p.Avoids(b) && slices.ContainsFunc(p.choices, func(other *Backend) bool { return !p.Avoids(other) }):
		return UseEjected // since the table was made
	case b.place >= p.near && slices.ContainsFunc(p.choices[:p.near], func(other *Backend) bool { return !p.Avoids(other) }):
		return UseZone
	case p.panics && (!b.healthy() || b.own.ejected):
		return UsePanic
	}
	return Used
}

// unhealthy says why a backend is not.
func (b *Backend) unhealthy() Use {
	switch status := &b.object.Status; {
	case status.Health == fsm.HealthDown:
		return UseDown
	case b.own.local == fsm.HealthDown:
		return UseVeto
	}
	return UseHeld
}
