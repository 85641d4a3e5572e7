package httpapi_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"evenkeel/fsm"
)

// wanted is what a follower watches, as this test understands it.
type wanted struct {
	kinds, names, pools []string
	label               string
	labels              func(map[string]any) bool
}

func (w wanted) query() string {
	query := ""
	for name, list := range map[string][]string{"kind": w.kinds, "name": w.names, "pool": w.pools} {
		if len(list) > 0 {
			query += "&" + name + "=" + strings.Join(list, ",")
		}
	}
	if w.label != "" {
		query += "&label=" + w.label
	}
	return query
}

func (w wanted) takes(kind string, o map[string]any) bool {
	in := func(list []string, value any) bool {
		text, _ := value.(string)
		return len(list) == 0 || slices.Contains(list, text)
	}
	labels, _ := o["labels"].(map[string]any)
	return in(w.kinds, kind) && in(w.names, o["name"]) && in(w.pools, o["pool"]) && (w.labels == nil || w.labels(labels))
}

func drawWanted(random *rand.Rand) wanted {
	var w wanted
	if random.IntN(2) == 0 {
		w.kinds = [][]string{{"backend"}, {"pool"}, {"route", "backend"}, {"backend", "pool", "listener"}}[random.IntN(4)]
	}
	if random.IntN(4) == 0 {
		w.names = []string{"n1", "n2", "p1"}
	}
	if random.IntN(4) == 0 && (w.kinds == nil || slices.Contains(w.kinds, "backend")) {
		w.pools = []string{"p0"}
	}
	is := func(key, value string) func(map[string]any) bool {
		return func(labels map[string]any) bool { return labels[key] == value }
	}
	switch random.IntN(5) {
	case 0:
		w.label, w.labels = "app%3Da", is("app", "a")
	case 1:
		w.label, w.labels = "app!%3Da", func(l map[string]any) bool { return l["app"] != "a" }
	case 2:
		w.label, w.labels = "!app", func(l map[string]any) bool { return l["app"] == nil }
	}
	return w
}

// follower keeps a copy of what it watches, over streams that are cut.
type follower struct {
	wanted
	t      *testing.T
	random *rand.Rand
	api    *client
	// last is the id of the last event, "" for none.
	last   string
	copied map[string]map[string]any
	// snapshots counts how often it began anew.
	snapshots, streams, events int
}

func keyOf(kind, pool, name string) string { return kind + " " + pool + "/" + name }

// follow opens streams until one told, after ctx was done, all there is.
func (f *follower) follow(ctx context.Context) {
	for {
		final := ctx.Err() != nil
		if final {
			ctx = f.t.Context()
		}
		f.stream(ctx, final)
		if final || f.t.Failed() {
			return
		}
	}
}

// stream follows until it is cut at some byte, or ctx is done; the final one until
// it is in sync.
func (f *follower) stream(ctx context.Context, final bool) {
	f.streams++
	p := newPipe()
	if !final {
		p.limit = 1 + f.random.IntN(4000)
		if f.last == "" && f.random.IntN(3) == 0 { // a snapshot needs more
			p.limit = 20_000
		}
	}
	inSync := func(text []byte) bool { return strings.Contains(string(text), "event: sync\n") }
	if final || f.random.IntN(4) == 0 {
		p.enough = func(text []byte) bool { return inSync(text) && strings.HasSuffix(string(text), "\n\n") }
	}
	path := "/v1/watch?" + strings.TrimPrefix(f.query()+"&since=0&snapshot=true", "&")
	request := httptest.NewRequest("GET", "http://localhost:7070"+path, nil).WithContext(ctx)
	if f.last != "" {
		request.Header.Set("Last-Event-ID", f.last)
	} else {
		f.snapshots++
		f.copied = map[string]map[string]any{}
	}
	f.api.handler.ServeHTTP(p, request)
	if p.status != 200 && ctx.Err() == nil {
		f.t.Errorf("status %d: %s", p.status, p.text)
		return
	}
	f.take(messages(f.t, string(p.text)))
}

