package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"evenkeel/fsm"
)

// seatsOf reads a configuration: V a voter that is alive, v one that is
// overdue, w one that is gone for a moment; N, n and m the same without a vote.
func seatsOf(text string) []seat {
	var seats []seat
	for i, c := range text {
		s := seat{uid: fmt.Sprint(string(c), i), voter: strings.ContainsRune("Vvw", c)}
		switch c {
		case 'V', 'N':
			s.alive = true
		case 'v', 'n':
			s.absent = 2*time.Hour + time.Duration(i)
		default:
			s.absent = time.Hour
		}
		seats = append(seats, s)
	}
	return seats
}

// tolerance is how many of the living voters may fail before there is no majority;
// negative if there is none.
func tolerance(seats []seat) int {
	voters, alive := 0, 0
	for _, s := range seats {
		if s.voter {
			voters++
		}
		if s.voter && s.alive {
			alive++
		}
	}
	return alive - (voters/2 + 1)
}

func TestWhoIsRemovedForBeingGone(t *testing.T) {
	for _, c := range []struct{ seats, remove, keep, why string }{
		{"V", "", "", "a node alone"},
		{"Vv", "", "v1", "two never become one"},
		{"VVv", "", "v2", "three never become two"},
		{"VVw", "", "", "gone for a moment"},
		{"VVVv", "v3", "", "a fourth took the place of a dead third"},
		{"VVVw", "", "", "not yet"},
		{"VVvv", "", "v3 v2", "a majority of three, but four need three to change anything"},
		{"VVVVv", "v4", "", "five with one dead"},
		{"VVVvv", "v4 v3", "", "three of the four that are left are alive"},
		{"VVvvv", "", "v4 v3 v2", "no majority is alive"},
		{"VVVVvvv", "v6 v5 v4", "", "seven with three dead"},
		{"VVVwwvv", "", "v6 v5", "the other dead ones count though they are not overdue"},
		{"VVVVVVVN", "", "", "all is well"},
		{"VVVVVVvN", "v6", "", "the eighth waits for the vote"},
		{"Vn", "n1", "", "who has no vote is not needed"},
		{"VVvnmN", "n3", "v2", "the one goes, the other stays"},
	} {
		remove, keep := overdue(seatsOf(c.seats), time.Hour)
		if got := strings.Join(remove, " "); got != c.remove {
			t.Errorf("%s (%s): removed are %q, want %q", c.seats, c.why, got, c.remove)
		}
		if got := strings.Join(keep, " "); got != c.keep {
			t.Errorf("%s (%s): kept are %q, want %q", c.seats, c.why, got, c.keep)
		}
		if remove, keep := overdue(seatsOf(c.seats), 0); remove != nil || keep != nil {
			t.Errorf("%s: with 0 removed are %q, kept %q", c.seats, remove, keep)
		}
	}
}

// However many are removed one after the other, those who stay are as safe as
// before, and nobody stays who need not.
func TestNoRemovalCostsSafety(t *testing.T) {
	const after = time.Hour
	rapid.Check(t, func(t *rapid.T) {
		var seats []seat
		for i, kind := range rapid.SliceOfN(rapid.SampledFrom([]rune("VVVvvwNnm")), 1, 12).Draw(t, "seats") {
			s := seatsOf(string(kind))[0]
			s.uid = fmt.Sprint(string(kind), i)
			seats = append(seats, s)
		}
		voters := func() int { return len(slices.DeleteFunc(slices.Clone(seats), func(s seat) bool { return !s.voter })) }
		for {
			remove, keep := overdue(seats, after)
			for _, uid := range keep {
				if !strings.HasPrefix(uid, "v") {
					t.Fatalf("%s is told to stay", uid)
				}
				if voters() > 3 && tolerance(seats) >= 0 {
					t.Fatalf("%s stays though it may go: %v", uid, seats)
				}
			}
			if len(remove) == 0 {
				break
			}
			before := tolerance(seats)
			at := slices.IndexFunc(seats, func(s seat) bool { return s.uid == remove[0] })
			gone := seats[at]
			seats = slices.Delete(slices.Clone(seats), at, at+1)
			switch {
			case gone.alive || gone.absent <= after:
				t.Fatalf("%v is removed", gone)
			case gone.voter && (voters() < 3 || tolerance(seats) < before || tolerance(seats) < 0):
				t.Fatalf("without %v there are %v: %d more may fail, %d before", gone, seats, tolerance(seats), before)
			}
		}
	})
}

