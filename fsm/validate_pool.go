package fsm

import (
	"slices"
	"strings"
	"time"
)

// Bounds of a pool, part of the feature level.
const (
	minWait        = time.Millisecond
	maxConnectWait = 10 * time.Minute
	maxIdleWait    = time.Hour
	minCookieAge   = time.Second // Max-Age counts in seconds
	maxCookieAge   = 8760 * time.Hour
	minBalance     = 101
	maxBalance     = 1000
	maxAttempts    = 32
	maxBudgetMin   = 10_000
	maxInFlight    = 1_000_000
	maxQueue       = 100_000
	maxIdle        = 100_000
	maxKeyName     = 256
	minSlowStart   = time.Second
	maxSlowStart   = time.Hour
)

// Strategies returns the names of all strategies, the default first.
func Strategies() []string {
	return append([]string{
		StrategyWeightedRoundRobin, StrategyRoundRobin, StrategyRandom, StrategyLeastConnections,
		StrategyPowerOfTwoChoices, StrategyPeakEWMA,
	}, hashStrategies()...)
}

// hashStrategies are those that send equal keys to the same backend.
func hashStrategies() []string {
	return []string{StrategyMaglev, StrategyRingHash, StrategyRendezvous}
}

func (s PoolSpec) validate(f *faults) {
	if !slices.Contains(Strategies(), s.Strategy) {
		f.add("/spec/strategy", "%q is not a strategy: use one of %s", clip(s.Strategy), strings.Join(Strategies(), ", "))
	}
	if s.Hash != nil {
		s.validateHash(f)
	}
	if s.Sticky != nil {
		s.Sticky.validate(f)
	}
	s.validateTransport(f)
	if s.Check != nil {
		s.Check.validate(f)
	}
	if s.Timeouts != nil {
		s.Timeouts.validate(f)
	}
	if r := s.Retries; r != nil {
		checkRange(f, "/spec/retries/attempts", r.Attempts, 1, maxAttempts)
		checkRange(f, "/spec/retries/budget_percent", r.BudgetPercent, 0, 100)
		checkRange(f, "/spec/retries/budget_min", r.BudgetMin, 0, maxBudgetMin)
	}
	if s.Limits != nil {
		s.Limits.validate(f)
	}
	if s.Ejection != nil {
		s.Ejection.validate(f)
	}
	if s.Damping != nil {
		s.Damping.validate(f)
	}
	checkSpan(f, "/spec/slow_start", s.SlowStart, minSlowStart, maxSlowStart)
	checkCount(f, "/spec/panic_percent", s.PanicPercent, 1, 100)
}

func (s PoolSpec) validateHash(f *faults) {
	if hashes := hashStrategies(); !slices.Contains(hashes, s.Strategy) {
		f.add("/spec/hash", "strategy %q hashes nothing: leave hash out, or use one of %s", clip(s.Strategy), strings.Join(hashes, ", "))
	}
	h, pointer := s.Hash, "/spec/hash/name"
	switch h.On {
	case HashSource, HashPath:
		if h.Name != "" {
			f.add(pointer, "%q: a hash of the %s has no name: leave it out", clip(h.Name), h.On)
		}
	case HashHeader:
		checkToken(f, pointer, "header field", h.Name)
	case HashCookie:
		checkToken(f, pointer, "cookie", h.Name)
	case HashQuery:
		checkParameter(f, pointer, h.Name)
	default:
		f.add("/spec/hash/on", "%q cannot be hashed: use one of %s, %s, %s, %s, %s", clip(h.On),
			HashSource, HashHeader, HashCookie, HashPath, HashQuery)
	}
	checkCount(f, "/spec/hash/balance_factor", h.BalanceFactor, minBalance, maxBalance)
}

func (s *Sticky) validate(f *faults) {
	checkToken(f, "/spec/sticky/cookie", "cookie", s.Cookie)
	// RFC 6265 bis, section 4.1.3: browsers drop such a cookie unless it is
	// secure.
	lower := strings.ToLower(s.Cookie)
	if !s.Secure && (strings.HasPrefix(lower, "__secure-") || strings.HasPrefix(lower, "__host-")) {
		f.add("/spec/sticky/cookie", "%q: browsers take a cookie of that name only if it is secure: set secure, or use another name", clip(s.Cookie))
	}
	checkSpan(f, "/spec/sticky/max_age", s.MaxAge, minCookieAge, maxCookieAge)
	if age := time.Duration(s.MaxAge); age > minCookieAge && age%time.Second != 0 {
		f.add("/spec/sticky/max_age", "%q is not in whole seconds, as a cookie's age is", age)
	}
	switch s.SameSite {
	case "", "lax", "strict":
	case "none":
		if !s.Secure {
			f.add("/spec/sticky/same_site", `"none": browsers take such a cookie only if it is secure: set secure too`)
		}
	default:
		f.add("/spec/sticky/same_site", "%q is not one of lax, strict, none: leave it out for the browser's own rule", clip(s.SameSite))
	}
}

func (t *PoolTimeouts) validate(f *faults) {
	checkSpan(f, "/spec/timeouts/connect", t.Connect, minWait, maxConnectWait)
	checkSpan(f, "/spec/timeouts/first_byte", t.FirstByte, minWait, maxWait)
	checkSpan(f, "/spec/timeouts/body", t.Body, minWait, maxWait)
	checkSpan(f, "/spec/timeouts/request", t.Request, minWait, maxWait)
	checkSpan(f, "/spec/timeouts/tunnel", t.Tunnel, minWait, maxWait)
	checkSpan(f, "/spec/timeouts/idle", t.Idle, minWait, maxIdleWait)
}

func (l *PoolLimits) validate(f *faults) {
	checkRange(f, "/spec/limits/backend_requests", l.BackendRequests, 0, maxInFlight)
	checkRange(f, "/spec/limits/queue", l.Queue, 0, maxQueue)
	if l.Queue > 0 && l.BackendRequests == 0 {
		f.add("/spec/limits/queue", "%d: nothing waits where backends have no bound: set backend_requests too, or leave the queue out", l.Queue)
	}
	checkSpan(f, "/spec/limits/queue_timeout", l.QueueTimeout, minWait, maxConnectWait)
	checkCount(f, "/spec/limits/idle_connections", l.IdleConnections, 1, maxIdle)
	checkCount(f, "/spec/limits/backend_connections", l.BackendConnections, 1, maxBackendConnections)
}
