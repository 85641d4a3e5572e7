package table

import (
	"fmt"
	"testing"

	"evenkeel/fsm"
)

// BenchmarkRoute shows what a lookup costs among so many routes: the cost of
// exact paths and prefixes must not follow their number, that of expressions
// does.
func BenchmarkRoute(b *testing.B) {
	for _, c := range []struct {
		kind string
		rule func(i int) rule
		q    func(i int) Request // that takes the i-th route
		most int
	}{
		{"exact path", func(i int) rule { return rule{path: fmt.Sprintf("/app/users/%d", i)} },
			func(i int) Request { return Request{Path: fmt.Sprintf("/app/users/%d", i)} }, 10_000},
		{"prefix", func(i int) rule { return rule{pathPrefix: fmt.Sprintf("/app/%d", i)} },
			func(i int) Request { return Request{Path: fmt.Sprintf("/app/%d/users/17", i)} }, 10_000},
		{"host and prefix", func(i int) rule { return rule{host: fmt.Sprintf("w%d.example.com", i), pathPrefix: "/app"} },
			func(i int) Request {
				return Request{Host: fmt.Sprintf("w%d.example.com", i), Path: "/app/users/17"}
			}, 10_000},
		{"wildcard", func(i int) rule { return rule{host: fmt.Sprintf("*.d%d.example.com", i)} },
			func(i int) Request {
				return Request{Host: fmt.Sprintf("www.d%d.example.com", i), Path: "/app/users/17"}
			}, 10_000},
		{"path and method", func(i int) rule {
			return rule{path: fmt.Sprintf("/app/users/%d", i), methods: []string{"GET"}, headers: []fsm.ValueMatch{{Name: "X-A", Value: "1"}}}
		}, func(i int) Request {
			return Request{Path: fmt.Sprintf("/app/users/%d", i), Method: "GET", Fields: headers{"X-A": {"1"}}}
		}, 10_000},
		{"expression", func(i int) rule { return rule{regexp: fmt.Sprintf("/app/%d/[a-z]+/[0-9]+", i)} },
			func(i int) Request { return Request{Path: fmt.Sprintf("/app/%d/users/17", i)} }, 100},
	} {
		for n := 1; n <= c.most; n *= 100 {
			b.Run(fmt.Sprintf("%s/%d", c.kind, n), func(b *testing.B) {
				r := withRules(b)
				for i := range n {
					rule := c.rule(i)
					rule.name = fmt.Sprintf("r%d", i)
					r.do(rule.put())
				}
				t, q := NewBuilder(newAnswers(), Options{}).Update(r.State), c.q(n/2)
				q.Listener, q.Method = "web", "GET"
				want := fmt.Sprintf("r%d", n/2)
				b.ReportAllocs()
				for b.Loop() {
					if t.Route(&q).Name != want {
						b.Fatal("took another route")
					}
				}
			})
		}
	}
}

// BenchmarkExplain is the search for the route of a request among many, with what
// keeps it from each of the others.
func BenchmarkExplain(b *testing.B) {
	table, requests := crowded(b, 10_000)
	for name, q := range requests {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				table.Explain(q)
			}
		})
	}
}
