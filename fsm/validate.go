package fsm

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Bounds on what one object may hold. They are part of the feature level:
// every replica must refuse the same commands.
const (
	maxLabels        = 32
	maxLabelKey      = 63
	maxLabelValue    = 256
	maxActor         = 256
	maxReason        = 256
	maxRouteItems    = 64
	maxTrusted       = 256
	maxPath          = 1024
	maxWeight        = 1000
	maxTier          = 15
	maxPriority      = 1_000_000
	maxVotes         = 10_000
	maxInitObjects   = 1_000
	maxNodeText      = 256
	maxUID           = 128
	minCheckInterval = 100 * time.Millisecond
	maxCheckInterval = time.Hour
	minCheckTimeout  = 10 * time.Millisecond
	maxCheckCount    = 100
)

// Validate reports every fault of an operation that can be seen without a
// state, or nil. Apply checks the same again, and the rest.
func Validate(op Operation) *Error {
	var f faults
	switch op := op.(type) {
	case Init:
		op.validate(&f)
	case Put:
		op.validate(&f)
	case Delete:
		checkRef(&f, op.Ref)
		op.If.validate(&f)
	case CastVotes:
		op.validate(&f)
	case SetNode:
		op.Node.validate(&f)
	case ForgetNode:
		checkUID(&f, "/uid", op.UID)
	default:
		f.add("", "operation %T is not known", op)
	}
	return f.err()
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
	for n, put := range i.Objects {
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
	case KindListener, KindRoute, KindPool:
		if ref.Pool != "" {
			f.add("/pool", "%q: a %s is in no pool", ref.Pool, ref.Kind)
		}
	case KindBackend:
		CheckName(ref.Pool, "/pool", f.add)
	default:
		f.add("/kind", "%q is not one of listener, route, pool, backend", ref.Kind)
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
		if value := labels[key]; len(value) > maxLabelValue {
			f.add(pointer, "the value has %d bytes, at most %d are taken", len(value), maxLabelValue)
		}
	}
}

func (s ListenerSpec) validate(f *faults) {
	checkListenerAddress(f, "/spec/address", s.Address)
	if s.Protocol != ProtocolHTTP {
		f.add("/spec/protocol", "%q is not a protocol of a listener: use %q", clip(s.Protocol), ProtocolHTTP)
	}
	if len(s.TrustedProxies) > maxTrusted {
		f.add("/spec/trusted_proxies", "has %d networks, at most %d are taken", len(s.TrustedProxies), maxTrusted)
		return
	}
	for i, network := range s.TrustedProxies {
		if _, err := netip.ParsePrefix(network); err != nil {
			f.add(fmt.Sprintf("/spec/trusted_proxies/%d", i), `%q is not a network: write it as "10.0.0.0/8" or "fd00::/8"`, clip(network))
		}
	}
}

func (s RouteSpec) validate(f *faults) {
	if len(s.Listeners) > maxRouteItems {
		f.add("/spec/listeners", "has %d names, at most %d are taken", len(s.Listeners), maxRouteItems)
	} else {
		for i, name := range s.Listeners {
			pointer := fmt.Sprintf("/spec/listeners/%d", i)
			CheckName(name, pointer, f.add)
			if slices.Contains(s.Listeners[:i], name) {
				f.add(pointer, "%q is listed twice: name each listener once", clip(name))
			}
		}
	}
	s.Match.validate(f)
	if s.Priority < -maxPriority || s.Priority > maxPriority {
		f.add("/spec/priority", "%d is not from -%d to %d", s.Priority, maxPriority, maxPriority)
	}
	s.validatePools(f)
}

func (s RouteSpec) validatePools(f *faults) {
	if len(s.Pools) == 0 {
		f.add("/spec/pools", `is empty: name at least one pool, as in [{"name":"default"}]`)
	}
	if len(s.Pools) > maxRouteItems {
		f.add("/spec/pools", "has %d pools, at most %d are taken", len(s.Pools), maxRouteItems)
		return
	}
	for i, pool := range s.Pools {
		pointer := fmt.Sprintf("/spec/pools/%d", i)
		CheckName(pool.Name, pointer+"/name", f.add)
		checkRange(f, pointer+"/weight", pool.Weight, 0, maxWeight)
		if slices.ContainsFunc(s.Pools[:i], func(p WeightedPool) bool { return p.Name == pool.Name }) {
			f.add(pointer+"/name", "%q is listed twice: name each pool once", clip(pool.Name))
		}
	}
}

