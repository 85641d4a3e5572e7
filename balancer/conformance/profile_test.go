package conformance

import (
	"time"

	"evenkeel/fsm"
)

// Profiles: settings that rows need, each a listener with a pool of its own.
const (
	plain        = ""              // the defaults, one backend
	hasty        = "hasty"         // timeouts that end soon
	patient      = "patient"       // a short first byte, all else long
	narrow       = "narrow"        // small limits
	named        = "named"         // Via is written
	silent       = "silent"        // no forwarding field is written
	trusting     = "trusting"      // the client is a trusted proxy
	paired       = "paired"        // two backends
	halfDead     = "half-dead"     // one backend and one that refuses
	dead         = "dead"          // two that refuse
	empty        = "empty"         // no backend
	unrouted     = "unrouted"      // no route
	single       = "single"        // one attempt
	unanswerable = "unanswerable"  // a backend whose address takes no connection
	brief        = "brief"         // a bound on the whole request
	deadline     = "route timeout" // the same by the route
)

// profile is what the registry holds for the slots of that name.
type profile struct {
	slots    int
	listener fsm.ListenerSpec
	pool     fsm.PoolSpec
	route    fsm.RouteSpec
	noRoute  bool
	backends int // scripted ones
	refusing int // addresses at which nobody listens
	full     bool
}

// soon is long enough for what happens at once on a busy machine, and short
// enough to wait for.
const soon = fsm.Duration(600 * time.Millisecond)

func profiles() map[string]profile {
	retries := &fsm.Retries{Attempts: 8, BudgetPercent: 100, BudgetMin: 10_000}
	return map[string]profile{
		plain: {slots: 32, backends: 1},
		hasty: {slots: 8, backends: 1,
			listener: fsm.ListenerSpec{Timeouts: &fsm.ListenerTimeouts{ClientHead: soon, ClientIdle: soon, Body: soon}},
			pool:     fsm.PoolSpec{Timeouts: &fsm.PoolTimeouts{FirstByte: soon, Body: soon, Tunnel: soon, Idle: soon}}},
		patient: {slots: 4, backends: 1, pool: fsm.PoolSpec{Timeouts: &fsm.PoolTimeouts{FirstByte: soon}}},
		narrow: {slots: 4, backends: 1,
			listener: fsm.ListenerSpec{Limits: &fsm.ListenerLimits{HeadBytes: 1024, LineBytes: 256, Fields: 8}}},
		named:        {slots: 4, backends: 1, listener: fsm.ListenerSpec{Forwarding: &fsm.Forwarding{XForwarded: true, Forwarded: true, Via: true}}},
		silent:       {slots: 2, backends: 1, listener: fsm.ListenerSpec{Forwarding: &fsm.Forwarding{}}},
		trusting:     {slots: 4, backends: 1, listener: fsm.ListenerSpec{TrustedProxies: []string{"127.0.0.0/8"}}},
		paired:       {slots: 4, backends: 2, pool: fsm.PoolSpec{Retries: retries}},
		halfDead:     {slots: 4, backends: 1, refusing: 1, pool: fsm.PoolSpec{Retries: retries}},
		dead:         {slots: 2, refusing: 2, pool: fsm.PoolSpec{Retries: retries}},
		empty:        {slots: 2},
		unrouted:     {slots: 2, noRoute: true, backends: 1},
		single:       {slots: 2, backends: 1, refusing: 1, pool: fsm.PoolSpec{Retries: &fsm.Retries{Attempts: 1}}},
		unanswerable: {slots: 2, full: true, pool: fsm.PoolSpec{Timeouts: &fsm.PoolTimeouts{Connect: soon}}},
		brief:        {slots: 2, backends: 1, pool: fsm.PoolSpec{Timeouts: &fsm.PoolTimeouts{Request: soon}}},
		deadline:     {slots: 2, backends: 1, route: fsm.RouteSpec{Timeouts: &fsm.RouteTimeouts{Request: soon}}},
	}
}
