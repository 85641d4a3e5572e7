//go:build linux

package faults

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

// TestF4PowerLoss: all nodes lose their power at once, at moments that the seed
// tells. One that starts alone serves what it knew last; with the others it has
// a quorum again, and everything that was acknowledged.
func TestF4PowerLoss(t *testing.T) {
	switchedOn(t)
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 4))
			s := newRecorded(t, seed%2 == 1)
			s.start(t)
			s.waitImages(t)
			s.writes.WaitAcknowledged(t, 1+random.IntN(60))
			pause(time.Duration(random.IntN(100)) * time.Millisecond)
			s.losePower(t)
			s.returns(t)
		})
	}
}

// TestF4PowerLossAtASnapshot that raft makes of one node's log at that moment,
// which is cut off after it.
func TestF4PowerLossAtASnapshot(t *testing.T) {
	switchedOn(t)
	for seed := range uint64(2) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 44))
			s := newRecorded(t, true)
			s.start(t)
			s.waitImages(t)
			s.waitSnapshots(t, s.Nodes...)
			s.waitSnapshots(t, s.Nodes[random.IntN(len(s.Nodes))])
			pause(time.Duration(random.IntN(20)) * time.Millisecond)
			s.losePower(t)
			s.returns(t)
		})
	}
}

// TestF4PowerLossAfterARestore of the whole registry.
func TestF4PowerLossAfterARestore(t *testing.T) {
	switchedOn(t)
	s := newRecorded(t, true)
	s.start(t)
	s.waitImages(t)
	s.writes.Stop()
	saved, err := s.Nodes[0].Call(http.MethodGet, "/v1/snapshot", nil)
	if err != nil || saved.Status != http.StatusOK {
		t.Fatalf("save: %+v, %v", saved, err)
	}
	s.Nodes[1].Write(t, http.MethodPut, "/v1/pools/later", map[string]any{})
	s.Nodes[2].Write(t, http.MethodPut, "/v1/snapshot", saved.Body)
	s.losePower(t)
	s.returns(t)
	for _, n := range s.Nodes {
		if answer, err := n.Call(http.MethodGet, "/v1/pools/later", nil); err != nil || answer.Status != http.StatusNotFound {
			t.Errorf("%s has a pool that the snapshot lacks: %+v, %v", n.Name, answer, err)
		}
	}
}

// TestF4PowerLossWhileForming: whatever the founders knew of each other, they
// form one cluster when they are back, and what it acknowledged is in it.
func TestF4PowerLossWhileForming(t *testing.T) {
	switchedOn(t)
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 444))
			s := newRecorded(t, false)
			for _, n := range s.Nodes {
				n.Start(t)
			}
			backends := harness.NewBackends(t, 2)
			if seed < 4 {
				pause(time.Duration(random.IntN(1500)) * time.Millisecond)
			} else { // right after the first write
				s.Nodes[0].Add(t, backends...)
			}
			s.losePower(t)
			for _, n := range s.Nodes {
				n.Start(t)
			}
			s.WaitFormed(t)
			if seed < 4 {
				s.Nodes[0].Add(t, backends...)
			}
			for _, n := range s.Nodes {
				n.WaitServes(t)
			}
			s.WaitSame(t)
		})
	}
}

// newRecorded prepares three nodes that record what a loss of power would
// leave.
func newRecorded(t *testing.T, snapshots bool) *subject {
	t.Helper()
	s := prepareSubject(t, harness.OverlaidBinary(t))
	for _, n := range s.Nodes {
		n.RecordPower(t)
		if snapshots {
			n.Env = append(n.Env, "EVENKEEL_INJECT_SNAPSHOT=often")
		}
	}
	return s
}

// pause is for a moment that is nobody's event.
func pause(d time.Duration) { <-time.After(d) }

// waitImages waits until each node's image has the backends in it.
func (s *subject) waitImages(t *testing.T) {
	t.Helper()
	harness.Eventually(t, "each node has an image with backends", func() error {
		for _, n := range s.Nodes {
			image, err := os.ReadFile(filepath.Join(n.Dir, "image"))
			if err != nil {
				return err
			}
			if !bytes.Contains(image, []byte(`"b2"`)) {
				return errors.New("the image of " + n.Name + " has no backend b2")
			}
		}
		return nil
	})
}

// waitSnapshots waits until each of the nodes makes another snapshot.
func (s *subject) waitSnapshots(t *testing.T, nodes ...*harness.Node) {
	t.Helper()
	newest := func(n *harness.Node) string {
		all, err := os.ReadDir(filepath.Join(n.Dir, "snapshots"))
		if err != nil || len(all) == 0 {
			return ""
		}
		return all[len(all)-1].Name()
	}
	for _, n := range nodes {
		before := newest(n)
		harness.Eventually(t, n.Name+" makes a snapshot", func() error {
			if newest(n) == before {
				return errors.New("it is still " + before)
			}
			return nil
		})
	}
}

// losePower ends all nodes at once, and undoes what was not synced.
func (s *subject) losePower(t *testing.T) {
	t.Helper()
	var kills sync.WaitGroup
	for _, n := range s.Nodes {
		kills.Go(n.Kill)
	}
	kills.Wait()
	if s.load != nil {
		s.writes.Stop()
		s.load.Stop()
	}
	for _, n := range s.Nodes {
		n.LosePower(t)
	}
}

// returns starts the nodes after a loss of power and checks what they promise.
func (s *subject) returns(t *testing.T) {
	t.Helper()
	first := s.Nodes[0]
	begun := time.Now()
	first.Start(t)
	first.WaitServes(t)
	t.Logf("the first node served %v after its start, without a quorum", time.Since(begun).Round(10*time.Millisecond))
	if info, err := first.Cluster(); err != nil || info.Quorum || info.ID == "" || info.Detached != "" {
		t.Fatalf("alone: %+v, %v", info, err)
	}
	lone := harness.StartLoad(t, dataRate/3, first.HTTP)
	lone.WaitRequests(t, 100, first.HTTP)
	begun = time.Now()
	for _, n := range s.Nodes[1:] {
		n.Start(t)
	}
	harness.Eventually(t, "the nodes have a leader", func() error {
		for _, n := range s.Nodes {
			if info, err := n.Cluster(); err != nil || !info.Quorum {
				return fmt.Errorf("%s: %+v, %v", n.Name, info, err)
			}
		}
		return nil
	})
	t.Logf("the quorum was back %v after the start of the others, 3s was to be reached", time.Since(begun).Round(10*time.Millisecond))
	s.WaitFormed(t)
	s.WaitSame(t)
	for _, n := range s.Nodes {
		if lost, err := s.writes.Lost(n.API); err != nil || len(lost) > 0 {
			t.Errorf("%s lost %d of %d acknowledged writes: %v, %v", n.Name, len(lost), s.writes.Acknowledged(), lost, err)
		}
		n.WaitServes(t)
	}
	lone.StopClean(t)
	after := harness.StartWrites(t, "after", harness.APIs(s.Nodes)...)
	after.WaitAcknowledged(t, 20)
	after.Stop()
	s.WaitSame(t)
}