func (m RouteMatch) validate(f *faults) {
	if m.Host != "" && !isHostName(strings.TrimPrefix(m.Host, "*.")) {
		f.add("/spec/match/host", `%q is not a host name: write "www.example.com", or "*.example.com" for every name below it, without a port`, clip(m.Host))
	}
	if m.Path != "" && m.PathPrefix != "" {
		f.add("/spec/match/path_prefix", "%q: path is set too (%q); set one of the two", clip(m.PathPrefix), clip(m.Path))
	}
	checkMatchPath(f, "/spec/match/path", m.Path)
	checkMatchPath(f, "/spec/match/path_prefix", m.PathPrefix)
}

// checkMatchPath reports what no decoded path is, and what was most likely
// meant to be decoded: a route for "/a%20b" would match no request for it.
// Empty is allowed.
func checkMatchPath(f *faults, pointer, path string) {
	switch decoded, err := url.PathUnescape(path); {
	case path == "":
	case path[0] != '/':
		f.add(pointer, "%q must begin with /", clip(path))
	case len(path) > maxPath:
		f.add(pointer, "has %d bytes, at most %d are taken", len(path), maxPath)
	case strings.ContainsFunc(path, func(c rune) bool { return c < ' ' || c == 0x7f || c == '?' || c == '#' }):
		f.add(pointer, "%q holds a control character, ? or #: give the path alone", clip(path))
	case err == nil && decoded != path:
		f.add(pointer, "%q is escaped: requests are compared decoded, so write %q", clip(path), clip(decoded))
	}
}

// checkPath reports what cannot be asked for in a request. Empty is allowed.
func checkPath(f *faults, pointer, path string) {
	switch {
	case path == "":
	case path[0] != '/':
		f.add(pointer, "%q must begin with /", clip(path))
	case len(path) > maxPath:
		f.add(pointer, "has %d bytes, at most %d are taken", len(path), maxPath)
	case strings.ContainsFunc(path, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '?' || c == '#' }):
		f.add(pointer, "%q holds a space, a control character, ? or #: give the path alone, escaped as in a request", clip(path))
	}
}

func (s PoolSpec) validate(f *faults) {
	switch s.Strategy {
	case StrategyRoundRobin, StrategyWeightedRoundRobin, StrategyRandom, StrategyLeastConnections, StrategyPowerOfTwoChoices:
	default:
		f.add("/spec/strategy", "%q is not a strategy: use one of %s, %s, %s, %s, %s", clip(s.Strategy), StrategyRoundRobin,
			StrategyWeightedRoundRobin, StrategyRandom, StrategyLeastConnections, StrategyPowerOfTwoChoices)
	}
	if s.Check != nil {
		s.Check.validate(f)
	}
}

func (c *Check) validate(f *faults) {
	switch c.Type {
	case CheckHTTP:
		checkPath(f, "/spec/check/path", c.Path)
		if _, err := ParseExpect(c.Expect); err != nil {
			f.add("/spec/check/expect", "%s", err)
		}
	case CheckTCP:
		if c.Path != "" {
			f.add("/spec/check/path", "%q: a check of type tcp asks for no path; leave it out or use type http", clip(c.Path))
		}
		if c.Expect != "" {
			f.add("/spec/check/expect", "%q: a check of type tcp gets no status; leave it out or use type http", clip(c.Expect))
		}
	default:
		f.add("/spec/check/type", "%q is not a type of check: use %s or %s", clip(c.Type), CheckTCP, CheckHTTP)
	}
	c.validateTimes(f)
}

func (c *Check) validateTimes(f *faults) {
	interval, timeout := time.Duration(c.Interval), time.Duration(c.Timeout)
	if interval < minCheckInterval || interval > maxCheckInterval {
		f.add("/spec/check/interval", "%q is not from %q to %q", interval, minCheckInterval, maxCheckInterval)
	}
	if timeout < minCheckTimeout || timeout > interval {
		f.add("/spec/check/timeout", "%q is not from %q to the interval, %q", timeout, minCheckTimeout, interval)
	}
	checkRange(f, "/spec/check/rise", c.Rise, 1, maxCheckCount)
	checkRange(f, "/spec/check/fall", c.Fall, 1, maxCheckCount)
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
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(token)
}

// clip keeps messages readable when a value is absurdly long.
func clip(text string) string {
	if len(text) <= 80 {
		return text
	}
	return strings.ToValidUTF8(text[:77], "") + "..."
}
