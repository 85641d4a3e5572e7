package http2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestAClientAndAServerUnderstandEachOther has both roles talk to each other
// over a link that cuts anywhere, with windows that are given back late, small
// outputs, trailers, resets and releases at any time. What was not reset comes
// over whole.
func TestAClientAndAServerUnderstandEachOther(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			p := newPair(t, rand.New(rand.NewPCG(seed, 5)))
			for range 3000 {
				p.step()
			}
			p.stopping = true
			for range 100000 {
				if len(p.client.ends)+len(p.server.ends) == 0 && p.quiet() {
					break
				}
				p.step()
			}
			p.check()
		})
	}
}

// pair are two connections and what is on its way between them.
type pair struct {
	t              *testing.T
	r              *rand.Rand
	client, server *side
	stopping       bool
	whole, reset   int
}

type side struct {
	p     *pair
	conn  *Conn
	other *side
	wire  []byte // written by this side, not read by the other
	ends  []*end
	last  int // the number of the last request
}

// end is a stream at one side.
type end struct {
	*Stream
	side     *side
	seed     int // of what is sent: both ends of a stream know each other by it
	sent     int
	toSend   int
	sentAll  bool
	got      int
	gotAll   bool
	unread   int
	over     bool // reset by either
	trailers bool
}

func newPair(t *testing.T, r *rand.Rand) *pair {
	p := &pair{t: t, r: r}
	config := func() *Config {
		return &Config{Streams: 1 + r.IntN(20), Output: 1 + r.IntN(100000), StreamWindow: firstWindow + r.IntN(100000), ConnWindow: firstWindow + r.IntN(200000)}
	}
	p.client, p.server = &side{p: p}, &side{p: p}
	p.client.other, p.server.other = p.server, p.client
	p.client.conn = NewClient(p.client, config(), &Pool{})
	p.server.conn = NewServer(p.server, config(), &Pool{})
	return p
}

func (p *pair) quiet() bool {
	for _, s := range []*side{p.client, p.server} {
		if len(s.wire) > 0 || len(s.conn.out) > 0 {
			return false
		}
	}
	return true
}

// step does one thing at random.
func (p *pair) step() {
	s := p.client
	if p.r.IntN(2) == 0 {
		s = p.server
	}
	switch p.r.IntN(5) {
	case 0:
		out := s.conn.Output()
		s.wire = append(s.wire, out...)
		s.conn.Written()
	case 1, 2:
		s.read()
	case 3:
		if s == p.client && !p.stopping {
			s.request()
		}
	}
	if len(s.ends) > 0 {
		s.ends[p.r.IntN(len(s.ends))].act()
	}
}

// read takes some of what the other side wrote.
func (s *side) read() {
	n := min(len(s.other.wire), 1+s.p.r.IntN(40000))
	k, err := s.conn.Receive(1, append([]byte(nil), s.other.wire[:n]...))
	if err != nil {
		s.p.t.Fatalf("%v", err)
	}
	s.other.wire = s.other.wire[k:]
}

func (s *side) request() {
	e := &end{side: s}
	if e.Stream = s.conn.Open(e); e.Stream == nil {
		return
	}
	s.last++
	e.seed, e.toSend = s.last, s.p.r.IntN(2)*s.p.r.IntN(200000)
	s.ends = append(s.ends, e)
	e.sentAll = e.toSend == 0
	e.SendHead(asked("POST", fmt.Sprintf("/%d", e.seed)), e.sentAll)
}

func (s *side) Flush() {}

func (s *side) GoAway(uint32, Code, []byte) { s.p.t.Error("GOAWAY") }

func (s *side) Request(stream *Stream, head *Head, last bool) {
	e := &end{side: s, Stream: stream, gotAll: last, toSend: s.p.r.IntN(200000)}
	fmt.Sscanf(string(head.Path), "/%d", &e.seed)
	stream.Bind(e)
	s.ends = append(s.ends, e)
	if s.p.r.IntN(3) == 0 {
		e.SendHead(&Head{Status: 103}, false)
	}
	e.SendHead(ok(), false)
}

