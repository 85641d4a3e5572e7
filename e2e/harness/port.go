package harness

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Ports below the range from which kernels take those of outgoing
// connections: one that is free now is still free when a node, or a node that
// restarts, binds it.
const (
	lowestPort  = 20000
	highestPort = 29999
)

// ports hands them out in an order of its own, and none a second time before
// all others: a port that was promised to a node stays its own until it binds.
var ports struct {
	mu    sync.Mutex // guards what follows
	order []int
	next  int
}

func nextPort() int {
	ports.mu.Lock()
	defer ports.mu.Unlock()
	if ports.order == nil {
		ports.order = rand.Perm(highestPort - lowestPort + 1)
	}
	port := lowestPort + ports.order[ports.next]
	ports.next = (ports.next + 1) % len(ports.order)
	return port
}

// FreePort returns a port of the loopback address that neither TCP nor UDP
// uses. It is safe for concurrent use.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		if port := nextPort(); portFree("127.0.0.1", port) {
			return port
		}
	}
	t.Fatal("find a free port: 1000 tries met ports in use")
	return 0
}

// FreeAddress returns 127.0.0.1 with a free port.
func FreeAddress(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", FreePort(t))
}

func portFree(host string, port int) bool {
	address := fmt.Sprintf("%s:%d", host, port)
	stream, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	defer stream.Close()
	packets, err := net.ListenPacket("udp", address)
	if err != nil {
		return false
	}
	packets.Close()
	return true
}

// AddressFree tells whether nobody listens on the address.
func AddressFree(address string) bool {
	stream, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	stream.Close()
	return true
}