func TestAnAbsenceIsCountedWhileSomebodyLooks(t *testing.T) {
	begun := time.Now()
	a := newTenure(begun).absences
	for _, look := range []struct {
		after time.Duration // the last one
		gone  []string
		lasts map[string]time.Duration
	}{
		{time.Hour, []string{"a"}, map[string]time.Duration{"a": 0}},
		{time.Second, []string{"a", "b"}, map[string]time.Duration{"a": time.Second, "b": 0}},
		{2 * time.Second, []string{"a", "b"}, map[string]time.Duration{"a": 3 * time.Second, "b": 2 * time.Second}},
		{time.Hour, []string{"a", "b"}, map[string]time.Duration{"a": 3*time.Second + longestLook, "b": 2*time.Second + longestLook}},
		{time.Second, []string{"b"}, map[string]time.Duration{"b": 3*time.Second + longestLook}},
		{time.Second, []string{"a", "b"}, map[string]time.Duration{"a": 0, "b": 4*time.Second + longestLook}},
	} {
		begun = begun.Add(look.after)
		gone := map[string]bool{}
		for _, uid := range look.gone {
			gone[uid] = true
		}
		a.look(gone, begun)
		if !maps.Equal(a.lasts, look.lasts) {
			t.Errorf("absent are %v, want %v", a.lasts, look.lasts)
		}
	}
}

// removing has every node remove who is gone for that long while it leads.
func (c *testCluster) removing(after time.Duration) {
	c.opened = func(n *Node) { n.config.RemoveDeadAfter = after }
}

func (c *testCluster) isMember(uid string) bool {
	_, member := c.leader().consensus.Load().server(uid)
	return member
}

// Of four one may go, of three none.
func TestADeadVoterIsRemovedButNeverTheThird(t *testing.T) {
	c := newTestCluster(t)
	c.removing(3 * time.Second) // a busy machine takes a node for dead at times, for less
	c.form(4)
	c.put(c.leader(), numbered(1))
	first := c.others(c.leader())[0]
	c.kill(first.Name())
	eventually(t, "the dead node is removed", func() bool {
		return !c.isMember(first.UID()) && c.leader().State().Node(first.UID()) == nil
	})
	c.put(c.leader(), numbered(2))

	second := c.others(c.leader())[0]
	c.kill(second.Name())
	eventually(t, "the leader says that the next one stays", func() bool {
		return strings.Contains(c.logs.String(), "keeps its vote") && strings.Contains(c.logs.String(), "uid="+second.UID())
	})
	c.put(c.leader(), numbered(3))
	if !c.isMember(second.UID()) {
		t.Error("three nodes have shrunk to two")
	}
	// With two others it may go, and so it does.
	c.start(c.config("n5", c.joins()...))
	eventually(t, "it is removed once a new node votes", func() bool {
		return !c.isMember(second.UID()) && len(c.leader().Members()) == 3
	})
}

// A node that only stops for a short while stays, and so does one that is dead
// for long where nobody is to be removed.
func TestNobodyIsRemovedBeforeTheTime(t *testing.T) {
	for name, after := range map[string]time.Duration{"not yet": time.Hour, "never": 0} {
		t.Run(name, func(t *testing.T) {
			c := newTestCluster(t)
			c.removing(after)
			c.form(4)
			others := c.others(c.leader()) // in no order
			left, dead := others[0], others[1]
			c.stop(left.Name())
			eventually(t, "it is recorded as left", func() bool { return c.leader().State().Node(left.UID()).State == fsm.NodeLeft })
			c.start(c.config(left.Name(), c.joins()...))
			c.kill(dead.Name())
			eventually(t, "it is recorded as dead", func() bool { return c.leader().State().Node(dead.UID()).State == fsm.NodeDead })
			var leader *testNode
			var own *leadership
			eventually(t, "somebody leads", func() bool {
				leader = c.leader()
				own, _, _ = leader.leaders.current()
				return own != nil
			})
			tenure := newTenure(time.Now())
			for range 3 {
				if err := leader.removeAbsent(t.Context(), leader.consensus.Load(), own, tenure); err != nil {
					t.Error(err)
				}
			}
			if _, counted := tenure.absences.lasts[dead.UID()]; !counted {
				t.Error("the dead node is not counted as gone")
			}
			if !c.isMember(left.UID()) || !c.isMember(dead.UID()) {
				t.Error("a node is removed")
			}
		})
	}
}

// A node that said goodbye and was started again before memberlist missed it is
// there, and not to be removed, though memberlist has no news of that.
func TestANodeThatLeftAndAnswersIsThere(t *testing.T) {
	c := newTestCluster(t)
	c.form(3)
	leader, n := c.leader(), c.follower()
	n.sayGoodbye(t.Context())
	eventually(t, "it is recorded as left", func() bool { return leader.State().Node(n.UID()).State == fsm.NodeLeft })
	for _, other := range c.others(n) {
		other.gossip.mu.Lock()
		other.gossip.members[n.UID()].Since = time.Now().Add(-returnedAfter)
		other.gossip.mu.Unlock()
	}
	for _, other := range c.others(n) {
		eventually(t, "it is alive", func() bool {
			return other.State().Node(n.UID()).State == fsm.NodeAlive && c.memberOf(other, n.UID()).State == StateAlive
		})
	}
}
