package faults

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// register is the model's state of one key.
type register struct {
	present bool
	value   string
	// revision is the value's if exact. Otherwise, and for an absent key, it is
	// one that the last change's was above or at: revisions only grow.
	revision uint64
	exact    bool
}

// model is the sequential specification of one key, which begins absent. Its
// operations are those that came out of resolve.
//
// It is deterministic. An operation of unknown outcome always can be put at
// the end, where it stands for one that never took effect.
var model = porcupine.Model{
	Init: func() any { return register{} },
	Step: func(state, input, _ any) (bool, any) {
		next, legal := state.(register).step(input.(operation))
		return legal, next
	},
	DescribeOperation: func(input, _ any) string {
		o := input.(operation)
		return string(o.Kind) + describe(o)
	},
	DescribeState: func(state any) string { return state.(register).String() },
}

// String tells the state in the visualization.
func (r register) String() string {
	switch {
	case !r.present:
		return fmt.Sprintf("absent, revision >= %d", r.revision)
	case !r.exact:
		return fmt.Sprintf("%s, revision > %d", r.value, r.revision)
	}
	return fmt.Sprintf("%s, revision %d", r.value, r.revision)
}

// step returns the state after the operation, and whether the operation can
// have had that outcome in state r.
func (r register) step(o operation) (register, bool) {
	switch {
	case o.Outcome == outcomeUnmet:
		return r, !r.meets(o)
	case o.Outcome == outcomeUnknown:
		if !r.meets(o) {
			return r, true
		}
		return r.after(o), true
	case o.Kind == kindRead:
		return r, r.shows(o)
	case !r.meets(o), o.Revision != 0 && o.Revision <= r.revision:
		return r, false
	case o.Before == beforeAbsent && r.present, o.Before == beforePresent && !r.present:
		return r, false
	}
	return r.after(o), true
}

// meets tells whether the operation's condition holds. A revision that is not
// exact meets none: it is that of a value that no operation has read, so that
// no client can have named it.
func (r register) meets(o operation) bool {
	switch o.Kind {
	case kindCreate:
		return !r.present
	case kindSwap, kindDeleteAt:
		return r.present && r.exact && r.revision == o.Expected
	}
	return true
}

// shows tells whether a read in this state answers so.
func (r register) shows(o operation) bool {
	if o.Seen == "" {
		return !r.present
	}
	return r.present && r.value == o.Seen && r.exact && r.revision == o.Revision
}

// after is the state once the write took effect.
func (r register) after(o operation) register {
	switch {
	case o.Kind.writesValue() && o.Revision != 0:
		return register{present: true, value: o.Value, revision: o.Revision, exact: true}
	case o.Kind.writesValue():
		return register{present: true, value: o.Value, revision: r.revision}
	case r.present:
		return register{revision: r.revision + 1} // a deletion takes a revision too
	}
	return r
}
