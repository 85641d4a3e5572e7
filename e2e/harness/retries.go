package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// retryWriters is how many clients write at once, each at most
	// retryWritesPerSecond times a second.
	retryWriters         = 4
	retryWritesPerSecond = 60
	// retryPause is between two rounds of all nodes.
	retryPause = 5 * time.Millisecond
)

// RetriedWrites is a steady flow of writes by clients that know all nodes: each
// sends a write to another node until one acknowledges it. That is safe, as it
// is a PUT of a pool of its own.
type RetriedWrites struct {
	name  string
	apis  []API
	quit  chan struct{}
	stop  func()
	tasks sync.WaitGroup

	mu           sync.Mutex // guards what follows
	acknowledged []string
	retries      map[string]int // by kind
	faults       []string
	last         time.Time // the last acknowledgement, or the start
	gap          time.Duration
}

// StartRetriedWrites writes until Stop or the test's end. The name tells this
// flow's pools from those of other flows of the same cluster.
func StartRetriedWrites(t testing.TB, name string, nodes ...*Node) *RetriedWrites {
	t.Helper()
	w := &RetriedWrites{name: name, apis: APIs(nodes), quit: make(chan struct{}), last: time.Now(), retries: map[string]int{}}
	w.stop = sync.OnceFunc(func() {
		close(w.quit)
		w.tasks.Wait()
	})
	t.Cleanup(w.stop)
	for i := range retryWriters {
		w.tasks.Go(func() { w.run(i) })
	}
	return w
}

func (w *RetriedWrites) run(writer int) {
	ticker := time.NewTicker(time.Second / retryWritesPerSecond)
	defer ticker.Stop()
	for round := 0; ; round++ {
		select {
		case <-w.quit:
			return
		case <-ticker.C:
			w.write(writer, fmt.Sprintf("%s-%d-%d", w.name, writer, round))
		}
	}
}

// write goes on until the write is acknowledged, or Patience ends.
func (w *RetriedWrites) write(writer int, name string) {
	deadline := time.Now().Add(Patience)
	for try := 0; ; try++ {
		kind, fault := w.attempt(w.apis[(writer+try)%len(w.apis)], name)
		if fault == "" || !w.retry(kind, name+": "+fault, time.Now().After(deadline)) {
			return
		}
		if try%len(w.apis) == len(w.apis)-1 { // all of them refused
			<-time.After(retryPause)
		}
	}
}

// attempt returns what is wrong, and of which kind that is, or "".
func (w *RetriedWrites) attempt(api API, name string) (kind, fault string) {
	answer, err := api.Call(http.MethodPut, "/v1/pools/"+name, map[string]any{})
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connect refused", err.Error()
	case err != nil:
		return "no answer", err.Error()
	case answer.Status == http.StatusCreated, answer.Status == http.StatusOK:
		w.acknowledge(name)
		return "", ""
	}
	var problem Problem
	if err := json.Unmarshal(answer.Body, &problem); err != nil {
		return fmt.Sprint(answer.Status), fmt.Sprintf("%d %s", answer.Status, answer.Body)
	}
	return path.Base(problem.Type), fmt.Sprintf("%d %s", answer.Status, answer.Body)
}

func (w *RetriedWrites) acknowledge(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.gap, w.last = max(w.gap, now.Sub(w.last)), now
	w.acknowledged = append(w.acknowledged, name)
}

// retry records a failed attempt and tells whether there is to be another.
func (w *RetriedWrites) retry(kind, fault string, late bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.retries[kind]++
	if late {
		w.faults = append(w.faults, fault)
	}
	return !late
}

// Gap returns the longest time so far without an acknowledgement, and forgets
// it.
func (w *RetriedWrites) Gap() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	gap := w.gap
	w.gap = 0
	return gap
}

// Acknowledged returns how many writes were accepted so far.
func (w *RetriedWrites) Acknowledged() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acknowledged)
}

// WaitAcknowledged waits until that many more writes were accepted.
func (w *RetriedWrites) WaitAcknowledged(t testing.TB, count int) {
	t.Helper()
	before := w.Acknowledged()
	Eventually(t, fmt.Sprintf("%d acknowledged writes", count), func() error {
		if done := w.Acknowledged() - before; done < count {
			return fmt.Errorf("%d so far", done)
		}
		return nil
	})
}

// Stop ends the flow and waits for the last answer.
func (w *RetriedWrites) Stop() { w.stop() }

// CheckKept fails the test if a write was given up, or if one of the nodes
// lacks a write that was acknowledged.
func (w *RetriedWrites) CheckKept(t testing.TB, nodes ...*Node) {
	t.Helper()
	w.mu.Lock()
	acknowledged, faults, retries := w.acknowledged, w.faults, maps.Clone(w.retries)
	w.mu.Unlock()
	if len(faults) > 0 {
		t.Errorf("%d writes failed for a client that retries:\n%s", len(faults), strings.Join(faults[:min(len(faults), 20)], "\n"))
	}
	for _, n := range nodes {
		lost, err := missingPools(n.API, acknowledged)
		if err != nil {
			t.Fatal(err)
		}
		if len(lost) > 0 {
			t.Errorf("%s lost %d of %d acknowledged writes: %v", n.Name, len(lost), len(acknowledged), lost)
		}
	}
	t.Logf("writes: %d acknowledged, attempts repeated by cause: %v", len(acknowledged), retries)
}
