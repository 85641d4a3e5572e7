package httpapi_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"evenkeel/fsm"
	"evenkeel/httpapi"
)

// brief is an event in a line.
func brief(t testing.TB, m message) string {
	t.Helper()
	if m.name != "put" && m.name != "delete" {
		return strings.TrimSpace(m.name + " " + m.id)
	}
	e := m.told(t)
	text := fmt.Sprintf("%s %s %s/%s %d", m.name, e.Action, e.Pool, e.Name, e.Revision)
	if e.ByFilter {
		text += " by filter"
	}
	if e.Snapshot {
		text += " snapshot"
	}
	if m.id != "" {
		text += " id " + m.id
	}
	return text
}

func briefs(t testing.TB, text string) []string {
	t.Helper()
	var all []string
	for _, m := range messages(t, text) {
		all = append(all, brief(t, m))
	}
	return all
}

func wantBriefs(t testing.TB, text string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, briefs(t, text)); diff != "" {
		t.Errorf("events (-want +got):\n%s\n%s", diff, text)
	}
}

func TestAWatchTellsWhatChangesInOrderAndWhereToResume(t *testing.T) {
	c := newClient(t)
	p := newPipe()
	c.open("/v1/watch", p)
	p.untilHas(t, "sync")
	c.cluster.perform(fsm.Command{Actor: "ann", Reason: "more room", Op: backendPut("default", "a", 1, map[string]string{"x": "y"})})
	c.cluster.apply(t, fsm.Txn{Steps: []fsm.Step{
		{Put: new(backendPut("default", "b", 1, nil))}, {Put: new(backendPut("default", "a", 2, nil))},
	}})
	c.cluster.apply(t, fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindBackend, Pool: "default", Name: "b"}})
	text := p.untilHas(t, "id: 4")
	wantBriefs(t, text, "sync 1", "put create default/a 2 id 2", "put create default/b 3", "put update default/a 3 id 3", "delete delete default/b 4 id 4")
	first := messages(t, text)[1].told(t)
	if first.Actor != "ann" || first.Reason != "more room" || first.Kind != fsm.KindBackend || first.Time.IsZero() {
		t.Errorf("the first event is %+v", first)
	}
	if spec, _ := first.Object["spec"].(map[string]any); spec["address"] != "a.default:1" || first.Object["status"] != nil {
		t.Errorf("its object is %v", first.Object)
	}
	last := messages(t, text)[4].told(t)
	if last.Object["name"] != "b" {
		t.Errorf("a deletion tells of %v", last.Object)
	}
}

func TestAWatchResumesBehindWhatWasReceivedWhole(t *testing.T) {
	c := newClient(t)
	c.cluster.putBackend(t, "default", "a", 1, nil)
	c.cluster.putBackend(t, "default", "b", 1, nil)
	for name, header := range map[string][]string{
		"/v1/watch?since=2":               nil,
		"/v1/watch":                       {"Last-Event-ID", "2"},
		"/v1/watch?since=1":               {"Last-Event-ID", "2"},
		"/v1/watch?since=0&snapshot=true": {"Last-Event-ID", "2"},
	} {
		t.Run(fmt.Sprint(name, header), func(t *testing.T) {
			p := newPipe()
			c.open(name, p, header...)
			wantBriefs(t, p.untilHas(t, "sync"), "put create default/b 3 id 3", "sync 3")
		})
	}
}

func TestAWatchWithASnapshotTellsAllThatThereIsFirst(t *testing.T) {
	c := newClient(t)
	c.cluster.putBackend(t, "default", "a", 1, nil)
	p := newPipe()
	c.open("/v1/watch?since=0&snapshot=true&kind=backend,pool", p)
	p.untilHas(t, "sync")
	c.cluster.putBackend(t, "default", "b", 1, nil)
	wantBriefs(t, p.untilHas(t, "id: 3"), "put create /default 1 snapshot", "put create default/a 2 snapshot", "sync 2", "put create default/b 3 id 3")
}

func TestAWatchTellsOnlyWhatItsFilterTakes(t *testing.T) {
	c := newClient(t)
	c.cluster.apply(t, fsm.Put{Name: "other", Spec: poolSpec()})
	for _, labels := range []map[string]string{nil, {"app": "web"}, {"app": "web", "x": "y"}, {"app": "mail"}} {
		c.cluster.putBackend(t, "default", "a", 1, labels)
	}
	c.cluster.putBackend(t, "other", "b", 1, nil)
	c.cluster.apply(t, fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindBackend, Pool: "default", Name: "a"}})
	for query, want := range map[string][]string{
		"kind=pool":           {"put create /other 2 id 2", "sync 8"},
		"kind=pool,listener":  {"put create /other 2 id 2", "sync 8"},
		"name=b":              {"put create other/b 7 id 7", "sync 8"},
		"name=b,other":        {"put create /other 2 id 2", "put create other/b 7 id 7", "sync 8"},
		"pool=other,none":     {"put create other/b 7 id 7", "sync 8"},
		"label=app%3Dweb":     {"put create default/a 4 by filter id 4", "put update default/a 5 id 5", "delete delete default/a 6 by filter id 6", "sync 8"},
		"label=app%3Dmail":    {"put create default/a 6 by filter id 6", "delete delete default/a 8 id 8", "sync 8"},
		"label=!app&name=a":   {"put create default/a 3 id 3", "delete delete default/a 4 by filter id 4", "sync 8"},
		"label=none&kind=":    nil,
		"label=app&kind=pool": {"sync 8"},
	} {
		if want == nil {
			c.send("GET", "/v1/watch?since=1&"+query, "").wantProblem(400, "invalid-request")
			continue
		}
		t.Run(query, func(t *testing.T) {
			p := newPipe()
			c.open("/v1/watch?since=1&"+query, p)
			wantBriefs(t, p.untilHas(t, "sync"), want...)
		})
	}
}

