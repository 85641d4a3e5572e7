package peer

import (
	"net"
	"sync"
)

// inboxSize bounds the accepted connections of one protocol that wait to be
// taken.
const inboxSize = 32

// inbox is the accept queue of one protocol. It is a [net.Listener].
type inbox struct {
	addr  net.Addr
	conns chan net.Conn // of *conn; memberlist wants this very type of channel
	done  chan struct{}

	closing sync.Once
}

func newInbox(addr net.Addr) *inbox {
	return &inbox{addr: addr, conns: make(chan net.Conn, inboxSize), done: make(chan struct{})}
}

// put queues the connection and never waits. It returns the one that has no
// place: the oldest, whose peer is the likeliest to have given up.
func (q *inbox) put(c *conn) (late *conn) {
	for {
		if q.closed() {
			return c
		}
		select {
		case q.conns <- c:
			return nil
		default:
		}
		select {
		case oldest := <-q.conns:
			return q.replace(c, oldest.(*conn))
		default: // taken meanwhile
		}
	}
}

// replace queues c in the place that oldest left.
func (q *inbox) replace(c, oldest *conn) *conn {
	select {
	case q.conns <- c:
		return oldest
	default:
		// Another took the place. Two are then without one, and only one can be
		// returned.
		_ = oldest.abort()
		return c
	}
}

// closed tells whether this node takes no connection of the protocol any more.
func (q *inbox) closed() bool {
	select {
	case <-q.done:
		return true
	default:
		return false
	}
}

// Accept implements [net.Listener].
func (q *inbox) Accept() (net.Conn, error) {
	select {
	case <-q.done:
		return nil, net.ErrClosed
	case c := <-q.conns:
		return c, nil
	}
}

// Close implements [net.Listener]: it ends Accept. Connections that nobody
// took are closed with the port.
func (q *inbox) Close() error {
	q.closing.Do(func() { close(q.done) })
	return nil
}

// Addr implements [net.Listener].
func (q *inbox) Addr() net.Addr { return q.addr }
