package engine

import (
	"fmt"
	"testing"

	"evenkeel/fsm"
)

func retries(attempts, percent, least int) func(*tuning) {
	return func(with *tuning) {
		with.pool.Retries = &fsm.Retries{Attempts: attempts, BudgetPercent: percent, BudgetMin: least}
	}
}

// Every request is sent to a backend that dies with it.
func TestBudgetBoundsRepeats(t *testing.T) {
	for _, c := range []struct {
		name              string
		attempts          int
		percent, least    int
		requests, repeats int
	}{
		{"none", 8, 0, 0, 20, 0},
		{"a fifth of the requests", 8, 20, 0, 20, 4},
		{"what is always allowed in ten seconds", 8, 0, 1, 20, 10},
		{"both", 8, 20, 1, 20, 14},
		{"all of them", 8, 100, 0, 20, 20},
		{"one attempt is none", 1, 100, 100, 20, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			dying := func() string { return scripted(t, func(p *peerConn) { p.head() }) }
			w := newWorld(t, retries(c.attempts, c.percent, c.least), dying(), dying())
			for range c.requests {
				if status, _ := w.get("/"); status != 502 {
					t.Fatalf("status %d", status)
				}
			}
			sent := 0
			for i := range 2 {
				sent += int(w.backend(fmt.Sprintf("b%d", i)).Stats.Requests())
			}
			if got := sent - c.requests; got != c.repeats {
				t.Errorf("%d repeats of %d requests, want %d", got, c.requests, c.repeats)
			}
		})
	}
}

func TestRefusedConnectsNeedNoBudget(t *testing.T) {
	w := newWorld(t, retries(8, 0, 0), refusing(t), refusing(t), answering(t, "hello"))
	for range 6 {
		if status, body := w.get("/"); status != 200 || body != "hello" {
			t.Fatalf("%d %q", status, body)
		}
	}
}

// A budget belongs to its pool: one in trouble does not spend another's.
func TestBudgetsAreOfPools(t *testing.T) {
	dying := func() string { return scripted(t, func(p *peerConn) { p.head() }) }
	w := newWorld(t, retries(8, 0, 1), dying(), dying())
	for range 20 {
		w.get("/")
	}
	w.do(put("", "q", fsm.PoolSpec{Strategy: fsm.StrategyRoundRobin, Retries: &fsm.Retries{Attempts: 8, BudgetMin: 1}}))
	for i, address := range []string{dying(), answering(t, "hello")} {
		w.do(put("q", fmt.Sprintf("q%d", i), fsm.BackendSpec{Address: address, Weight: 1, AdminState: fsm.AdminReady}))
	}
	w.route(fsm.RouteSpec{Pools: []fsm.WeightedPool{{Name: "q", Weight: 1}}})
	for range 4 {
		if status, _ := w.get("/"); status != 200 {
			t.Fatalf("status %d", status)
		}
	}
}

func TestRouteReplacesThePoolsAttempts(t *testing.T) {
	w := newWorld(t, nil, refusing(t), refusing(t), refusing(t))
	w.route(toPool(func(r *fsm.RouteSpec) { r.Retries = &fsm.RouteRetries{Attempts: 2} }))
	if status, _ := w.get("/"); status != 503 {
		t.Errorf("status %d", status)
	}
	tried := uint64(0)
	for i := range 3 {
		tried += w.backend(fmt.Sprintf("b%d", i)).Stats.ConnectFailures()
	}
	if tried != 2 {
		t.Errorf("%d backends were tried, want 2", tried)
	}
}
