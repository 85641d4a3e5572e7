package balancer

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"evenkeel/fsm"
)

// busySource has a new state whenever it is asked, and each takes a while to follow.
type busySource struct {
	*registry
	takes   time.Duration
	watched int
}

func (s *busySource) Watch() (*fsm.State, <-chan struct{}) {
	s.watched++
	time.Sleep(s.takes) // as the table does that comes of it
	state, replaced := s.registry.Watch()
	s.do(fsm.Put{Pool: "p", Name: "b", Spec: fsm.BackendSpec{Address: "192.0.2.1:80", Weight: s.watched % 100, AdminState: fsm.AdminReady}})
	return state, replaced
}

func TestTablesOfARegistryThatChangesAllTheTime(t *testing.T) {
	for name, c := range map[string]struct {
		takes time.Duration
		most  int
	}{
		"take a fifth of the time":                     {20 * time.Millisecond, 102},
		"are half a second apart when each takes long": {500 * time.Millisecond, 11},
		"are made every 40 ms when each takes 1 ms":    {time.Millisecond, 255},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := New(Config{Bind: "127.0.0.1", Loops: 1, StopDelay: -1})
			if err != nil {
				t.Fatal(err)
			}
			ended, end := context.WithCancel(context.Background())
			end()
			defer func() { _ = b.engine.Run(ended) }() // closes what it has
			synctest.Test(t, func(t *testing.T) {
				b.started = time.Now()
				source := &busySource{registry: withBackend(t, "192.0.2.1:80"), takes: c.takes}
				ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
				defer stop()
				if err := b.follow(ctx, source); err != nil {
					t.Fatal(err)
				}
				if source.watched > c.most || source.watched < c.most*9/10 {
					t.Errorf("%d tables in 10 s, want %d", source.watched, c.most)
				}
			})
		})
	}
}
