package fsm

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Bounds on what one object may hold. They are part of the feature level:
// every replica must refuse the same commands.
const (
	maxLabels      = 32
	maxLabelKey    = 63
	maxLabelValue  = 256
	maxActor       = 256
	maxReason      = 256
	maxWeight      = 1000
	maxTier        = 15
	maxVotes       = 10_000
	maxInitObjects = 1_000
	maxNodeText    = 256
	maxUID         = 128
)

// Validate reports every fault of an operation that can be seen without a
// state, or nil. It is for those who write; Apply checks the same again and the
// rest, but for rules that logs of before do not keep: those of
// [Check.validateWritten]. Nor does a restored snapshot, which may be of before.
func Validate(op Operation) *Error { return ValidateCommand(Command{Op: op}) }

// ValidateCommand is [Validate] of an operation and what goes with it.
func ValidateCommand(c Command) *Error {
	_, restores := c.Op.(RestorePart)
	return c.validate(&faults{writing: !restores})
}

func validate(op Operation, f *faults) *Error {
	switch op := op.(type) {
	case Init:
		op.validate(f)
	case Put:
		op.validate(f)
	case Delete:
		checkRef(f, op.Ref)
		op.If.validate(f)
	case Txn:
		op.validate(f, f.writing)
	case Rollback:
		op.validate(f)
	case Confirm:
		op.validate(f)
	case CastVotes:
		op.validate(f)
	case SetNode:
		op.Node.validate(f)
	case ForgetNode:
		checkUID(f, "/uid", op.UID)
	case RaiseLevel:
		if op.Level < 1 || op.Level > FeatureLevel {
			f.add("/level", "%d is not from 1 to %d", op.Level, FeatureLevel)
		}
	case RestorePart:
		op.validate(f)
	case SetOverride:
		op.validate(f)
	case Expire:
		op.validate(f)
	case ReportIdle:
		op.validate(f)
	case SetDataKey:
		op.validate(f)
	case RotateTickets:
		op.validate(f)
	default:
		f.add("", "operation %T is not known", op)
	}
	return f.err()
}

// validate reports every fault of the command that can be seen without a state.
func (c Command) validate(f *faults) *Error {
	for _, text := range []struct {
		pointer, text string
		most          int
	}{{"/actor", c.Actor, maxActor}, {"/reason", c.Reason, maxReason}} {
		if len(text.text) > text.most {
			f.add(text.pointer, "has %d bytes, at most %d are taken", len(text.text), text.most)
		}
	}
	if c.Key != (Key{}) {
		c.Key.validate(f)
	}
	if c.ConfirmWithin != 0 && !isWrite(c.Op) {
		f.add("/confirm_within", "only a write of objects can wait for a confirmation")
	}
	checkSpan(f, "/confirm_within", c.ConfirmWithin, minConfirm, maxConfirm)
	return validate(c.Op, f)
}

func (i Init) validate(f *faults) {
	checkUID(f, "/cluster_id", i.ClusterID)
	if i.FeatureLevel < 1 || i.FeatureLevel > FeatureLevel {
		f.add("/feature_level", "%d is not from 1 to %d", i.FeatureLevel, FeatureLevel)
	}
	if len(i.Objects) < 1 || len(i.Objects) > maxInitObjects {
		f.add("/objects", "has %d items, 1 to %d are taken", len(i.Objects), maxInitObjects)
		return
	}
	validateAll(f, i.Objects)
}

func validateAll(f *faults, objects []Put) {
	for n, put := range objects {
		var of faults
		put.validate(&of)
		for _, fault := range of.list {
			f.add(fmt.Sprintf("/objects/%d%s", n, fault.Pointer), "%s", fault.Message)
		}
	}
}

func (p Put) validate(f *faults) {
	if p.Spec == nil {
		f.add("/spec", "is missing")
		return
	}
	checkRef(f, p.Ref())
	checkLabels(f, p.Labels)
	p.Spec.validate(f)
	p.If.validate(f)
}

func (p Precondition) validate(f *faults) {
	if p.Absent && (p.Exists || p.Revision != 0) {
		f.add("", "the precondition asks that the object exists and that it does not: ask for one of the two")
	}
}

func checkRef(f *faults, ref Ref) {
	switch ref.Kind {
	case KindListener, KindRoute, KindPool, KindToken, KindCertificate:
		if ref.Pool != "" {
			f.add("/pool", "%q: a %s is in no pool", ref.Pool, ref.Kind)
		}
	case KindBackend:
		CheckName(ref.Pool, "/pool", f.add)
	default:
		f.add("/kind", "%q is not one of listener, route, pool, backend, token, certificate", ref.Kind)
	}
	CheckName(ref.Name, "/name", f.add)
}

