package streams

import (
	"errors"
	"net/netip"

	"evenkeel/balancer/exchange"
	"evenkeel/balancer/http2"
)

// Server is a client's connection of HTTP/2. It implements the events of its
// link, and those of the protocol.
type Server struct {
	loop     *Loop
	link     exchange.Link
	listener *exchange.Listener
	peer     netip.Addr
	subject  string           // of the certificate that the client has shown
	name     string           // that its TLS asked for
	private  exchange.Private // connections to backends for its requests alone
	conn     *http2.Conn
	open     []*stream // those that the exchanges have not given up
	left     []*stream // those that were given up, and are still among open
	alarm    int64     // when the link's deadline is set; 0: it is not
	due      int64     // when the connection itself is late with something; 0: never
	settleBy int64     // when the client's acknowledgement of our settings is
	taken    int64     // what the client had taken when its time for the next bytes began
	drained  int64     // when it was told to go
	state    serverState
}

// serverState is a set of flags.
type serverState uint16

const (
	scheduled serverState = 1 << iota // for the end of the batch of events
	choked                            // it is not read from, see [http2.Conn.Choked]
	failing                           // the connection has failed, its last words are to be sent
	draining                          // no further request is served
	idle                              // there is no request
	owing                             // the client does not take what it is sent
	lingering                         // all is sent, what comes is thrown away
	broken                            // the client is gone, or is to be
	gone
)

func (s *Server) has(f serverState) bool { return s.state&f != 0 }

// NewServer begins to serve a connection of HTTP/2 that was accepted: its link's
// events are the server's from now on.
func (l *Loop) NewServer(link exchange.Link, listener *exchange.Listener, peer netip.Addr) *Server {
	settings := listener.Settings.Load()
	s := &Server{loop: l, link: link, listener: listener, peer: peer}
	if over, ok := link.(exchange.Secured); ok {
		s.subject, s.name = over.ClientSubject(), over.ServerName()
	}
	l.Exchanges.Opened(listener)
	s.counters().Connections[exchange.SpokenHTTP2].Add(1)
	s.settleBy = l.now() + int64(settings.ClientHead)
	s.conn = http2.NewServer(s, l.configOf(settings), &l.memory)
	s.Flush() // the preface
	s.wake(s.settleBy)
	return s
}

// Listener is where the client came in.
func (s *Server) Listener() *exchange.Listener { return s.listener }

func (s *Server) counters() *exchange.Counters { return &s.listener.Counters[s.loop.Index] }

// Connected is for dialled connections.
func (s *Server) Connected() {}

// Data takes what the client sent.
func (s *Server) Data(p []byte) int {
	if s.has(failing | lingering | gone) {
		return len(p)
	}
	n, err := s.conn.Receive(s.loop.now(), p)
	if err != nil {
		s.failed(err)
		return len(p)
	}
	if s.conn.Choked() && !s.has(choked) {
		s.state |= choked
		s.link.Pause()
	}
	if s.conn.Going() {
		s.Flush()
	}
	return n
}

// failed lets the connection end for a fault of the client's, once it has been told.
func (s *Server) failed(err error) {
	count := &s.counters().HTTP2Faults
	if fault, ok := errors.AsType[*http2.ConnError](err); ok && fault.Code == http2.EnhanceYourCalm {
		count = &s.counters().HTTP2Floods
	}
	count.Add(1)
	s.state |= failing
	s.Flush()
}

// Request is a new stream.
func (s *Server) Request(of *http2.Stream, head *http2.Head, end bool) {
	if s.listener.Closing.Load() {
		s.Drain()
	}
	c := s.loop.takeStream(s)
	c.stream = of
	of.Bind(c)
	c.place = len(s.open)
	s.open = append(s.open, c)
	s.state &^= idle
	c.request(head, end)
}

// GoAway is a client that opens no further stream. Those that are open go on.
func (s *Server) GoAway(uint32, http2.Code, []byte) { s.Flush() }

// Flush has the server's Run called at the end of the batch of events.
func (s *Server) Flush() {
	if !s.has(scheduled | gone) {
		s.state |= scheduled
		s.loop.World.Later(s)
	}
}

// Run implements [exchange.Task]: it writes what there is to write, and settles
// what the connection waits for.
func (s *Server) Run() {
	s.state &^= scheduled
	if s.has(gone) {
		return
	}
	write(s.link, s.conn)
	s.reap()
	if s.has(choked) && !s.conn.Choked() {
		s.state &^= choked
		s.link.Resume()
	}
	s.rest()
}

// write sends what a connection has to send, as long as the link takes it.
func write(link exchange.Link, conn *http2.Conn) {
	for link.Buffered() == 0 {
		out := conn.Output()
		if len(out) == 0 {
			return
		}
		sent := link.Write(out, false)
		conn.Written()
		if !sent { // reading tells why
			return
		}
	}
}

// rest settles what the client is late with next.
func (s *Server) rest() {
	settings, now := s.listener.Settings.Load(), s.loop.now()
	switch {
	case s.has(lingering):
	case s.link.Buffered() > 0:
		if !s.has(owing) {
			s.owe()
		}
	case s.has(failing) || s.conn.Going() && s.conn.Streams() == 0:
		s.linger()
	case len(s.open) > 0:
		s.state &^= owing | idle
		s.due = 0
	case !s.has(idle):
		s.state &^= owing
		s.state |= idle
		s.due = now + int64(settings.ClientIdle)
		s.wake(s.due)
	}
}

