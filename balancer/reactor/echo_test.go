package reactor

import (
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"
)

// echo answers with what it gets, and ends when the peer does.
func echo(s *script) {
	s.data = func(p []byte) int {
		if s.c.Write(p, false); s.c.Buffered() > 1<<20 {
			s.c.Pause()
		}
		return len(p)
	}
	s.drained = func() { s.c.Resume() }
	s.eof = func() { s.close() }
}

func TestThousandsOfConnectionsEcho(t *testing.T) {
	w := start(t, 2)
	w.accepting(echo)
	const connections, rounds = 2000, 5
	clients := make([]*peer, connections)
	for i := range clients {
		clients[i] = w.client()
	}
	var group sync.WaitGroup
	for part := range 8 {
		group.Go(func() {
			for round := range rounds {
				for i := part; i < connections; i += 8 {
					message := fmt.Sprintf("round %d of connection %d", round, i)
					clients[i].send(message)
					clients[i].expect(message)
				}
			}
		})
	}
	group.Wait()
	for i := range w.Loops() {
		w.on(i, func(l *Loop) {
			n := 0
			for range l.Conns {
				n++
			}
			if n < connections/10 {
				t.Errorf("loop %d has %d of %d connections: the kernel does not spread them", i, n, connections)
			}
		})
	}
}

func TestManyMegabytesEchoUnchanged(t *testing.T) {
	w := start(t, 1)
	w.accepting(echo)
	const size = 32 << 20
	var group sync.WaitGroup
	for range 4 {
		client := w.client()
		group.Go(func() {
			client.sendStream(size)
			if err := client.CloseWrite(); err != nil {
				t.Error(err)
			}
		})
		group.Go(func() {
			client.expectStream(size)
			if rest, err := client.end(); rest != "" || err != nil {
				t.Errorf("behind the echo: %.20q, %v", rest, err)
			}
		})
	}
	group.Wait()
}

// bare is a handler without the checks of a script, and with no more cost than
// a handler must have. It echoes.
type bare struct{ c *Conn }

func (b *bare) Connected()           {}
func (b *bare) Data(p []byte) int    { b.c.Write(p, false); return len(p) }
func (b *bare) EOF()                 { b.c.Close() }
func (b *bare) Drained()             {}
func (b *bare) Failed(error)         {}
func (b *bare) Expired()             {}
func (b *bare) Relayed(int64, error) {}

// pinger sends a message and waits for its echo, a number of times.
type pinger struct {
	bare
	message []byte
	left    int
	done    func(p *pinger)
}

func (p *pinger) Connected() { p.ping() }

func (p *pinger) ping() { p.c.Write(p.message, false) }

func (p *pinger) Data(got []byte) int {
	if len(got) < len(p.message) {
		return 0
	}
	if p.left--; p.left > 0 {
		p.ping()
	} else {
		p.done(p)
	}
	return len(p.message)
}

