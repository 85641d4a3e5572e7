package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"evenkeel/cluster/secret"
)

// The pause after a failed accept, which most often means that there are no
// file descriptors left: it doubles up to the latter.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// acceptLoop takes connections until ctx ends or the listener is closed.
func (p *Port) acceptLoop(ctx context.Context) error {
	pause := minAcceptPause
	for {
		raw, err := p.tcp.AcceptTCP()
		switch {
		case err == nil:
			pause = minAcceptPause
			if err := p.lobby.enter(newBudgetConn(raw, p.turns), p.welcome); err != nil {
				p.refusals.add(reasonAccept, raw.RemoteAddr(), err)
			}
			continue
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept: %w", err)
		}
		p.refusals.add(reasonAccept, p.tcp.Addr(), err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, maxAcceptPause)
	}
}

// welcome does the handshake and hands the connection to whom its protocol
// belongs to, or counts why not.
func (p *Port) welcome(v *visitor) {
	raw := v.raw
	c, err := p.handshake(raw)
	raw.rest()
	if err != nil {
		why := classify(err, raw.offered)
		if p.lobby.wasEvicted(v) {
			why, err = reasonCrowded, errors.New("too many connections wait for their handshake, this was the oldest of its address")
		}
		p.refusals.add(why, raw.RemoteAddr(), explain(why, err, raw.offered))
		_ = raw.Close() // what failed is counted, and nothing was said that could be lost
		return
	}
	if err := p.conns.add(c); err != nil {
		p.refusals.add(reasonCrowded, raw.RemoteAddr(), err)
		_ = raw.Close()
		return
	}
	p.refusals.accept(c.protocol)
	queue := p.inbox(c.protocol)
	if late := queue.put(c); late != nil {
		why := reasonUnread
		if queue.closed() {
			why = reasonEnded
		}
		p.refusals.add(why, late.RemoteAddr(), fmt.Errorf("nobody took the %s connection", c.protocol))
		_ = late.abort()
	}
}

// handshake makes a connection of a peer that knocked.
func (p *Port) handshake(raw *budgetConn) (*conn, error) {
	if err := prepare(raw, time.Now().Add(handshakeTimeout)); err != nil {
		return nil, err
	}
	config := p.identity.Server(protocols[:]...)
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		raw.offered = hello.SupportedProtos
		return nil, nil
	}
	c := &conn{Conn: tls.Server(raw, config), raw: raw, set: p.conns}
	if err := c.Handshake(); err != nil {
		return nil, err
	}
	return c, p.greet(c)
}

// greet notes who the peer is, after the handshake.
func (p *Port) greet(c *conn) error {
	state := c.ConnectionState()
	uid, err := p.identity.PeerUID(state)
	switch {
	case err != nil:
		return err
	case !slices.Contains(protocols[:], state.NegotiatedProtocol):
		return fmt.Errorf("%w: it negotiated none", errProtocol)
	}
	switch c.protocol {
	case "": // of a peer that knocked, nobody else knows the connection yet
		c.protocol = state.NegotiatedProtocol
	case state.NegotiatedProtocol: // was asked for, and others may read it by now
	default:
		return fmt.Errorf("%w: it negotiated %q instead of %q", errProtocol, state.NegotiatedProtocol, c.protocol)
	}
	c.uid = uid
	c.raw.unbound()
	return c.SetDeadline(time.Time{})
}

var errProtocol = errors.New("the peer speaks no protocol of this build")

// prepare sets what every TCP connection of the port needs.
func prepare(raw *budgetConn, deadline time.Time) error {
	if tcp, ok := raw.Conn.(*net.TCPConn); ok {
		if err := setUserTimeout(tcp, userTimeout); err != nil {
			return fmt.Errorf("set user timeout: %w", err)
		}
		if err := setRetransmit(tcp, retransmitAfter); err != nil {
			return fmt.Errorf("set when to send again: %w", err)
		}
	}
	return raw.SetDeadline(deadline)
}

// classify finds why a handshake failed, without a look at texts.
func classify(err error, offered []string) reason {
	var header tls.RecordHeaderError
	var operation *net.OpError
	switch {
	case errors.Is(err, secret.ErrSameUID):
		return reasonUID
	case errors.Is(err, secret.ErrWrongSecret):
		return reasonSecret
	case errors.Is(err, errProtocol), len(offered) > 0 && !spoken(offered):
		return reasonProtocol
	case errors.As(err, &header), errors.Is(err, errTooManyBytes):
		return reasonGarbage
	case errors.Is(err, os.ErrDeadlineExceeded):
		return reasonSlow
	case errors.As(err, &operation) && operation.Op == "remote error": // a TLS alert
		return reasonRejected
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), operation != nil:
		return reasonClosed
	}
	return reasonGarbage
}

// explain adds what the operator may want to do about it.
func explain(why reason, err error, offered []string) error {
	switch why {
	case reasonGarbage:
		return fmt.Errorf("%w; this is no node of Evenkeel, is something else pointed at the cluster port?", err)
	case reasonSecret:
		return fmt.Errorf("%w; give all nodes the same secret", err)
	case reasonRejected:
		return fmt.Errorf("%w; the peer refused this node: most likely it has another secret, else it looked for another node here, or has the uid of this one", err)
	case reasonProtocol:
		return fmt.Errorf("%w; it offers %q and this build speaks %q, upgrade the older of the two", err, offered, protocols)
	}
	return err
}

// spoken tells whether one of the offered protocols is ours.
func spoken(offered []string) bool {
	return slices.ContainsFunc(offered, func(name string) bool {
		return slices.Contains(protocols[:], name)
	})
}
