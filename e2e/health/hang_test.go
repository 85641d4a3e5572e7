//go:build linux

package health

import (
	"fmt"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

const (
	// checkTimeout and checkInterval are the defaults of a check.
	checkTimeout  = time.Second
	checkInterval = 2 * time.Second
	checkFall     = 3
	// firstByte is the data path's timeout for a response to begin.
	firstByte = 200 * time.Millisecond
)

// TestAHangingBackendIsAgreedDownByEvidence pauses a backend under traffic: its
// kernel accepts connections, and nothing answers. The first timeout in the data
// path is taken to be firstByte after the pause, the earliest that it can be.
func TestAHangingBackendIsAgreedDownByEvidence(t *testing.T) {
	onlyInCampaign(t)
	b := newBed(t)
	b.pool("default", object{"check": checkOf("http"), "timeouts": object{"first_byte": firstByte.String()}})
	watch := watchVerdicts(t, b.Nodes, "default")
	for _, other := range []*backend{b.start("default", "b1"), b.start("default", "b2")} {
		watch.await(t, other.name, "up", time.Time{})
	}
	load := harness.StartLoad(t, killRate, harness.HTTPAddresses(b.Nodes)...)
	var spans []time.Duration
	for round := range 5 {
		s := b.start("default", fmt.Sprintf("h%d", round))
		watch.await(t, s.name, "up", time.Time{})
		load.WaitRequests(t, busyAttempts, harness.HTTPAddresses(b.Nodes)...)
		at := time.Now()
		s.Pause(t)
		spans = append(spans, watch.await(t, s.name, "down", at).Sub(at)-firstByte)
		b.remove("default", s)
	}
	load.Stop()
	judgeSpans(t, "a backend hangs under traffic: agreed down after the first data-path timeout", spans, 0, checkTimeout+100*time.Millisecond)
	note(t, "requests that fail meanwhile", "%d of %d", len(load.Failures()), load.Sent())
}

// TestAHangingBackendWithoutTrafficIsAgreedDown pauses one process with several
// backends, whose probes have begun at different times.
func TestAHangingBackendWithoutTrafficIsAgreedDown(t *testing.T) {
	onlyInCampaign(t)
	b := newBed(t)
	b.hang("defaults", checkOf("http"), func(spans []time.Duration) {
		judgeSpans(t, "the same without traffic", spans, 0, checkInterval+checkFall*checkTimeout)
	})
}

// hang pauses the backends of a pool of its own three times.
func (b *bed) hang(pool string, check object, tell func([]time.Duration)) {
	b.t.Helper()
	b.pool(pool, object{"check": check, "damping": object{"off": true}})
	const count = 8
	var addresses []string
	names := make([]string, count)
	for i := range count {
		ip := b.address()
		addresses = append(addresses, address(ip, trafficPort), address(ip, checkPort))
		names[i] = fmt.Sprintf("h%d", i)
		put(b.t, b.Nodes[0], "/v1/pools/"+pool+"/backends/"+names[i], object{"address": address(ip, trafficPort)})
	}
	s := startProcess(b.t, pool, addresses...)
	watch := watchVerdicts(b.t, b.Nodes, pool)
	var spans []time.Duration
	var since time.Time
	for range 3 {
		for _, name := range names {
			watch.await(b.t, name, "up", since)
		}
		// A pause of its own length each time meets other phases of the probes.
		pause(time.Duration(len(spans)) * 37 * time.Millisecond)
		at := time.Now()
		s.Pause(b.t)
		for _, name := range names {
			spans = append(spans, watch.await(b.t, name, "down", at).Sub(at))
		}
		since = time.Now()
		s.Resume(b.t)
	}
	s.Kill()
	tell(spans)
}
