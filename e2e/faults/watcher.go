//go:build linux

package faults

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

const (
	watchPause = 200 * time.Millisecond
	watchLimit = time.Second
)

// watcher looks all the while at what must hold whatever is broken: two nodes
// with the same version of the state have the same state, and a backend that
// always answers is never agreed to be down.
type watcher struct {
	quit    chan struct{}
	running sync.WaitGroup
	end     func()

	mu      sync.Mutex        // guards what follows
	digests map[string]string // of each state that was seen, by cluster and version
	faults  []string
	looks   int
}

func startWatcher(t testing.TB, nodes []*harness.Node) *watcher {
	w := &watcher{quit: make(chan struct{}), digests: map[string]string{}}
	w.end = sync.OnceFunc(func() { close(w.quit); w.running.Wait() })
	for _, n := range nodes {
		client := &http.Client{Transport: &http.Transport{}, Timeout: watchLimit}
		w.running.Go(func() { w.watch(client, n.Name, n.Address) })
	}
	t.Cleanup(w.end)
	return w
}

func (w *watcher) watch(client *http.Client, name, address string) {
	ticker := time.NewTicker(watchPause)
	defer ticker.Stop()
	for {
		var info harness.ClusterInfo
		if get(client, "http://"+address+"/v1/cluster", &info) == nil {
			w.seen(name, info)
		}
		var list struct{ Items []harness.Object }
		if get(client, "http://"+address+"/v1/backends?pool=default", &list) == nil {
			w.health(name, list.Items)
		}
		select {
		case <-w.quit:
			return
		case <-ticker.C:
		}
	}
}

func get(client *http.Client, url string, into any) error {
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %d", url, response.StatusCode)
	}
	return json.NewDecoder(response.Body).Decode(into)
}

func (w *watcher) seen(name string, info harness.ClusterInfo) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks++
	key := fmt.Sprint(info.ID, " ", info.Version)
	if before := w.digests[key]; before != "" && before != info.Digest {
		w.faults = append(w.faults, fmt.Sprintf("%s has digest %s at version %d, and it was %s elsewhere", name, info.Digest, info.Version, before))
	}
	w.digests[key] = info.Digest
}

func (w *watcher) health(name string, backends []harness.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range backends {
		if b.Status.Health == "down" {
			w.faults = append(w.faults, fmt.Sprintf("%s says that backend %s is down, which always answered", name, b.Name))
		}
	}
}

// stop ends the looking and fails the test if anything did not hold.
func (w *watcher) stop(t testing.TB) {
	t.Helper()
	w.end()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.looks == 0 {
		t.Error("the watcher saw no state at all")
	}
	if len(w.faults) > 0 {
		t.Errorf("what must always hold did not, %d times: %v", len(w.faults), w.faults[:min(len(w.faults), 5)])
	}
}
