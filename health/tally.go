package health

import "evenkeel/fsm"

// Tally turns a sequence of probe results into an opinion. It is a pure value
// without clock or I/O; the zero value is not usable, see [NewTally].
//
// Rise passes in a row make the opinion up, fall failures in a row make it
// down, anything else leaves it as it is. While there is no opinion yet, one
// pass is enough for up: a backend of unknown health is used like one that is
// up, so nothing is risked by saying so at once, whereas down takes traffic
// away and needs the same evidence as ever.
type Tally struct {
	rise, fall int
	// run is the number of equal results in a row: passes when positive,
	// failures when negative.
	run     int
	opinion fsm.Health
	// wary is set if the first pass is no opinion yet.
	wary bool
}

// NewTally returns a tally that begins with an opinion: this node's own vote
// of earlier about the same registration and check, or [fsm.HealthUnknown].
// Rise and fall below 1 count as 1.
func NewTally(rise, fall int, opinion fsm.Health) Tally {
	return Tally{rise: max(rise, 1), fall: max(fall, 1), opinion: opinion}
}

// Wary returns the tally for a backend that the cluster has agreed to be down:
// there rise passes make the first opinion up, as they would any other.
func (t Tally) Wary() Tally {
	t.wary = true
	return t
}

// Confirm makes the opinion down after one failure, because requests have met
// it as well. It reports whether that is a change.
func (t *Tally) Confirm() (changed bool) {
	before := t.opinion
	t.opinion = fsm.HealthDown
	return t.opinion != before
}

// Record counts one result and reports whether it changed the opinion.
func (t *Tally) Record(passed bool) (changed bool) {
	if passed {
		t.run = max(t.run, 0) + 1
	} else {
		t.run = min(t.run, 0) - 1
	}
	before := t.opinion
	switch {
	case t.run >= t.rise, t.run > 0 && t.opinion == fsm.HealthUnknown && !t.wary:
		t.opinion = fsm.HealthUp
	case -t.run >= t.fall:
		t.opinion = fsm.HealthDown
	}
	return t.opinion != before
}

// Opinion returns up, down, or unknown as long as there is none.
func (t *Tally) Opinion() fsm.Health { return t.opinion }

// Run returns how many results in a row were the same: positive for passes,
// negative for failures, 0 before the first.
func (t *Tally) Run() int { return t.run }