func poolSpec() fsm.PoolSpec {
	var spec fsm.PoolSpec
	spec.SetDefaults()
	return spec
}

func TestAllThatIsWrongWithAWatchIsToldAtOnce(t *testing.T) {
	c := newClient(t)
	for query, parts := range map[string][]string{
		"since=x&kind=bakend&label=a%3D%3D%3Db&snapshot=maybe": {`since "x"`, `kind "bakend"`, "label", `snapshot "maybe"`},
		"since=3&snapshot=true":                                {"since can only be 0"},
		"since=-1":                                             {`since "-1"`},
		"wait=3s":                                              {"it is of index"},
		"index=1&wait=6m":                                      {`wait "6m"`, "5m0s"},
		"index=1&wait=3":                                       {`wait "3"`},
		"index=1&since=1":                                      {"send either"},
		"name=a,,b":                                            {"an entry is empty"},
		"pool=p&kind=route":                                    {"pool: it is of backends"},
		"knd=pool":                                             {`"knd" is not known here`},
		"name=" + strings.Repeat("a,", 300) + "a": {"301 entries"},
	} {
		got := c.send("GET", "/v1/watch?"+query, "").wantProblem(400, "invalid-request").at("detail").(string)
		for _, part := range parts {
			if !strings.Contains(got, part) {
				t.Errorf("%s: %q lacks %q", query, got, part)
			}
		}
	}
	c.send("GET", "/v1/watch", "", "Last-Event-ID", "one").wantProblem(400, "invalid-request")
}

func TestAStreamIsAnnouncedAsOne(t *testing.T) {
	c := newClient(t)
	c.send("HEAD", "/v1/watch", "").want(200).wantHeader("Content-Type", "text/event-stream").wantHeader("Cache-Control", "no-store")
	c.send("HEAD", "/v1/watch?index=0", "").want(200).wantHeader("Content-Type", "application/json")
	p := newPipe()
	c.open("/v1/watch", p)
	p.untilHas(t, "sync")
	if got := p.header.Get("Content-Type"); got != "text/event-stream" || p.header.Get("X-Evenkeel-Revision") != "1" {
		t.Errorf("the header is %v", p.header)
	}
}

// forgetFirst makes revision 1 one that the journal has forgotten.
func forgetFirst(t testing.TB, f *fakeCluster) {
	t.Helper()
	for i := range 4300 {
		f.putBackend(t, "default", "filler", i%7, nil)
	}
	if f.State().OldestRevision() < 200 {
		t.Fatal("nothing is forgotten")
	}
}

func TestWhatIsForgottenIsSaidBeforeAndWithinAStream(t *testing.T) {
	c := newClient(t)
	p := newPipe()
	c.open("/v1/watch?kind=backend", p)
	p.untilHas(t, "sync")
	unclog := p.clog()
	forgetFirst(t, c.cluster)
	unclog()
	text := p.untilHas(t, "event: error")
	all := messages(t, text)
	last := all[len(all)-1]
	if !strings.Contains(last.data, "/v1/problems/compacted") || !strings.Contains(last.data, `"status":410`) {
		t.Errorf("the stream ends with %+v", last)
	}
	c.send("GET", "/v1/watch?since=1", "").wantProblem(410, "compacted")
	c.send("GET", "/v1/watch", "", "Last-Event-ID", "0").wantProblem(410, "compacted")
	c.send("GET", "/v1/watch?index=1", "").wantProblem(410, "compacted")
	c.send("GET", "/metrics", "").want(200)
	if metrics := c.send("GET", "/metrics", "").body; !strings.Contains(metrics, `evenkeel_api_watch_drops_total{reason="compacted"} 1`) {
		t.Error("the drop is not counted")
	}
}

