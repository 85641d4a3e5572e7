package health

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// Bounds of the engine.
const (
	// maxHeld is how much of an answer the engine looks at. What is longer goes
	// the general way.
	maxHeld = 16 << 10
	// freshEvery is how many requests a connection takes at most: then another
	// one shows that the backend still accepts any.
	freshEvery uint8 = 10
	// longestRest is for how long a connection may be kept between two requests:
	// less than what a firewall forgets in.
	longestRest = 30 * time.Second
	// mostPieces is in how many pieces an answer may come: each is a look at all
	// that came before.
	mostPieces uint8 = 16
	// mostKept is how many connections are kept at most; keptShare is what part
	// of this process's descriptors they may take, since requests need some too.
	mostKept, keptShare = 16 << 10, 4
)

// direct is a prober whose probes the engine can run: of TCP and HTTP, not gRPC.
type direct interface {
	Prober
	// line is where to, nil if the backend takes the general way: TLS, or a name.
	line() *line
	// say appends what the backend is sent over a connection, maybe nothing; kept
	// if that is to take another request.
	say(to []byte, kept bool) []byte
	// hear judges what came so far, nothing at first; ended is set if nothing
	// follows. With finished, keep tells whether the connection can take another
	// request. It neither blocks nor keeps seen; it may
	// change it once finished.
	hear(seen []byte, ended bool) (v verdict, is state)
	// carryOn is the general way from where the request was sent; again is for
	// what cannot be asked over the same connection.
	carryOn(ctx context.Context, conn io.Reader, again dialer) (reduction int, err error)
	// dialer is how the general way connects.
	dialer(to netip.AddrPort) dialer
	// at says of an error where it was met.
	at(to netip.AddrPort, err error) error
}

// verdict is what an answer means that was finished.
type verdict struct {
	reduction int
	err       error
	keep      bool
}

// line is what the engine keeps of one backend between its probes.
type line struct {
	to netip.AddrPort
	// announce is what a connection begins with, reuses is set if it may take
	// several requests, speaks if the check says something as soon as it is
	// connected.
	announce       string
	reuses, speaks bool
	uses           uint8   // requests that the newest connection took; 0: there was none
	kept           *errand // the idle connection, or nil
}

// engine runs probes of one address over plain TCP on non-blocking sockets,
// without a goroutine, a timer or a buffer for each. What it finds unusual (an
// answer that is long, encoded, interim, or none) goes to a goroutine with the
// socket and what was read, and is judged there as if it had been read there. It
// belongs to one goroutine; only the poller's listener is another.
type engine struct {
	poller  poller
	isOpen  bool
	ready   chan struct{} // poll has something to do; has room for one
	buffer  []byte
	slots   []*errand // all there are, as the poller names them
	free    []*errand
	running []*errand
	// earliest is a time before which no deadline of a running errand is.
	earliest time.Time
	kept     int
	keeps    int  // how many may be kept
	began    uint // lines that took a first probe
	ended    []*errand
	handed   []handover
}

func newEngine() *engine { return &engine{ready: make(chan struct{}, 1)} }

type stage uint8

const (
	idle stage = iota
	connecting
	asked
)

// errand is a probe under way, or a connection between two probes.
type errand struct {
	result
	prober     direct
	slot       int32
	generation uint32 // of the descriptor in the slot, so that late events are told
	fd         int32  // -1: none
	watched    bool   // by the poller
	hungUp     bool   // the backend has, or half
	place      int    // in running
	pieces     uint8  // in which the answer came so far
	stage      stage
	began      time.Time
	timeout    time.Duration
	// keep is set if the connection is asked to stay, reused if it had stayed and
	// nothing has come over it since: then its end is no failure.
	keep, reused bool
	unsent, held []byte
	abandon      func()
}

// begin begins a probe and returns how to give it up, which makes it end with an
// error that is void, or false if the target takes the general way. fresh forbids
// a connection that was kept.
func (e *engine) begin(r result, fresh bool) (cancel func(), ok bool) {
	prober, ok := r.prober.(direct)
	if !ok {
		return nil, false
	}
	line := prober.line()
	if line == nil || !e.isOpen && e.open() != nil {
		return nil, false
	}
	now := time.Now()
	x := line.kept
	switch {
	case x == nil:
	case fresh || now.Sub(x.began) > longestRest+longestRest/10 || !silent(x.fd): // probes begin by ticks
		e.drop(x)
		x = nil
	default:
		line.kept = nil
		e.kept--
	}
	reused := x != nil
	if x == nil {
		x = e.take()
	}
	x.result, x.prober, x.reused = r, prober, reused
	x.began, x.timeout, x.pieces = now, time.Duration(r.check.Timeout), 0
	x.place = len(e.running)
	e.running = append(e.running, x)
	if deadline := x.deadline(); len(e.running) == 1 || deadline.Before(e.earliest) {
		e.earliest = deadline
	}
	if reused {
		line.uses++
		e.ask(x)
	} else {
		e.connect(x)
	}
	return x.abandon, true
}

