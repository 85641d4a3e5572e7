package peer

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/raft"
)

// raftLayer is the connections between the Raft parts of nodes. An address is
// a UID, because raft refuses two servers with one address, and real addresses
// change.
type raftLayer struct {
	*inbox
	port *Port
}

// uidAddr is a UID as [net.Addr].
type uidAddr string

func (uidAddr) Network() string  { return "evenkeel" }
func (a uidAddr) String() string { return string(a) }

// Dial implements [raft.StreamLayer]. The peer is known to be that node when
// it returns. A layer that was closed dials nobody: a part of Raft that does not
// end must not go on leading.
func (l *raftLayer) Dial(uid raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	if l.closed() {
		return nil, fmt.Errorf("dial node %q: %w: %w", uid, ErrUnreachable, net.ErrClosed)
	}
	addr, err := l.port.lookup(string(uid))
	if err != nil {
		return nil, err
	}
	c, err := l.port.dialWithin(timeout, protocolRaft, addr, string(uid))
	if err == nil && l.closed() {
		return nil, errors.Join(fmt.Errorf("dial node %q: %w: %w", uid, ErrUnreachable, net.ErrClosed), c.Close())
	}
	return c, err
}

// Addr implements [net.Listener]: it is what raft holds for its own address.
func (l *raftLayer) Addr() net.Addr { return uidAddr(l.port.uid) }

// Close implements [net.Listener]. It also ends the open connections: raft
// itself leaves those that it accepted, and those in its pool, to their peers.
func (l *raftLayer) Close() error {
	err := l.inbox.Close()
	l.port.conns.end((*conn).Close, func(c *conn) bool { return c.protocol == protocolRaft })
	return err
}
