package fsm

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"
)

// largeState returns a registry with that many backends, 100 in each pool.
func largeState(tb testing.TB, backends int) *State {
	s := newRegistry(tb).State
	var commands []Command
	add := func(put Put) {
		commands = append(commands, Command{ID: CommandID{"bench", uint64(len(commands) + 1)}, Time: time.Unix(1, 0), Op: put})
	}
	for i := range backends {
		name := fmt.Sprintf("pool-%d", i/100)
		if i%100 == 0 {
			add(pool(name))
		}
		put := backend(fmt.Sprintf("backend-%d", i), fmt.Sprintf("10.%d.%d.%d:9000", i>>16, i>>8&255, i&255))
		put.Pool = name
		add(put)
	}
	s, results := Apply(s, commands)
	for _, result := range results {
		if result.Err != nil {
			tb.Fatal(result.Err)
		}
	}
	return s
}

func BenchmarkSnapshot100000(b *testing.B) {
	s := largeState(b, 100_000)
	for b.Loop() {
		if err := s.WriteSnapshot(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRestore100000(b *testing.B) {
	var data bytes.Buffer
	if err := largeState(b, 100_000).WriteSnapshot(&data); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(data.Len()))
	for b.Loop() {
		if _, err := ReadSnapshot(bytes.NewReader(data.Bytes())); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkObserversChange is what a node's death and return cost each replica: until
// then nothing else is applied.
func BenchmarkObserversChange(b *testing.B) {
	s, seq := largeState(b, 100_000), uint64(0)
	for b.Loop() {
		seq++
		node := Node{UID: "n1", Name: "n1", State: [...]NodeState{NodeAlive, NodeDead}[seq%2], FeatureLevel: 1}
		next, results := Apply(s, []Command{{ID: CommandID{"b", seq}, Op: SetNode{node}}})
		if results[0].Err != nil || !results[0].Changed {
			b.Fatalf("%+v", results[0])
		}
		s = next
	}
}

func BenchmarkApply(b *testing.B) {
	for _, backends := range []int{100, 10_000, 100_000} {
		b.Run(fmt.Sprintf("backends=%d", backends), func(b *testing.B) {
			s := largeState(b, backends)
			seq := uint64(0)
			for b.Loop() {
				seq++
				put := backend("backend-0", fmt.Sprintf("11.0.0.%d:9000", seq%250+1))
				put.Pool = "pool-0"
				next, results := Apply(s, []Command{{ID: CommandID{"b", seq}, Op: put}})
				if results[0].Err != nil || !results[0].Changed {
					b.Fatalf("%+v", results[0])
				}
				s = next
			}
		})
	}
}

// BenchmarkRedraw100000 is the death and the return of one of 9 nodes, with votes
// of all observers about all backends.
func BenchmarkRedraw100000(b *testing.B) {
	s := voted(b, largeState(b, 100_000), 9)
	seq := uint64(0)
	for b.Loop() {
		for _, state := range []NodeState{NodeDead, NodeAlive} {
			seq++
			next, results := Apply(s, []Command{{ID: CommandID{"b", seq}, Op: SetNode{Node{UID: "n4", Name: "n4", State: state, FeatureLevel: FeatureLevel}}}})
			if results[0].Err != nil || !results[0].Changed {
				b.Fatalf("%+v", results[0])
			}
			s = next
		}
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(2*b.N), "ms/change")
}

// voted has that many nodes, and the vote of each observer.
func voted(tb testing.TB, s *State, nodes int) *State {
	r := &registry{State: s, t: tb, seq: maxRemembered}
	for i := range nodes {
		r.setNode(fmt.Sprintf("n%d", i+1), NodeAlive)
	}
	votes := map[string][]BackendVote{}
	for b := range r.Backends() {
		for _, uid := range r.Observers(b) {
			votes[uid] = append(votes[uid], BackendVote{Pool: b.Pool, Name: b.Name, UID: b.Meta.UID, Generation: r.CheckGeneration(b), Health: HealthUp})
		}
	}
	for uid, all := range votes {
		for part := range slices.Chunk(all, maxVotes) {
			r.seq++
			next, results := Apply(r.State, []Command{{ID: CommandID{"votes", r.seq}, Op: CastVotes{uid, part}}})
			if results[0].Err != nil || results[0].Ignored != 0 {
				tb.Fatalf("%+v", results[0])
			}
			r.State = next
		}
	}
	return r.State
}

// BenchmarkRollback is what the largest way back costs each replica, beside the
// transaction that it undoes; and the longest journal that leads nowhere.
func BenchmarkRollback(b *testing.B) {
	r := newRegistry(b)
	start := r.Revision()
	many := func(port int) (op Txn) {
		for n := range maxJournal / 3 {
			op.Steps = append(op.Steps, put(backend(fmt.Sprintf("b%d", n), fmt.Sprintf("10.0.%d.%d:%d", n/250, n%250, port))))
		}
		return op
	}
	r.must(many(80))
	made := r.Revision()
	r.must(many(81))
	moved := r.State
	r.must(many(80))
	for name, c := range map[string]struct {
		s  *State
		op Operation
	}{
		"transaction": {moved, many(82)},
		"back":        {moved, Rollback{To: made}},
		"deletion":    {moved, Rollback{To: start}},
		"nothing":     {r.State, Rollback{To: made}},
	} {
		b.Run(name, func(b *testing.B) {
			for i := range b.N {
				if _, results := Apply(c.s, []Command{{ID: CommandID{"b", uint64(i + 1)}, Op: c.op}}); results[0].Err != nil {
					b.Fatal(results[0].Err)
				}
			}
		})
	}
}