func (x *errand) deadline() time.Time { return x.began.Add(x.timeout) }

// open makes the poller. Where there is none, all takes the general way.
func (e *engine) open() error {
	if err := e.poller.open(); err != nil {
		return err
	}
	e.isOpen, e.buffer = true, make([]byte, maxHeld)
	e.keeps = min(mostKept, descriptors()/keptShare)
	return nil
}

// listen tells of what poll is for until the engine is closed.
func (e *engine) listen() { e.poller.listen(e.ready) }

// close gives up what is under way and closes all connections.
func (e *engine) close() {
	if !e.isOpen {
		return
	}
	for _, x := range e.slots {
		e.shut(x)
	}
	e.poller.close()
}

func (e *engine) take() *errand {
	if last := len(e.free) - 1; last >= 0 {
		x := e.free[last]
		e.free = e.free[:last]
		return x
	}
	x := &errand{slot: int32(len(e.slots)), fd: -1}
	x.abandon = func() { e.giveUp(x) }
	e.slots = append(e.slots, x)
	return x
}

// recycle makes an errand free whose result was taken, unless it is a
// connection that is kept.
func (e *engine) recycle(x *errand) {
	if x.fd >= 0 {
		x.result = result{}
		return
	}
	x.result, x.prober = result{}, nil
	e.free = append(e.free, x)
}

// giveUp ends a probe that nobody wants to know of any more.
func (e *engine) giveUp(x *errand) {
	if x.stage != idle {
		e.finish(x, verdict{err: context.Canceled})
	}
}

// forget closes the connection that is kept for a prober.
func (e *engine) forget(p Prober) {
	if prober, ok := p.(direct); ok {
		if line := prober.line(); line != nil && line.kept != nil {
			e.drop(line.kept)
		}
	}
}

// drop closes a connection that was kept.
func (e *engine) drop(x *errand) {
	x.prober.line().kept = nil
	e.kept--
	e.shut(x)
	if x.target == nil { // else its last result is taken first
		e.recycle(x)
	}
}

// shut closes the descriptor, with a FIN and not with a reset: many small servers
// print a stack trace on a reset.
func (e *engine) shut(x *errand) {
	if x.fd >= 0 {
		closeFD(x.fd)
		x.fd, x.watched, x.hungUp = -1, false, false
		x.generation++
	}
}

// next returns when expire is due, false for never.
func (e *engine) next() (at time.Time, ok bool) { return e.earliest, len(e.running) > 0 }

