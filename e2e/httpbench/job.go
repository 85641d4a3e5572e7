package main

import "time"

// Job is one run of the load generator, as the bench hands it over.
type Job struct {
	Target      string // IP:port that is asked
	Shape       Shape
	Connections int
	// Reconnect opens a new connection for each request.
	Reconnect bool
	// Rate is the requests per second of an open loop: they are due whatever
	// the answers do. 0 is a closed loop: the next after each answer.
	Rate float64
	// Hold opens the connections one after the other, a request on each, and
	// keeps them open and idle until standard input ends.
	Hold bool
	// TLS is spoken if it is not nil.
	TLS *TLSJob
	// Streams are the requests at once on each connection, by HTTP/2; 0 is
	// HTTP/1.1. It does not go with Reconnect, Rate and Hold.
	Streams int
	// Forwarded has requests say themselves for whom they are, where the balancer
	// does not see into connections.
	Forwarded bool

	Warmup time.Duration // before the measured window
	Window time.Duration
	// Requests ends the window earlier, after so many; 0 does not.
	Requests int
	// Patience is how long answers may take after the window before they count
	// as missing.
	Patience time.Duration

	// Watch names processes whose CPU time is read at both ends of the window.
	Watch []Watched
	// Core is the core of the load, whose idle share is measured.
	Core int
}

// The names of the processes that the bench watches.
const (
	watchProxy   = "proxy"
	watchBackend = "backend"
	watchLoad    = "load"
)

// Watched is a process; PID 0 is the load generator's.
type Watched struct {
	Name string
	PID  int
}

// Outcome is what one run of the load generator measured.
type Outcome struct {
	Requests int
	Elapsed  time.Duration // the window as it was
	// P50, P99 and Most are of the spans from the start of a request to the
	// last byte of its answer; in an open loop from when it was due.
	P50, P99, Most time.Duration
	// Unsent is how many requests of an open loop were due in the window and
	// not sent within the patience after it.
	Unsent int
	// Usage is by the names of Watch.
	Usage map[string]Usage
	// CoreIdle is the share of the window in which nothing ran on the core.
	CoreIdle float64

	Faults     int    // wrong, missing or unasked answers
	FirstFault string // what the first one was
}

// Usage is what a process used of a window.
type Usage struct {
	CPU time.Duration
	// Asleep is the share of the window in which none of its threads ran or
	// waited for the core. Two that do so at once count twice.
	Asleep float64
}

// rate returns the answers per second.
func (o Outcome) rate() float64 { return float64(o.Requests) / o.Elapsed.Seconds() }

// p50, p99 and most are the spans in seconds.
func (o Outcome) p50() float64  { return o.P50.Seconds() }
func (o Outcome) p99() float64  { return o.P99.Seconds() }
func (o Outcome) most() float64 { return o.Most.Seconds() }

// others returns the share of the load's core that other programs used.
func (o Outcome) others() float64 {
	own := o.Usage[watchLoad].CPU + o.Usage[watchBackend].CPU
	return max(0, 1-o.CoreIdle-own.Seconds()/o.Elapsed.Seconds())
}

// cpuPerRequest returns the CPU time of a process per request, in
// microseconds.
func (o Outcome) cpuPerRequest(name string) float64 {
	return float64(o.Usage[name].CPU.Nanoseconds()) / 1e3 / float64(o.Requests)
}

// TLSJob is how the load generator speaks TLS: version 1.3 with the same suite
// and the same key exchange for all balancers, whatever they would prefer.
type TLSJob struct {
	// Pin is the SHA-256 of the public key (SubjectPublicKeyInfo) that the server
	// must show and prove to have.
	Pin []byte
	// Resume has every connection resume a session, of which the ticket is from
	// TicketFrom. Otherwise none may be resumed; the clients ask for tickets in
	// any case, as browsers do.
	Resume bool
	// TicketFrom is the IP:port of the node that gives the ticket.
	TicketFrom string
}
