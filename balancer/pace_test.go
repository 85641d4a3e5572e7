package balancer

import (
	"fmt"
	"testing"
	"time"

	"evenkeel/fsm"
)

func TestTheFirstTablesAreMadeAtOnce(t *testing.T) {
	var p pace
	now := time.Hour
	for i := range tableBurst {
		if p.next() > now {
			t.Fatalf("table %d waits %s", i, p.next()-now)
		}
		p.spend(now, time.Millisecond)
	}
	if got := p.next() - now; got != tablePeriod {
		t.Errorf("the next one waits %s, want %s", got, tablePeriod)
	}
	if now += tableBurst * tablePeriod; p.next() > now-(tableBurst-1)*tablePeriod {
		t.Error("a quiet time gives back less than the whole burst")
	}
}

// However fast the registry changes, tables are made at their pace, and the last
// one has it all.
func TestManyChangesAreFewTables(t *testing.T) {
	r := withBackend(t, backend(t, hello))
	n := run(t, Config{Bind: "127.0.0.1"}, r)
	eventually(t, "there is a table", func() bool { return n.newest.Load() != nil })
	began, before := time.Now(), n.newest.Load().swap
	for i := range 2000 {
		r.do(fsm.Put{Pool: "p", Name: fmt.Sprint("n", i%10), Spec: fsm.BackendSpec{
			Address: fmt.Sprintf("127.0.0.1:%d", 1+i), Weight: 1, AdminState: fsm.AdminDrain,
		}})
	}
	state, _ := r.Watch()
	eventually(t, "the newest table has it all", func() bool { return n.newest.Load().table.State() == state })
	tables, took := n.newest.Load().swap-before, time.Since(began)
	if most := uint64(took/tablePeriod) + tableBurst + 1; tables > most {
		t.Errorf("%d tables within %s, want %d at most", tables, took, most)
	}
}
