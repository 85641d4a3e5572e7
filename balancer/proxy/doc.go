// Package proxy is the balancer's face to programs that bring their own HTTP
// server: a net/http handler over the same tables and pickers as the event
// loops use.
//
// It owns the way from a handler's request to a backend. It refuses to own
// everything that net/http does well enough for such programs: connections,
// framing, streaming and upgrades. The listeners of an Evenkeel node do not use
// it; package engine serves them, at a third of the cost.
//
// A route's mirror, the bounds and queues of pools, and retries of requests that
// were sent are not here. Nor are ejections: they end by new tables, which the
// program makes. Verdicts, overrides, tiers, panics and slow starts are in the
// tables, for slow starts as often as the program updates them, see
// NextStep of table.Builder.
package proxy
