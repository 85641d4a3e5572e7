package fsm

import "time"

// Ejection says when a node stops sending requests to a backend by what its own
// requests meet, before the observers have agreed on anything. It is each
// node's own; it ends after a hold that doubles each time.
type Ejection struct {
	// Off never ejects.
	Off bool `json:"off,omitempty"`
	// Failures is how many attempts in a row that failed (connect, reset,
	// timeout) eject: 1 to 1,000, 1 by default.
	Failures int `json:"failures"`
	// Errors is how many 5xx responses in a row eject: 1 to 1,000; 0, the
	// default: they never do.
	Errors int `json:"errors,omitempty"`
	// SuccessRate ejects backends that fail more often than the others.
	SuccessRate *SuccessRate `json:"success_rate,omitempty"`
	// Hold is how long the first ejection lasts, 100 ms to 1 h, 5 s by default.
	// Each further one lasts twice as long, up to MaxHold, from Hold to 24 h, 5 m
	// by default; after as long without one, one doubling is forgotten.
	Hold    Duration `json:"hold"`
	MaxHold Duration `json:"max_hold"`
	// MaxPercent bounds how many of the pool's backends one node ejects at a
	// time: 0 to 100 percent, 50 by default, and one backend in any case but 0.
	MaxPercent int `json:"max_percent"`
}

// SetDefaults fills a new ejection with the defaults.
func (e *Ejection) SetDefaults() {
	*e = Ejection{Failures: 1, Hold: Duration(5 * time.Second), MaxHold: Duration(5 * time.Minute), MaxPercent: 50}
}

// SuccessRate ejects a backend whose share of successful attempts, over an
// interval, is further below the mean of the pool's backends than Factor
// standard deviations. A 5xx response is no success here.
type SuccessRate struct {
	// Interval is 1 s to 1 h, 10 s by default.
	Interval Duration `json:"interval"`
	// Requests is how many attempts a backend needs in an interval to be judged,
	// 1 to 1,000,000, 100 by default; Backends is how many such backends the pool
	// needs, 2 to 1,000, 3 by default.
	Requests int `json:"requests"`
	Backends int `json:"backends"`
	// Factor is in thousandths: 1 to 10,000, 1,900 by default.
	Factor int `json:"factor"`
}

// SetDefaults fills a new success rate with the defaults.
func (r *SuccessRate) SetDefaults() {
	*r = SuccessRate{Interval: Duration(10 * time.Second), Requests: 100, Backends: 3, Factor: 1900}
}

// Damping keeps a backend that goes down again and again out for longer each
// time.
type Damping struct {
	// Off never holds.
	Off bool `json:"off,omitempty"`
	// Flaps is how many times a backend may go down before it is held, 1 to 100,
	// 3 by default.
	Flaps int `json:"flaps"`
	// Hold is how long a backend that was agreed up again is held down the first
	// time, 1 s to 1 h, 5 s by default; each further time twice as long, up to
	// MaxHold, from Hold to 24 h, 5 m by default.
	Hold    Duration `json:"hold"`
	MaxHold Duration `json:"max_hold"`
	// Decay is the time up after which one of the flaps is forgotten, 1 s to
	// 24 h, 1 m by default.
	Decay Duration `json:"decay"`
}

// SetDefaults fills a new damping with the defaults.
func (d *Damping) SetDefaults() {
	*d = Damping{Flaps: 3, Hold: Duration(5 * time.Second), MaxHold: Duration(5 * time.Minute), Decay: Duration(time.Minute)}
}

// HoldAfter returns how long a backend with that many flaps is held; 0: not at
// all.
func (d Damping) HoldAfter(flaps int) time.Duration {
	if d.Off || flaps <= d.Flaps {
		return 0
	}
	hold := time.Duration(d.Hold)
	for range flaps - d.Flaps - 1 {
		if hold *= 2; hold >= time.Duration(d.MaxHold) {
			break
		}
	}
	return min(hold, time.Duration(d.MaxHold))
}

// EffectiveEjection returns the ejection with the defaults filled in.
func (s PoolSpec) EffectiveEjection() Ejection {
	if s.Ejection != nil {
		return *s.Ejection
	}
	var e Ejection
	e.SetDefaults()
	return e
}

// EffectiveDamping returns the damping with the defaults filled in.
func (s PoolSpec) EffectiveDamping() Damping {
	if s.Damping != nil {
		return *s.Damping
	}
	var d Damping
	d.SetDefaults()
	return d
}
