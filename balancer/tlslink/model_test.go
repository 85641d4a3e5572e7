package tlslink

import (
	"bytes"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"testing"

	"evenkeel/balancer/exchange"
)

// memory is a World without a loop: what is put off is done when the test says
// so.
type memory struct {
	later  []exchange.Task
	posted chan func()
	now    int64
}

func (m *memory) Now() int64            { return m.now }
func (m *memory) Later(t exchange.Task) { m.later = append(m.later, t) }
func (m *memory) Post(f func()) bool    { m.posted <- f; return true }

// batchEnds does what was put off.
func (m *memory) batchEnds() {
	for i := 0; i < len(m.later); i++ {
		m.later[i].Run()
	}
	m.later = m.later[:0]
	for {
		select {
		case f := <-m.posted:
			f()
		default:
			return
		}
	}
}

// end is one end of a connection in memory, the link below one of TLS. What is
// written waits in out until the test carries it over.
type end struct {
	events   exchange.Events
	other    *end
	out, in  []byte
	sent     int64
	deadline int64
	paused   bool
	fin      bool // behind out
	ended    bool // the other's was told
	closed   bool
	aborted  bool
	full     bool // it said that it keeps something
}

func (e *end) Write(p []byte, _ bool) bool {
	if e.closed || e.fin {
		return false
	}
	e.out = append(e.out, p...)
	e.full = true
	return true
}
func (e *end) Flush(bool)                      {}
func (e *end) Unsend()                         { e.out = nil }
func (e *end) Buffered() int                   { return len(e.out) }
func (e *end) Sent() int64                     { return e.sent }
func (e *end) Pause()                          { e.paused = true }
func (e *end) Resume()                         { e.paused = false }
func (e *end) LastRead()                       {}
func (e *end) CloseWrite()                     { e.fin = true }
func (e *end) Close()                          { e.closed, e.fin = true, true }
func (e *end) Abort(uint32)                    { e.closed, e.aborted = true, true }
func (e *end) SetDeadline(at int64)            { e.deadline = at }
func (e *end) Relay(exchange.Link, int64) bool { return false }
func (e *end) Alive() bool                     { return !e.closed && len(e.in) == 0 }

// carry takes at most n bytes to the other end.
func (e *end) carry(n int) {
	n = min(n, len(e.out))
	e.other.in = append(e.other.in, e.out[:n]...)
	e.out = e.out[n:]
	e.sent += int64(n)
	if len(e.out) == 0 && e.full && !e.closed {
		e.full = false
		e.events.Drained()
	}
}

// give has the events of what has arrived.
func (e *end) give() {
	if e.closed || e.paused {
		return
	}
	if len(e.in) > 0 {
		in := e.in
		e.in = nil
		n := e.events.Data(in)
		e.in = append(bytes.Clone(in[n:]), e.in...)
	}
	if !e.closed && !e.paused && !e.ended && e.other.fin && len(e.other.out) == 0 {
		e.ended = true
		e.events.EOF()
	}
}

func pair() (one, other *end) {
	one, other = new(end), new(end)
	one.other, other.other = other, one
	return one, other
}

// talker sends a text and notes what it hears, in moods.
type talker struct {
	link   *Link
	random *rand.Rand
	text   []byte // still to be sent
	heard  []byte
	mute   bool
	ready  bool
	over   bool // the other's end was told
	done   bool // its own was
	failed error
}

func (s *talker) Connected() { s.ready = true }
func (s *talker) Data(p []byte) int {
	n := s.random.IntN(len(p) + 1)
	if s.random.IntN(3) > 0 {
		n = len(p)
	}
	s.heard = append(s.heard, p[:n]...)
	if n < len(p) { // else nobody says when it wants the rest
		s.link.Pause()
		s.mute = true
	}
	return n
}
func (s *talker) EOF()                 { s.over = true }
func (s *talker) Drained()             {}
func (s *talker) Failed(err error)     { s.failed = err }
func (s *talker) Expired()             {}
func (s *talker) Relayed(int64, error) {}

// act does one thing.
func (s *talker) act(t *testing.T) {
	switch {
	case s.mute && s.random.IntN(4) == 0:
		s.mute = false
		s.link.Resume()
	case s.ready && len(s.text) > 0:
		n := min(len(s.text), 1+s.random.IntN(40<<10))
		if s.random.IntN(2) == 0 {
			n = min(n, 50)
		}
		if !s.link.Write(s.text[:n], s.random.IntN(3) == 0) {
			t.Fatalf("it cannot be written to: state %b, failed with %v", s.link.state, s.failed)
		}
		s.text = s.text[n:]
	case s.ready && !s.done && s.random.IntN(20) == 0:
		s.done = true
		s.link.CloseWrite()
	}
}

