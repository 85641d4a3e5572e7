//go:build linux

package faults

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
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
)

// TestF20TheAPIIsFlooded by 64 clients, in a process of their own, which is
// nicer than the load that measures.
func TestF20TheAPIIsFlooded(t *testing.T) {
	onlyInCampaign(t)
	r := newRow("F20", "API flood of 64 clients", 0, 0, 0)
	b := newBed(t, r, bedOptions{})
	before := time.Now()
	hold(floodFor)
	quiet := b.load.Quantile(0.99, before, time.Now())
	f := b.begin()
	var addresses []string
	for _, n := range b.Nodes {
		addresses = append(addresses, n.Address)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command("nice", "-n", "10", self)
	child.Env = append(os.Environ(), floodEnv+"="+strings.Join(addresses, ","))
	out, err := child.Output()
	if err != nil {
		t.Fatal("the flood: ", err)
	}
	flooded := b.load.Quantile(0.99, f.begun, time.Now())
	b.WaitFormed(t)
	f.end()
	var answered int
	if _, err := fmt.Sscan(string(out), &answered); err != nil || answered < floodClients {
		b.void("the flood was answered %q requests: %v", out, err)
	}
	r.note("data p99 %v, before %v; %d calls of the API", flooded.Round(10*time.Microsecond), quiet.Round(10*time.Microsecond), answered)
	if limit := quiet + quiet/5; flooded > limit {
		t.Errorf("data p99 is %v while the API is flooded, at most %v is wanted", flooded, limit)
	}
	b.finish()
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
