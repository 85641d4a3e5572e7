package exchange

import (
	"evenkeel/balancer/proxyproto"
)

// Announced is a client connection that has to begin with a PROXY header. Once
// that has come, whole and in time, the connection is handed to whatever serves
// it. Its exported methods are the events of its link.
type Announced struct {
	loop     *Loop
	link     Link
	listener *Listener
	follow   func(ends proxyproto.Header) Events
	closed   bool
	began    bool // a byte has come
}

// NewAnnounced begins to read a connection's header. follow hands the connection
// over: what it returns gets all further events. Its ends are zero if the header
// says that the connection's own count.
func (l *Loop) NewAnnounced(link Link, listener *Listener, follow func(ends proxyproto.Header) Events) *Announced {
	a := &Announced{loop: l, link: link, listener: listener, follow: follow}
	listener.Live[l.index].Connections.Add(1)
	link.SetDeadline(l.now() + int64(listener.Settings.Load().ClientHead))
	return a
}

// Unannounced counts a connection from where no header is believed, and which is
// closed for that.
func (l *Loop) Unannounced(listener *Listener) {
	listener.Counters[l.index].ProxyHeader.Add(1)
}

func (a *Announced) counters() *Counters { return &a.listener.Counters[a.loop.index] }

// Listener is where the connection came in.
func (a *Announced) Listener() *Listener { return a.listener }

// Data takes the header, and gives what lies behind it to who follows.
func (a *Announced) Data(p []byte) int {
	ends, n, err := proxyproto.Read(p)
	if err != nil {
		a.refuse()
		return len(p)
	}
	if a.began = true; n == 0 {
		return 0
	}
	a.link.SetDeadline(0)
	next := a.follow(ends)
	// Who follows has counted it by now, so that it is never gone in between.
	a.listener.Live[a.loop.index].Connections.Add(-1)
	if n == len(p) {
		return n
	}
	return n + next.Data(p[n:])
}

// refuse closes the connection for its header.
func (a *Announced) refuse() {
	a.counters().ProxyHeader.Add(1)
	a.End()
}

// EOF is an end before the header. One without a byte is a look whether the port
// is open.
func (a *Announced) EOF() {
	if a.began {
		a.counters().ProxyHeader.Add(1)
	}
	a.End()
}

// Expired is a header that did not come in time.
func (a *Announced) Expired() { a.refuse() }

// Failed is a connection that broke.
func (a *Announced) Failed(error) { a.gone() }

// End closes the connection; nothing is under way.
func (a *Announced) End() {
	a.gone()
	a.link.Close()
}

// Cut is End.
func (a *Announced) Cut() { a.End() }

// gone notes the connection's end, once.
func (a *Announced) gone() {
	if a.closed {
		return
	}
	a.closed = true
	a.listener.Live[a.loop.index].Connections.Add(-1)
	if a.listener.Closed != nil {
		a.listener.Closed()
	}
}

// The events that an accepted connection without output does not have.

// Connected is for dialled connections.
func (a *Announced) Connected() {}

// Drained is for those that were written to.
func (a *Announced) Drained() {}

// Relayed is for those that are relayed.
func (a *Announced) Relayed(int64, error) {}
