package httpapi

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"evenkeel/fsm"
)

// published is a state with a channel that is closed when another is.
type published struct {
	state    *fsm.State
	replaced chan struct{}
}

func TestAVoteWakesNobodyAndARevisionDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state, sequence := fsm.New(), uint64(0)
		var now atomic.Pointer[published]
		now.Store(&published{state, make(chan struct{})})
		apply := func(op fsm.Operation) {
			sequence++
			next, results := fsm.Apply(state, []fsm.Command{{ID: fsm.CommandID{Origin: "n", Seq: sequence}, Op: op}})
			if results[0].Err != nil {
				t.Fatal(results[0].Err)
			}
			state = next
			before := now.Load()
			now.Store(&published{state, make(chan struct{})})
			close(before.replaced)
			synctest.Wait()
		}
		h := hub{watch: func() (*fsm.State, <-chan struct{}) {
			p := now.Load()
			return p.state, p.replaced
		}}
		apply(fsm.Init{ClusterID: "c", FeatureLevel: fsm.FeatureLevel, Objects: fsm.DefaultObjects()})
		h.join()
		defer h.leave()
		before := h.current.Load()
		for _, name := range []string{"a", "b", "c"} {
			apply(fsm.SetNode{Node: fsm.Node{UID: "11111111-1111-4111-8111-111111111111", Name: name, State: fsm.NodeAlive, FeatureLevel: fsm.FeatureLevel}})
		}
		if h.current.Load() != before {
			t.Error("a change of a member woke the watchers")
		}
		apply(fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindPool, Name: "none"}})
		if h.current.Load() != before {
			t.Error("a write that changed nothing woke the watchers")
		}
		spec := fsm.PoolSpec{}
		spec.SetDefaults()
		apply(fsm.Put{Name: "p", Spec: spec})
		select {
		case <-before.replaced:
		default:
			t.Error("a revision woke nobody")
		}
		if got := h.current.Load().revision; got != 2 {
			t.Errorf("the revision is %d", got)
		}
	})
}

func TestTheHubEndsWithItsLastUserAndBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
		state, never := fsm.New(), make(chan struct{})
		h := hub{watch: func() (*fsm.State, <-chan struct{}) { return state, never }}
		for range 3 {
			h.join()
			h.join()
			h.leave()
			select {
			case <-h.done:
				t.Error("it ended while it had a user")
			default:
			}
			h.leave()
		}
	})
}