// expire ends the probes whose time is up.
func (e *engine) expire() {
	if len(e.running) == 0 {
		return
	}
	now := time.Now()
	if now.Before(e.earliest) {
		return
	}
	e.poll() // what came in time counts, however late this node looks at it
	e.earliest = now.Add(never)
	for _, x := range slices.Backward(e.running) { // finish puts the last one into the gap
		if deadline := x.deadline(); now.Before(deadline) {
			e.earliest = minTime(e.earliest, deadline)
		} else {
			e.fail(x, timeoutError(x.timeout))
		}
	}
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// poll goes on with all probes that can.
func (e *engine) poll() {
	for {
		events := e.poller.poll()
		for _, event := range events {
			x := e.slots[event.slot]
			if x.generation == event.generation && x.fd >= 0 {
				e.react(x, event)
			}
		}
		if len(events) < maxEvents {
			return
		}
	}
}

func (e *engine) react(x *errand, event event) {
	generation := x.generation
	switch {
	case x.stage == idle:
		if event.readable { // the backend hung up, or spoke unasked
			e.drop(x)
		}
	case x.stage == connecting:
		if err := socketError(x.fd); err != nil {
			e.fail(x, err)
		} else if event.writable {
			e.connected(x)
		}
	case len(x.unsent) > 0 && event.writable && e.send(x, x.unsent):
		e.await(x)
	}
	// The poller tells each thing once.
	if x.stage == asked && x.generation == generation {
		x.hungUp = x.hungUp || event.hungUp
		if event.readable {
			e.read(x)
		}
	}
}

// connect begins a connection of the probe's own.
func (e *engine) connect(x *errand) {
	line := x.prober.line()
	if line.uses > 0 {
		line.uses = 0
	} else { // the first connections end at different times
		line.uses = uint8(e.began % uint(freshEvery))
		e.began++
	}
	line.uses++
	x.reused, x.stage = false, connecting
	fd, connected, err := connect(line.to, line.speaks)
	if err != nil {
		e.fail(x, err)
		return
	}
	x.fd = fd
	if connected {
		e.connected(x)
		return
	}
	e.watch(x, true)
}

// connected goes on with a connection that was made, but for one to itself: such
// is what a port of this host sometimes gets that nobody listens at, if the system
// picks it for the near end as well.
func (e *engine) connected(x *errand) {
	if connectedToItself(x.fd, x.prober.line().to) {
		e.fail(x, syscall.ECONNREFUSED)
		return
	}
	e.ask(x)
}

// ask sends what the check says.
func (e *engine) ask(x *errand) {
	line := x.prober.line()
	x.stage, x.keep = asked, line.reuses && line.uses < freshEvery
	request := e.buffer[:0]
	if !x.reused {
		request = append(request, line.announce...)
	}
	if request = x.prober.say(request, x.keep); len(request) == 0 || e.send(x, request) {
		e.await(x)
	}
}

// send reports whether the connection works. What finds no room is sent later.
func (e *engine) send(x *errand, text []byte) bool {
	n, err := send(x.fd, text)
	if err != nil {
		e.broken(x, err)
		return false
	}
	x.unsent = append(x.unsent[:0], text[n:]...)
	return true
}

// await ends the probe if nothing has to come, else waits for it.
func (e *engine) await(x *errand) {
	if len(x.unsent) == 0 {
		if v, is := x.prober.hear(nil, false); is == finished {
			e.judge(x, v)
			return
		}
	}
	e.watch(x, len(x.unsent) > 0)
}

func (e *engine) watch(x *errand, writable bool) {
	if x.watched && !writable {
		return
	}
	if err := e.poller.watch(x, writable); err != nil {
		e.fail(x, nodeError{fmt.Errorf("watch the connection: %w", err)})
		return
	}
	x.watched = true
}

// read goes on with the answer until it is judged or more has to come.
func (e *engine) read(x *errand) {
	for {
		held := copy(e.buffer, x.held)
		n, err := receive(x.fd, e.buffer[held:])
		if err == errAgain {
			return
		}
		if err == nil && n == 0 && x.reused {
			err = errClosed
		}
		if err != nil {
			e.broken(x, err)
			return
		}
		x.reused = false
		x.pieces++
		seen := e.buffer[:held+n]
		v, is := x.prober.hear(seen, n == 0)
		switch {
		case is == finished:
			v.keep = v.keep && len(seen) < maxHeld // else more may be there
			e.judge(x, v)
			return
		case is == unusual, len(seen) == maxHeld, x.pieces == mostPieces:
			e.handOver(x, seen)
			return
		}
		x.held = append(x.held[:0], seen...)
	}
}

// broken ends a probe whose connection has, but for one that was kept: the
// backend may have closed it before the request came (RFC 9112, section 9.5).
func (e *engine) broken(x *errand, err error) {
	if !x.reused {
		e.fail(x, err)
		return
	}
	e.shut(x)
	x.unsent = nil
	e.connect(x)
}

// fail ends a probe without an answer.
func (e *engine) fail(x *errand, err error) {
	if x.stage == connecting {
		e.finish(x, verdict{err: fmt.Errorf("connect to %s: %w", x.prober.line().to, err)})
		return
	}
	e.judge(x, verdict{err: err})
}

// judge ends a probe by its answer.
func (e *engine) judge(x *errand, v verdict) {
	if v.err != nil {
		v.err = x.prober.at(x.prober.line().to, v.err)
	}
	e.finish(x, v)
}

// finish puts a probe among those that ended.
func (e *engine) finish(x *errand, v verdict) {
	e.leave(x)
	x.latency = time.Since(x.began)
	x.reduction, x.err = v.reduction, stalled(v.err, x.latency, x.timeout)
	if v.err == nil && v.keep && x.keep && !x.hungUp && e.kept < e.keeps {
		x.prober.line().kept = x
		e.kept++
	} else {
		e.shut(x)
	}
	e.ended = append(e.ended, x)
}

// leave takes an errand out of those that run.
func (e *engine) leave(x *errand) {
	end := len(e.running) - 1
	last := e.running[end]
	e.running[x.place], last.place = last, x.place
	e.running[end] = nil
	e.running = e.running[:end]
	x.stage, x.unsent, x.held = idle, nil, nil
}
