package reactor

import (
	"log/slog"
	"runtime"
	"time"
)

const (
	// scratchSize holds a head and what goes into one write with it.
	scratchSize = 128 << 10
	// lateTick is how often those are looked at who were not registered at once.
	lateTick = 50 * time.Millisecond
	// lateTurn is how many of them are looked at before others get a turn.
	lateTurn = 32
	// maxEvents is how many events one batch takes.
	maxEvents = 256
)

// Loop is one event loop. Its methods are for its own thread, the callbacks of
// handlers, unless they say otherwise.
type Loop struct {
	index  int
	start  time.Time
	now    int64
	poller poller
	logger *slog.Logger

	sliceAt int64 // when the present time slice began
	eventAt int64 // when there was the last event

	slots    []slot // by descriptor
	last     uint32 // the generation that was given last
	ready    []slot // who has something to do besides events
	working  []slot
	wheel    wheel
	buffers  buffers
	gathered gathered
	pipes    []pipe
	late     []*Conn // accepted, and not registered with the poller yet
	lateAt   int64   // when they are looked at
	looking  []*Conn // those that are being looked at
	inbox    inbox

	read     []byte
	scratch  []byte
	events   []event
	batchEnd func()
	atEnd    func()
	panicked func(Handler)
	present  *event // that is being worked off
	ended    bool
}

// slot is a connection or a listening socket.
type slot struct {
	conn   *Conn
	socket *socket
}

func newLoop(index int, config Config, start time.Time) (*Loop, error) {
	l := &Loop{
		index: index, start: start, logger: config.Logger,
		read:     make([]byte, config.ReadBuffer),
		scratch:  make([]byte, 0, scratchSize),
		events:   make([]event, maxEvents),
		gathered: newGathered(),
	}
	if err := l.poller.open(); err != nil {
		return nil, err
	}
	l.inbox.wake = l.poller.wake
	return l, nil
}

// Index is the loop's place among [Reactor.Loops]. Any goroutine may call it.
func (l *Loop) Index() int { return l.index }

// Now is the monotonic time in nanoseconds, as of the batch of events that is
// being worked off.
func (l *Loop) Now() int64 { return l.now }

// Scratch returns the loop's write buffer, empty, for building what is then
// written. It is valid until the callback returns.
func (l *Loop) Scratch() []byte { return l.scratch[:0] }

// OnBatchEnd sets what is called after each batch of events, before the loop
// waits for the next. It may be called before Run from any goroutine, later on
// the loop only.
func (l *Loop) OnBatchEnd(f func()) { l.batchEnd = f }

// OnEnd sets what is called, on the loop's thread, when the loop has ended and
// before its connections are closed. It may be called before Run.
func (l *Loop) OnEnd(f func()) { l.atEnd = f }

// OnPanic sets what is told, on the loop, which handler met a bug, after its
// connection was closed. It may be called before Run.
func (l *Loop) OnPanic(f func(Handler)) { l.panicked = f }

// Conns yields all open connections, without those that were closed and only
// send what is left. They may be closed meanwhile.
func (l *Loop) Conns(yield func(*Conn) bool) {
	for i := range l.slots {
		if c := l.slots[i].conn; c != nil && c.IsOpen() && !yield(c) {
			return
		}
	}
}

// Post has f called on the loop, soon and in the order of posting. It may be
// called from any goroutine and does not block. It returns false once the loop
// has ended, and f is not called then; else it is.
func (l *Loop) Post(f func()) bool { return l.inbox.post(f) }

// run is the loop, on a thread whose number it tells. The thread ends with it:
// it is never unlocked.
func (l *Loop) run(thread chan<- int) {
	runtime.LockOSThread()
	thread <- threadID()
	l.tick()
	l.sliceAt, l.eventAt = l.now, l.now-int64(placeHeld)
	for !l.ended {
		n := l.wait()
		l.tick()
		if n > 0 {
			l.eventAt = l.now
		}
		for i := range l.events[:n] {
			l.dispatch(&l.events[i])
		}
		l.inbox.run(l.call)
		l.work()
		l.wheel.advance(l.now)
		l.lookAtLate()
		if l.batchEnd != nil {
			l.batchEnd()
		}
		l.sendGathered()
		l.renewSlice()
	}
	if l.atEnd != nil {
		l.atEnd()
	}
	l.release()
}

