package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

const (
	// bindAttempts bounds the search for a port that is free for both TCP and
	// UDP.
	bindAttempts = 50
	// packetBuffer is how many bytes of packets the kernel is asked to keep for
	// us; it may grant less.
	packetBuffer    = 2 << 20
	minPacketBuffer = 64 << 10
)

// bind opens the same port for TCP and UDP.
func bind(address string, loopbackOnly bool) (*net.TCPListener, *net.UDPConn, error) {
	want, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, nil, fmt.Errorf("resolve %q: %w", address, err)
	}
	if loopbackOnly && !want.IP.IsLoopback() {
		return nil, nil, errors.New("without a cluster secret anyone who reaches the port could join, " +
			"so it is opened on a loopback address only: give a secret (\"evenkeel secret\" prints one) or bind 127.0.0.1")
	}
	network := "" // both families, where the host is none of IPv4
	if want.IP.To4() != nil {
		network = "4"
	}
	for attempt := 1; ; attempt++ {
		tcp, udp, err := bindBoth(network, want)
		// A port that the kernel chose for TCP may be taken for UDP.
		again := want.Port == 0 && errors.Is(err, syscall.EADDRINUSE) && attempt < bindAttempts
		if !again {
			return tcp, udp, err
		}
	}
}

func bindBoth(network string, want *net.TCPAddr) (*net.TCPListener, *net.UDPConn, error) {
	// MPTCP, Go's default for listeners, does not know all socket options.
	listen := net.ListenConfig{KeepAliveConfig: keepAlive}
	listen.SetMultipathTCP(false)
	listener, err := listen.Listen(context.Background(), "tcp"+network, want.String())
	if err != nil {
		return nil, nil, err
	}
	tcp := listener.(*net.TCPListener)
	got := tcp.Addr().(*net.TCPAddr)
	udp, err := net.ListenUDP("udp"+network, &net.UDPAddr{IP: want.IP, Port: got.Port, Zone: want.Zone})
	if err != nil {
		return nil, nil, errors.Join(err, tcp.Close())
	}
	if err := growPacketBuffer(udp); err != nil {
		return nil, nil, errors.Join(err, udp.Close(), tcp.Close())
	}
	return tcp, udp, nil
}

// growPacketBuffer takes what the kernel grants: some refuse too large a size
// instead of granting less.
func growPacketBuffer(udp *net.UDPConn) error {
	for size := packetBuffer; ; size /= 2 {
		err := udp.SetReadBuffer(size)
		if err == nil || size <= minPacketBuffer {
			return err
		}
	}
}
