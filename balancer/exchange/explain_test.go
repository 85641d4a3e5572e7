package exchange

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"evenkeel/balancer/table"
	"evenkeel/fsm"
)

var someTarget = rapid.SampledFrom([]string{
	"/", "/x", "/x/../y?q=1", "/x%2Fy", "/%zz", "*", "http://b.test/x?", "/v1/x?q=", "/v1", "//", "/a b", "b.test:443",
	"/" + strings.Repeat("l", 300),
})

// drawHead returns a request's head, which may be at fault.
func drawHead(rt *rapid.T) string {
	head := rapid.SampledFrom([]string{"GET", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PUT", "PURGE", "G,T"}).Draw(rt, "method") +
		" " + someTarget.Draw(rt, "target") + " HTTP/1." + rapid.SampledFrom([]string{"1", "1", "0"}).Draw(rt, "minor") + "\r\n"
	for _, field := range []string{
		"Host: a.test:8080", "Host: B.test.", "A: 1", "Max-Forwards: 0", "Max-Forwards: 2", "X-Forwarded-For: 10.0.0.9", "Upgrade: websocket\r\nConnection: upgrade",
		"Bad field", "Content-Length: 0",
	} {
		odds := 5
		if field == "Host: a.test:8080" {
			odds = 0
		}
		if rapid.IntRange(0, odds).Draw(rt, field) == 0 {
			head += field + "\r\n"
		}
	}
	return head + "\r\n"
}

// drawRoute returns any route, whose pools have backends or not.
func drawRoute(rt *rapid.T) fsm.RouteSpec {
	var spec fsm.RouteSpec
	switch rapid.IntRange(0, 4).Draw(rt, "match") {
	case 0:
		spec.Match.Host = rapid.SampledFrom([]string{"a.test", "*.test"}).Draw(rt, "host")
	case 1:
		spec.Match.Methods = []string{"GET"}
	case 2:
		spec.Match.Headers = []fsm.ValueMatch{{Name: "A"}}
	}
	if prefix := rapid.SampledFrom([]string{"", "/v1", "/x"}).Draw(rt, "prefix"); prefix != "" {
		spec.Match.PathPrefix = prefix
	}
	switch rapid.IntRange(0, 3).Draw(rt, "who") {
	case 0:
		spec.Deny = []string{"192.0.2.0/24"}
	case 1:
		spec.Allow = []string{"10.0.0.0/8", "192.0.2.0/24"}
	}
	switch rapid.IntRange(0, 5).Draw(rt, "action") {
	case 0:
		spec.Redirect = &fsm.Redirect{Status: 308, Scheme: "https"}
	case 1:
		spec.Respond = &fsm.Respond{Status: 410, Body: "gone", ContentType: "text/plain"}
	default:
		for _, pool := range []string{"one", "many", "none"} {
			spec.Pools = append(spec.Pools, fsm.WeightedPool{Name: pool, Weight: rapid.SampledFrom([]int{0, 1, 2}).Draw(rt, pool)})
		}
		if rapid.Bool().Draw(rt, "bounds") {
			spec.Timeouts, spec.Retries = &fsm.RouteTimeouts{Request: fsm.Duration(time.Second), FirstByte: fsm.Duration(time.Second)}, &fsm.RouteRetries{Attempts: 1}
		}
		switch rapid.IntRange(0, 3).Draw(rt, "rewrite") {
		case 0:
			spec.Rewrite = &fsm.Rewrite{Path: "/new", Host: "inner.test"}
		case 1:
			spec.Rewrite = &fsm.Rewrite{Regexp: "^(.*)$", Replacement: strings.Repeat("$1", 300)}
		}
		if rapid.Bool().Draw(rt, "edits") {
			spec.RequestFields = []fsm.FieldEdit{{Op: fsm.EditSet, Name: "A", Value: "2"}}
		}
	}
	return spec
}

// explained is a world of any registry.
func explained(t *testing.T, rt *rapid.T) *world {
	w := newWorld(t, fsm.PoolSpec{}, 0)
	state, seq := w.view.Table.State(), uint64(1000)
	do := func(op fsm.Operation) {
		seq++
		state, _ = fsm.Apply(state, []fsm.Command{{ID: fsm.CommandID{Origin: "test", Seq: seq}, Op: op}})
	}
	do(fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindRoute, Name: "r"}})
	for pool, backends := range map[string]int{"one": 1, "many": 3, "none": 0} {
		strategy := rapid.SampledFrom([]string{fsm.StrategyRandom, fsm.StrategyMaglev, fsm.StrategyWeightedRoundRobin}).Draw(rt, "strategy")
		spec := fsm.PoolSpec{Strategy: strategy}
		if strategy == fsm.StrategyMaglev {
			spec.Hash = &fsm.HashSpec{On: fsm.HashPath}
		}
		do(fsm.Put{Name: pool, Spec: spec})
		for i := range backends {
			do(fsm.Put{Pool: pool, Name: fmt.Sprintf("b%d", i), Spec: fsm.BackendSpec{
				Address: fmt.Sprintf("127.0.0.1:%d", 9000+i), Weight: 1 + i, AdminState: fsm.AdminReady,
			}})
		}
	}
	for i := range rapid.IntRange(0, 4).Draw(rt, "routes") {
		do(fsm.Put{Name: fmt.Sprintf("r%d", i), Spec: drawRoute(rt)})
	}
	w.view.Table = table.NewBuilder(noNames{}, table.Options{}).Update(state)
	settings := *w.listener.Settings.Load()
	settings.Via = rapid.Bool().Draw(rt, "via")
	if rapid.Bool().Draw(rt, "trusted") {
		settings.Trusted = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	}
	w.listener.Settings.Store(&settings)
	return w
}

