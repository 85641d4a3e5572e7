package fsm

import "time"

// ProtocolHTTP is the one protocol of a listener so far: HTTP/1 in clear text.
const ProtocolHTTP = "http"

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
)

// AdminState is what an operator wants of a backend.
type AdminState string

// The administrative states of a backend.
const (
	AdminReady AdminState = "ready" // takes traffic when healthy
	AdminDrain AdminState = "drain" // finishes what it has, takes nothing new
	AdminMaint AdminState = "maint" // takes nothing and is not checked
)

// Types of a health check.
const (
	CheckTCP  = "tcp"
	CheckHTTP = "http"
)

// ListenerSpec says where every node accepts traffic.
type ListenerSpec struct {
	// Address is ":port", "IP:port" or "[v6]:port". A node's --bind fills in an
	// absent host, its --listener-addr replaces the whole address on that node.
	Address string `json:"address"`
	// Protocol is [ProtocolHTTP].
	Protocol string `json:"protocol"`
	// TrustedProxies are networks in CIDR form. A client within them is
	// believed what it says in X-Forwarded-* and Forwarded; from any other
	// those fields are replaced.
	TrustedProxies []string `json:"trusted_proxies,omitempty"`
}

// Kind implements [Spec].
func (ListenerSpec) Kind() Kind { return KindListener }

// SetDefaults fills a new spec with the defaults.
func (s *ListenerSpec) SetDefaults() { s.Protocol = ProtocolHTTP }

// RouteSpec says which requests go to which pools.
type RouteSpec struct {
	// Listeners are the names of the listeners that the route belongs to;
	// none means all of them.
	Listeners []string   `json:"listeners,omitempty"`
	Match     RouteMatch `json:"match"`
	// Priority orders routes before any other rule, the highest first;
	// -1,000,000 to 1,000,000.
	Priority int `json:"priority"`
	// Pools share the requests in proportion to their weights.
	Pools []WeightedPool `json:"pools"`
}

// Kind implements [Spec].
func (RouteSpec) Kind() Kind { return KindRoute }

// SetDefaults fills a new spec with the defaults.
func (*RouteSpec) SetDefaults() {}

// RouteMatch is what a request must look like. An empty field matches all.
type RouteMatch struct {
	// Host is a host name, or "*." and a domain for every name below it.
	Host string `json:"host,omitempty"`
	// Path must be equal to the request's path; PathPrefix must be equal to
	// its first whole segments, so "/api" matches "/api" and "/api/x" but not
	// "/apix". At most one of the two is set. Both are compared with the path
	// as it is once decoded and without dot segments: "/a b", not "/a%20b".
	Path       string `json:"path,omitempty"`
	PathPrefix string `json:"path_prefix,omitempty"`
}

// WeightedPool is a pool's share of a route.
type WeightedPool struct {
	Name string `json:"name"`
	// Weight is 0 to 1000, 1 by default.
	Weight int `json:"weight"`
}

// SetDefaults fills a new share with the defaults.
func (w *WeightedPool) SetDefaults() { w.Weight = 1 }

// PoolSpec says how a pool's backends are chosen and checked.
type PoolSpec struct {
	// Strategy is one of the Strategy constants.
	Strategy string `json:"strategy"`
	// Check is nil for a pool whose backends' health stays unknown.
	Check *Check `json:"check,omitempty"`
}

// Kind implements [Spec].
func (PoolSpec) Kind() Kind { return KindPool }

// SetDefaults fills a new spec with the defaults.
func (s *PoolSpec) SetDefaults() { s.Strategy = StrategyWeightedRoundRobin }

// Check says how observers probe a backend.
type Check struct {
	// Type is [CheckTCP] or [CheckHTTP].
	Type string `json:"type"`
	// Path is what an HTTP check asks for; "/" if empty.
	Path string `json:"path,omitempty"`
	// Interval is the time from one probe's start to the next one's, 100 ms to
	// 1 h; Timeout bounds a probe, 10 ms to Interval.
	Interval Duration `json:"interval"`
	Timeout  Duration `json:"timeout"`
	// Rise and Fall are how many probes in a row change an observer's opinion,
	// 1 to 100.
	Rise int `json:"rise"`
	Fall int `json:"fall"`
	// Expect is the status codes of a passing HTTP check: a list of codes and
	// ranges such as "200-299,304"; "200-399" if empty.
	Expect string `json:"expect,omitempty"`
}

// SetDefaults fills a new check with the defaults.
func (c *Check) SetDefaults() {
	*c = Check{Type: CheckTCP, Interval: Duration(2 * time.Second), Timeout: Duration(time.Second), Rise: 2, Fall: 3}
}

// BackendSpec is one server of a pool.
type BackendSpec struct {
	// Address is "IP:port", "[v6]:port" or "host:port". Each node resolves a
	// host name by itself and uses every address it has.
	Address string `json:"address"`
	// Weight is 0 to 1000, 1 by default. With 0 the backend takes no new
	// traffic.
	Weight int `json:"weight"`
	// Tier is 0 to 15. A pool uses its lowest tier with a usable backend.
	Tier int `json:"tier"`
	// Zone is where the backend stands, for display.
	Zone       string     `json:"zone,omitempty"`
	AdminState AdminState `json:"admin_state"`
}

// Kind implements [Spec].
func (BackendSpec) Kind() Kind { return KindBackend }

// SetDefaults fills a new spec with the defaults.
func (s *BackendSpec) SetDefaults() {
	s.Weight = 1
	s.AdminState = AdminReady
}
