package cluster

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/hashicorp/raft"

	"evenkeel/cluster/peer"
	"evenkeel/fsm"
)

// A node that is let in behind the command that raises the level could not read
// that.
func TestANodeOfAnOlderBuildIsKeptOutWhileTheLevelRises(t *testing.T) {
	c := newTestCluster(t)
	n := c.form(1)[0]
	uid := newUID()
	eventually(t, "it is refused", func() bool {
		n.level.Lock()
		n.level.rising = fsm.FeatureLevel + 1 // until the leader's next round
		n.level.Unlock()
		_, err := n.admit(t.Context(), uid, hello{meta: meta{Protocol: 1, Name: "old", FeatureLevel: fsm.FeatureLevel}, Addr: "127.0.0.1:1"})
		return peer.IsRemote(err, codeRefused) && strings.Contains(err.Error(), "start a newer build")
	})
}

func TestTheLevelRisesOnceEverybodyIsThere(t *testing.T) {
	c := newTestCluster(t)
	n := c.form(1)[0]
	part := n.consensus.Load()
	eventually(t, "the leader knows its own level", func() bool { return n.commonLevel(part) == fsm.FeatureLevel })
	if err := part.raft.AddNonvoter("nobody", "nobody", 0, time.Second).Error(); err != nil {
		t.Fatal(err)
	}
	if level := n.commonLevel(part); level != 0 {
		t.Errorf("with a server that nobody knows the level may rise to %d", level)
	}
}

// askFor asks for admission of a node of this build.
func askFor(n *testNode, uid string) error {
	_, err := n.admit(context.Background(), uid, hello{meta: meta{Protocol: 1, Name: "new", FeatureLevel: fsm.FeatureLevel}, Addr: "127.0.0.1:1"})
	return err
}

// depose has the node believe that its leadership is over; the next look finds
// another one.
func depose(n *testNode) { n.leaders.set(context.Background(), "", false, 0) }

// What an admission knows of the level is that of its leadership: another leader
// may have raised it in between.
func TestAnAdmissionOutlivesNoLeadership(t *testing.T) {
	t.Run("before it is made", func(t *testing.T) {
		c := newTestCluster(t)
		n := c.form(1)[0]
		part, uid := n.consensus.Load(), newUID()
		part.changing <- struct{}{} // as if a change were under way
		answer := make(chan error, 1)
		go func() { answer <- askFor(n, uid) }()
		eventually(t, "it waits for that change", func() bool {
			if !n.level.TryLock() {
				return true
			}
			n.level.Unlock()
			return false
		})
		depose(n)
		<-part.changing
		if err := <-answer; !peer.IsRemote(err, codeNotLeader) {
			t.Errorf("got %v", err)
		}
		if _, member := part.server(uid); member {
			t.Error("it was let in")
		}
		eventually(t, "it is let in by the next leader", func() bool { return askFor(n, uid) == nil })
	})
	t.Run("while it is made", func(t *testing.T) {
		c := newTestCluster(t)
		gates := c.gatedDisks("n1", "n2", "n3")
		c.form(3)
		n, uid := c.leader(), newUID()
		for _, other := range c.others(n) {
			gates[other.Name()].set(errPlanted, nil)
		}
		answer := make(chan error, 1)
		go func() { answer <- askFor(n, uid) }()
		eventually(t, "the change is under way", func() bool {
			_, member := n.consensus.Load().server(uid)
			return member
		})
		depose(n)
		for _, other := range c.others(n) {
			gates[other.Name()].set(nil, nil)
		}
		if err := <-answer; err == nil {
			t.Error("it was let in by a leader that was none in between")
		}
		eventually(t, "it is let in by the next leader", func() bool { return askFor(c.leader(), uid) == nil })
	})
}

