package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// packetQueue bounds the packets that memberlist did not take yet.
	packetQueue = 1024
	// readPause keeps a socket that only fails from taking a whole core.
	readPause = 10 * time.Millisecond
)

// gossip is memberlist's transport: sealed packets on UDP, streams over TLS.
type gossip struct {
	port    *Port
	sealer  *sealer
	streams *inbox
	packets chan *memberlist.Packet

	done    chan struct{}
	closing sync.Once
}

var _ memberlist.NodeAwareTransport = (*gossip)(nil)

func newGossip(p *Port, s *sealer) *gossip {
	return &gossip{
		port:    p,
		sealer:  s,
		streams: p.inboxes[protocolGossip],
		packets: make(chan *memberlist.Packet, packetQueue),
		done:    make(chan struct{}),
	}
}

// FinalAdvertiseAddr implements [memberlist.Transport]. A port that is bound
// to all addresses has none to tell, so memberlist must be given one.
func (g *gossip) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	bound := g.port.Addr()
	addr := bound.Addr()
	if ip != "" {
		given, err := netip.ParseAddr(ip)
		if err != nil {
			return nil, 0, fmt.Errorf("parse advertised address %q: %w", ip, err)
		}
		addr = given.Unmap()
	}
	if addr.IsUnspecified() {
		return nil, 0, fmt.Errorf("advertise %q: it stands for all addresses of this host, name one that others reach", addr)
	}
	if port == 0 {
		port = int(bound.Port())
	}
	return addr.AsSlice(), port, nil
}

// WriteTo implements [memberlist.Transport].
func (g *gossip) WriteTo(packet []byte, addr string) (time.Time, error) {
	return g.WriteToAddress(packet, memberlist.Address{Addr: addr})
}

// WriteToAddress implements [memberlist.NodeAwareTransport]. The address is an
// IP address and a port: a name would make gossip wait for DNS.
func (g *gossip) WriteToAddress(packet []byte, to memberlist.Address) (time.Time, error) {
	addr, err := netip.ParseAddrPort(to.Addr)
	if err != nil {
		return time.Time{}, fmt.Errorf("send packet to %q: %w", to.Addr, err)
	}
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	sealed, err := g.sealer.seal(packet, addr)
	if err != nil {
		return time.Time{}, fmt.Errorf("send packet to %q: %w", to.Addr, err)
	}
	if _, err = g.port.udp.WriteToUDPAddrPort(sealed, addr); err != nil {
		return time.Time{}, fmt.Errorf("send packet to %q: %w", to.Addr, err)
	}
	return time.Now(), nil
}

// PacketCh implements [memberlist.Transport].
func (g *gossip) PacketCh() <-chan *memberlist.Packet { return g.packets }

// DialTimeout implements [memberlist.Transport].
func (g *gossip) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return g.port.dialWithin(timeout, protocolGossip, addr, "")
}

// DialAddressTimeout implements [memberlist.NodeAwareTransport].
func (g *gossip) DialAddressTimeout(to memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return g.DialTimeout(to.Addr, timeout)
}

// StreamCh implements [memberlist.Transport].
func (g *gossip) StreamCh() <-chan net.Conn { return g.streams.conns }

// Shutdown implements [memberlist.Transport]. It ends the part of gossip and
// leaves the port to the others.
func (g *gossip) Shutdown() error {
	g.close()
	err := g.streams.Close()
	g.port.conns.end((*conn).Close, func(c *conn) bool { return c.protocol == protocolGossip })
	return err
}

func (g *gossip) close() { g.closing.Do(func() { close(g.done) }) }

// readLoop takes packets until ctx ends or the socket is closed.
func (g *gossip) readLoop(ctx context.Context) error {
	// One byte more than can be, so that more is seen to be too much.
	buffer, scratch := make([]byte, maxSealed+1), make([]byte, maxSealed+1)
	for {
		n, from, err := g.port.udp.ReadFromUDPAddrPort(buffer)
		now := time.Now()
		switch {
		case err == nil:
			from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
			g.receive(buffer[:n], scratch, from, now)
			continue
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("read packet: %w", err)
		}
		g.port.refusals.add(reasonPacket, g.port.udp.LocalAddr(), err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(readPause):
		}
	}
}

// receive opens one packet and passes it on, without waiting.
func (g *gossip) receive(sealed, scratch []byte, from netip.AddrPort, now time.Time) {
	remote := net.UDPAddrFromAddrPort(from)
	plain, err := g.sealer.open(sealed, scratch, from)
	switch {
	case errors.Is(err, errOversized):
		g.port.refusals.add(reasonOversized, remote, err)
		return
	case err != nil:
		g.port.refusals.add(reasonPacket, remote, err)
		return
	}
	select {
	case <-g.done: // memberlist ended; what still comes is of no use
		return
	default:
	}
	select {
	case g.packets <- &memberlist.Packet{Buf: plain, From: remote, Timestamp: now}:
		g.port.refusals.packets.Add(1)
	default:
		g.port.refusals.add(reasonUnread, remote, errors.New("packets come faster than gossip takes them"))
	}
}
