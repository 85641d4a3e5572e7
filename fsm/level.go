package fsm

import (
	"fmt"
	"slices"
	"strings"
)

// newField is a field that level 1 lacks: where it stands in a document, and
// whether that document uses it.
type newField struct {
	pointer string
	level   uint64
	used    bool
}

// CheckLevel reports everything of the command that is beyond the feature level
// of the state, or nil. A node asks before it proposes anything, since
// a build that lacks a field cannot even read the command: it would detach.
// Apply asks once more.
func (s *State) CheckLevel(c Command) *Error {
	var f faults
	s.checkFrame(&f, c)
	switch op := c.Op.(type) {
	case Init:
		for i, put := range op.Objects {
			checkLevel(&f, op.FeatureLevel, fmt.Sprintf("/objects/%d", i), put.Spec)
		}
	case Put:
		if s.clusterID != "" {
			checkLevel(&f, s.featureLevel, "", op.Spec)
		}
		s.checkCondition(&f, "", op.If)
	case Delete:
		s.checkCondition(&f, "", op.If)
		checkKind(&f, s.featureLevel, "/kind", op.Kind)
	case Txn, Confirm:
		if s.featureLevel < levelHistory {
			f.add("", "a command of kind %s "+beyondLevel, op.commandKind(), levelHistory, s.featureLevel)
		}
		if txn, is := op.(Txn); is {
			txn.checkLevel(&f, s.featureLevel)
		}
	case Rollback, SetDataKey, RotateTickets:
		if s.featureLevel < levelProtocols {
			f.add("", "a command of kind %s "+beyondLevel, op.commandKind(), levelProtocols, s.featureLevel)
		}
	case RestorePart:
		if s.featureLevel < 3 {
			f.add("", "a restore "+beyondLevel, 3, s.featureLevel)
		}
		for i, put := range op.Objects {
			checkLevel(&f, s.featureLevel, fmt.Sprintf("/objects/%d", i), put.Spec)
		}
	case CastVotes:
		for i, vote := range op.Votes {
			if vote.Reduction != 0 && s.featureLevel < levelHealth {
				f.add(fmt.Sprintf("/votes/%d/reduction", i), beyondLevel, levelHealth, s.featureLevel)
			}
		}
	case SetOverride:
		if s.featureLevel < levelHealth {
			f.add("", "a command of kind %s "+beyondLevel, op.commandKind(), levelHealth, s.featureLevel)
		}
		s.checkCondition(&f, "", op.If)
	case Expire:
		if s.featureLevel < levelHealth {
			f.add("", "a command of kind %s "+beyondLevel, op.commandKind(), levelHealth, s.featureLevel)
		}
		for i, item := range op.Items {
			if item.What == ExpireTTL && s.featureLevel < levelHistory {
				f.add(fmt.Sprintf("/items/%d/what", i), beyondLevel, levelHistory, s.featureLevel)
			}
		}
	case ReportIdle:
		if s.featureLevel < levelHealth {
			f.add("", "a command of kind %s "+beyondLevel, op.commandKind(), levelHealth, s.featureLevel)
		}
	}
	return f.err()
}

// checkLevel reports what the steps use that the level lacks.
func (t Txn) checkLevel(f *faults, level uint64) {
	for n, step := range t.Steps {
		switch {
		case step.Put != nil && step.Put.Spec != nil:
			checkLevel(f, level, stepPointer(n), step.Put.Spec)
		case step.Delete != nil:
			checkKind(f, level, stepPointer(n)+"/kind", step.Delete.Kind)
		}
	}
}

// checkKind reports a kind of objects that the level lacks.
func checkKind(f *faults, level uint64, pointer string, kind Kind) {
	if needs := map[Kind]uint64{KindToken: levelHistory, KindCertificate: levelProtocols}[kind]; level < needs {
		f.add(pointer, beyondLevel, needs, level)
	}
}

// checkFrame reports what level 4 lacks of a command, whatever it does.
func (s *State) checkFrame(f *faults, c Command) {
	if s.featureLevel >= levelHistory || s.clusterID == "" {
		return
	}
	for pointer, used := range map[string]bool{
		"/confirm_within": c.ConfirmWithin != 0, "/key": c.Key != (Key{}), "/reason": c.Reason != "",
	} {
		if used {
			f.add(pointer, beyondLevel, levelHistory, s.featureLevel)
		}
	}
	slices.SortFunc(f.list, func(a, b Fault) int { return strings.Compare(a.Pointer, b.Pointer) })
}

func (s *State) checkCondition(f *faults, at string, p Precondition) {
	if len(p.Labels) > 0 && s.featureLevel < levelHistory {
		f.add(at+"/if/labels", beyondLevel, levelHistory, s.featureLevel)
	}
}

// levelHealth is the level at which votes, verdicts and what follows from them
// are what health.go says; below it they are as in level 1.
const levelHealth = 4

// levelProtocols is the level from which on there are [Rollback], certificates, the
// registry's keys, and other protocols than HTTP/1 in clear text.
const levelProtocols = 6

const beyondLevel = "needs feature level %d, and the cluster is at level %d: run the newer build on all nodes first"

func checkLevel(f *faults, level uint64, at string, spec Spec) {
	for _, field := range spec.newFields() {
		if field.used && field.level > level {
			f.add(at+field.pointer, beyondLevel, field.level, level)
		}
	}
}