func (l *Loop) tick() { l.now = int64(time.Since(l.start)) }

// wait returns the next batch of events. Under load it comes at once or within
// the brief wait, in which the scheduler has no part: to it the loop's goroutine
// runs, and when it has to stop the world its signal ends the wait. To give the
// place in the scheduler up and to get it back costs as much as a request, and
// while others have much to do it takes tens of milliseconds; see
// [Loop.renewSlice].
func (l *Loop) wait() int {
	if len(l.ready) > 0 || len(l.looking) > 0 || l.inbox.pending.Load() {
		return l.poller.poll(l.events, 0)
	}
	rest := l.wheel.rest(l.now)
	if len(l.late) > 0 && (rest < 0 || rest > lateTick) {
		rest = lateTick
	}
	brief := max(0, briefWait-time.Duration(l.now-l.sliceAt))
	if rest >= 0 {
		brief = min(brief, rest)
		rest -= brief
	}
	held := briefWait > 0 && l.now-l.eventAt < int64(placeHeld)
	if n := l.poller.poll(l.events, brief); n > 0 || rest == 0 || held {
		return n
	}
	n := l.poller.wait(l.events, rest)
	l.tick()
	l.sliceAt = l.now // if others wanted the place
	return n
}

// lookAtLate reads from connections that were to serve one request and still
// live after a while. For most the end is there; the others are registered.
func (l *Loop) lookAtLate() {
	if len(l.looking) == 0 && len(l.late) > 0 && l.now >= l.lateAt {
		l.late, l.looking = l.looking, l.late
	}
	for range min(len(l.looking), lateTurn) {
		last := len(l.looking) - 1
		c := l.looking[last]
		l.looking[last], l.looking = nil, l.looking[:last]
		if !c.has(closed | registered) {
			c.set(readable)
			l.safely(c, (*Conn).pull)
			c.register()
		}
	}
}

func (l *Loop) dispatch(e *event) {
	if int(e.fd) >= len(l.slots) {
		return
	}
	switch s := &l.slots[e.fd]; {
	case s.conn != nil && s.conn.generation == e.generation:
		l.present = e
		l.safely(s.conn, (*Conn).event)
	case s.socket != nil && s.socket.generation == e.generation:
		s.socket.acceptAll()
	}
}

// work gives everybody on the ready list a turn. Those who come on it meanwhile
// wait for the next round, after the next look at events.
func (l *Loop) work() {
	l.ready, l.working = l.working[:0], l.ready
	for _, t := range l.working {
		if t.socket != nil {
			t.socket.queued = false
			t.socket.acceptAll()
			continue
		}
		t.conn.clear(queued)
		l.safely(t.conn, (*Conn).turn)
	}
	clear(l.working)
}

// own gives a descriptor to its owner and returns its generation.
func (l *Loop) own(fd int32, s slot) uint32 {
	for int(fd) >= len(l.slots) {
		l.slots = append(l.slots, make([]slot, max(64, len(l.slots)))...)
	}
	l.slots[fd] = s
	l.last++
	return l.last
}

func (l *Loop) disown(fd int32) { l.slots[fd] = slot{} }

// end is posted to stop the loop.
func (l *Loop) end() { l.ended = true }

// release closes everything without a word to the handlers.
func (l *Loop) release() {
	l.inbox.close()
	l.sendGathered()
	for i := range l.slots {
		switch s := l.slots[i]; {
		case s.conn != nil:
			if s.conn.Buffered() > 0 {
				resetOnClose(s.conn.fd) // what is cut must not look complete
			}
			s.conn.free()
		case s.socket != nil:
			s.socket.close()
		}
	}
	for _, p := range l.pipes {
		p.close()
	}
	l.pipes = nil
	l.poller.close()
}
