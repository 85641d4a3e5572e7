package fsm

import (
	"testing"
)

// vote casts one vote about web1 as it stands.
func (r *registry) vote(observer string, health Health) Result {
	b := r.Backend("default", "web1")
	return r.must(CastVotes{Observer: observer, Votes: []BackendVote{{
		Pool: "default", Name: "web1", UID: b.Meta.UID, Generation: r.CheckGeneration(b), Health: health,
	}}})
}

func (r *registry) wantHealth(want Health) {
	r.t.Helper()
	if got := r.Backend("default", "web1").Status.Health; got != want {
		r.t.Fatalf("health is %s, want %s; votes %+v", got, want, r.Backend("default", "web1").Status.Votes)
	}
}

func TestTheVerdictIsTheMajorityOfTheObservers(t *testing.T) {
	for _, level := range []uint64{3, FeatureLevel} {
		testMajority(t, atLevel(t, level, 3))
	}
}

func testMajority(t *testing.T, r *registry) {
	r.must(backend("web1", "10.0.0.5:9000"))
	revision := r.Revision()
	r.vote("n1", HealthUp)
	r.wantHealth(HealthUnknown)
	r.vote("n2", HealthUp)
	r.wantHealth(HealthUp)
	r.vote("n3", HealthDown)
	r.wantHealth(HealthUp)
	r.vote("n1", HealthDown)
	r.wantHealth(HealthDown)
	if r.Revision() != revision {
		t.Error("votes moved the revision")
	}
	if result := r.vote("n1", HealthDown); result.Changed {
		t.Error("a vote that says the same again changed the state")
	}
	if since := r.Backend("default", "web1").Status.Since; since != r.Version() {
		t.Errorf("since is %d, want %d", since, r.Version())
	}
}

func TestVotesThatCannotCountAreIgnored(t *testing.T) {
	r := newRegistry(t)
	r.must(backend("web1", "10.0.0.5:9000"))
	b := r.Backend("default", "web1")
	good := BackendVote{Pool: "default", Name: "web1", UID: b.Meta.UID, Generation: r.CheckGeneration(b), Health: HealthDown}
	otherUID, oldGeneration, absent := good, good, good
	otherUID.UID, oldGeneration.Generation, absent.Name = "x", 1, "web2"
	cases := map[string]CastVotes{
		"of a stranger":              {"stranger", []BackendVote{good}},
		"about another registration": {"n1", []BackendVote{otherUID}},
		"about an older check":       {"n1", []BackendVote{oldGeneration}},
		"about an absent backend":    {"n1", []BackendVote{absent}},
	}
	for name, op := range cases {
		if result := r.must(op); result.Changed {
			t.Errorf("a vote %s changed the state", name)
		}
	}
	r.must(Put{Name: "default", Spec: PoolSpec{Strategy: StrategyRandom}})
	if result := r.vote("n1", HealthUp); result.Changed {
		t.Error("a vote about a pool without a check changed the state")
	}
	r.refused(CodeInvalid, CastVotes{"n1", []BackendVote{{Health: "sick"}}})
}

func TestBelowLevel4TheVerdictFollowsTheSetOfNodes(t *testing.T) {
	r := atLevel(t, 3, 3)
	r.must(backend("web1", "10.0.0.5:9000"))
	r.vote("n1", HealthUp)
	r.vote("n2", HealthUp)
	r.vote("n3", HealthDown)
	r.must(SetNode{Node{UID: "n1", Name: "n1", State: NodeDead}})
	r.wantHealth(HealthUp) // one to one: the previous verdict stands
	r.must(SetNode{Node{UID: "n2", Name: "n2", State: NodeLeft}})
	r.wantHealth(HealthDown)
	r.must(SetNode{Node{UID: "n1", Name: "n1", State: NodeAlive}})
	r.must(ForgetNode{UID: "n3"})
	r.wantHealth(HealthUp)
	r.must(SetNode{Node{UID: "n4", Name: "n4", State: NodeAlive, Witness: true}})
	r.wantHealth(HealthUp)
	r.vote("n1", HealthDown)
	r.wantHealth(HealthDown)
	if votes := r.Backend("default", "web1").Status.Votes; len(votes) != 1 {
		t.Errorf("votes of departed observers are kept: %+v", votes)
	}
}

func TestWhatMakesAVerdictStartOver(t *testing.T) {
	up := func(t *testing.T) *registry {
		r := newRegistry(t)
		r.must(backend("web1", "10.0.0.5:9000"))
		r.vote("n1", HealthDown)
		r.vote("n2", HealthDown)
		r.wantHealth(HealthDown)
		return r
	}
	t.Run("another address is another server", func(t *testing.T) {
		r := up(t)
		r.must(backend("web1", "10.0.0.6:9000"))
		r.wantHealth(HealthUnknown)
	})
	t.Run("another weight is the same server", func(t *testing.T) {
		r := up(t)
		put := backend("web1", "10.0.0.5:9000")
		put.Spec = BackendSpec{Address: "10.0.0.5:9000", Weight: 7, AdminState: AdminReady}
		r.must(put)
		r.wantHealth(HealthDown)
	})
	t.Run("another check keeps the verdict until it is voted on", func(t *testing.T) {
		r := up(t)
		other := pool("default")
		spec := other.Spec.(PoolSpec)
		spec.Check.Fall = 9
		r.must(other)
		r.wantHealth(HealthDown)
		r.vote("n1", HealthUp)
		r.wantHealth(HealthDown)
		r.vote("n3", HealthUp)
		r.wantHealth(HealthUp)
	})
	t.Run("no check means unknown", func(t *testing.T) {
		r := up(t)
		r.must(Put{Name: "default", Spec: PoolSpec{Strategy: StrategyRandom}})
		r.wantHealth(HealthUnknown)
	})
	t.Run("maintenance means unknown", func(t *testing.T) {
		r := up(t)
		put := backend("web1", "10.0.0.5:9000")
		put.Spec = BackendSpec{Address: "10.0.0.5:9000", Weight: 1, AdminState: AdminMaint}
		r.must(put)
		r.wantHealth(HealthUnknown)
	})
}

// TestAChangeOfObserversCostsLittleForBackendsWithoutVotes: nothing else is applied
// meanwhile, and with 100,000 backends that was a quarter of a second on a busy
// machine.
func TestAChangeOfObserversCostsLittleForBackendsWithoutVotes(t *testing.T) {
	allocations := func(backends int) float64 {
		s, seq := largeState(t, backends), uint64(0)
		return testing.AllocsPerRun(10, func() {
			seq++
			node := Node{UID: "n1", Name: "n1", State: [...]NodeState{NodeAlive, NodeDead}[seq%2], FeatureLevel: 1}
			next, results := Apply(s, []Command{{ID: CommandID{"b", seq}, Op: SetNode{node}}})
			if results[0].Err != nil || !results[0].Changed {
				t.Fatalf("%+v", results[0])
			}
			s = next
		})
	}
	if few, many := allocations(100), allocations(10_000); many > few+1000 {
		t.Errorf("%.0f allocations with 100 backends, %.0f with 10,000", few, many)
	}
}
