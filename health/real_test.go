package health

import (
	"net"
	"testing"
	"time"

	"evenkeel/fsm"
)

func TestARealServerGoesDownAndComesBack(t *testing.T) {
	address := closedAddress(t)
	r := newRegistry(t, "n1")
	r.must(putCheck(func(c *fsm.Check) {
		c.Interval, c.Timeout = fsm.Duration(100*time.Millisecond), fsm.Duration(100*time.Millisecond)
	}))
	r.must(putBackend("web", address, fsm.AdminReady))
	run(t, New(Config{Self: "n1"}), r)
	r.await("web", fsm.HealthDown)
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("the port was taken meanwhile: %v", err)
	}
	r.await("web", fsm.HealthUp)
	listener.Close()
	r.await("web", fsm.HealthDown)
}

// await waits until the verdict is the one wanted.
func (r *registry) await(backend string, want fsm.Health) {
	r.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		state, changed := r.Watch()
		if state.Backend("default", backend).Status.Health == want {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			r.t.Fatalf("%s is %s, want %s", backend, r.health(backend), want)
		}
	}
}