// act sends, consumes, ends or gives up.
func (e *end) act() {
	r := e.side.p.r
	e.Consumed(min(e.unread, 1+r.IntN(50000)))
	e.unread = e.unconsumed - min(e.unconsumed, e.contentLeft())
	switch {
	case e.gotAll && e.sentAll && e.Pending() == 0 && e.unread == 0:
		e.leave()
	case r.IntN(300) == 0:
		e.Stream.Reset(Cancel)
		e.over = true
		e.leave()
	case !e.sentAll && e.Pending() < 100000:
		e.sendSome()
	}
}

// contentLeft is what of the stream's frame under way has not come yet.
func (e *end) contentLeft() int {
	if c := e.side.conn.content; c.stream == e.Stream {
		return c.left
	}
	return 0
}

func (e *end) sendSome() {
	r := e.side.p.r
	n := min(e.toSend-e.sent, r.IntN(30000))
	p := e.content(e.sent, n)
	e.sent += n
	last := e.sent == e.toSend
	e.trailers = last && r.IntN(3) == 0
	e.sentAll = last
	if !e.SendData(p, last && !e.trailers) {
		e.side.p.t.Errorf("stream %d cannot be sent on", e.ID())
	}
	if e.trailers {
		e.SendTrailers(lines(fmt.Sprintf("sent: %d", e.sent)))
	}
}

// content is a part of what is sent on the stream.
func (e *end) content(from, n int) []byte { return pattern[e.seed+from : e.seed+from+n] }

var pattern = func() []byte {
	p := make([]byte, 300000)
	for i := range p {
		p[i] = byte(i*7 + i>>8)
	}
	return p
}()

// leave releases the stream.
func (e *end) leave() {
	s := e.side
	for i := range s.ends {
		if s.ends[i] == e {
			s.ends[i] = s.ends[len(s.ends)-1]
			s.ends = s.ends[:len(s.ends)-1]
			break
		}
	}
	if e.over {
		s.p.reset++
	} else {
		s.p.whole++
	}
	e.Release()
}

func (e *end) Head(head *Head, last bool) { e.gotAll = last }

func (e *end) Data(p []byte, last bool) {
	if !bytes.Equal(p, e.content(e.got, len(p))) {
		e.side.p.t.Fatalf("stream %d: content is wrong after %d bytes", e.ID(), e.got)
	}
	e.got += len(p)
	e.gotAll = last
	e.unread += len(p)
}

func (e *end) Trailers(fields []Field) {
	if len(fields) != 1 || string(fields[0].Value) != fmt.Sprint(e.got) {
		e.side.p.t.Errorf("stream %d: trailers %q after %d bytes", e.ID(), fields, e.got)
	}
	e.gotAll = true
}

func (e *end) Reset(err *StreamError) {
	if !err.Remote || err.Code != Cancel && err.Code != RefusedStream && err.Code != NoError {
		e.side.p.t.Errorf("stream %d: %v", e.ID(), err)
	}
	e.over = true
	e.Stream.Reset(Cancel)
	e.leave()
}

func (e *end) Drained() {}

// check holds that nothing is left over, and that windows are whole.
func (p *pair) check() {
	for _, s := range []*side{p.client, p.server} {
		if s.conn.Streams() != 0 || len(s.ends) != 0 {
			p.t.Errorf("%d streams are open", s.conn.Streams())
		}
		if got := s.conn.window + s.conn.credit; got != s.conn.config.ConnWindow {
			p.t.Errorf("the window is %d, want %d", got, s.conn.config.ConnWindow)
		}
		if s.conn.allowed != s.other.conn.window {
			p.t.Errorf("one side thinks the window is %d, the other %d", s.conn.allowed, s.other.conn.window)
		}
		if s.conn.ready.first != nil || s.conn.content.stream != nil {
			p.t.Error("a stream is still referred to")
		}
	}
	if p.whole < 20 || p.reset == 0 {
		p.t.Errorf("%d streams went well and %d were reset: that tests little", p.whole, p.reset)
	}
}
