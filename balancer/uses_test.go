package balancer

import (
	"context"
	"testing"

	"evenkeel/balancer/table"
	"evenkeel/fsm"
)

// A pool may have 100,000 backends, and most questions are about one of them.
func TestWhatIsDoneWithOneBackendIsToldAlone(t *testing.T) {
	b, err := New(Config{Bind: "127.0.0.1", Loops: 1, StopDelay: -1})
	if err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(context.Background())
	end()
	defer func() { _ = b.engine.Run(ended) }() // closes what it has
	r := withTwo(t, "192.0.2.1:80", fsm.PoolSpec{})
	state, _ := r.Watch()
	b.swap(table.NewBuilder(b.resolver, table.Options{Loops: 1}), state)
	for object := range state.PoolBackends("p") {
		if uses := b.Uses("p", object.Meta.UID); len(uses) != 1 || uses[object.Meta.UID] != table.Used {
			t.Errorf("%s: %v", object.Name, uses)
		}
	}
	if all := b.Uses("p", ""); len(all) != 2 {
		t.Errorf("of all: %v", all)
	}
	if none := b.Uses("ghost", ""); none != nil {
		t.Errorf("of no pool: %v", none)
	}
}
