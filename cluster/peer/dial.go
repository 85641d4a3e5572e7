package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// ErrUnreachable means that there is no connection with the peer, so nothing
// was said to it: its address is unknown, it does not answer, or one of the
// two refused the other.
var ErrUnreachable = errors.New("peer unreachable")

// dial connects with the node of that UID, or with whichever node answers if
// uid is "". The handshake is part of it, and it ends with ctx or after 5 s.
func (p *Port) dial(ctx context.Context, protocol, addr, uid string) (*conn, error) {
	c, err := p.connect(ctx, protocol, addr, uid)
	if err != nil {
		return nil, fmt.Errorf("dial peer %q: %w: %w", addr, ErrUnreachable, err)
	}
	return c, nil
}

func (p *Port) connect(ctx context.Context, protocol, addr, uid string) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	defer context.AfterFunc(p.life, cancel)()
	dialer := net.Dialer{KeepAliveConfig: keepAlive}
	dialer.SetMultipathTCP(false)
	tcp, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	raw := newBudgetConn(tcp, nil)
	c := &conn{
		Conn:     tls.Client(raw, p.identity.Client(protocol, uid)),
		raw:      raw,
		set:      p.conns,
		protocol: protocol,
		want:     uid,
		addr:     addr,
	}
	if err := p.conns.add(c); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	if err := p.introduce(ctx, c); err != nil {
		_ = c.abort() // the first error is the one that tells
		return nil, err
	}
	return c, nil
}

// introduce does the handshake of a connection that was dialed.
func (p *Port) introduce(ctx context.Context, c *conn) error {
	if err := prepare(c.raw, time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	if err := c.HandshakeContext(ctx); err != nil {
		return err
	}
	return p.greet(c)
}

// dialWithin is dial for raft and memberlist, whose interfaces have a timeout
// and no context; that timeout and the closing of the port bound it.
func (p *Port) dialWithin(timeout time.Duration, protocol, addr, uid string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(p.life, timeout)
	defer cancel()
	c, err := p.dial(ctx, protocol, addr, uid)
	if err != nil {
		return nil, err // not c: a nil *conn in an interface is not nil
	}
	return c, nil
}

// PeerMoved ends the connections to a node that were dialed at another address
// than the directory has now. It is worth a call when the directory learns a
// new address: otherwise Raft finds out by a timeout. RPC needs no such call.
func (p *Port) PeerMoved(uid string) {
	addr, err := p.lookup(uid)
	if err != nil {
		return // unknown is not elsewhere: what works may go on
	}
	p.conns.end((*conn).abort, func(c *conn) bool {
		return c.want == uid && c.addr != addr
	})
}
