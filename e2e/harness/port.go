package harness

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Ports below the range from which kernels take those of outgoing
// connections: one that is free now is still free when a node, or a node that
// restarts, binds it.
const (
	lowestPort  = 20000
	highestPort = 29999
)

// FreePort returns a port of the loopback address that neither TCP nor UDP
// uses.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := lowestPort + rand.IntN(highestPort-lowestPort+1)
		if portFree("127.0.0.1", port) {
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
