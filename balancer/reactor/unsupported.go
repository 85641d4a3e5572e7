//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package reactor

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"time"
)

// Systems without epoll and kqueue have no event loops: [New] says so, and
// nothing of what follows is ever called with a descriptor.

var errUnsupported = fmt.Errorf("event loops on %s: %w", runtime.GOOS, errors.ErrUnsupported)

type event struct {
	flags      uint32
	fd         int32
	generation uint32
}

const (
	eventReadable = 1 << iota
	eventWritable
	eventHangUp
	eventReset // with eventHangUp
)

const briefWait time.Duration = 0

type poller struct{}

func (*poller) open() error                     { return errUnsupported }
func (*poller) add(int32, uint32) error         { return errUnsupported }
func (*poller) wake()                           {}
func (*poller) poll([]event, time.Duration) int { return 0 }
func (*poller) wait([]event, time.Duration) int { return 0 }
func (*poller) close()                          {}

const (
	inherited = false
	spreads   = false
)

func receive(int32, []byte) (int, syscall.Errno)          { return 0, syscall.ENOSYS }
func send(int32, []byte, bool) (int, syscall.Errno)       { return 0, syscall.ENOSYS }
func splice(_, _ int32, _ int) (int, syscall.Errno)       { return 0, syscall.ENOSYS }
func accept(int32) (int32, netip.AddrPort, syscall.Errno) { return 0, netip.AddrPort{}, syscall.ENOSYS }
func dialSocket(netip.AddrPort) (int32, error)            { return 0, errUnsupported }
func listenSocket(netip.AddrPort, bool) (int32, error)    { return 0, errUnsupported }
func socketError(int32) error                             { return errUnsupported }
func refuseNew(int32) error                               { return errUnsupported }
func openPipe(int) (pipe, bool)                           { return pipe{}, false }
func isSilent(int32) bool                                 { return false }
func hasIPv6() bool                                       { return false }
func closeFD(int32)                                       {}
func shutdownWrite(int32)                                 {}
func resetOnClose(int32)                                  {}
func setUpAccepted(int32)                                 {}
func endsOf(int32) (peer, own netip.AddrPort)             { return peer, own }

func handOver([]*Loop, []Acceptor) func(int32, netip.AddrPort) { return nil }
