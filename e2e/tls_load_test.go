package e2e

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"evenkeel/e2e/harness"
)

// handshakes is a flow of requests to every node of a cluster, each on a
// connection of its own.
type handshakes struct {
	stop     func()
	answered map[string]*atomic.Int64 // by node

	mu       sync.Mutex // guards failures
	failures []string
}

// load makes connections until the test ends or it is stopped.
func (s *secured) load(t *testing.T) *handshakes {
	t.Helper()
	l := &handshakes{answered: map[string]*atomic.Int64{}}
	quit := make(chan struct{})
	var workers sync.WaitGroup
	for _, node := range s.Running() {
		answered := new(atomic.Int64)
		l.answered[node.Name] = answered
		workers.Go(func() {
			for {
				select {
				case <-quit:
					return
				default:
				}
				if _, err := s.once(node, s.client("a.example")); err != nil {
					l.fail(fmt.Sprintf("%s: %v", node.Name, err))
				}
				answered.Add(1)
			}
		})
	}
	l.stop = sync.OnceFunc(func() {
		close(quit)
		workers.Wait()
	})
	t.Cleanup(l.stop)
	return l
}

func (l *handshakes) fail(failure string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, failure)
}

// waitRequests waits until every node has answered as many more.
func (l *handshakes) waitRequests(t *testing.T, more int64) {
	t.Helper()
	for node, answered := range l.answered {
		until := answered.Load() + more
		harness.Eventually(t, node+" is asked", func() error {
			if now := answered.Load(); now < until {
				return fmt.Errorf("%d requests of %d", now, until)
			}
			return nil
		})
	}
}

// stopClean ends the load, of which nothing may have failed.
func (l *handshakes) stopClean(t *testing.T) {
	t.Helper()
	l.stop()
	for _, failure := range l.failures {
		t.Error(failure)
	}
}
