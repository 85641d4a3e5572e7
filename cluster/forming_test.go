package cluster

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"evenkeel/fsm"
	"evenkeel/internal/freeport"
)

// identities opens and closes nodes so that they have identities, and returns
// their UIDs, sorted, with the names that they belong to.
func (c *testCluster) identities(names ...string) (uids []string, nameOf map[string]string) {
	c.t.Helper()
	nameOf = map[string]string{}
	for _, name := range names {
		n := c.open(c.config(name))
		nameOf[n.UID()] = name
		uids = append(uids, n.UID())
		if err := n.Close(); err != nil {
			c.t.Fatal(err)
		}
	}
	slices.Sort(uids)
	return uids, nameOf
}

func (c *testCluster) bind(name string, list ...string) {
	c.t.Helper()
	if err := replaceJSON(c.dirs[name]+"/"+fileForming, founders{List: list}); err != nil {
		c.t.Fatal(err)
	}
}

func TestFoundersThatDiedBetweenTheStepsOfFormingGoOn(t *testing.T) {
	for name, accepted := range map[string][]int{
		"the proposer died before it asked anyone":          {0},
		"the proposer died after one had accepted":          {0, 1},
		"all died after all had accepted":                   {0, 1, 2},
		"one accepted what the proposer did not write down": {2},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestCluster(t)
			uids, nameOf := c.identities("n1", "n2", "n3")
			for _, i := range accepted {
				c.bind(nameOf[uids[i]], uids...)
			}
			var nodes []*testNode
			for _, name := range []string{"n1", "n2", "n3"} {
				nodes = append(nodes, c.start(c.config(name, c.joins()...)))
			}
			c.settled(nodes...)
			for _, n := range nodes {
				if n.Status().ID != clusterIDOf(uids) {
					t.Errorf("node %s is in cluster %q", n.Name(), n.Status().ID)
				}
			}
		})
	}
}

func TestFounderThatBootstrappedAndLostItsNoteIsAMemberWithoutTheOthers(t *testing.T) {
	c := newTestCluster(t)
	nodes := c.form(3)
	id := nodes[0].Status().ID
	for _, n := range nodes {
		c.stop(n.Name())
	}
	var identity identity
	if _, err := readJSON(c.dirs["n1"]+"/"+fileIdentity, &identity); err != nil {
		t.Fatal(err)
	}
	identity.ClusterID = ""
	if err := replaceJSON(c.dirs["n1"]+"/"+fileIdentity, identity); err != nil {
		t.Fatal(err)
	}
	n := c.start(c.config("n1", c.joins()...))
	eventually(t, "the node knows its cluster", func() bool { return n.Status().ID == id })
}

