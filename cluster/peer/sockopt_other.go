//go:build !linux

package peer

import (
	"net"
	"time"
)

// setUserTimeout does nothing where the kernel has no such option: there the
// deadlines of the protocols above notice a dead peer.
func setUserTimeout(*net.TCPConn, time.Duration) error { return nil }

// setRetransmit does nothing: the system's times apply.
func setRetransmit(*net.TCPConn, time.Duration) error { return nil }
