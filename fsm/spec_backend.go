package fsm

import "time"

// AdminState is what an operator wants of a backend.
type AdminState string

// The administrative states of a backend.
const (
	AdminReady AdminState = "ready" // takes traffic when healthy
	AdminDrain AdminState = "drain" // finishes what it has, takes nothing new
	AdminMaint AdminState = "maint" // takes nothing and is not checked
)

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
	// Zone is where the backend stands, a DNS label or "", see
	// [PoolSpec.PreferZone].
	Zone       string     `json:"zone,omitempty"`
	AdminState AdminState `json:"admin_state"`
	// DrainTimeout is how long a drain waits for requests in flight, 1 s to 24 h;
	// 0: [DefaultDrainTimeout].
	DrainTimeout Duration `json:"drain_timeout,omitempty" zero:"refused"`
	// TTL is how long the backend stays without being renewed, 5 s to 24 h; then the
	// cluster deletes it. 0: for ever. Renewals do not enter the state; the leader
	// counts.
	TTL Duration `json:"ttl,omitempty" zero:"refused"`
}

// Bounds of [BackendSpec.TTL].
const (
	minTTL = 5 * time.Second
	maxTTL = 24 * time.Hour
)

// DefaultDrainTimeout is [BackendSpec.DrainTimeout]'s default.
const DefaultDrainTimeout = 5 * time.Minute

// Kind implements [Spec].
func (BackendSpec) Kind() Kind { return KindBackend }

// SetDefaults fills a new spec with the defaults.
func (s *BackendSpec) SetDefaults() {
	s.Weight = 1
	s.AdminState = AdminReady
}
