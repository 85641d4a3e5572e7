package harness

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// writesPerSecond is how often each address gets a write.
const writesPerSecond = 20

// Writes is a steady flow of writes to the API of some nodes: each creates a
// pool of its own. It remembers which of them were acknowledged.
type Writes struct {
	name    string
	quit    chan struct{}
	stop    func()
	writers sync.WaitGroup

	mu           sync.Mutex // guards what follows
	acknowledged []string
	unknown      int // writes without an answer or without a known outcome
	refused      int // writes that were told to come back
	faults       []string
}

// StartWrites writes to the nodes until Stop or the test's end. The name tells
// this flow's pools from those of other flows of the same cluster.
func StartWrites(t testing.TB, name string, apis ...API) *Writes {
	t.Helper()
	w := &Writes{name: name, quit: make(chan struct{})}
	w.stop = sync.OnceFunc(func() {
		close(w.quit)
		w.writers.Wait()
	})
	t.Cleanup(w.stop)
	for i, api := range apis {
		w.writers.Go(func() { w.write(i, api) })
	}
	return w
}

func (w *Writes) write(writer int, api API) {
	ticker := time.NewTicker(time.Second / writesPerSecond)
	defer ticker.Stop()
	for round := 0; ; round++ {
		select {
		case <-w.quit:
			return
		case <-ticker.C:
		}
		name := fmt.Sprintf("%s-%d-%d", w.name, writer, round)
		answer, err := api.Call(http.MethodPost, "/v1/pools", map[string]any{"name": name})
		w.record(name, answer, err)
	}
}

func (w *Writes) record(name string, answer *Answer, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err != nil:
		w.faults = append(w.faults, fmt.Sprintf("%s: %v", name, err))
	case answer.Status == http.StatusCreated:
		w.acknowledged = append(w.acknowledged, name)
	case answer.Status == http.StatusServiceUnavailable:
		w.refused++
	case answer.Status == http.StatusGatewayTimeout:
		w.unknown++
	default:
		w.faults = append(w.faults, fmt.Sprintf("%s: %d %s", name, answer.Status, answer.Body))
	}
}

// Acknowledged returns how many writes were accepted so far.
func (w *Writes) Acknowledged() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acknowledged)
}

// WaitAcknowledged waits until that many more writes were accepted.
func (w *Writes) WaitAcknowledged(t testing.TB, count int) {
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
func (w *Writes) Stop() { w.stop() }

// StopClean ends the flow and fails the test if any write was not acknowledged.
func (w *Writes) StopClean(t testing.TB) {
	t.Helper()
	w.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refused+w.unknown+len(w.faults) > 0 {
		t.Errorf("of the writes %d were told to come back, %d are of unknown outcome, and others failed: %v", w.refused, w.unknown, w.faults)
	}
}

// Lost returns the acknowledged writes that the node does not have.
func (w *Writes) Lost(api API) ([]string, error) {
	w.mu.Lock()
	acknowledged := w.acknowledged
	w.mu.Unlock()
	return missingPools(api, acknowledged)
}

// missingPools returns which of the pools a node does not have.
func missingPools(api API, names []string) ([]string, error) {
	var list struct{ Items []Object }
	if err := api.Get("/v1/pools", &list); err != nil {
		return nil, err
	}
	there := make(map[string]bool, len(list.Items))
	for _, object := range list.Items {
		there[object.Name] = true
	}
	var missing []string
	for _, name := range names {
		if !there[name] {
			missing = append(missing, name)
		}
	}
	return missing, nil
}

// CheckKept fails the test if the node lacks an acknowledged write, or if a
// write met anything but an acknowledgement or one of the two answers that
// tell a client to try again.
func (w *Writes) CheckKept(t testing.TB, api API) {
	t.Helper()
	lost, err := w.Lost(api)
	if err != nil {
		t.Fatal(err)
	}
	if len(lost) > 0 {
		t.Errorf("%s lost %d of %d acknowledged writes: %v", api.Address, len(lost), w.Acknowledged(), lost)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, fault := range w.faults {
		t.Errorf("a write failed: %s", fault)
	}
	t.Logf("writes: %d acknowledged, %d told to come back, %d of unknown outcome", len(w.acknowledged), w.refused, w.unknown)
}

// APIs returns the APIs of the nodes.
func APIs(nodes []*Node) []API {
	apis := make([]API, len(nodes))
	for i, n := range nodes {
		apis[i] = n.API
	}
	return apis
}