// take applies events, of which none may be out of order or come twice.
func (f *follower) take(all []message) {
	begun, _ := strconv.ParseUint(f.last, 10, 64)
	seen := map[string]bool{}
	revision := begun
	for _, m := range all {
		f.events++
		if m.name == "put" || m.name == "delete" {
			e := m.told(f.t)
			key := keyOf(string(e.Kind), e.Pool, e.Name)
			once := fmt.Sprint(e.Revision, " ", key)
			if !e.Snapshot && (e.Revision <= begun || e.Revision < revision) || seen[once] {
				f.t.Errorf("after %q, at %d: event %+v", f.last, revision, e)
			}
			seen[once] = true
			if !e.Snapshot {
				revision = e.Revision
			}
			_, known := f.copied[key]
			switch {
			case m.name == "put":
				f.copied[key] = e.Object
			case !known && f.last == m.id:
				f.t.Errorf("unknown %s is deleted", key)
			default:
				delete(f.copied, key)
			}
		}
		if m.id != "" {
			f.last = m.id
		}
	}
}

// registry returns all that a filter takes, without status.
func (c *client) registry(w wanted) map[string]map[string]any {
	all := map[string]map[string]any{}
	for kind, path := range map[string]string{"listener": "/v1/listeners", "route": "/v1/routes", "pool": "/v1/pools", "backend": "/v1/backends"} {
		for _, o := range c.send("GET", path, "").want(200).items() {
			delete(o, "status")
			pool, _ := o["pool"].(string)
			if w.takes(kind, o) {
				all[keyOf(kind, pool, o["name"].(string))] = o
			}
		}
	}
	return all
}

// drawWrite returns a write that may be refused.
func drawWrite(random *rand.Rand) fsm.Operation {
	pool, name := fmt.Sprint("p", random.IntN(3)), fmt.Sprint("n", random.IntN(4))
	labels := []map[string]string{nil, {"app": "a"}, {"app": "b"}, {"app": "a", "x": "y"}}[random.IntN(4)]
	put := func() fsm.Put {
		if random.IntN(4) == 0 {
			return fsm.Put{Name: pool, Labels: labels, Spec: poolSpec()}
		}
		return backendPut(pool, name, random.IntN(3), labels)
	}
	remove := func() fsm.Delete {
		if random.IntN(4) == 0 {
			return fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindPool, Name: pool}}
		}
		return fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindBackend, Pool: pool, Name: name}}
	}
	switch random.IntN(4) {
	case 0:
		return remove()
	case 1:
		steps := map[fsm.Ref]fsm.Step{}
		for range 1 + random.IntN(8) {
			pool, name = fmt.Sprint("p", random.IntN(3)), fmt.Sprint("n", random.IntN(4))
			if random.IntN(3) == 0 {
				r := remove()
				steps[r.Ref] = fsm.Step{Delete: &r}
			} else {
				p := put()
				steps[p.Ref()] = fsm.Step{Put: &p}
			}
		}
		return fsm.Txn{Steps: slices.Collect(maps.Values(steps))}
	}
	return put()
}

// TestWhoStartsFromASnapshotAndAppliesEventsHasTheRegistry cuts streams at any
// byte, and resumes them, while others write.
func TestWhoStartsFromASnapshotAndAppliesEventsHasTheRegistry(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			c := newClient(t)
			random := rand.New(rand.NewPCG(seed, 1))
			ctx, done := context.WithCancel(t.Context())
			defer done()
			var followers []*follower
			var running sync.WaitGroup
			for i := range uint64(8) {
				own := rand.New(rand.NewPCG(seed, 2+i))
				f := &follower{wanted: drawWanted(own), t: t, random: own, api: c}
				followers = append(followers, f)
				running.Go(func() { f.follow(ctx) })
			}
			accepted := 0
			for range 1000 {
				if result := c.cluster.perform(fsm.Command{Actor: "test", Op: drawWrite(random)}); result.Err == nil && result.Changed {
					accepted++
				}
			}
			done()
			running.Wait()
			if accepted < 200 {
				t.Errorf("only %d writes changed something", accepted)
			}
			for _, f := range followers {
				want := c.registry(f.wanted)
				if diff := cmp.Diff(want, f.copied); diff != "" {
					t.Errorf("%s: after %d streams and %d events (-registry +copy):\n%s", f.query(), f.streams, f.events, diff)
				}
				t.Logf("%s: %d objects, %d streams, %d events, %d snapshots", f.query(), len(want), f.streams, f.events, f.snapshots)
			}
		})
	}
}