func TestFounderWhoseListIsDamagedGoesOnIfItIsAMember(t *testing.T) {
	c := newTestCluster(t)
	nodes := c.form(3)
	id := nodes[0].Status().ID
	for _, n := range nodes {
		c.stop(n.Name())
	}
	for _, name := range []string{"n2", "n3"} {
		if err := os.WriteFile(c.dirs[name]+"/"+fileForming, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// And tells one that did not get so far what it was bound to.
	list := nodes[0].acceptedList()
	c.dirs["n1"] = c.freshDir()
	if err := replaceJSON(c.dirs["n1"]+"/"+fileIdentity, identity{UID: nodes[0].UID()}); err != nil {
		t.Fatal(err)
	}
	c.bind("n1", list...)
	var again []*testNode
	for _, name := range []string{"n1", "n2", "n3"} {
		again = append(again, c.start(c.config(name, c.joins()...)))
	}
	c.settled(again...)
	for _, n := range again {
		eventually(t, "every node knows its cluster", func() bool { return n.Status().ID == id })
	}
}

func TestDamagedListOfANewNodeIsNamedWithTheRemedy(t *testing.T) {
	c := newTestCluster(t)
	c.identities("n1")
	if err := os.WriteFile(c.dirs["n1"]+"/"+fileForming, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(c.config("n1")); err == nil || !strings.Contains(err.Error(), fileForming) || !strings.Contains(err.Error(), "aside") {
		t.Errorf("the error is %v", err)
	}
}

func TestFoundersBoundToDifferentListsNeverForm(t *testing.T) {
	c := newTestCluster(t)
	uids, nameOf := c.identities("n1", "n2")
	elsewhere := append([]string{newUID()}, uids[1])
	slices.Sort(elsewhere)
	c.bind(nameOf[uids[0]], uids...)
	c.bind(nameOf[uids[1]], elsewhere...)
	for _, name := range []string{"n1", "n2"} {
		c.start(c.config(name, c.joins()...))
	}
	eventually(t, "the node says what is wrong", func() bool { return strings.Contains(c.logs.String(), "is bound elsewhere") })
	for _, n := range c.nodes {
		if n.Status().ID != "" {
			t.Errorf("node %s is in cluster %q", n.Name(), n.Status().ID)
		}
	}
}

func TestListIsAcceptedOnceAndOnlyFromItsProposer(t *testing.T) {
	c := newTestCluster(t)
	n := c.start(c.config("n1", freeport.Address(t, "127.0.0.1")))
	eventually(t, "raft runs", func() bool { return n.consensus.Load() != nil })
	me := n.UID()
	for name, f := range map[string]struct {
		proposer string
		list     []string
	}{
		"the list is empty":                        {me, nil},
		"the node is not on the list":              {"0", []string{"0", "1"}},
		"the proposer is not the lowest":           {"z", []string{me, "z"}},
		"the list is not sorted":                   {"z", []string{"z", me}},
		"the list has fewer than the node expects": {me, []string{me}},
		"the list has nodes that it does not see":  {"0", []string{"0", me}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := n.accept(t.Context(), f.proposer, founders{List: f.list}); err == nil {
				t.Error("the list is accepted")
			}
		})
	}
	if exists(n.dir.file(fileForming)) {
		t.Error("a list was written down")
	}
}

// meets lets gossip believe that a node is there.
func (n *testNode) meets(uid, name string) {
	n.gossip.mu.Lock()
	defer n.gossip.mu.Unlock()
	n.gossip.members[uid] = &gossipMember{meta: meta{Protocol: protocolVersion, Name: name}, UID: uid, Addr: "127.0.0.1:1"}
}

func TestListOfABoundProposerIsAcceptedAlsoAfterAnEarlierNodeCame(t *testing.T) {
	c := newTestCluster(t)
	n := c.start(c.config("n", freeport.Address(t, "127.0.0.1"))) // two founders
	eventually(t, "raft runs", func() bool { return n.consensus.Load() != nil })
	const earlier, proposer = "00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-000000000001"
	list := []string{proposer, n.UID()}
	n.meets(earlier, "earlier")
	if _, err := n.accept(t.Context(), proposer, founders{List: list}); err == nil {
		t.Error("a list with a node that is not there is accepted")
	}
	n.meets(proposer, "proposer")
	if _, err := n.consider(t.Context(), proposer, founders{List: list}); err == nil {
		t.Error("the proposer is told that all see its list")
	}
	// It was told so a moment before, and cannot go back.
	answer, err := n.accept(t.Context(), proposer, founders{List: list})
	if err != nil || !slices.Equal(answer.List, list) {
		t.Errorf("the answer is %v, %v", answer.List, err)
	}
	if answer, err := n.accept(t.Context(), earlier, founders{List: []string{earlier, n.UID()}}); err == nil && !slices.Equal(answer.List, list) {
		t.Errorf("a second list is accepted: %v", answer.List)
	}
}

func TestMoreNodesThanFoundersAreOneClusterInTheEnd(t *testing.T) {
	c := newTestCluster(t)
	names := []string{"n1", "n2", "n3", "n4"}
	for _, name := range names {
		c.config(name)
	}
	var nodes []*testNode
	for _, name := range names {
		config := c.config(name, c.joins()...)
		config.BootstrapExpect = 2
		nodes = append(nodes, c.start(config))
	}
	c.settled(nodes...)
	for _, n := range nodes[1:] {
		if id := n.Status().ID; id != nodes[0].Status().ID {
			t.Errorf("node %s is in cluster %s", n.Name(), id)
		}
	}
}

func TestNodeThatMayFormAloneJoinsTheClusterThatIsThere(t *testing.T) {
	c := newTestCluster(t)
	first := c.form(1)[0]
	config := c.config("late", c.binds["n1"])
	config.BootstrapExpect = 1
	late := c.start(config)
	eventually(t, "the node is part of a cluster", func() bool { return late.Status().ID != "" })
	if late.Status().ID != first.Status().ID {
		t.Error("it formed one of its own")
	}
}

// TestWriteToAClusterThatFormsIsNeverTheClientsFault: a leader is there a moment
// before the registry is.
func TestWriteToAClusterThatFormsIsNeverTheClientsFault(t *testing.T) {
	for range 3 {
		c := newTestCluster(t)
		n := c.start(c.config("n1"))
		eventually(t, "a write is taken", func() bool {
			result, err := n.Propose(t.Context(), fsm.Command{Actor: "test", Op: numbered(1)})
			if err != nil && !errors.Is(err, ErrNoQuorum) {
				t.Fatal(err)
			}
			if err == nil && result.Err != nil {
				t.Fatalf("refused: %v", result.Err)
			}
			return err == nil
		})
	}
}

func TestNodeThatIsNotAdmittedSaysWhatTheLeaderSays(t *testing.T) {
	c := newTestCluster(t)
	c.form(3)
	config := c.config("other", c.joins()...)
	config.Name = "n1"
	n := c.open(config)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	eventually(t, "the fault is named", func() bool { return strings.Contains(c.logs.String(), "start with another --name") })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(c.logs.String()) {
		if strings.Contains(line, "level=INFO") && strings.Contains(line, "does not lead") {
			t.Errorf("it also says what does not matter: %s", line)
		}
	}
}

func TestNodesOfOneNameDoNotFound(t *testing.T) {
	c := newTestCluster(t)
	c.config("a")
	c.config("b")
	a := c.start(c.config("a", c.joins()...))
	twin := c.config("b", c.joins()...)
	twin.Name = "a"
	n := c.open(twin)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	eventually(t, "the fault is named", func() bool { return strings.Contains(c.logs.String(), "two nodes call themselves") })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if a.Status().ID != "" {
		t.Error("a cluster was formed")
	}
}

func TestNewNodeIsAdmittedAndGetsAVote(t *testing.T) {
	c := newTestCluster(t)
	n := c.form(1)[0]
	c.put(n, numbered(1))
	late := c.start(c.config("late", c.binds["n1"]))
	c.has(late, "b1")
	eventually(t, "the new node follows with a vote", func() bool {
		for _, m := range n.Members() {
			if m.Name == "late" {
				return m.Role == RoleFollower && m.State == StateAlive
			}
		}
		return false
	})
	c.put(late, numbered(2))
	c.settled(n, late)
}

func TestNameOfALiveNodeIsNotGivenAway(t *testing.T) {
	c := newTestCluster(t)
	n := c.form(1)[0]
	_, err := n.admit(t.Context(), newUID(), hello{meta: meta{Protocol: 1, Name: "n1", FeatureLevel: fsm.FeatureLevel}, Addr: "127.0.0.1:1"})
	if err == nil || !strings.Contains(err.Error(), "n1") {
		t.Errorf("the answer is %v", err)
	}
	_, err = n.admit(t.Context(), newUID(), hello{meta: meta{Protocol: 1, Name: "old"}, Addr: "127.0.0.1:1"})
	if err == nil || !strings.Contains(err.Error(), "newer build") {
		t.Errorf("the answer to a build that cannot follow is %v", err)
	}
}

func TestPeerOfANewerProtocolIsRefused(t *testing.T) {
	c := newTestCluster(t)
	n := c.form(1)[0]
	_, err := n.greeted(t.Context(), newUID(), hello{meta: meta{Protocol: protocolVersion + 1, Name: "new"}, Addr: "127.0.0.1:1"})
	if err == nil || !strings.Contains(err.Error(), "upgrade") {
		t.Errorf("the answer is %v", err)
	}
	// Nor does the older one keep from its operator whom it refused.
	n.greetingFailed(n.Addr(), n.gossip.compatible(meta{Protocol: protocolVersion + 1, Name: "new"}))
	if log := c.logs.String(); !strings.Contains(log, "level=WARN msg=\"a node refuses this one or is refused\"") {
		t.Errorf("the refusal is not in the log:\n%s", log)
	}
}

func TestExpectedFoundersAreTheDistinctJoinAddresses(t *testing.T) {
	names := map[string][]netip.Addr{
		"n1":    {netip.MustParseAddr("10.0.0.1")},
		"n2":    {netip.MustParseAddr("10.0.0.2")},
		"alias": {netip.MustParseAddr("10.0.0.2")},
		"peers": {netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.3")},
	}
	resolve := func(_ context.Context, host string) ([]netip.Addr, error) {
		if addr, err := netip.ParseAddr(host); err == nil {
			return []netip.Addr{addr}, nil
		}
		if addrs := names[host]; addrs != nil {
			return addrs, nil
		}
		return nil, errors.New("no such host")
	}
	for name, test := range map[string]struct {
		join    []string
		flag    int
		want    int
		certain bool
	}{
		"without join it is one":                          {nil, 0, 1, true},
		"the own address counts":                          {[]string{"10.0.0.1:7071", "10.0.0.2:7071", "10.0.0.3:7071"}, 0, 3, true},
		"the own address counts when it is not listed":    {[]string{"10.0.0.2:7071", "10.0.0.3:7071"}, 0, 3, true},
		"names are resolved":                              {[]string{"n1:7071", "n2:7071"}, 0, 2, true},
		"two names of one address are one node":           {[]string{"n1:7071", "n2:7071", "alias:7071"}, 0, 2, true},
		"a name may stand for several":                    {[]string{"peers:7071"}, 0, 3, true},
		"a name that is not known yet counts as a node":   {[]string{"n1:7071", "n2:7071", "n9:7071"}, 0, 3, true},
		"a name that stands for this node only is unsure": {[]string{"n1:7071"}, 0, 1, false},
		"several ports on one host are several nodes":     {[]string{"10.0.0.1:7071", "10.0.0.1:7072"}, 0, 2, true},
		"the flag decides":                                {[]string{"n1:7071"}, 5, 5, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestCluster(t)
			config := c.config("n1", test.join...)
			config.BootstrapExpect = test.flag
			n := c.open(config)
			defer n.Close()
			n.network.resolve = resolve
			n.advertise = netip.MustParseAddrPort("10.0.0.1:7071")
			n.resolveJoin(t.Context())
			if got, certain := n.expected(); got != test.want || certain != test.certain {
				t.Errorf("expected %d, certain %t; want %d, %t", got, certain, test.want, test.certain)
			}
		})
	}
}