func (s ListenerSpec) newFields() []newField {
	newProtocol := s.Protocol != ProtocolHTTP && slices.Contains(listenerProtocols(), s.Protocol)
	return []newField{
		{"/spec/protocol", levelProtocols, newProtocol},
		{"/spec/tls", levelProtocols, s.TLS != nil},
		{"/spec/http2", levelProtocols, s.HTTP2 != nil},
		{"/spec/proxy_protocol", levelProtocols, s.ProxyProtocol != nil},
		{"/spec/timeouts/idle", levelProtocols, s.Timeouts != nil && s.Timeouts.Idle != 0},
		{"/spec/forwarding", 2, s.Forwarding != nil},
		{"/spec/timeouts", 2, s.Timeouts != nil},
		{"/spec/limits", 2, s.Limits != nil},
	}
}

func (s RouteSpec) newFields() []newField {
	return []newField{
		{"/spec/match/sni", levelProtocols, s.Match.SNI != ""},
		{"/spec/match/path_regexp", 2, s.Match.PathRegexp != ""},
		{"/spec/match/methods", 2, len(s.Match.Methods) > 0},
		{"/spec/match/headers", 2, len(s.Match.Headers) > 0},
		{"/spec/match/query", 2, len(s.Match.Query) > 0},
		{"/spec/allow", 2, len(s.Allow) > 0},
		{"/spec/deny", 2, len(s.Deny) > 0},
		{"/spec/redirect", 2, s.Redirect != nil},
		{"/spec/respond", 2, s.Respond != nil},
		{"/spec/rewrite", 2, s.Rewrite != nil},
		{"/spec/request_fields", 2, len(s.RequestFields) > 0},
		{"/spec/response_fields", 2, len(s.ResponseFields) > 0},
		{"/spec/mirror", 2, s.Mirror != nil},
		{"/spec/error_pages", 2, len(s.ErrorPages) > 0},
		{"/spec/timeouts", 2, s.Timeouts != nil},
		{"/spec/retries", 2, s.Retries != nil},
	}
}

func (s PoolSpec) newFields() []newField {
	newStrategy := s.Strategy == StrategyPeakEWMA || slices.Contains(hashStrategies(), s.Strategy)
	fields := []newField{
		{"/spec/strategy", 2, newStrategy},
		{"/spec/hash", 2, s.Hash != nil},
		{"/spec/sticky", 2, s.Sticky != nil},
		{"/spec/prefer_zone", 2, s.PreferZone},
		{"/spec/timeouts", 2, s.Timeouts != nil},
		{"/spec/retries", 2, s.Retries != nil},
		{"/spec/limits", 2, s.Limits != nil},
		{"/spec/ejection", 4, s.Ejection != nil},
		{"/spec/damping", 4, s.Damping != nil},
		{"/spec/slow_start", 4, s.SlowStart != 0},
		{"/spec/panic_percent", 4, s.PanicPercent != 0},
		{"/spec/protocol", levelProtocols, s.Protocol != ""},
		{"/spec/tls", levelProtocols, s.TLS != nil},
		{"/spec/proxy_protocol", levelProtocols, s.ProxyProtocol != ""},
		{"/spec/limits/backend_connections", levelProtocols, s.Limits != nil && s.Limits.BackendConnections != 0},
	}
	if s.Check != nil {
		fields = append(fields, s.Check.newFields()...)
	}
	return fields
}

func (c *Check) newFields() []newField {
	return []newField{
		{"/spec/check/fast_interval", 4, c.FastInterval != 0},
		{"/spec/check/port", 4, c.Port != 0},
		{"/spec/check/observers", 4, c.Observers != 0},
		{"/spec/check/method", 4, c.Method != ""},
		{"/spec/check/host", 4, c.Host != ""},
		{"/spec/check/fields", 4, len(c.Fields) > 0},
		{"/spec/check/expect_text", 4, c.ExpectText != ""},
		{"/spec/check/expect_regexp", 4, c.ExpectRegexp != ""},
		{"/spec/check/weight_field", 4, c.WeightField != ""},
		{"/spec/check/reuse_connection", 4, c.ReuseConnection},
		{"/spec/check/tls", 4, c.TLS != nil},
		{"/spec/check/send", 4, c.Send != ""},
		{"/spec/check/receive", 4, c.Receive != ""},
		{"/spec/check/type", levelProtocols, c.Type == CheckGRPC},
		{"/spec/check/service", levelProtocols, c.Service != ""},
	}
}

func (s BackendSpec) newFields() []newField {
	return []newField{{"/spec/drain_timeout", 4, s.DrainTimeout != 0}, {"/spec/ttl", levelHistory, s.TTL != 0}}
}

// raiseLevel lets the cluster use what a higher level brings. It refuses as
// long as a member runs a build that could not follow.
func (d *draft) raiseLevel(op RaiseLevel) *Error {
	if op.Level <= d.featureLevel {
		return nil
	}
	var f faults
	for _, node := range below(d.nodes, "") {
		if node.FeatureLevel < op.Level {
			f.add("/level", "%d is beyond node %q, which can apply commands up to level %d: start the newer build there, or remove the node",
				op.Level, node.Name, node.FeatureLevel)
		}
	}
	if err := f.err(); err != nil {
		return err
	}
	before := d.featureLevel
	d.featureLevel, d.levelRaised = op.Level, true
	if before < levelHealth && op.Level >= levelHealth {
		d.beginHealth()
	}
	return nil
}
