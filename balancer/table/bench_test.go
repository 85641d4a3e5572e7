package table

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"evenkeel/fsm"
)

// sized returns a registry with that many backends, ten to a pool, and one
// route to each pool.
func sized(b *testing.B, backends int) *registry {
	r := newRegistry(b)
	r.do(putListener("web", ":80"))
	for p := range backends / 10 {
		pool := fmt.Sprintf("p%d", p)
		ops := []fsm.Operation{putPool(pool), putRoute(pool, fsm.RouteSpec{
			Match: fsm.RouteMatch{Host: pool + ".example.com", PathPrefix: "/app"},
			Pools: []fsm.WeightedPool{{Name: pool, Weight: 1}},
		})}
		for i := range 10 {
			ops = append(ops, putBackend(pool, fmt.Sprintf("b%d", i), fmt.Sprintf("10.%d.%d.%d:80", p/200, p%200, i+1)))
		}
		r.do(ops...)
	}
	return r
}

// changer makes one change after the other visible in a table.
type changer struct {
	*registry
	builder *Builder
	n       int
	change  func(n int) fsm.Operation
}

func newChanger(b *testing.B, backends int, change func(n int) fsm.Operation) *changer {
	c := &changer{registry: sized(b, backends), builder: NewBuilder(newAnswers(), Options{}), change: change}
	c.builder.Update(c.State)
	return c
}

// one is what is measured: the command applied, and the table that has it.
func (c *changer) one() {
	c.n++
	c.do(c.change(c.n))
	c.builder.Update(c.State)
}

func changeWeight(n int) fsm.Operation {
	return putBackend("p3", "b3", "10.0.3.4:80", weight(1+n%2))
}

func changeRoute(n int) fsm.Operation {
	return putRoute("p3", fsm.RouteSpec{
		Match: fsm.RouteMatch{Host: "p3.example.com", PathPrefix: fmt.Sprintf("/app%d", n%2)},
		Pools: []fsm.WeightedPool{{Name: "p3", Weight: 1}},
	})
}

// BenchmarkOneChange measures fsm.Apply and Builder.Update of one change.
func BenchmarkOneChange(b *testing.B) {
	for kind, change := range map[string]func(int) fsm.Operation{"backend": changeWeight, "route": changeRoute} {
		for _, backends := range []int{100, 10_000} {
			b.Run(fmt.Sprintf("%s/%d", kind, backends), func(b *testing.B) {
				c := newChanger(b, backends, change)
				b.ReportAllocs()
				for b.Loop() {
					c.one()
				}
			})
		}
	}
}

// BenchmarkOneChangeRatio holds one change in a registry of 10,000 backends in
// 1,000 pools against its bounds: 1 ms, and 3 times that in a registry of 100
// in 10. Both take turns, so that a busy machine slows them alike, and medians
// are compared.
func BenchmarkOneChangeRatio(b *testing.B) {
	for kind, change := range map[string]func(int) fsm.Operation{"backend": changeWeight, "route": changeRoute} {
		b.Run(kind, func(b *testing.B) {
			small, large := newChanger(b, 100, change), newChanger(b, 10_000, change)
			var ofSmall, ofLarge []time.Duration
			for b.Loop() {
				ofSmall = append(ofSmall, timed(small.one))
				ofLarge = append(ofLarge, timed(large.one))
			}
			s, l := median(ofSmall), median(ofLarge)
			ratio := float64(l) / float64(s)
			b.ReportMetric(float64(s.Nanoseconds()), "ns/change-of-100")
			b.ReportMetric(float64(l.Nanoseconds()), "ns/change-of-10000")
			b.ReportMetric(ratio, "ratio")
			if len(ofLarge) >= 100 && (l > time.Millisecond || ratio > 3) {
				b.Errorf("a change costs %v with 10,000 backends, %.1f times the %v with 100; the bounds are 1 ms and 3 times", l, ratio, s)
			}
		})
	}
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// BenchmarkFullRebuild is what a node does at its start, and when it fell too
// far behind.
func BenchmarkFullRebuild(b *testing.B) {
	for _, backends := range []int{100, 10_000} {
		b.Run(fmt.Sprint(backends), func(b *testing.B) {
			r := sized(b, backends)
			b.ReportAllocs()
			for b.Loop() {
				NewBuilder(newAnswers(), Options{}).Update(r.State)
			}
		})
	}
}

// BenchmarkRequest measures what a request asks of a table.
func BenchmarkRequest(b *testing.B) {
	for _, backends := range []int{10, 10_000} {
		t := NewBuilder(newAnswers(), Options{}).Update(sized(b, max(backends, 10)).State)
		host := fmt.Sprintf("p%d.example.com", backends/20)
		b.Run(fmt.Sprintf("route of %d", backends/10), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if t.Route(&Request{Listener: "web", Host: host, Path: "/app/users/17"}) == nil {
					b.Fatal("no route")
				}
			}
		})
		route := t.Route(&Request{Listener: "web", Host: host, Path: "/app/users/17"})
		b.Run(fmt.Sprintf("pool of %d and pick", backends/10), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if t.Pool(route).Pick(new(Choice)) == nil {
					b.Fatal("no backend")
				}
			}
		})
	}
}
