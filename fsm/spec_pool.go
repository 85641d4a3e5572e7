package fsm

import "time"

// Strategies of a pool: how it chooses a backend for a request.
const (
	// StrategyRoundRobin takes turns, whatever the weights (but for 0).
	StrategyRoundRobin = "round_robin"
	// StrategyWeightedRoundRobin takes turns in proportion to the weights,
	// spread as evenly as they allow. It is the default.
	StrategyWeightedRoundRobin = "weighted_round_robin"
	// StrategyRandom draws in proportion to the weights.
	StrategyRandom = "random"
	// StrategyLeastConnections takes the backend with the fewest requests in
	// flight from this node, relative to its weight.
	StrategyLeastConnections = "least_connections"
	// StrategyPowerOfTwoChoices draws two and takes the one with fewer requests
	// in flight from this node, relative to its weight.
	StrategyPowerOfTwoChoices = "power_of_two_choices"
	// StrategyPeakEWMA draws two and takes the one whose recent response times,
	// weighed by what is in flight, promise the sooner answer.
	StrategyPeakEWMA = "peak_ewma"
	// StrategyMaglev, StrategyRingHash and StrategyRendezvous send equal keys to
	// the same backend, see [HashSpec].
	StrategyMaglev     = "maglev"
	StrategyRingHash   = "ring_hash"
	StrategyRendezvous = "rendezvous"
)

// Sources of the key that a pool hashes.
const (
	HashSource = "source" // the client's IP address, as trusted proxies name it
	HashHeader = "header" // the first field of that name
	HashCookie = "cookie" // the first cookie of that name
	HashPath   = "path"   // the path, without query
	HashQuery  = "query"  // the first query parameter of that name
)

// PoolSpec says how a pool's backends are chosen, used and checked.
type PoolSpec struct {
	// Strategy is one of the Strategy constants.
	Strategy string `json:"strategy"`
	// Hash says what the hashing strategies hash; nil means the client's
	// address. Other strategies do not take it.
	Hash *HashSpec `json:"hash,omitempty"`
	// Sticky makes clients return to the backend that answered them first.
	Sticky *Sticky `json:"sticky,omitempty"`
	// PreferZone makes each node choose among the backends of its own zone
	// (--zone) as long as one of them is usable.
	PreferZone bool `json:"prefer_zone,omitempty"`
	// Protocol is [PoolHTTP1], which empty means too, or [PoolHTTP2]: what backends
	// are sent, whatever clients speak. Connections that a listener forwards whole
	// are not touched by it.
	Protocol string `json:"protocol,omitempty"`
	// TLS has backends spoken to over TLS; nil: in clear text. A listener that
	// forwards connections whole begins it for its clients.
	TLS *PoolTLS `json:"tls,omitempty"`
	// ProxyProtocol is [ProxyV1] or [ProxyV2]: each connection to a backend begins with
	// a PROXY header that names the client, and serves that client alone; empty: none
	// does. Checks begin with one that names nobody, unless they have a port of their
	// own. Not with [PoolHTTP2].
	ProxyProtocol string `json:"proxy_protocol,omitempty"`
	// Check is nil for a pool whose backends' health stays unknown.
	Check *Check `json:"check,omitempty"`
	// Timeouts, Retries and Limits bound what a request may cost; nil means the
	// defaults.
	Timeouts *PoolTimeouts `json:"timeouts,omitempty"`
	Retries  *Retries      `json:"retries,omitempty"`
	Limits   *PoolLimits   `json:"limits,omitempty"`
	// Ejection and Damping say when a backend that misbehaves is kept out; nil
	// means the defaults.
	Ejection *Ejection `json:"ejection,omitempty"`
	Damping  *Damping  `json:"damping,omitempty"`
	// SlowStart is how long the weight of a backend that became up grows to its
	// full value, on all nodes together: 1 s to 1 h; 0: it has it at once.
	SlowStart Duration `json:"slow_start,omitempty" zero:"refused"`
	// PanicPercent makes the pool choose among all backends that are ready,
	// whatever their health, while fewer than this share of them is usable: 1 to
	// 100 percent; 0: never.
	PanicPercent int `json:"panic_percent,omitempty"`
}

// Kind implements [Spec].
func (PoolSpec) Kind() Kind { return KindPool }

// SetDefaults fills a new spec with the defaults.
func (s *PoolSpec) SetDefaults() { s.Strategy = StrategyWeightedRoundRobin }

// HashSpec says which key of a request is hashed.
type HashSpec struct {
	// On is one of the Hash constants, [HashSource] by default. A request
	// without such a key is hashed by the client's address.
	On string `json:"on"`
	// Name is the field's, cookie's or query parameter's name, at most 256 bytes;
	// empty for the other sources.
	Name string `json:"name,omitempty"`
	// BalanceFactor bounds how far a backend may be above the mean number of
	// requests in flight, in percent: 125 lets none have more than 1.25 times
	// its share. 0: no bound; else 101 to 1,000.
	BalanceFactor int `json:"balance_factor,omitempty"`
}

// SetDefaults fills a new hash with the defaults.
func (h *HashSpec) SetDefaults() { h.On = HashSource }

