package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// withWitness forms a cluster of n1, n2 and the witness n3.
func withWitness(t *testing.T) (*testCluster, *testNode) {
	c := newTestCluster(t)
	c.witnesses = map[string]bool{"n3": true}
	return c, c.form(3)[2]
}

func (c *testCluster) memberOf(n *testNode, uid string) Member {
	for _, m := range n.Members() {
		if m.UID == uid {
			return m
		}
	}
	return Member{}
}

func TestAWitnessIsKnownAsOneAndVotes(t *testing.T) {
	c, witness := withWitness(t)
	for _, n := range c.nodes {
		eventually(t, n.Name()+" knows the witness", func() bool {
			m, record := c.memberOf(n, witness.UID()), n.State().Node(witness.UID())
			return record != nil && record.Witness && m.Witness && (m.Role == RoleWitness || m.Role == RoleLeader)
		})
		for _, other := range c.others(witness) {
			if m := c.memberOf(n, other.UID()); m.Witness || n.State().Node(other.UID()).Witness {
				t.Errorf("%s takes %s for a witness", n.Name(), other.Name())
			}
		}
	}
	// One of the two others dies: the witness makes up the majority.
	dead := c.others(witness)[0]
	c.kill(dead.Name())
	last := c.others(witness)[0]
	c.put(last, numbered(1))
	c.has(witness, "b1")
	eventually(t, "the record goes on to say what the node is", func() bool {
		c.leader()
		record := last.State().Node(dead.UID())
		return record.State == "dead" && !record.Witness
	})
	// Started otherwise it is no witness any more.
	c.stop("n3")
	c.witnesses = nil
	c.start(c.config("n3", c.joins()...))
	eventually(t, "it is a node as any other", func() bool {
		record := last.State().Node(witness.UID())
		return !record.Witness && record.State == "alive" && !c.memberOf(last, witness.UID()).Witness
	})
}

func TestAWitnessHandsTheLeadershipOn(t *testing.T) {
	c, witness := withWitness(t)
	eventually(t, "to give it the leadership is refused", func() bool { // unless it was elected
		err := c.ask(c.others(witness)[0].TransferLeadership, witness.UID())
		return errors.Is(err, ErrUnsafe) && strings.Contains(err.Error(), "is a witness")
	})
	// A busy machine may elect in between.
	eventually(t, "the witness led and handed over", func() bool {
		leader := c.leader()
		if strings.Contains(c.logs.String(), "is a witness and hands the leadership over") {
			return leader != witness
		}
		if part := leader.consensus.Load(); leader != witness && part != nil {
			c.wait(part, part.raft.LeadershipTransferToServer(raft.ServerID(witness.UID()), raft.ServerAddress(witness.UID())))
		}
		return false
	})
	c.put(witness, numbered(1))
}

// wait waits for what may fail.
func (c *testCluster) wait(part *consensus, f raft.Future) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := part.awaitWithin(ctx, f); err != nil {
		c.t.Logf("%v", err)
	}
}

func TestAWitnessIsTheLastToTakeTheLeadership(t *testing.T) {
	c, witness := withWitness(t)
	eventually(t, "both others of the leader would take it", func() bool {
		leader := c.leader()
		own, _, _ := leader.leaders.current()
		part := leader.consensus.Load()
		if leader == witness || own == nil || part == nil {
			return false
		}
		ids := leader.successors(part, own.term)
		if len(ids) != 2 {
			return false
		}
		if string(ids[1]) != witness.UID() || len(leader.serving(ids)) != 1 {
			t.Fatalf("the order is %v, the witness %s", ids, witness.UID())
		}
		return true
	})
}

func TestAWitnessHandsOverNowAndThen(t *testing.T) {
	begun := time.Now()
	var pace yieldPace
	yields := func(term uint64, from, to time.Duration) (at []time.Duration) {
		for now := from; now < to; now += time.Second {
			if pace.look(term, begun.Add(now)) {
				pace.yielded(begun.Add(now))
				at = append(at, now)
			}
		}
		return at
	}
	if at := yields(0, 0, time.Hour); at != nil {
		t.Errorf("who does not lead hands over at %v", at)
	}
	if at := yields(1, time.Hour, time.Hour+witnessLeads); at != nil {
		t.Errorf("it hands over at %v, before it has led for %v", at, witnessLeads)
	}
	pace.look(0, begun.Add(time.Hour+witnessLeads))
	// Nobody keeps it.
	at := yields(2, 2*time.Hour, 4*time.Hour)
	want := 2*time.Hour + witnessLeads
	for i, got := range at {
		if got != want {
			t.Fatalf("hand-over %d is at %v, want %v", i, got, want)
		}
		want += min(minYieldPause<<i, maxYieldPause)
	}
	if len(at) != 8 {
		t.Errorf("it hands over %d times in two hours", len(at))
	}
	pace.look(0, begun.Add(4*time.Hour))
	if at := yields(3, 6*time.Hour, 6*time.Hour+2*minYieldPause); len(at) != 2 {
		t.Errorf("after a long peace it hands over at %v", at)
	}
}

func TestAWitnessIsTheLastToGetAVote(t *testing.T) {
	isWitness := func(uid string) bool { return strings.HasPrefix(uid, "w") }
	servers := func(uids string) (all []raft.Server) {
		for _, uid := range strings.Fields(uids) {
			all = append(all, raft.Server{ID: raft.ServerID(uid)})
		}
		return all
	}
	for given, want := range map[string]string{
		"":            "",
		"w1":          "w1",
		"w1 n1":       "n1 w1",
		"n2 w1 n1 w0": "n2 n1 w1 w0",
	} {
		all := servers(given)
		if got := servingFirst(all, isWitness); !slices.Equal(got, servers(want)) || !slices.Equal(all, servers(given)) {
			t.Errorf("of %q: %v, want %q", given, got, want)
		}
	}
}
