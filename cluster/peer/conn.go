package peer

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// userTimeout is how long a connection may wait for an acknowledgement. It is
// above raft's own timeout, so that it ends connections and not requests.
const userTimeout = 5 * time.Second

// retransmitAfter is when a segment that nobody acknowledged is sent again. It is
// above the 40 ms after which Linux acknowledges what is not answered, so that
// nothing is sent twice that arrived, and leaves three trials in Raft's lease.
const retransmitAfter = 60 * time.Millisecond

// keepAlive notices within 11 s that the peer of an idle connection is gone.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}

// maxConns bounds the connections of one protocol, from peers that have the
// secret: so many are a fault of ours, and must not take the other protocols
// along.
const maxConns = 1024

var errTooManyConns = errors.New("too many connections are open")

// conn is a connection with a peer, before its handshake only if we dialed.
// Whoever gets it closes it; the port closes those that are left.
type conn struct {
	*tls.Conn
	raw      *budgetConn
	set      *connSet
	protocol string
	want     string // the UID that was dialed; "" if none or if the peer dialed
	uid      string // of the peer, once the handshake is done
	addr     string // the address that was dialed; "" if the peer dialed
	closing  sync.Once
}

// Close says goodbye to the peer and closes the connection.
func (c *conn) Close() error {
	var err error
	c.closing.Do(func() {
		c.set.remove(c)
		err = ignoreClosed(c.Conn.Close())
	})
	return err
}

// abort closes the connection at once: Close may wait for a peer that does not
// read.
func (c *conn) abort() error {
	c.set.remove(c)
	return ignoreClosed(c.raw.Close())
}

// UIDOf returns the UID of the peer of a connection that [Port.Raft] or
// [Port.Gossip] gave.
func UIDOf(connection net.Conn) (uid string, ok bool) {
	c, ok := connection.(*conn)
	if !ok {
		return "", false
	}
	return c.uid, true
}

// connSet is all open connections of a port.
type connSet struct {
	mu     sync.Mutex // guards what follows
	all    map[*conn]struct{}
	counts map[string]int // by protocol
	closed bool
}

func newConnSet() *connSet {
	return &connSet{all: map[*conn]struct{}{}, counts: map[string]int{}}
}

// add takes the connection in, or says why not.
func (s *connSet) add(c *conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return net.ErrClosed
	case s.counts[c.protocol] >= maxConns:
		return errTooManyConns
	}
	s.all[c] = struct{}{}
	s.counts[c.protocol]++
	return nil
}

func (s *connSet) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.all[c]; ok {
		delete(s.all, c)
		s.counts[c.protocol]--
	}
}

func (s *connSet) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// close ends every connection and lets no other in.
func (s *connSet) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.end((*conn).Close, func(*conn) bool { return true })
}

// end ends the connections that match, by Close or abort, all at once: Close
// can take seconds with a peer that is gone.
func (s *connSet) end(by func(*conn) error, match func(*conn) bool) {
	s.mu.Lock()
	var doomed []*conn
	for c := range s.all {
		if match(c) {
			doomed = append(doomed, c)
		}
	}
	s.mu.Unlock()
	var ends sync.WaitGroup
	for _, c := range doomed {
		ends.Go(func() { _ = by(c) }) // the connection is gone either way
	}
	ends.Wait()
}
