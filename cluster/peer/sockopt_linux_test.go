package peer

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestWhatIsLostIsSentAgainInTime(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	connection, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	tcp := connection.(*net.TCPConn)
	if err := prepare(newBudgetConn(tcp, nil), time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for name, option := range map[string]struct{ number, want int }{
		"TCP_USER_TIMEOUT":         {unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds())},
		"TCP_RTO_MIN_US":           {unix.TCP_RTO_MIN_US, int(retransmitAfter.Microseconds())},
		"TCP_THIN_LINEAR_TIMEOUTS": {unix.TCP_THIN_LINEAR_TIMEOUTS, 1},
	} {
		var got int
		var failure error
		if err := raw.Control(func(fd uintptr) { got, failure = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, option.number) }); err != nil {
			t.Fatal(err)
		}
		switch {
		case failure == unix.ENOPROTOOPT: //nolint:errorlint // it is a plain number
			t.Logf("this kernel does not know %s", name)
		case failure != nil || got != option.want:
			t.Errorf("%s is %d (%v), want %d", name, got, failure, option.want)
		}
	}
}
