//go:build linux

package health

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

const (
	flappers    = 200
	flapSpan    = 30 * time.Second
	flapRate    = 600 // requests a second of the data path that is measured
	flapTraffic = 20 * time.Millisecond
	// mostCommits bounds what the registry accepts while they flap: of each of
	// three nodes a command with all its votes every 800 ms, some more at the
	// beginning, and the leader's, which ends holds, as many again.
	mostCommits = 6 * (int(flapSpan/(800*time.Millisecond)) + 8)
)

// TestFlappingBackendsHarmNeitherClusterNorTraffic has backends open and close
// their ports again and again, with a little traffic to them, and measures the
// traffic to others. Once the check is that of the figures, once it
// takes every flap for a transition.
func TestFlappingBackendsHarmNeitherClusterNorTraffic(t *testing.T) {
	onlyInCampaign(t)
	f := newFlapTest(t)
	f.measure("flapping each second", object{"type": "http"}, 3)
	f.measure("the same, interval 0.5 s, rise and fall 1",
		object{"type": "http", "interval": "500ms", "timeout": "250ms", "rise": 1, "fall": 1}, 1)
}

type flapTest struct {
	*harness.Cluster
	t       *testing.T
	process *harness.Process
	load    *harness.Load
	// sent and failed are requests to the backends that flap.
	sent, failed atomic.Int64
}

func newFlapTest(t *testing.T) *flapTest {
	t.Helper()
	f := &flapTest{t: t, Cluster: harness.NewCluster(t, harness.Options{Nodes: 3})}
	steady := startProcess(t, "steady", "127.0.2.1:9000", "127.0.2.2:9000", "127.0.2.3:9000")
	put(t, f.Nodes[0], "/v1/pools/"+flapName, object{"check": object{"type": "http"}})
	put(t, f.Nodes[0], "/v1/routes/"+flapName, object{"match": object{"path": "/flap"}, "pools": []any{object{"name": flapName}}})
	for i := range 3 {
		put(t, f.Nodes[0], fmt.Sprintf("/v1/pools/default/backends/b%d", i), object{"address": fmt.Sprintf("127.0.2.%d:9000", i+1)})
	}
	var addresses []string
	for i := range flappers {
		addresses = append(addresses, fmt.Sprintf("127.0.3.%d:9000", i+1))
	}
	f.process = startProcess(t, flapName, addresses...)
	for i, address := range addresses {
		put(t, f.Nodes[0], fmt.Sprintf("/v1/pools/%s/backends/f%d", flapName, i), object{"address": address})
	}
	if !steady.Running() {
		t.Fatal("the steady backends have ended")
	}
	f.load = harness.StartLoad(t, flapRate, harness.HTTPAddresses(f.Nodes)...)
	f.startTraffic()
	return f
}

// measure compares a quiet time with one in which backends flap, some times.
func (f *flapTest) measure(what string, check object, times int) {
	f.t.Helper()
	put(f.t, f.Nodes[0], "/v1/pools/"+flapName, object{"check": check})
	failed, sent := f.failed.Load(), f.sent.Load()
	var ratios []float64
	var commits []int
	var p99s []string
	begun := f.info()
	for range times {
		f.waitAllUp()
		quiet := f.span()
		before := f.info()
		toggle(f.t, f.process)
		busy := f.span()
		commits = append(commits, int(f.info().Version-before.Version))
		toggle(f.t, f.process)
		ratios = append(ratios, float64(busy)/float64(quiet))
		p99s = append(p99s, fmt.Sprintf("%s, quiet %s", millis(busy), millis(quiet)))
		f.t.Logf("%s: p99 %s, %d commits", what, p99s[len(p99s)-1], commits[len(commits)-1])
	}
	slices.Sort(ratios)
	ratio, most := ratios[len(ratios)/2], slices.Max(commits)
	elections := f.info().Term - begun.Term
	what = fmt.Sprintf("%d backends, %s, for %v", flappers, what, flapSpan)
	judge(f.t, most <= mostCommits, row{what + ": commits", fmt.Sprintf("bounded, ≤ %d", mostCommits), fmt.Sprint(commits)})
	judge(f.t, elections == 0, row{"elections meanwhile", "0", fmt.Sprint(elections)})
	judge(f.t, ratio <= 1.2, row{"p99 of requests to others beside a quiet time", "≤ 1.2", fmt.Sprintf("%.2f (%.2f; %v)", ratio, ratios, p99s)})
	note(f.t, "failed requests to those that flap", "%d of %d", f.failed.Load()-failed, f.sent.Load()-sent)
	if failures := f.load.Failures(); len(failures) > 0 {
		f.t.Errorf("%d requests to others failed: %v", len(failures), failures[:min(len(failures), 5)])
	}
}

// span lets time go by and returns the data path's p99 in it.
func (f *flapTest) span() time.Duration {
	from := time.Now()
	pause(flapSpan)
	return f.load.Quantile(0.99, from, time.Now())
}

func (f *flapTest) info() (info harness.ClusterInfo) {
	f.t.Helper()
	harness.Eventually(f.t, "the leader tells where it is", func() (err error) {
		info, err = f.Leader(f.t).Cluster()
		return err
	})
	return info
}

// waitAllUp waits until all flapping backends are up again, and no longer held:
// damping may keep them out for minutes.
func (f *flapTest) waitAllUp() {
	f.t.Helper()
	harness.Within(f.t, 6*time.Minute, "all that flapped are up", func() error {
		backends, err := f.Nodes[0].Backends(flapName)
		if err != nil {
			return err
		}
		down := 0
		for _, s := range backends {
			if s.Status.Health != "up" {
				down++
			}
		}
		if down > 0 {
			return fmt.Errorf("%d are not", down)
		}
		return nil
	})
}

// startTraffic sends a little to the flapping pool of each node, until the test
// ends: it is evidence.
func (f *flapTest) startTraffic() {
	quit := make(chan struct{})
	var running sync.WaitGroup
	f.t.Cleanup(func() { close(quit); running.Wait() })
	for _, n := range f.Nodes {
		running.Go(func() {
			client := &harness.Keepalive{Address: n.HTTP}
			defer client.Close()
			ticker := time.NewTicker(flapTraffic)
			defer ticker.Stop()
			for {
				select {
				case <-quit:
					return
				case <-ticker.C:
				}
				reply, err := client.Get("/flap")
				f.sent.Add(1)
				if err != nil || reply.Status != http.StatusOK {
					f.failed.Add(1)
				}
			}
		})
	}
}