// A change of which nobody knows the outcome yet may let a node in.
func TestTheLevelDoesNotRiseWhileTheMembersChange(t *testing.T) {
	c := newTestCluster(t)
	gates := c.gatedDisks("n1", "n2", "n3")
	c.form(3)
	n := c.leader()
	part := n.consensus.Load()
	eventually(t, "the leader knows the level of all", func() bool { return n.commonLevel(part) == fsm.FeatureLevel })
	for _, other := range c.others(n) {
		gates[other.Name()].set(errPlanted, nil)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := part.changeServers(ctx, func([]raft.Server) (raft.Future, error) {
		return part.raft.DemoteVoter(raft.ServerID(c.others(n)[0].UID()), 0, time.Second), nil
	})
	if err == nil {
		t.Error("a change that does not commit is reported as made")
	}
	if level := n.commonLevel(part); level != 0 {
		t.Errorf("the level may rise to %d", level)
	}
	for _, other := range c.others(n) {
		gates[other.Name()].set(nil, nil)
	}
	eventually(t, "the level may rise again", func() bool {
		leader := c.leader()
		return leader.commonLevel(leader.consensus.Load()) == fsm.FeatureLevel
	})
}

// A leader that just started may not have heard of a founder of an older build.
func TestAClusterBeginsAtALevelThatEveryFounderReads(t *testing.T) {
	c := newTestCluster(t)
	n := c.form(1)[0]
	part := n.consensus.Load()
	if level := n.firstLevel(part); level != fsm.FeatureLevel {
		t.Errorf("alone it begins at level %d", level)
	}
	if err := part.raft.AddNonvoter("nobody", "nobody", 0, time.Second).Error(); err != nil {
		t.Fatal(err)
	}
	if level := n.firstLevel(part); level != 1 {
		t.Errorf("with a founder that nobody knows it begins at level %d", level)
	}
}

// newerState is of a cluster whose level this build lacks, as a newer one writes
// it.
func newerState(t *testing.T) *fsm.State {
	t.Helper()
	text := fmt.Sprintf("evenkeel-state {\"v\":1,\"cluster_id\":\"c1\",\"feature_level\":%d,\"revision\":1,\"version\":1,\"applied\":1}\n", fsm.FeatureLevel+1)
	checksum, digest := xxhash.Sum64String(text), uint64(0)
	for range 2 { // the first reading tells the digest
		state, err := fsm.ReadSnapshot(strings.NewReader(fmt.Sprintf("%send {\"digest\":%d,\"checksum\":%d}\n", text, digest, checksum)))
		if err == nil {
			return state
		}
		_, gives, _ := strings.Cut(err.Error(), "its content gives ")
		if _, err := fmt.Sscanf(gives, "%x", &digest); err != nil {
			t.Fatalf("%v: %q", err, gives)
		}
	}
	t.Fatal("the snapshot is not readable")
	return nil
}

// Where the log no longer has the command that raised the level, nothing else
// would stop an older build from taking part.
func TestAnOlderBuildServesWhatANewerOneLeftAndTakesNoPart(t *testing.T) {
	state := newerState(t)
	t.Run("an image", func(t *testing.T) {
		c := newTestCluster(t)
		n := c.form(1)[0]
		c.stop("n1")
		if err := writeImage(n.dir.file(fileImage), &view{state: state, index: 1 << 20}); err != nil {
			t.Fatal(err)
		}
		n = c.start(c.config("n1"))
		if reason := n.Status().Detached; !strings.Contains(reason, "start a newer build") {
			t.Errorf("detached: %q", reason)
		}
		if n.State().Digest() != state.Digest() || n.consensus.Load() != nil {
			t.Error("it takes part, or does not serve")
		}
	})
	t.Run("a snapshot", func(t *testing.T) {
		pipe, write := io.Pipe()
		go func() {
			_, err := fmt.Fprintf(write, snapshotFormat, 9)
			if err == nil {
				err = state.WriteSnapshot(write)
			}
			write.CloseWithError(err)
		}()
		var reason error
		r := &replica{views: newViews(), waiters: newWaiters("o", 0), detach: func(err error) { reason = err }, state: fsm.New()}
		if err := r.Restore(pipe); err == nil || reason == nil || !strings.Contains(reason.Error(), "start a newer build") {
			t.Errorf("restored: %v, detached: %v", err, reason)
		}
		if r.frozen == nil || r.state.ClusterID() != "" {
			t.Error("the replica goes on")
		}
	})
}
