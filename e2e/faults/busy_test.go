//go:build linux

package faults

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

// busyFor is how long a machine is kept busy.
const busyFor = time.Minute

// TestF19TheMachineIsBusy with two loops for each core.
func TestF19TheMachineIsBusy(t *testing.T) {
	onlyInCampaign(t)
	r := newRow("F19", "2 busy loops a core, a minute", 0, 0, 1)
	b := newBed(t, r, bedOptions{})
	f := b.begin()
	var loops []*harness.Process
	for i := range 2 * runtime.NumCPU() {
		name := fmt.Sprintf("loop%d", i)
		loops = append(loops, harness.Start(t, harness.Command{
			Name: name, Path: "/bin/sh", Args: []string{"-c", "while :; do :; done"}, Dir: t.TempDir(), Log: filepath.Join(t.TempDir(), name),
		}))
	}
	hold(busyFor)
	for _, loop := range loops {
		loop.Kill()
	}
	b.WaitFormed(t)
	f.end()
	r.note("data p99 %v, before %v", b.load.Quantile(0.99, f.begun, f.begun.Add(busyFor)).Round(10*time.Microsecond),
		b.load.Quantile(0.99, f.begun.Add(-time.Second), f.begun).Round(10*time.Microsecond))
	b.finish()
}

const (
	floodClients = 64
	floodFor     = 20 * time.Second
	// floodEnv names the APIs that a child of this test floods.
	floodEnv = "EVENKEEL_E2E_FLOOD"
	// measureNice and floodNice are the niceness of who measures and who floods.
	measureNice = -15
	floodNice   = 10
	// idleEnv names where a child of this test only answers, with that many bytes.
	idleEnv  = "EVENKEEL_E2E_IDLE"
	idleBody = 700
)

// TestF20TheAPIIsFlooded by 64 clients, in a process of their own. All share the
// same cores, which real clients do not. So the load that measures, and the
// backends, go before all others, else it is their own waiting that they measure,
// and the flood goes last. And a server that does nothing but answer is flooded
// before: what that costs the data path is not Evenkeel's.
func TestF20TheAPIIsFlooded(t *testing.T) {
	onlyInCampaign(t)
	r := newRow("F20", "API flood of 64 clients", 0, 0, 0)
	b := newBed(t, r, bedOptions{})
	goFirst(t)
	before := time.Now()
	hold(floodFor)
	quiet := b.load.Quantile(0.99, before, time.Now())
	other := startIdle(t, len(b.Nodes))
	control, controlCalls := b.flooded(other.addresses)
	other.Kill()
	f := b.begin()
	var addresses []string
	for _, n := range b.Nodes {
		addresses = append(addresses, n.Address)
	}
	flooded, calls := b.flooded(addresses)
	b.WaitFormed(t)
	f.end()
	r.note("data p99 %v, before %v; %d calls of the API; with %d calls of a server that only answers %v", flooded.Round(10*time.Microsecond),
		quiet.Round(10*time.Microsecond), calls, controlCalls, control.Round(10*time.Microsecond))
	if limit := quiet + quiet/5; flooded > limit {
		t.Errorf("data p99 is %v while the API is flooded, at most %v is wanted", flooded, limit)
	}
	b.finish()
}

// goFirst gives this process priority over the nodes, their event loops included,
// for the rest of its test.
func goFirst(t *testing.T) {
	t.Helper()
	set := func(nice int) error {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, thread := range threads {
			id, err := strconv.Atoi(thread.Name())
			if err != nil {
				return err
			}
			if err := syscall.Setpriority(syscall.PRIO_PROCESS, id, nice); err != nil && !errors.Is(err, syscall.ESRCH) {
				return err
			}
		}
		return nil
	}
	for range 2 { // one that was made meanwhile is found the second time
		if err := set(measureNice); err != nil {
			t.Fatal("the load cannot go first: ", err)
		}
	}
	t.Cleanup(func() {
		if err := set(0); err != nil {
			t.Error(err)
		}
	})
}

// flooded floods some addresses. It returns the 99th percentile of data
// requests meanwhile, and how many requests of the flood were answered.
func (b *bed) flooded(addresses []string) (p99 time.Duration, answered int) {
	b.t.Helper()
	begun := time.Now()
	child := exec.Command("nice", "-n", fmt.Sprint(floodNice-measureNice), itself(b.t)) // it begins with this process's own
	child.Env = append(os.Environ(), floodEnv+"="+strings.Join(addresses, ","))
	out, err := child.Output()
	if err != nil {
		b.t.Fatal("the flood: ", err)
	}
	if _, err := fmt.Sscan(string(out), &answered); err != nil || answered < floodClients {
		b.void("the flood was answered %q requests: %v", out, err)
	}
	return b.load.Quantile(0.99, begun, time.Now()), answered
}

func itself(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// idleServer is a process that only answers, with about as much as a node says
// of the backends of a bed.
type idleServer struct {
	*harness.Process
	addresses []string
}

func startIdle(t *testing.T, count int) idleServer {
	t.Helper()
	var s idleServer
	for range count {
		s.addresses = append(s.addresses, harness.FreeAddress(t))
	}
	s.Process = harness.Start(t, harness.Command{
		Name: "idle", Path: "nice", Args: []string{"-n", fmt.Sprint(-measureNice), itself(t)}, Env: []string{idleEnv + "=" + strings.Join(s.addresses, ",")}, Dir: t.TempDir(), Log: filepath.Join(t.TempDir(), "idle"),
	})
	harness.Eventually(t, "the server that only answers does", func() error {
		for _, address := range s.addresses {
			response, err := http.Get("http://" + address)
			if err != nil {
				return err
			}
			response.Body.Close()
		}
		return nil
	})
	return s
}

// serveIdle answers at some addresses until it is killed.
func serveIdle(addresses []string) int {
	body := []byte(strings.Repeat("x", idleBody))
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
	failed := make(chan error)
	for _, address := range addresses {
		go func() { failed <- http.ListenAndServe(address, answer) }()
	}
	fmt.Fprintln(os.Stderr, <-failed)
	return 1
}

// flood asks APIs as fast as it can and prints how many answers it got.
func flood(addresses []string) int {
	var answered atomic.Int64
	var clients sync.WaitGroup
	until := time.Now().Add(floodFor)
	for i := range floodClients {
		clients.Go(func() {
			client := &http.Client{Transport: &http.Transport{}, Timeout: 5 * time.Second}
			for n := i; time.Now().Before(until); n++ {
				response, err := client.Get("http://" + addresses[n%len(addresses)] + "/v1/backends")
				if err != nil {
					continue // it may refuse
				}
				response.Body.Close()
				answered.Add(1)
			}
		})
	}
	clients.Wait()
	fmt.Println(answered.Load())
	return 0
}