func TestABlockingReadAnswersWithTheEventsOrWhenItsTimeIsOver(t *testing.T) {
	c := newClient(t)
	c.cluster.putBackend(t, "default", "a", 1, nil)
	got := c.send("GET", "/v1/watch?index=1&wait=1m", "").want(200).wantHeader("X-Evenkeel-Revision", "2").wantAt(2.0, "revision")
	if events := got.at("events").([]any); len(events) != 1 || events[0].(map[string]any)["name"] != "a" {
		t.Errorf("events %v", events)
	}
	c.send("GET", "/v1/watch?index=2&wait=0s", "").want(200).wantHeader("X-Evenkeel-Revision", "2")

	synctest.Test(t, func(t *testing.T) {
		c := newClient(t)
		begin := time.Now()
		got := c.send("GET", "/v1/watch?index=1&wait=4m&kind=route", "").want(200).wantAt(1.0, "revision")
		if took := time.Since(begin); took != 4*time.Minute || len(got.at("events").([]any)) != 0 {
			t.Errorf("after %s: %s", took, got.body)
		}
		go func() {
			time.Sleep(time.Second) // synctest's own clock
			c.cluster.putBackend(t, "default", "a", 1, nil)
			time.Sleep(time.Second)
			c.cluster.apply(t, fsm.Put{Name: "p", Spec: poolSpec()})
		}()
		begin = time.Now()
		c.send("GET", "/v1/watch?index=1&wait=4m&kind=pool", "").want(200).wantAt(3.0, "revision")
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

func TestANodeThatDoesNotHaveTheRevisionYetIsWaitedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t)
		begin := time.Now()
		c.send("GET", "/v1/watch?since=2", "").wantProblem(503, "not-yet").wantHeader("Retry-After", "1")
		c.send("GET", "/v1/watch?index=2&wait=7s", "").wantProblem(503, "not-yet")
		if took := time.Since(begin); took != 12*time.Second {
			t.Errorf("they took %s", took)
		}
		p := newPipe()
		closed := c.open("/v1/watch?since=2", p)
		synctest.Wait()
		c.cluster.putBackend(t, "default", "a", 1, nil)
		p.untilHas(t, "sync")
		c.cluster.putBackend(t, "default", "b", 1, nil)
		wantBriefs(t, p.untilHas(t, `"name":"b"`), "sync 2", "put create default/b 3 id 3")
		closed()
	})
}

func TestASilentStreamShowsThatItLivesAndHowFarItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t)
		p := newPipe()
		closed := c.open("/v1/watch?kind=route", p)
		p.untilHas(t, "sync")
		before := p.read()
		time.Sleep(10*time.Second + time.Millisecond)
		synctest.Wait()
		if got := strings.TrimPrefix(p.read(), before); got != ":\n\n" {
			t.Errorf("a heartbeat is %q", got)
		}
		c.cluster.putBackend(t, "default", "a", 1, nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := strings.TrimPrefix(p.read(), before); got != ":\n\n:\nid: 2\n\n" {
			t.Errorf("the heartbeats are %q", got)
		}
		time.Sleep(10 * time.Minute) // no request of other kinds may take so long
		synctest.Wait()
		c.cluster.apply(t, fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindRoute, Name: "default"}})
		p.untilHas(t, "event: delete")
		closed()
	})
}

func TestAReaderThatTakesNothingIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t)
		p := newPipe()
		closed := c.open("/v1/watch", p)
		p.untilHas(t, "sync")
		p.clog()
		begin := time.Now()
		c.cluster.putBackend(t, "default", "a", 1, nil)
		gone := func() bool {
			return strings.Contains(c.send("GET", "/metrics", "").body, `evenkeel_api_watch_drops_total{reason="blocked"} 1`)
		}
		for !gone() {
			time.Sleep(time.Second)
		}
		if took := time.Since(begin); took > 11*time.Second {
			t.Errorf("it was dropped after %s", took)
		}
		closed()
		if !strings.Contains(c.send("GET", "/metrics", "").body, "evenkeel_api_watchers 0\n") {
			t.Error("there are watchers left")
		}
	})
}

func TestAReaderThatStaysBehindIsDroppedAndToldWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t)
		large := map[string]string{}
		for i := range 32 {
			large[fmt.Sprint("label", i)] = strings.Repeat("x", 200)
		}
		for i := range 2000 {
			c.cluster.putBackend(t, "default", "a", i%5, large)
		}
		p := newPipe()
		p.pace = 500 * time.Millisecond
		begin := time.Now()
		c.open("/v1/watch?since=1", p)
		p.untilHas(t, "event: error")
		if text := p.read(); !strings.Contains(text, "/v1/problems/too-slow") {
			t.Errorf("the stream ends with %q", text[max(0, len(text)-300):])
		}
		if took := time.Since(begin); took < time.Minute || took > time.Minute+20*time.Second {
			t.Errorf("it was dropped after %s", took)
		}
		if !strings.Contains(c.send("GET", "/metrics", "").body, `evenkeel_api_watch_drops_total{reason="lag"} 1`) {
			t.Error("the drop is not counted")
		}
	})
}

func TestTooManyWatchersAreRefused(t *testing.T) {
	c := newClient(t)
	pipes := make([]*pipe, httpapi.MaxWatchers)
	for i := range pipes {
		pipes[i] = newPipe()
		c.open("/v1/watch", pipes[i])
	}
	for _, p := range pipes {
		p.untilHas(t, "sync")
	}
	c.send("GET", "/v1/watch", "").wantProblem(503, "overloaded").wantHeader("Retry-After", "10")
	c.send("GET", "/v1/watch?index=1", "").wantProblem(503, "overloaded")
	c.cluster.putBackend(t, "default", "a", 1, nil)
	for _, p := range pipes {
		p.untilHas(t, "id: 2")
	}
}
