//go:build linux

package health

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

const (
	probed     = 5000
	probedEach = 5 * time.Second
	costSpan   = 10 * time.Second
	writers    = 64
	// ticksPerSecond is the unit of /proc/PID/stat on all of Linux's platforms
	// that Go runs on.
	ticksPerSecond = 100
)

// TestCostOfProbing measures one node that probes many backends, which are
// addresses of loopback with one server behind them.
func TestCostOfProbing(t *testing.T) {
	onlyInCampaign(t)
	n := harness.NewCluster(t, harness.Options{Nodes: 1}).Nodes[0]
	startProcess(t, "many", "0.0.0.0:9000")
	empty := anonymous(t, n.PID())
	put(t, n, "/v1/pools/many", object{})
	registerMany(t, n)
	// What the writes left behind would hide what probing takes.
	n.Stop(t)
	n.Start(t)
	n.WaitReady(t)
	pause(2 * probedEach)
	unchecked := anonymous(t, n.PID())
	idle := share(t, n.PID())
	var most float64
	for _, reuse := range []bool{false, true} {
		put(t, n, "/v1/pools/many", object{"check": object{
			"type": "http", "interval": probedEach.String(), "timeout": "1s", "reuse_connection": reuse,
		}})
		shares, megabytes := probing(t, n)
		most = max(most, megabytes)
		how, reached, want := "a connection each", true, "reported"
		if reuse {
			how, reached, want = "reuse_connection", shares[1] <= 10, "≤ 10 % of a core"
		}
		judge(t, reached, row{"CPU of probing 5,000 backends every 5 s over HTTP, " + how, want,
			fmt.Sprintf("%.1f %% (%.1f; without a check %.1f %%)", shares[1], shares, idle)})
	}
	judge(t, most-unchecked <= 60, row{"memory beyond that without a check", "≤ 60 MB",
		fmt.Sprintf("%.1f MB (empty %.1f, registered %.1f, probing %.1f MB)", most-unchecked, empty, unchecked, most)})
}

// probing waits until all backends are up, and returns the node's CPU time as
// shares of a core, in order, and the most memory that it had meanwhile.
func probing(t *testing.T, n *harness.Node) (shares []float64, most float64) {
	t.Helper()
	harness.Eventually(t, "all are up", func() error {
		backends, err := n.Backends("many")
		if err != nil {
			return err
		}
		up := 0
		for _, s := range backends {
			if s.Status.Health == "up" {
				up++
			}
		}
		if up < probed {
			return fmt.Errorf("%d", up)
		}
		return nil
	})
	pause(2 * probedEach)
	for range 3 {
		shares = append(shares, share(t, n.PID()))
		most = max(most, anonymous(t, n.PID()))
	}
	slices.Sort(shares)
	return shares, most
}

// registerMany registers the backends.
func registerMany(t *testing.T, n *harness.Node) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: writers}, Timeout: harness.Patience}
	defer client.CloseIdleConnections()
	work := make(chan int)
	var running sync.WaitGroup
	for range writers {
		running.Go(func() {
			for i := range work {
				if err := registerOne(client, n.Address, i); err != nil {
					t.Errorf("backend %d: %v", i, err)
				}
			}
		})
	}
	for i := range probed {
		work <- i
	}
	close(work)
	running.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

func registerOne(client *http.Client, api string, i int) error {
	body := fmt.Sprintf(`{"address":"127.1.%d.%d:9000"}`, i/250, i%250+1)
	request, err := http.NewRequest(http.MethodPut, fmt.Sprintf("http://%s/v1/pools/many/backends/m%d", api, i), strings.NewReader(body))
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusCreated {
		return fmt.Errorf("%d %s", response.StatusCode, answer)
	}
	return nil
}

// share returns how much of one core a process uses, in percent.
func share(t testing.TB, pid int) float64 {
	t.Helper()
	before, begun := cpuTicks(t, pid), time.Now()
	pause(costSpan)
	return 100 * float64(cpuTicks(t, pid)-before) / ticksPerSecond / time.Since(begun).Seconds()
}

// cpuTicks reads the user and system time of a process, see proc_pid_stat(5).
func cpuTicks(t testing.TB, pid int) (sum int64) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	// The second field is the command in parentheses and may hold blanks.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	for _, field := range fields[11:13] { // utime and stime are fields 14 and 15
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += ticks
	}
	return sum
}

// anonymous reads RssAnon, in MB of 10^6 bytes.
func anonymous(t testing.TB, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kilobytes float64
		if _, err := fmt.Sscanf(line, "RssAnon: %f kB", &kilobytes); err == nil {
			return kilobytes * 1024 / 1e6
		}
	}
	t.Fatal("/proc/PID/status has no line RssAnon")
	return 0
}
