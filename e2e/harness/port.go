package harness

import (
	"net"
	"testing"

	"evenkeel/internal/freeport"
)

// FreeAddress returns 127.0.0.1 with a free port.
func FreeAddress(t testing.TB) string {
	t.Helper()
	return freeport.Address(t, "127.0.0.1")
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
