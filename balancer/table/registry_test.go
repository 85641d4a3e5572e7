package table

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"evenkeel/fsm"
)

// registry drives a state in tests.
type registry struct {
	*fsm.State
	t   testing.TB
	seq uint64
}

// newRegistry returns an empty registry with one node, n1, whose vote alone is
// the verdict.
func newRegistry(t testing.TB) *registry {
	t.Helper()
	r := &registry{State: fsm.New(), t: t}
	r.do(fsm.Init{ClusterID: "test", FeatureLevel: fsm.FeatureLevel, Objects: []fsm.Put{putPool("first")}},
		fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindPool, Name: "first"}},
		fsm.SetNode{Node: fsm.Node{UID: "n1", Name: "n1", State: fsm.NodeAlive, FeatureLevel: fsm.FeatureLevel}})
	return r
}

// do applies the operations as one entry.
func (r *registry) do(ops ...fsm.Operation) {
	r.t.Helper()
	commands := make([]fsm.Command, len(ops))
	for i, op := range ops {
		r.seq++
		commands[i] = fsm.Command{
			ID:   fsm.CommandID{Origin: "test", Seq: r.seq},
			Time: time.Unix(int64(r.seq), 0), Actor: "tester", Op: op,
		}
	}
	next, results := fsm.Apply(r.State, commands)
	for i, result := range results {
		if result.Err != nil {
			r.t.Fatalf("%T %+v: %v", ops[i], ops[i], result.Err)
		}
	}
	r.State = next
}

// vote lets n1 say whether the backend is up.
func (r *registry) vote(pool, name string, health fsm.Health) {
	r.t.Helper()
	b := r.Backend(pool, name)
	r.do(fsm.CastVotes{Observer: "n1", Votes: []fsm.BackendVote{{
		Pool: pool, Name: name, UID: b.Meta.UID, Generation: r.CheckGeneration(b), Health: health,
	}}})
}

func putPool(name string) fsm.Put {
	check := new(fsm.Check)
	check.SetDefaults()
	return fsm.Put{Name: name, Spec: fsm.PoolSpec{Strategy: fsm.StrategyRoundRobin, Check: check}}
}

func putListener(name, address string) fsm.Put {
	return fsm.Put{Name: name, Spec: fsm.ListenerSpec{Address: address, Protocol: fsm.ProtocolHTTP}}
}

func putRoute(name string, spec fsm.RouteSpec) fsm.Put { return fsm.Put{Name: name, Spec: spec} }

// putBackend puts one of weight 1, ready, but for what change does.
func putBackend(pool, name, address string, change ...func(*fsm.BackendSpec)) fsm.Put {
	spec := fsm.BackendSpec{Address: address}
	spec.SetDefaults()
	for _, f := range change {
		f(&spec)
	}
	return fsm.Put{Pool: pool, Name: name, Spec: spec}
}

func remove(kind fsm.Kind, pool, name string) fsm.Delete {
	return fsm.Delete{Ref: fsm.Ref{Kind: kind, Pool: pool, Name: name}}
}

// answers is a resolver whose answers the test sets.
type answers struct {
	byHost  map[string][]netip.Addr
	changed []string
	asked   map[string]bool
}

func newAnswers() *answers {
	return &answers{byHost: map[string][]netip.Addr{}, asked: map[string]bool{}}
}

func (a *answers) set(host string, addrs ...string) {
	a.byHost[host] = nil
	for _, addr := range addrs {
		a.byHost[host] = append(a.byHost[host], netip.MustParseAddr(addr))
	}
	a.changed = append(a.changed, host)
}

func (a *answers) Lookup(host string) []netip.Addr {
	a.asked[host] = true
	return a.byHost[host]
}

func (a *answers) Changed() []string {
	changed := a.changed
	a.changed = nil
	return changed
}

func (a *answers) Forget(host string) { delete(a.asked, host) }

// picked returns the names of the backends that the pool chooses from, sorted.
func picked(p *Pool) []string {
	var names []string
	var tried Tried
	for {
		b := p.Pick(&Choice{Tried: &tried})
		if b == nil {
			slices.Sort(names)
			return names
		}
		names = append(names, b.Name)
		tried.Add(b)
	}
}
