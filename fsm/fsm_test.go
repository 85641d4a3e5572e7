package fsm

import (
	"testing"
	"time"
)

// registry drives a state in tests: each op gets the next command id of one
// origin.
type registry struct {
	*State
	t   testing.TB
	seq uint64
}

// newRegistry returns a registry as a new cluster has it, with three nodes.
func newRegistry(t testing.TB) *registry { return newRegistryAt(t, FeatureLevel) }

// newRegistryAt returns one of that feature level.
func newRegistryAt(t testing.TB, level uint64) *registry {
	r := &registry{State: New(), t: t}
	r.must(Init{ClusterID: "c1", FeatureLevel: level, Objects: DefaultObjects()})
	for _, uid := range []string{"n1", "n2", "n3"} {
		r.must(SetNode{Node{UID: uid, Name: uid, State: NodeAlive, FeatureLevel: level}})
	}
	return r
}

func (r *registry) do(op Operation) Result {
	r.t.Helper()
	r.seq++
	return r.doAs(CommandID{"test", r.seq}, op)
}

func (r *registry) doAs(id CommandID, op Operation) Result {
	r.t.Helper()
	return r.apply(Command{ID: id, Actor: "tester", Op: op})
}

// command does what the command says under the next id.
func (r *registry) command(c Command) Result {
	r.t.Helper()
	r.seq++
	c.ID = CommandID{"test", r.seq}
	return r.apply(c)
}

// apply sends the command through the codec, as a replica gets it.
func (r *registry) apply(c Command) Result {
	r.t.Helper()
	c.Time = time.Unix(1_700_000_000, 0)
	data, err := EncodeCommand(c)
	if err != nil {
		r.t.Fatal(err)
	}
	commands, err := DecodeEntry(EncodeEntry([][]byte{data}))
	if err != nil {
		r.t.Fatal(err)
	}
	next, results := Apply(r.State, commands)
	r.State = next
	return results[0]
}

func (r *registry) must(op Operation) Result {
	r.t.Helper()
	result := r.do(op)
	if result.Err != nil {
		r.t.Fatalf("%T: %v", op, result.Err)
	}
	return result
}

// refused does op, which must be refused with that code and change nothing.
func (r *registry) refused(code Code, op Operation) *Error {
	r.t.Helper()
	revision, version := r.Revision(), r.Version()
	result := r.do(op)
	if result.Err == nil || result.Err.Code != code {
		r.t.Fatalf("%T: got %v, want a refusal with code %s", op, result.Err, code)
	}
	if r.Revision() != revision || r.Version() != version || result.Changed {
		r.t.Fatalf("%T: was refused and yet changed the state", op)
	}
	return result.Err
}

func backend(name, address string) Put {
	spec := BackendSpec{Address: address}
	spec.SetDefaults()
	return Put{Pool: "default", Name: name, Spec: spec}
}

func pool(name string) Put {
	check := &Check{}
	check.SetDefaults()
	spec := PoolSpec{Check: check}
	spec.SetDefaults()
	return Put{Name: name, Spec: spec}
}

func route(name string, pools ...string) Put {
	spec := RouteSpec{}
	for _, p := range pools {
		spec.Pools = append(spec.Pools, WeightedPool{p, 1})
	}
	return Put{Name: name, Spec: spec}
}