// owe begins the time within which the client has to take something.
func (s *Server) owe() {
	s.state |= owing
	s.state &^= idle
	s.taken = s.link.Sent()
	s.due = s.loop.now() + int64(s.listener.Settings.Load().Body)
	s.wake(s.due)
}

// linger ends the connection: behind all that was sent, so that what the client
// still sends destroys none of it.
func (s *Server) linger() {
	s.state = s.state&^(owing|idle) | lingering
	s.link.CloseWrite()
	if s.has(choked) {
		s.state &^= choked
		s.link.Resume()
	}
	s.due = s.loop.now() + s.loop.Linger
	s.wake(s.due)
}

// reap takes in the streams that the exchanges have given up. That is done when
// none of their methods is on the stack.
func (s *Server) reap() {
	for i, c := range s.left {
		s.left[i] = nil
		last := len(s.open) - 1
		s.open[c.place] = s.open[last]
		s.open[c.place].place = c.place
		s.open[last] = nil
		s.open = s.open[:last]
		s.loop.giveStream(c)
	}
	s.left = s.left[:0]
}

// wake has Expired called by a time.
func (s *Server) wake(at int64) {
	if at != 0 && (s.alarm == 0 || at < s.alarm) {
		s.alarm = at
		s.link.SetDeadline(at)
	}
}

// Expired looks who is late. Deadlines that moved to later are found then, which
// is cheaper than to move the link's each time.
func (s *Server) Expired() {
	now := s.loop.now()
	s.alarm = 0
	for _, c := range s.open {
		if c.deadline != 0 && c.deadline <= now && !c.has(closed) {
			c.deadline = 0
			c.events.Expired()
		}
	}
	switch {
	case s.has(lingering) && now >= s.due:
		s.close()
		return
	case s.has(lingering | failing):
	case now >= s.settleBy && s.conn.Unsettled():
		late := &http2.ConnError{Code: http2.SettingsTimeout, Reason: "no acknowledgement of the settings"}
		s.conn.Fail(late.Code, late.Reason)
		s.failed(late)
	case s.due == 0 || now < s.due:
	case s.has(owing) && s.link.Buffered() > 0 && s.link.Sent() == s.taken:
		s.Cut()
		return
	case s.has(owing) && s.link.Buffered() > 0:
		s.owe()
	case s.has(idle) && s.conn.Streams() > 0: // what it was sent before it leaves there
		s.Cut()
		return
	case s.has(idle):
		s.goodbye()
	}
	s.wakeNext()
}

// wakeNext sets the deadline for whoever is late next.
func (s *Server) wakeNext() {
	s.wake(s.due)
	if s.conn.Unsettled() {
		s.wake(s.settleBy)
	}
	for _, c := range s.open {
		if !c.has(closed) {
			s.wake(c.deadline)
		}
	}
}

// Drain lets no further request begin: the client is told, and after a round
// trip what it had sent by then.
func (s *Server) Drain() {
	if s.has(draining | failing | gone) {
		return
	}
	s.state |= draining
	s.drained = s.loop.now()
	s.conn.Drain()
	s.Flush()
}

// goodbye ends a connection without requests, at once.
func (s *Server) goodbye() {
	s.Drain()
	s.conn.Drain()
	s.Flush()
}

// End closes a connection without a request under way; a listener that drains
// asks for it. A client that does not answer to that is not waited for.
func (s *Server) End() {
	if len(s.open) > 0 || s.has(failing|lingering|gone) {
		return
	}
	if s.Drain(); s.loop.now()-s.drained >= s.loop.Linger {
		s.goodbye()
	}
}

// Cut closes the connection whatever is under way.
func (s *Server) Cut() {
	if s.has(gone) {
		return
	}
	s.lost()
	s.link.Abort(uint32(http2.Cancel))
	s.end()
}

// lost ends all streams.
func (s *Server) lost() {
	s.state |= broken
	s.conn.Lost()
}

// Drained tells that the client took everything that was sent.
func (s *Server) Drained() { s.Flush() }

// EOF is the client's end. It can neither send nor grant anything any more.
func (s *Server) EOF() {
	if !s.has(lingering) {
		s.lost()
	}
	s.close()
}

// Failed is a connection that broke.
func (s *Server) Failed(error) {
	s.lost()
	s.end()
}

// Relayed is for what is not read.
func (s *Server) Relayed(int64, error) {}

func (s *Server) close() {
	s.end()
	s.link.Close()
}

// end notes the connection's end, once.
func (s *Server) end() {
	if s.has(gone) {
		return
	}
	s.state |= gone
	s.private.End()
	s.reap()
	s.loop.Exchanges.Closed(s.listener)
}

// Bug cleans up after a bug of Evenkeel's: the connection is closed, and so are
// all requests on it, of which nobody knows which is whole.
func (s *Server) Bug() {
	s.link.Abort(uint32(http2.InternalError))
	for _, c := range s.open {
		if !c.has(closed) {
			c.set(closed)
			s.loop.Exchanges.Bug(c.client)
		}
	}
	if !s.has(gone) {
		s.state |= gone
		s.private.End()
		s.loop.Exchanges.Closed(s.listener)
	}
}