// Sticky is a cookie that names the backend which answered a client first. It
// is signed, and says nothing about the backend to those who read it.
type Sticky struct {
	// Cookie is the cookie's name, "evenkeel" by default.
	Cookie string `json:"cookie"`
	// MaxAge is how long a browser keeps it, in whole seconds. 0: until the
	// browser is closed; else 1 s to 8,760 h.
	MaxAge Duration `json:"max_age,omitempty"`
	// Secure, HTTPOnly and SameSite ("", "lax", "strict", "none") are attributes
	// of the cookie (RFC 6265 bis). HTTPOnly is true by default. SameSite "none"
	// and a name that begins with "__Secure-" or "__Host-" need Secure.
	Secure   bool   `json:"secure,omitempty"`
	HTTPOnly bool   `json:"http_only"`
	SameSite string `json:"same_site,omitempty"`
}

// SetDefaults fills a new cookie with the defaults.
func (s *Sticky) SetDefaults() { s.Cookie, s.HTTPOnly = "evenkeel", true }

// PoolTimeouts are how long backends may take. Zero means the default.
type PoolTimeouts struct {
	// Connect bounds one connect: 3 s by default, 1 ms to 10 m.
	Connect Duration `json:"connect,omitempty" zero:"refused"`
	// FirstByte bounds the wait for a response's head after the request was sent:
	// 60 s by default, 1 ms to 24 h.
	FirstByte Duration `json:"first_byte,omitempty" zero:"refused"`
	// Body is how long a response may stand still because of the backend: 5 m by
	// default, 1 ms to 24 h.
	Body Duration `json:"body,omitempty" zero:"refused"`
	// Request bounds a whole request, from the last byte of its head to the last
	// byte of its response, upgraded connections aside. 0: no bound; else 1 ms
	// to 24 h.
	Request Duration `json:"request,omitempty"`
	// Tunnel is how long an upgraded connection may be silent: 1 h by default,
	// 1 ms to 24 h.
	Tunnel Duration `json:"tunnel,omitempty" zero:"refused"`
	// Idle is how long a connection to a backend is kept for reuse: 4 s by
	// default, 1 ms to 1 h. It is to be shorter than the backend's own.
	Idle Duration `json:"idle,omitempty" zero:"refused"`
}

// Retries bound how often a request is sent again.
type Retries struct {
	// Attempts is how many backends one request may try: 1 to 32, 8 by default.
	Attempts int `json:"attempts"`
	// BudgetPercent bounds retries of requests that may have been sent, in
	// percent of the requests of the last seconds: 0 to 100, 20 by default. A
	// failed connect is retried whatever the budget says.
	BudgetPercent int `json:"budget_percent"`
	// BudgetMin is how many such retries each node may always do per second: 0
	// to 10,000, 10 by default.
	BudgetMin int `json:"budget_min"`
}

// SetDefaults fills new retries with the defaults.
func (r *Retries) SetDefaults() { *r = Retries{Attempts: 8, BudgetPercent: 20, BudgetMin: 10} }

// PoolLimits bound what each node puts on a pool's backends. Zero means the
// default.
type PoolLimits struct {
	// BackendRequests is how many requests each node has in flight to one backend
	// at most. 0: no bound; else 1 to 1,000,000.
	BackendRequests int `json:"backend_requests,omitempty"`
	// Queue is how many requests of each node wait for one of the pool's
	// backends when all are at their bound: 0 to 100,000, and 0 where
	// BackendRequests is 0. A request that finds it full gets 503.
	Queue int `json:"queue,omitempty"`
	// QueueTimeout bounds the wait: 5 s by default, 1 ms to 10 m. A request that
	// waited for so long gets 503.
	QueueTimeout Duration `json:"queue_timeout,omitempty" zero:"refused"`
	// IdleConnections is how many connections to one backend each node keeps for
	// reuse: 512 by default, 1 to 100,000.
	IdleConnections int `json:"idle_connections,omitempty" zero:"refused"`
	// BackendConnections is how many connections of HTTP/2 each event loop of a node
	// has to one backend: 4 by default, 1 to 1,000. Only with [PoolHTTP2].
	BackendConnections int `json:"backend_connections,omitempty" zero:"refused"`
}

// EffectiveTimeouts returns the timeouts with the defaults filled in.
func (s PoolSpec) EffectiveTimeouts() PoolTimeouts {
	var t PoolTimeouts
	if s.Timeouts != nil {
		t = *s.Timeouts
	}
	orDuration(&t.Connect, 3*time.Second)
	orDuration(&t.FirstByte, 60*time.Second)
	orDuration(&t.Body, 5*time.Minute)
	orDuration(&t.Tunnel, time.Hour)
	orDuration(&t.Idle, 4*time.Second)
	return t
}

// EffectiveRetries returns the retries with the defaults filled in.
func (s PoolSpec) EffectiveRetries() Retries {
	if s.Retries != nil {
		return *s.Retries
	}
	var r Retries
	r.SetDefaults()
	return r
}

// EffectiveLimits returns the limits with the defaults filled in.
func (s PoolSpec) EffectiveLimits() PoolLimits {
	var l PoolLimits
	if s.Limits != nil {
		l = *s.Limits
	}
	orDuration(&l.QueueTimeout, 5*time.Second)
	orInt(&l.IdleConnections, 512)
	orInt(&l.BackendConnections, 4)
	return l
}

// EffectiveHash returns what is hashed.
func (s PoolSpec) EffectiveHash() HashSpec {
	if s.Hash != nil {
		return *s.Hash
	}
	return HashSpec{On: HashSource}
}
