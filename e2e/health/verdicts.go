//go:build linux

package health

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

// lookPause is between two looks at a node's verdicts, and so the resolution of
// what is measured by them.
const lookPause = 10 * time.Millisecond

// verdicts is what nodes say of a pool's backends, as it changes.
type verdicts struct {
	nodes []*harness.Node

	mu    sync.Mutex // guards seen
	seen  []sighting
	last  map[string]string // by node and backend
	looks int
}

// sighting is that a node says something else of a backend than before.
type sighting struct {
	node, backend, health string
	at                    time.Time
}

// watchVerdicts looks until the test ends.
func watchVerdicts(t testing.TB, nodes []*harness.Node, pool string) *verdicts {
	v := &verdicts{nodes: nodes, last: map[string]string{}}
	quit := make(chan struct{})
	var running sync.WaitGroup
	t.Cleanup(func() { close(quit); running.Wait() })
	for _, n := range nodes {
		running.Go(func() { v.watch(n, pool, quit) })
	}
	return v
}

func (v *verdicts) watch(n *harness.Node, pool string, quit chan struct{}) {
	client := &http.Client{Transport: &http.Transport{}, Timeout: time.Second}
	defer client.CloseIdleConnections()
	ticker := time.NewTicker(lookPause)
	defer ticker.Stop()
	for {
		select {
		case <-quit:
			return
		case <-ticker.C:
		}
		v.look(client, n, pool)
	}
}

func (v *verdicts) look(client *http.Client, n *harness.Node, pool string) {
	response, err := client.Get("http://" + n.Address + "/v1/backends?pool=" + pool)
	if err != nil {
		return // the next look may succeed; await tells when none does
	}
	defer response.Body.Close()
	var list struct{ Items []harness.Object }
	if json.NewDecoder(response.Body).Decode(&list) != nil {
		return
	}
	now := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.looks++
	for _, b := range list.Items {
		key := n.Name + "/" + b.Name
		if v.last[key] != b.Status.Health {
			v.last[key] = b.Status.Health
			v.seen = append(v.seen, sighting{n.Name, b.Name, b.Status.Health, now})
		}
	}
}

// when returns when the last of the nodes said so for the first time after a
// moment.
func (v *verdicts) when(backend, health string, after time.Time) (time.Time, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	first := map[string]time.Time{}
	for _, s := range v.seen {
		if s.backend == backend && s.health == health && s.at.After(after) && first[s.node].IsZero() {
			first[s.node] = s.at
		}
	}
	if len(first) < len(v.nodes) {
		return time.Time{}, fmt.Errorf("%d of %d nodes say so after %d looks", len(first), len(v.nodes), v.looks)
	}
	var last time.Time
	for _, at := range first {
		if at.After(last) {
			last = at
		}
	}
	return last, nil
}

// await waits until all nodes have said so, and returns when that was.
func (v *verdicts) await(t testing.TB, backend, health string, after time.Time) (at time.Time) {
	t.Helper()
	harness.Eventually(t, fmt.Sprintf("every node says that %s is %s", backend, health), func() (err error) {
		at, err = v.when(backend, health, after)
		return err
	})
	return at
}

// ever tells how often any node came to say so after a moment.
func (v *verdicts) ever(health string, after time.Time) (count int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range v.seen {
		if s.health == health && s.at.After(after) {
			count++
		}
	}
	return count
}

// told makes sure that there were looks at all.
func (v *verdicts) told(t testing.TB) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.seen) == 0 {
		t.Error("no node said anything of any backend")
	}
}
