package peer

import (
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// setUserTimeout lets the kernel give a connection up when data that it sent
// was not acknowledged for so long (TCP_USER_TIMEOUT, RFC 5482). Without it a
// peer that lost its power is noticed after a quarter of an hour.
func setUserTimeout(conn *net.TCPConn, timeout time.Duration) error {
	return setOption(conn, unix.TCP_USER_TIMEOUT, int(timeout.Milliseconds()))
}

// setRetransmit lets the kernel repeat what was not acknowledged after so long and
// the time of a round trip, and for the first six times always after that, where it
// would wait for 200 ms and then twice as long each time (TCP_RTO_MIN_US, since
// Linux 6.15, and TCP_THIN_LINEAR_TIMEOUTS). A kernel that does not know an option
// goes on as before.
func setRetransmit(conn *net.TCPConn, after time.Duration) error {
	for option, value := range map[int]int{unix.TCP_RTO_MIN_US: int(after.Microseconds()), unix.TCP_THIN_LINEAR_TIMEOUTS: 1} {
		if err := setOption(conn, option, value); err != nil && !errors.Is(err, unix.ENOPROTOOPT) {
			return err
		}
	}
	return nil
}

func setOption(conn *net.TCPConn, option, value int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	err = raw.Control(func(fd uintptr) {
		failure = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, option, value)
	})
	if err != nil {
		return err
	}
	return failure
}
