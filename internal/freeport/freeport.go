// Package freeport gives tests ports that nobody else takes before they bind
// them: neither an outgoing connection of this machine, nor another test, nor
// the tests of another process.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// The ports lie below the range from which kernels take those of outgoing
// connections, in blocks. The first port of a block tells whose it is: the
// process that listens there owns the others for as long as it lives.
const (
	lowest    = 20000
	blockSize = 64
	blocks    = 190
)

var mine struct {
	mu    sync.Mutex // guards what follows
	ports []int      // of our blocks, in the order in which they are promised
	next  int
	locks []*net.TCPListener // of our blocks; never closed
}

// Take returns a port on which nobody listens, with TCP or UDP, at any local
// address. A process is given each port once, until all blocks of the machine
// have owners; then it is given its own ones again. The error tells that every
// port is in use. Take is safe for concurrent use.
func Take() (int, error) {
	mine.mu.Lock()
	defer mine.mu.Unlock()
	for tried := 0; tried <= len(mine.ports); tried++ {
		if mine.next == len(mine.ports) && !ownBlock() {
			mine.next = 0
		}
		if mine.next == len(mine.ports) {
			break // not one block
		}
		port := mine.ports[mine.next]
		mine.next++
		if unused(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("find a free port: those of %d blocks are in use, and all others have owners", len(mine.locks))
}

// Port is Take; without a free port the test fails.
func Port(t testing.TB) int {
	t.Helper()
	port, err := Take()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Address returns Port at the host.
func Address(t testing.TB, host string) string {
	t.Helper()
	return net.JoinHostPort(host, strconv.Itoa(Port(t)))
}

// Descriptors returns the file descriptors that the package keeps open until
// the process ends, for tests that look for leaks.
func Descriptors() (all []int, err error) {
	mine.mu.Lock()
	defer mine.mu.Unlock()
	for _, lock := range mine.locks {
		raw, err := lock.SyscallConn()
		if err != nil {
			return nil, err
		}
		if err := raw.Control(func(fd uintptr) { all = append(all, int(fd)) }); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// ownBlock appends a block that has no owner, if there is one.
func ownBlock() bool {
	for _, i := range rand.Perm(blocks) {
		first := lowest + i*blockSize
		lock, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: first})
		if err != nil {
			continue
		}
		mine.locks = append(mine.locks, lock)
		for port := first + 1; port < first+blockSize; port++ {
			mine.ports = append(mine.ports, port)
		}
		return true
	}
	return false
}

func unused(port int) bool {
	address := fmt.Sprintf(":%d", port)
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