// pingPong has loop 0 exchange a message with the world's listener and calls
// done on the loop after that many round trips.
func (w *world) pingPong(rounds int, done func(p *pinger)) {
	p := &pinger{message: []byte("a request of some bytes that is answered as it came"), left: rounds, done: done}
	w.on(0, func(l *Loop) {
		var err error
		if p.c, err = l.Dial(netip.MustParseAddrPort(w.addr), p); err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(func() { w.on(0, func(*Loop) { p.c.Abort() }) })
}

func TestAKeptConnectionAllocatesNothing(t *testing.T) {
	w := start(t, 1)
	w.listen(func(c *Conn, _ netip.AddrPort) Handler { return &bare{c} })
	const warm, rounds = 1000, 10_000
	var before, after runtime.MemStats
	done := make(chan struct{})
	w.pingPong(warm, func(p *pinger) {
		runtime.ReadMemStats(&before)
		p.left, p.done = rounds, func(*pinger) {
			runtime.ReadMemStats(&after)
			close(done)
		}
		p.ping()
	})
	await(t, done, "the round trips")
	// Some are the runtime's own.
	if n := after.Mallocs - before.Mallocs; n > 100 {
		t.Errorf("%d allocations in %d round trips", n, rounds)
	}
}

func TestAnIdleConnectionOwnsLittle(t *testing.T) {
	if size := unsafe.Sizeof(Conn{}); size > 200 {
		t.Errorf("a Conn has %d bytes, want at most 200", size)
	}
	w := start(t, 1)
	var echoed atomic.Int64
	w.accepting(func(s *script) {
		echo(s)
		data := s.data
		s.data = func(p []byte) int { echoed.Add(int64(len(p))); return data(p) }
	})
	for range 20 {
		client := w.client()
		client.send("hello")
		client.expect("hello")
	}
	w.on(0, func(l *Loop) {
		for c := range l.Conns {
			if c.in != nil || c.out != nil {
				t.Errorf("an idle connection owns %d and %d bytes", cap(c.in), cap(c.out))
			}
		}
	})
}

func TestWhatOneLoopDialsItMayAcceptItself(t *testing.T) {
	w := start(t, 1)
	w.accepting(echo)
	done := make(chan struct{})
	w.pingPong(100, func(*pinger) { close(done) })
	await(t, done, "a loop that talks to itself")
}

func TestOneBusyConnectionDoesNotKeepOthersWaiting(t *testing.T) {
	w := start(t, 1)
	var flood atomic.Int64
	w.accepting(func(s *script) {
		s.data = func(p []byte) int {
			if p[0] == '?' {
				s.c.Write([]byte("!"), false)
			} else {
				flood.Add(int64(len(p)))
			}
			return len(p)
		}
		s.failed = func(error) {}
	})
	var group sync.WaitGroup
	stop := make(chan struct{})
	busy := w.client()
	group.Go(func() {
		zeros := make([]byte, 256<<10)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := busy.Write(zeros); err != nil {
				t.Error(err)
				return
			}
		}
	})
	eventually(t, func() string {
		if flood.Load() < 1<<20 {
			return "no flood"
		}
		return ""
	})
	quiet := w.client()
	for range 100 {
		quiet.send("?")
		quiet.expect("!")
	}
	close(stop)
	group.Wait()
}

func TestATurnOfOneConnectionEnds(t *testing.T) {
	w := start(t, 1)
	ready, turns := make(chan *script, 1), make(chan int64, 1000)
	w.accepting(func(s *script) {
		var turn, last int64
		s.c.Loop().OnBatchEnd(func() {
			if turn > 0 {
				turns <- turn
			}
			turn = 0
		})
		s.data = func(p []byte) int { turn += int64(len(p)); last += int64(len(p)); return len(p) }
		s.c.Pause()
		ready <- s
	})
	client := w.client()
	s := await(t, ready, "the connection")
	const size = 5 << 20
	sent := make(chan struct{})
	go func() { defer close(sent); client.sendStream(size) }()
	// The kernel has filled what it has for a connection that nobody reads.
	w.on(0, func(*Loop) {})
	w.on(0, func(*Loop) { s.c.Resume() })
	await(t, sent, "the flood")
	for total := int64(0); total < size; {
		turn := await(t, turns, "a turn")
		if total += turn; turn > 2*(turnBytes+DefaultReadBuffer) {
			t.Errorf("a batch read %d bytes, want at most two turns of %d and the rest of a buffer", turn, turnBytes)
		}
	}
}

var _ io.Writer = (*stream)(nil)

// TestTheWorldStopsWhileLoopsWait collects garbage while loops are in their
// brief waits, of which the scheduler knows nothing, and in their long ones.
func TestTheWorldStopsWhileLoopsWait(t *testing.T) {
	w := start(t, 3)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 200 {
			if i%2 == 0 { // all begin a brief wait
				for _, l := range w.Loops() {
					l.Post(func() {})
				}
			}
			runtime.GC()
		}
	}()
	await(t, done, "200 collections")
}
