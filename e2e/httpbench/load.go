//go:build linux

package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxFaults ends a run that makes no sense any more.
	maxFaults = 100
	// holdAtOnce is how many requests are under way while idle connections
	// are opened.
	holdAtOnce = 64
)

// loadMain is the load generator's process: a [Job] in, an [Outcome] out.
func loadMain(in io.Reader, out io.Writer) error {
	input := json.NewDecoder(in)
	var job Job
	if err := input.Decode(&job); err != nil {
		return fmt.Errorf("read job: %w", err)
	}
	if err := soloThread(); err != nil {
		return err
	}
	g, err := newGenerator(job)
	if err != nil {
		return err
	}
	outcome, err := g.run()
	if err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(outcome); err != nil || !job.Hold {
		return err
	}
	// The connections stay until whoever asked for them has seen enough.
	if err := input.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		return fmt.Errorf("wait for the end of the input: %v", err)
	}
	return json.NewEncoder(out).Encode(g.lost())
}

// soloThread prepares a process whose one goroutine is an event loop: no
// garbage collections, exact timeouts. It wants GOMAXPROCS=1 and the goroutine
// not locked to its thread: Go's scheduler interrupts whoever runs for 10 ms,
// and only so is that no switch to another thread.
func soloThread() error {
	debug.SetGCPercent(-1)
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set timer slack: %w", err)
	}
	return nil
}

// phase is a stretch of a run.
type phase int

const (
	warming phase = iota
	measuring
	finishing // the window is over, answers are still due
)

// generator is the load of one run. One goroutine owns it.
type generator struct {
	job     Job
	target  *unix.RawSockaddrInet4
	poller  *poller
	pattern pattern
	request []byte
	buffer  []byte // for all reads
	// Of jobs with TLS or HTTP/2: see [layers].
	tls      *tls.Config
	protocol string // that ALPN agrees on
	plain    []byte // for all reads from TLS
	asked    asked
	// known is the head of an answer that was parsed and found right: one
	// with the same bytes need not be parsed again.
	known []byte

	conns []conn
	busy  int   // connections with a request or an end under way
	free  []int // in an open loop those without a request, by index
	due   int   // in an open loop how many requests were sent

	begun    time.Time // the zero of all spans below
	phase    phase
	from, to time.Duration // the window; to is far away until it ends
	before   reading
	usage    window
	requests int
	spans    histogram
	faults   int
	first    string
}

func newGenerator(job Job) (*generator, error) {
	target, err := socketAddress(job.Target)
	if err != nil {
		return nil, err
	}
	poller, err := newPoller()
	if err != nil {
		return nil, err
	}
	p := newPattern()
	g := &generator{
		job: job, target: target, poller: poller, pattern: p,
		request: job.Shape.request(p, job.Reconnect, job.Forwarded), protocol: "http/1.1",
		buffer: make([]byte, readSize),
		conns:  make([]conn, job.Connections), free: make([]int, 0, job.Connections),
		begun: time.Now(), to: math.MaxInt64,
	}
	if err := g.prepareLayers(); err != nil {
		return nil, err
	}
	g.begun = time.Now()
	return g, nil
}

// run sends and checks until the window is over and every answer is there.
func (g *generator) run() (Outcome, error) {
	defer g.closeAll()
	if err := g.start(); err != nil {
		return Outcome{}, err
	}
	for !g.done() {
		events, err := g.poller.wait(g.timeout())
		if err != nil {
			return Outcome{}, err
		}
		for i := range events {
			g.handle(&events[i])
		}
		if g.job.Rate > 0 {
			g.sendDue()
		}
		if err := g.turn(); err != nil {
			return Outcome{}, err
		}
	}
	return g.outcome(), nil
}

// start opens the first connections.
func (g *generator) start() error {
	count := len(g.conns)
	if g.job.Hold {
		count = min(count, holdAtOnce)
	}
	for i := range count {
		g.dial(i)
	}
	return g.turn()
}

// now returns the time since the generator was made.
func (g *generator) now() time.Duration { return time.Since(g.begun) }

// turn goes to the next phase when it is time.
func (g *generator) turn() error {
	now := g.now()
	switch g.phase {
	case warming:
		if now < g.job.Warmup && g.faults < maxFaults {
			return nil
		}
		var err error
		if g.before, err = read(g.job); err != nil {
			return err
		}
		g.phase, g.from = measuring, g.now()
	case measuring:
		if !g.windowOver(now) {
			return nil
		}
		g.phase, g.to = finishing, now
		after, err := read(g.job)
		if err != nil {
			return err
		}
		g.usage = after.since(g.before)
	}
	return nil
}

func (g *generator) windowOver(now time.Duration) bool {
	if g.faults >= maxFaults {
		return true
	}
	if g.job.Requests > 0 && g.requests >= g.job.Requests {
		return true
	}
	return now >= g.from+g.job.Window
}

// done tells whether nothing is left to do or to wait for.
func (g *generator) done() bool {
	if g.phase != finishing {
		return false
	}
	if g.faults >= maxFaults || g.now() >= g.to+g.job.Patience {
		return true
	}
	return g.busy == 0 && g.unsent() == 0
}

// timeout returns how long to wait for events at most.
func (g *generator) timeout() time.Duration {
	var next time.Duration
	switch {
	case g.faults >= maxFaults:
		return 0 // there may be no connection left that has events
	case g.phase == warming:
		next = g.job.Warmup
	case g.phase == finishing:
		next = g.to + g.job.Patience
	default:
		next = g.from + g.job.Window
	}
	if g.job.Rate > 0 && g.phase != finishing && len(g.free) > 0 {
		next = min(next, g.dueAt(g.due))
	}
	return max(next-g.now(), 0)
}

// record takes in one complete answer. A closed loop counts what is answered
// within the window, an open loop what was due within it.
func (g *generator) record(begun, now time.Duration) {
	counts := g.phase == measuring
	if g.job.Rate > 0 {
		counts = g.phase != warming && begun >= g.from && begun < g.to
	}
	if counts {
		g.requests++
		g.spans.add(now - begun)
	}
}

// fault takes in one wrong answer.
func (g *generator) fault(format string, args ...any) {
	if g.faults++; g.faults == 1 {
		g.first = fmt.Sprintf(format, args...)
	}
}

func (g *generator) outcome() Outcome {
	missing := 0
	for i := range g.conns {
		if s := g.conns[i].session; s != nil {
			missing += len(s.open)
		} else if g.conns[i].state != idle {
			missing++
		}
	}
	if missing > 0 && g.faults < maxFaults {
		g.fault("%d requests without a whole answer %v after the window", missing, g.job.Patience)
	}
	return Outcome{
		Requests: g.requests, Elapsed: g.to - g.from,
		P50: g.spans.quantile(0.5), P99: g.spans.quantile(0.99), Most: g.spans.most,
		Unsent: g.unsent(), Usage: g.usage.usage, CoreIdle: g.usage.coreIdle,
		Faults: g.faults, FirstFault: g.first,
	}
}
