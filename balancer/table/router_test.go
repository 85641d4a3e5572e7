package table

import (
	"fmt"
	"testing"
	"time"

	"evenkeel/fsm"
)

// crowded returns a table of n routes, of which a tenth each is of one kind, and
// requests that take one of them by each way of finding it.
func crowded(t testing.TB, n int) (*Table, map[string]*Request) {
	r := newRegistry(t)
	r.do(putPool("p"), putListener("web", ":80"), putListener("api", ":81"))
	ops := make([]fsm.Operation, 0, n)
	for i := range n {
		at := rule{name: fmt.Sprintf("r%d", i)}
		switch at.path = fmt.Sprintf("/app/%d", i); i % 10 {
		case 1:
			at.path, at.pathPrefix = "", at.path
		case 2:
			at.path, at.host = "", fmt.Sprintf("h%d.example.com", i)
		case 3:
			at.path, at.host = "", fmt.Sprintf("*.w%d.example.com", i)
		case 4:
			at.listeners = []string{"api"}
		case 5:
			at.methods = []string{"POST"}
		}
		ops = append(ops, at.put())
	}
	r.do(ops...)
	last := max(n/10-1, 0) * 10
	requests := map[string]*Request{"exact": {Listener: "web", Host: "www.example.com", Path: fmt.Sprintf("/app/%d", last)}}
	if n >= 10 {
		requests["prefix"] = &Request{Listener: "web", Host: "www.example.com", Path: fmt.Sprintf("/app/%d/x/y", last+1)}
		requests["host"] = &Request{Listener: "web", Host: fmt.Sprintf("h%d.example.com:80", last+2), Path: "/x"}
		requests["wildcard"] = &Request{Listener: "web", Host: fmt.Sprintf("a.w%d.example.com", last+3), Path: "/x"}
		requests["listener"] = &Request{Listener: "api", Host: "www.example.com", Path: fmt.Sprintf("/app/%d", last+4)}
		requests["method"] = &Request{Listener: "web", Host: "www.example.com", Path: fmt.Sprintf("/app/%d", last+5), Method: "POST"}
	}
	return NewBuilder(newAnswers(), Options{}).Update(r.State), requests
}

func TestRoutingAllocatesNothingAmongManyRoutes(t *testing.T) {
	table, requests := crowded(t, 1000)
	for name, q := range requests {
		if n := testing.AllocsPerRun(1000, func() {
			if table.Route(q) == nil {
				t.Fatalf("%s: no route", name)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// Trying the routes one after the other would cost 100 times as much among 100
// times as many; a factor of 20 is far from both that and the truth, which is
// below 2.
func TestTheCostOfRoutingDoesNotGrowWithTheRoutes(t *testing.T) {
	few, requestsOfFew := crowded(t, 100)
	many, requestsOfMany := crowded(t, 10_000)
	for kind := range requestsOfFew {
		var ofFew, ofMany []time.Duration
		for range 50 { // in turns, so that a busy machine slows both alike
			ofFew = append(ofFew, timed(func() { routeOften(few, requestsOfFew[kind]) }))
			ofMany = append(ofMany, timed(func() { routeOften(many, requestsOfMany[kind]) }))
		}
		if f, m := median(ofFew), median(ofMany); m > 20*f {
			t.Errorf("%s: %v for 100 requests among 10,000 routes, %v among 100", kind, m, f)
		}
	}
}

func routeOften(table *Table, q *Request) {
	for range 100 {
		table.Route(q)
	}
}