// TestExplainAgreesWithExchanges sends the same request: it is answered as was
// explained, or reaches a backend as that said, in the very bytes.
func TestExplainAgreesWithExchanges(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := explained(t, rt)
		head := drawHead(rt)
		e := Explain(&Question{
			Table: w.view.Table, Listener: "web", Settings: w.listener.Settings.Load(), Head: []byte(head), Peer: netip.MustParseAddr("192.0.2.1"),
		})
		for _, b := range w.view.Table.PoolNamed("many").Backends() {
			if b.Stats.Requests() != 0 || b.Stats.InFlight() != 0 {
				rt.Fatal("explaining counted a request")
			}
		}
		client := w.client()
		client.give(head)
		if len(w.dialled) > 0 {
			conn := w.dialled[0]
			conn.events.Connected()
			checkReached(rt, head, e, conn.events.(*Backend).target, conn.take())
			return
		}
		checkAnswered(rt, head, e, client.take())
	})
}

func checkReached(rt *rapid.T, head string, e *Explanation, b *table.Backend, got string) {
	rt.Helper()
	if want := strings.Join(e.Route.Sent, "\r\n") + "\r\n\r\n"; e.Outcome.Kind != OutcomeBackend || got != want {
		rt.Fatalf("%q: %s got %q, explained as %+v with %q", head, b.Name, got, e.Outcome, want)
	}
	for _, p := range e.Pools {
		if p.Name != b.Pool {
			continue
		}
		for _, listed := range p.Backends {
			if listed.Name == b.Name && p.RouteShare > 0 && listed.Share > 0 && (p.Choice.Backend == "" || p.Choice.Backend == b.Name) {
				return
			}
		}
	}
	rt.Fatalf("%q reached %s/%s, explained as %+v", head, b.Pool, b.Name, e.Pools)
}

func checkAnswered(rt *rapid.T, head string, e *Explanation, got string) {
	rt.Helper()
	line, _, _ := strings.Cut(got, "\r\n")
	status, _ := strconv.Atoi(strings.Split(line+"  ", " ")[1])
	if e.Outcome.Kind == OutcomeBackend && e.Outcome.Unavailable > 0 && status == 503 {
		return
	}
	if e.Outcome.Kind == OutcomeBackend || e.Outcome.Status != status {
		rt.Fatalf("%q: the answer is %q, explained as %+v", head, line, e.Outcome)
	}
	if location := e.Outcome.Location; location != "" && !strings.Contains(got, "\r\nLocation: "+location+"\r\n") {
		rt.Fatalf("%q: the answer is %q, explained with %s", head, got, location)
	}
	if e.Outcome.Kind == OutcomeRefused && !strings.HasPrefix(head, "HEAD") && !strings.Contains(got, e.Outcome.Text) {
		rt.Fatalf("%q: the answer is %q, explained as %+v", head, got, e.Outcome)
	}
}
