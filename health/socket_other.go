//go:build !linux

package health

import (
	"errors"
	"net/netip"
	"syscall"
)

// Elsewhere than on Linux the engine does not open, and all probes take the
// general way. What follows is there to be compiled.

const (
	errAgain  = syscall.EAGAIN
	maxEvents = 1
)

type event struct {
	slot                       int32
	generation                 uint32
	readable, writable, hungUp bool
}

type poller struct{}

func (*poller) open() error               { return errors.ErrUnsupported }
func (*poller) listen(chan<- struct{})    {}
func (*poller) watch(*errand, bool) error { return errors.ErrUnsupported }
func (*poller) ignore(int32)              {}
func (*poller) poll() []event             { return nil }
func (*poller) close()                    {}
func send(int32, []byte) (int, error)     { return 0, errors.ErrUnsupported }
func receive(int32, []byte) (int, error)  { return 0, errors.ErrUnsupported }
func socketError(int32) error             { return errors.ErrUnsupported }
func closeFD(int32)                       {}
func silent(int32) bool                   { return false }
func descriptors() int                    { return 0 }

func connectedToItself(int32, netip.AddrPort) bool { return false }

func connect(netip.AddrPort, bool) (int32, bool, error) { return -1, false, errors.ErrUnsupported }