// TestWhatIsWrittenIsWhatArrives has two links talk to each other over a
// connection that carries any number of bytes at a time.
func TestWhatIsWrittenIsWhatArrives(t *testing.T) {
	config := NewConfig(server(t))
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 7))
		world := &memory{posted: make(chan func(), 10)}
		bounds := DefaultBounds()
		loop := NewLoop(world, NewWorkers(1), &bounds)
		below, over := pair()
		client, served := &talker{random: random}, &talker{random: random}
		for _, s := range []*talker{client, served} {
			s.text = make([]byte, random.IntN(300<<10))
			for i := range s.text {
				s.text[i] = byte(random.Uint32())
			}
		}
		toServer, toClient := bytes.Clone(client.text), bytes.Clone(served.text)
		with := clientConfig()
		if seed%2 == 0 {
			with.MaxVersion = tls.VersionTLS12
		}
		client.link = loop.Dial(with, client, nil)
		client.link.Over(below)
		below.events = client.link
		link := loop.Accept(over, Accept{Config: config, Ready: func(l *Link, _ tls.ConnectionState) exchange.Events {
			served.link, served.ready = l, true
			return served
		}, Gone: func(err error) { t.Fatalf("seed %d: the handshake ended with %v", seed, err) }})
		over.events = link
		client.link.Connected()
		small := random.IntN(2) == 0
		for turns := 0; !client.over || !served.over || !client.done || !served.done || client.mute || served.mute; turns++ {
			if turns > 1_000_000 {
				t.Fatalf("seed %d: it does not end: client %+v, server %+v", seed, client.link.state, link.state)
			}
			for _, s := range []*talker{client, served} {
				s.act(t)
			}
			for _, e := range []*end{below, over} {
				n := random.IntN(64 << 10)
				if small {
					n = random.IntN(2000)
				}
				e.carry(n)
				e.give()
			}
			if random.IntN(3) > 0 {
				world.batchEnds()
			}
		}
		for range 10 {
			world.batchEnds()
			below.give()
			over.give()
		}
		if !bytes.Equal(served.heard, toServer) || !bytes.Equal(client.heard, toClient) {
			t.Fatalf("seed %d: sent %d and %d bytes, heard %d and %d", seed, len(toServer), len(toClient), len(served.heard), len(client.heard))
		}
		if client.failed != nil || served.failed != nil {
			t.Fatalf("seed %d: failed with %v, %v", seed, client.failed, served.failed)
		}
		client.link.Close()
		link.Close()
		if loop.working != 0 {
			t.Fatalf("seed %d: %d handshakes are at work", seed, loop.working)
		}
	}
}

// arbitrary is a server that is given anything.
func arbitrary(t testing.TB, p []byte) (e *end, gone error) {
	world := &memory{posted: make(chan func(), 10)}
	bounds := DefaultBounds()
	loop := NewLoop(world, NewWorkers(1), &bounds)
	e, other := pair()
	link := loop.Accept(e, Accept{Config: fuzzed, Ready: func(*Link, tls.ConnectionState) exchange.Events {
		t.Error("there was a handshake")
		return nil
	}, Gone: func(err error) { gone = err }})
	e.events = link
	for len(p) > 0 {
		n := min(len(p), 1000)
		other.out = p[:n]
		other.carry(n)
		p = p[n:]
		e.give()
		world.batchEnds()
	}
	other.fin = true
	e.give()
	world.batchEnds()
	if !e.closed {
		t.Error("the connection was not closed at its end")
	}
	if loop.working != 0 || loop.first != nil {
		t.Error("a handshake is left")
	}
	return e, gone
}

var fuzzed *Config

func FuzzAnyBytesEndAHandshake(f *testing.F) {
	fuzzed = NewConfig(server(f))
	below, over := pair()
	world := &memory{posted: make(chan func(), 10)}
	bounds := DefaultBounds()
	client := NewLoop(world, NewWorkers(1), &bounds).Dial(clientConfig(), &talker{}, nil)
	client.Over(below)
	client.Connected()
	hello := bytes.Clone(below.out)
	client.Close()
	_ = over
	for _, seed := range [][]byte{nil, hello, hello[:100], append(bytes.Clone(hello), hello...), []byte("GET / HTTP/1.1\r\n\r\n"), {22, 3, 1, 0, 0}, {0x80, 1}, {21, 3, 1, 0, 2, 2, 40}, {23, 3, 3, 255, 255}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		e, gone := arbitrary(t, p)
		if gone == nil && len(p) > 0 {
			t.Error("nobody was told")
		}
		plain := bytes.HasPrefix(e.out, []byte("HTTP/1.1 400 "))
		if plain != (gone == ErrPlain) || plain && (len(p) == 0 || p[0] < 'A' && p[0] != '-' || p[0] > 'Z') {
			t.Errorf("the answer to %.20q is %.20q, %v", p, e.out, gone)
		}
	})
}

func FuzzRecordsAreTakenWhole(f *testing.F) {
	f.Add([]byte{22, 3, 1, 0, 1, 5, 22, 3, 3})
	f.Add([]byte("GET"))
	f.Fuzz(func(t *testing.T, p []byte) {
		switch n := wholeRecord(p); {
		case n < 0 || n > len(p):
			t.Errorf("%d of %d bytes", n, len(p))
		case n > 0 && n < len(p) && n != headerSize+int(p[3])<<8+int(p[4]):
			t.Errorf("%d bytes are no record", n)
		}
	})
}

var _ io.Writer = (*wire)(nil)
