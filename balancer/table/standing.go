package table

import (
	"time"

	"evenkeel/fsm"
)

// healthLevel is the feature level from which on a node has a word of its own
// about backends. Below it every node of a cluster of several builds chooses as
// the oldest of them does.
const healthLevel = 4

// standing is what a table knows of a backend besides its registration.
type standing struct {
	// local is this node's own word, [fsm.HealthUp] or [fsm.HealthDown]; "" if it
	// has none.
	local fsm.Health
	// share is how much of its weight the backend has, in thousandths.
	share int
	// rampAt is when this node saw the slow start begin that is under way.
	rampAt time.Duration
	// ejected is set if the backend was ejected when the table was made.
	ejected bool
}

// Order in which it is decided whether a backend takes new requests here:
//
//   - never: drained, in maintenance, of weight 0, without an address, overridden
//     to down by an operator, or asking to be spared all of its weight;
//   - an operator's override to up: yes, whatever probes say;
//   - this node's own word, see [Builder.SetLocal]: a veto, or, while the node is
//     cut off, what stands in for the verdict;
//   - the verdict, and a hold for flaps;
//   - an ejection, which is about traffic and not about probes, comes on top of
//     any yes.

// ready tells whether a backend is there to be used at all: no operator keeps
// new requests from it, and it wants and can have them.
func (b *Backend) ready() bool {
	return b.spec().AdminState == fsm.AdminReady && b.spec().Weight > 0 &&
		b.object.Status.Reduction < 100 && b.reachable()
}

// reachable tells whether a backend may have any request.
func (b *Backend) reachable() bool {
	return len(b.endpoints) > 0 && !b.overridden(fsm.HealthDown)
}

func (b *Backend) overridden(to fsm.Health) bool {
	override := b.object.Status.Override
	return override != nil && override.Health == to
}

// healthy tells whether the backend may be used for what is known of its
// health. Unknown is used like up, so that a backend serves from its
// registration on.
func (b *Backend) healthy() bool {
	switch status := &b.object.Status; {
	case status.Override != nil:
		return status.Override.Health != fsm.HealthDown
	case b.own.local != "":
		return b.own.local != fsm.HealthDown
	default:
		return !status.Held && status.Health != fsm.HealthDown
	}
}

// Down tells whether the cluster agrees that the backend is not to be used, by
// an operator's word before the verdict.
func (b *Backend) Down() bool { return IsDown(b.object) }

// IsDown is [Backend.Down] of a backend as the registry has it.
func IsDown(object *fsm.Backend) bool {
	status := &object.Status
	if status.Override != nil {
		return status.Override.Health == fsm.HealthDown
	}
	return status.Held || status.Health == fsm.HealthDown
}

// Useless tells whether connections to the backend are of no use any more: it is
// down, this node cannot reach it, or its drain is over.
func (b *Backend) Useless() bool { return !b.healthy() || b.drained() }

// returns tells whether what was met of the backend as it was before says nothing
// of it now: it was found up, put back to use, or is another server.
func (b *Backend) returns(before *Backend) bool {
	return b.healthy() && !before.healthy() || before.Retired() && !b.Retired() || b.Address != before.Address
}

// drained tells whether the backend's drain is over: not even clients that it
// has served before return to it.
func (b *Backend) drained() bool {
	drain := b.object.Status.Drain
	return b.spec().AdminState == fsm.AdminDrain && drain != nil && drain.State != fsm.DrainUnderWay
}

// mayReturn tells whether a backend takes clients that it has served before: a
// weight of 0 and draining keep only new ones away. In a panic health does not
// count.
func (b *Backend) mayReturn(panics bool) bool {
	return b.spec().AdminState != fsm.AdminMaint && b.reachable() && !b.drained() && (panics || b.healthy())
}

// Takes tells whether this table may give the backend any request: a new one, or
// one of a client that returns to it.
func (p *Pool) Takes(b *Backend) bool {
	return b.place >= 0 || p.sticky != nil && b.mayReturn(p.panics)
}

// Retired tells whether an operator has taken the backend out of use.
func (b *Backend) Retired() bool { return b.spec().AdminState != fsm.AdminReady }

// Drain is how the backend's drain stands, nil if there is none.
func (b *Backend) Drain() *fsm.Drain { return b.object.Status.Drain }

// A slow start goes from rampFirst thousandths of the weight to all of it in
// rampSteps steps, so that no pool is compiled more often than that for it.
const (
	wholeShare = 1000
	rampFirst  = 100
	rampSteps  = 20
)

// rampShare returns the share of a slow start that takes so long, and when the
// next one is due, 0 if none is.
func rampShare(now, began, takes time.Duration) (share int, next time.Duration) {
	if takes <= 0 || now-began >= takes {
		return wholeShare, 0
	}
	done := max(now-began, 0)
	step := rampSteps * done / takes // takes is an hour at most
	share = rampFirst + (wholeShare-rampFirst)*int(step)/rampSteps
	// Rounded up, or the step would not have come yet when it is due.
	return share, began + (takes*(step+1)+rampSteps-1)/rampSteps
}

// standing returns what this node knows of a backend; before is how the last
// table knew the same one, nil if it did not. The pool's next step of a slow
// start is kept.
func (src *poolSource) standing(p *Pool, object *fsm.Backend, before *Backend) standing {
	own := standing{share: wholeShare, ejected: before != nil && before.Stats.Ejected()}
	if src.state.FeatureLevel() >= healthLevel {
		own.local = src.local[object.Meta.UID]
	}
	status := &object.Status
	if status.Ramp != 0 {
		if own.rampAt = src.now; before != nil && before.object.Status.Ramp == status.Ramp {
			own.rampAt = before.own.rampAt
		}
		var next time.Duration
		own.share, next = rampShare(src.now, own.rampAt, src.slowStart)
		if next != 0 && (p.nextStep == 0 || next < p.nextStep) {
			p.nextStep = next
		}
	}
	if status.Reduction > 0 { // 100 leaves what matters in a panic alone
		own.share = max(own.share*(100-status.Reduction)/100, 1)
	}
	return own
}
