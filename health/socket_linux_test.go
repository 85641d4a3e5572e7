package health

import (
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// A port that nobody listens at can be what the system picks for the near end.
func TestAConnectionToItselfIsNone(t *testing.T) {
	for address, family := range map[string]int{"127.0.0.1": syscall.AF_INET, "::1": syscall.AF_INET6} {
		e := needEngine(t)
		fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Skipf("no %s here: %v", address, err)
		}
		var near syscall.Sockaddr = &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
		if family == syscall.AF_INET6 {
			near = &syscall.SockaddrInet6{Addr: [16]byte{15: 1}}
		}
		if err := syscall.Bind(fd, near); err != nil {
			closeFD(int32(fd))
			t.Skipf("no %s here: %v", address, err)
		}
		if near, err = syscall.Getsockname(fd); err == nil {
			err = syscall.Connect(fd, near)
		}
		if err != nil {
			t.Fatal(err)
		}
		var port int
		switch near := near.(type) {
		case *syscall.SockaddrInet4:
			port = near.Port
		case *syscall.SockaddrInet6:
			port = near.Port
		}
		to := netip.AddrPortFrom(netip.MustParseAddr(address), uint16(port)).String()
		check := reusing()
		x := e.take()
		x.target = targetOf(t, check, to)
		x.prober, x.fd, x.stage = x.target.prober.(direct), int32(fd), connecting
		x.began, x.timeout = time.Now(), time.Duration(check.Timeout)
		e.running = append(e.running, x)
		e.earliest = x.deadline()
		e.react(x, event{writable: true})
		judge(t, e.end(t).err, "connect to "+to+": connection refused")
	}
}

func TestAConnectionThatCannotBeWatchedBlamesNobody(t *testing.T) {
	e := needEngine(t)
	fd := e.poller.fd
	e.poller.fd = -1
	defer func() { e.poller.fd = fd }()
	if r := e.probe(t, targetOf(t, reusing(), serve(t, hang)), false); !Void(r.err) {
		t.Errorf("got %v", r.err)
	}
}
