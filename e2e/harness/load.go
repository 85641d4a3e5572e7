package harness

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// connectionsPerTarget is how many keep-alive clients share a target's part
// of the rate.
const connectionsPerTarget = 4

// Load is a steady flow of GET requests to some addresses over keep-alive
// connections.
type Load struct {
	quit    chan struct{}
	stop    func()
	workers sync.WaitGroup
	targets map[string]*target
}

// target is one address that gets requests, and what came back.
type target struct {
	address   string
	mayRefuse atomic.Bool // a refused connect is no failure
	answered  atomic.Int64
	sent      atomic.Int64 // what was refused is among them

	mu       sync.Mutex // guards what follows
	failures []string
	byName   map[string]int
	took     []taken
}

// taken is what an answered request took.
type taken struct {
	begin time.Time
	d     time.Duration
}

// StartLoad sends perSecond requests per second, spread evenly over the
// addresses, until Stop or the test's end.
func StartLoad(t testing.TB, perSecond int, addresses ...string) *Load {
	t.Helper()
	l := &Load{quit: make(chan struct{}), targets: make(map[string]*target)}
	l.stop = sync.OnceFunc(func() {
		close(l.quit)
		l.workers.Wait()
	})
	t.Cleanup(l.stop)
	pause := time.Duration(len(addresses)*connectionsPerTarget) * time.Second / time.Duration(perSecond)
	for i, address := range addresses {
		aim := &target{address: address, byName: make(map[string]int)}
		l.targets[address] = aim
		for j := range connectionsPerTarget {
			// The workers begin at different times, so that requests come one
			// by one.
			offset := pause * time.Duration(j*len(addresses)+i) / time.Duration(len(addresses)*connectionsPerTarget)
			l.workers.Go(func() { aim.send(l.quit, offset, pause) })
		}
	}
	return l
}

func (g *target) send(quit <-chan struct{}, offset, pause time.Duration) {
	client := &Keepalive{Address: g.address}
	defer client.Close()
	select {
	case <-quit:
		return
	case <-time.After(offset):
	}
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		select {
		case <-quit:
			return
		case <-ticker.C:
		}
		begin := time.Now()
		reply, err := client.Get("/")
		g.record(begin, reply, err)
	}
}

func (g *target) record(begin time.Time, reply Reply, err error) {
	g.sent.Add(1)
	if errors.Is(err, errRefused) && g.mayRefuse.Load() {
		return
	}
	if err == nil && reply.Status >= 500 {
		err = fmt.Errorf("%d %s", reply.Status, reply.Body)
	}
	g.answered.Add(1)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		g.failures = append(g.failures, fmt.Sprintf("%s sent at %s, after %v: %v",
			g.address, begin.Format("15:04:05.000"), time.Since(begin).Round(time.Millisecond), err))
		return
	}
	g.byName[reply.Body]++
	g.took = append(g.took, taken{begin, time.Since(begin)})
}

// Quantile returns what requests took that were sent between two moments and
// answered well: 0.5 is the median.
func (l *Load) Quantile(q float64, from, to time.Time) time.Duration {
	var all []time.Duration
	for _, aim := range l.targets {
		aim.mu.Lock()
		for _, one := range aim.took {
			if one.begin.After(from) && one.begin.Before(to) {
				all = append(all, one.d)
			}
		}
		aim.mu.Unlock()
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[int(q*float64(len(all)-1))]
}

// MayRefuse tells whether a refused connect at the address is no failure:
// while its node is down on purpose and after it was told to stop.
func (l *Load) MayRefuse(address string, may bool) { l.targets[address].mayRefuse.Store(may) }

// WaitRequests returns when each address has answered or failed that many more
// requests.
func (l *Load) WaitRequests(t testing.TB, count int64, addresses ...string) {
	t.Helper()
	for _, address := range addresses {
		aim := l.targets[address]
		before := aim.answered.Load()
		Eventually(t, fmt.Sprintf("%d requests to %s", count, address), func() error {
			if done := aim.answered.Load() - before; done < count {
				return fmt.Errorf("%d so far", done)
			}
			return nil
		})
	}
}

// Answered returns how many requests have been answered or have failed.
func (l *Load) Answered() int64 {
	var sum int64
	for _, aim := range l.targets {
		sum += aim.answered.Load()
	}
	return sum
}

// Sent returns how many requests were made, those that were refused too.
func (l *Load) Sent() int64 {
	var sum int64
	for _, aim := range l.targets {
		sum += aim.sent.Load()
	}
	return sum
}

// Failures returns the failed requests so far.
func (l *Load) Failures() []string {
	return l.FailuresAt(slices.Collect(maps.Keys(l.targets))...)
}

// FailuresAt returns those at some addresses.
func (l *Load) FailuresAt(addresses ...string) []string {
	var all []string
	for _, address := range addresses {
		aim := l.targets[address]
		aim.mu.Lock()
		all = append(all, aim.failures...)
		aim.mu.Unlock()
	}
	return all
}

// ByName returns how many answers each backend has given so far.
func (l *Load) ByName() map[string]int {
	sum := make(map[string]int)
	for _, aim := range l.targets {
		aim.mu.Lock()
		for name, count := range aim.byName {
			sum[name] += count
		}
		aim.mu.Unlock()
	}
	return sum
}

// Stop ends the flow and waits for the last answer.
func (l *Load) Stop() { l.stop() }

// StopClean ends the flow and fails the test if any request has failed.
func (l *Load) StopClean(t testing.TB) {
	t.Helper()
	l.Stop()
	if failures := l.Failures(); len(failures) > 0 {
		t.Errorf("%d of %d requests failed:\n%s", len(failures), l.Answered(),
			strings.Join(failures[:min(len(failures), 20)], "\n"))
	}
	if l.Answered() == 0 {
		t.Error("the load sent no request at all")
	}
}