// CheckName calls add if name cannot be an object's name.
func CheckName(name, pointer string, add func(pointer, format string, args ...any)) {
	if !IsLabel(name) {
		add(pointer, "%q is not a DNS label: use 1 to 63 of a-z, 0-9 and '-', with no '-' at either end", clip(name))
	}
}

func checkLabels(f *faults, labels map[string]string) {
	if len(labels) > maxLabels {
		f.add("/labels", "has %d labels, at most %d are taken", len(labels), maxLabels)
		return
	}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		pointer := "/labels/" + EscapePointer(key)
		if key == "" || len(key) > maxLabelKey {
			pointer = "/labels" // the message has what is readable of the key
			f.add(pointer, "the key %q must have 1 to %d bytes", clip(key), maxLabelKey)
		}
		value := labels[key]
		if len(value) > maxLabelValue {
			f.add(pointer, "the value has %d bytes, at most %d are taken", len(value), maxLabelValue)
		}
		if f.writing && strings.ContainsFunc(key+value, unicode.IsControl) { // older builds took them
			f.add(pointer, "%q: %q has control characters, which are not taken", clip(key), clip(value))
		}
	}
}

func (s BackendSpec) validate(f *faults) {
	checkBackendAddress(f, "/spec/address", s.Address)
	checkRange(f, "/spec/weight", s.Weight, 0, maxWeight)
	checkRange(f, "/spec/tier", s.Tier, 0, maxTier)
	if s.Zone != "" {
		CheckName(s.Zone, "/spec/zone", f.add)
	}
	switch s.AdminState {
	case AdminReady, AdminDrain, AdminMaint:
	default:
		f.add("/spec/admin_state", "%q is not one of ready, drain, maint", clip(string(s.AdminState)))
	}
	checkSpan(f, "/spec/drain_timeout", s.DrainTimeout, minDrainTimeout, maxDrainTimeout)
	checkSpan(f, "/spec/ttl", s.TTL, minTTL, maxTTL)
}

func (c CastVotes) validate(f *faults) {
	checkUID(f, "/observer", c.Observer)
	if len(c.Votes) > maxVotes {
		f.add("/votes", "has %d votes, at most %d are taken in one command", len(c.Votes), maxVotes)
		return
	}
	for i, vote := range c.Votes {
		pointer := fmt.Sprintf("/votes/%d", i)
		if vote.Health != HealthUp && vote.Health != HealthDown {
			f.add(pointer+"/health", "%q is not one of up, down", clip(string(vote.Health)))
		}
		if len(vote.Reason) > maxReason {
			f.add(pointer+"/reason", "has %d bytes, at most %d are taken", len(vote.Reason), maxReason)
		}
		checkRange(f, pointer+"/reduction", vote.Reduction, 0, 100)
	}
}

func (n Node) validate(f *faults) {
	checkUID(f, "/node/uid", n.UID)
	CheckName(n.Name, "/node/name", f.add)
	switch n.State {
	case NodeAlive, NodeDead, NodeLeft:
	default:
		f.add("/node/state", "%q is not one of alive, dead, left", clip(string(n.State)))
	}
	checkText(f, "/node/cluster_addr", n.ClusterAddr)
	checkText(f, "/node/api_addr", n.APIAddr)
	checkText(f, "/node/version", n.Version)
}

func checkUID(f *faults, pointer, uid string) {
	if !isUID(uid) {
		f.add(pointer, "%q is not 1 to %d printable ASCII characters without a space", clip(uid), maxUID)
	}
}

// isUID keeps out what could be mistaken for the end of a key.
func isUID(uid string) bool {
	for _, c := range []byte(uid) {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return uid != "" && len(uid) <= maxUID
}

func checkText(f *faults, pointer, text string) {
	if len(text) > maxNodeText {
		f.add(pointer, "has %d bytes, at most %d are taken", len(text), maxNodeText)
	}
}

func checkRange(f *faults, pointer string, value, low, high int) {
	if value < low || value > high {
		f.add(pointer, "%d is not from %d to %d", value, low, high)
	}
}

// EscapePointer escapes one token of a JSON pointer (RFC 6901, section 3).
func EscapePointer(token string) string {
	if !strings.ContainsAny(token, "~/") {
		return token // a replacer costs kilobytes, and most tokens need none
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(token)
}

// clip keeps messages readable when a value is absurdly long.
func clip(text string) string {
	if len(text) <= 80 {
		return text
	}
	return strings.ToValidUTF8(text[:77], "") + "..."
}
