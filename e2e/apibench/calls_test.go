//go:build linux

package apibench

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

const (
	writers    = 64
	readers    = 16
	writeSpan  = 5 * time.Second
	readSpan   = 4 * time.Second
	singleSpan = 4 * time.Second
)

func TestAPI(t *testing.T) {
	onlyInBench(t)
	b := newBed(t)
	t.Run("latency", b.latency)
	t.Run("reads", b.reads)
	t.Run("apply", b.applied)
	t.Run("watch", b.watches)
	t.Run("writes", b.writes)
}

// figure is the rounds of a load of both clusters.
type figure struct{ ours, etcds []measured }

func (f *figure) round(t *testing.T, ours, etcds func() measured) {
	t.Helper()
	f.ours = append(f.ours, ours())
	f.etcds = append(f.etcds, etcds())
	last := len(f.ours) - 1
	for _, one := range []struct {
		name string
		measured
	}{{"Evenkeel", f.ours[last]}, {"etcd", f.etcds[last]}} {
		t.Logf("round %d: %s: %.0f/s, p50 %.2f ms, p99 %.2f ms, of a request the servers use %.0f µs, the load %.0f µs",
			last+1, one.name, one.rate(), quantile(one.took, 0.5), quantile(one.took, 0.99), one.servers, one.load)
	}
}

func each(all []measured, value func(measured) float64) []float64 {
	values := make([]float64, len(all))
	for i, m := range all {
		values[i] = value(m)
	}
	return values
}

func (f *figure) compare(what string, g goal, format func(float64) string, value func(measured) float64) {
	compare(what, g, format, each(f.ours, value), each(f.etcds, value))
}

// costs adds what the figure's requests cost.
func (f *figure) costs(what string) {
	f.compare(what+": CPU of the servers for each", goal{}, micros, func(m measured) float64 { return m.servers })
	f.compare(what+": CPU of the load for each", goal{}, micros, func(m measured) float64 { return m.load })
}

// latency is of one client of a follower.
func (b *bed) latency(t *testing.T) {
	var f figure
	for range rounds {
		first := b.next
		f.round(t, func() measured {
			return measure(t, web(t, 1, b.nodeOrder(t)[:1], putBackend(7)), b.nodePIDs(), first, singleSpan)
		}, func() measured {
			return measure(t, etcd(t, 1, b.memberOrder(t)[:1], putKey(7)), b.memberPIDs(), first, singleSpan)
		})
		b.next += f.mostRequests()
	}
	for _, q := range []float64{0.5, 0.99} {
		f.compare(fmt.Sprintf("write latency p%.0f, 1 client, through a follower", 100*q), goal{1.2, true}, millis,
			func(m measured) float64 { return quantile(m.took, q) })
	}
	f.costs("such a write")
}

// mostRequests is of the last round, so that the next one writes new objects.
func (f *figure) mostRequests() int {
	last := len(f.ours) - 1
	return max(f.ours[last].requests, f.etcds[last].requests)
}

func putBackend(weight int) func(*webClient, int) error {
	return func(c *webClient, n int) error {
		status, body, err := c.call(http.MethodPut, key(n), document(n, weight))
		if err != nil {
			return err
		}
		return want(status, body, http.StatusCreated, http.StatusOK)
	}
}

func putKey(weight int) func(*etcdClient, int) error {
	return func(c *etcdClient, n int) error { return c.put([]byte(key(n)), document(n, weight)) }
}

// reads are of one object, from one node that follows.
func (b *bed) reads(t *testing.T) {
	path := "/v1/pools/" + readPool + "/backends/" + readName
	b.cluster.Nodes[0].Write(t, http.MethodPut, path, string(document(1, 1)))
	for _, c := range etcd(t, 1, b.memberOrder(t)[:1], func(c *etcdClient, _ int) error { return c.put([]byte(path), document(1, 1)) }) {
		if err := c.request(0); err != nil {
			t.Fatal(err)
		}
	}
	b.cluster.WaitSame(t)
	var f figure
	for range rounds {
		f.round(t, func() measured {
			return measure(t, web(t, readers, b.nodeOrder(t)[:1], func(c *webClient, _ int) error {
				status, body, err := c.call(http.MethodGet, path, nil)
				if err != nil {
					return err
				}
				return want(status, body, http.StatusOK)
			}), b.nodePIDs(), 0, readSpan)
		}, func() measured {
			return measure(t, etcd(t, readers, b.memberOrder(t)[:1], func(c *etcdClient, _ int) error {
				size, err := c.get([]byte(path))
				if err == nil && size < len(document(1, 1)) {
					t.Errorf("etcd answered with %d bytes", size)
				}
				return err
			}), b.memberPIDs(), 0, readSpan)
		})
	}
	f.compare("reads of one object from one node, 16 clients", goal{3, false}, perSecond, measured.rate)
	f.costs("such a read")
}

// writes are of new objects, and then of new weights of those.
func (b *bed) writes(t *testing.T) {
	var created, changed figure
	for i := range rounds {
		first := b.next
		created.round(t, func() measured {
			return measure(t, web(t, writers, b.nodeOrder(t), putBackend(1)), b.nodePIDs(), first, writeSpan)
		}, func() measured {
			return measure(t, etcd(t, writers, b.memberOrder(t), putKey(1)), b.memberPIDs(), first, writeSpan)
		})
		b.next += created.mostRequests()
		changed.round(t, func() measured {
			return measure(t, web(t, writers, b.nodeOrder(t), func(c *webClient, n int) error { return putBackend(2+i+n/1000%100)(c, n%1000) }), b.nodePIDs(), 0, writeSpan)
		}, func() measured {
			return measure(t, etcd(t, writers, b.memberOrder(t), func(c *etcdClient, n int) error { return putKey(2+i+n/1000%100)(c, n%1000) }), b.memberPIDs(), 0, writeSpan)
		})
	}
	created.compare("acknowledged writes, 64 clients over 3 nodes, new objects", goal{1.5, false}, perSecond, measured.rate)
	created.costs("such a write")
	changed.compare("the same, changes of 1,000 objects' weights", goal{1.5, false}, perSecond, measured.rate)
	changed.costs("such a change")
}
