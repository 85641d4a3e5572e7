package client

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"evenkeel/fsm"
)

const web1 = `{"pool":"web","name":"web1","labels":{"a":"b"},"spec":{"address":"10.0.0.5:9000","weight":3,"later":1},"meta":{"revision":7}}`

func TestWhatANodeDoesToARequest(t *testing.T) {
	read := func(c *Client, ctx context.Context) error {
		_, err := c.Backends("web").Get(ctx, "web1", Read{})
		return err
	}
	put := func(write Write) func(*Client, context.Context) error {
		return func(c *Client, ctx context.Context) error {
			_, err := c.PutRaw(ctx, fsm.Ref{Kind: fsm.KindPool, Name: "p"}, []byte(`{}`), write)
			return err
		}
	}
	create := func(c *Client, ctx context.Context) error {
		_, err := c.Backends("web").Create(ctx, &fsm.Backend{Spec: fsm.BackendSpec{Address: "a:1"}}, Write{})
		return err
	}
	for name, test := range map[string]struct {
		first http.HandlerFunc
		level int // of the second node
		do    func(*Client, context.Context) error
		again bool // at the second node
	}{
		"a read is sent again after a death":                {dies, 1, read, true},
		"a read is sent again after half an answer":         {diesMidAnswer, 1, read, true},
		"a read is sent again after a silence":              {hangs, 1, read, true},
		"a read leaves a node that is detached":             {says(503, problemBody("detached")), 1, read, true},
		"a refusal is told":                                 {says(404, problemBody("not-found")), 5, read, false},
		"a plain write is not sent again":                   {dies, 5, put(Write{}), false},
		"nor after half an answer":                          {diesMidAnswer, 5, put(Write{}), false},
		"nor after a silence":                               {hangs, 5, put(Write{}), false},
		"a write with a key is":                             {dies, 5, put(Write{Key: "k"}), true},
		"but not where nodes do not know keys":              {dies, 4, put(Write{Key: "k"}), false},
		"a condition comes with a key":                      {diesMidAnswer, 5, put(Write{Revision: 7}), true},
		"a creation comes with a key":                       {hangs, 5, create, true},
		"but not where nodes do not know keys, once more":   {hangs, 4, create, false},
		"a dry run is sent again":                           {dies, 1, put(Write{DryRun: true}), true},
		"a write is not sent to another node when detached": {says(503, problemBody("detached")), 5, put(Write{Key: "k"}), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := newNode(t, test.first)
			second := newNode(t, atLevel(test.level, says(200, web1)))
			c := newClient(t, Config{Timeout: 300 * time.Millisecond}, first.url, second.url)
			err := test.do(c, within(t))
			if (err == nil) != test.again || len(first.requests()) != 1 || (len(second.requests()) == 1) != test.again {
				t.Errorf("error %v, asked %q and %q", err, first.requests(), second.requests())
			}
			if test.again && !slices.Equal(first.keys(), second.keys()) {
				t.Errorf("the keys are %q and %q", first.keys(), second.keys())
			}
			if !test.again && problemOf(err).Status == 0 && !IsOutcomeUnknown(err) {
				t.Errorf("%v does not say that the outcome is unknown", err)
			}
		})
	}
}

func TestANodeThatIsNotThereIsPassedOver(t *testing.T) {
	there := newNode(t, says(200, web1))
	c := newClient(t, Config{}, refused(t), refused(t), there.url)
	for range 2 {
		if _, err := c.Backends("web").Put(within(t), &fsm.Backend{Name: "web1"}, Write{}); err != nil {
			t.Error(err)
		}
	}
	nobody := newClient(t, Config{}, refused(t), refused(t))
	_, err := nobody.Pools().Get(within(t), "p", Read{})
	if !IsUnreached(err) || IsOutcomeUnknown(err) || strings.Count(err.Error(), "nothing listens there") != 2 {
		t.Error(err)
	}
}

func TestALostWriteStaysLostThoughOtherNodesAreNotThere(t *testing.T) {
	c := newClient(t, Config{}, newNode(t, dies).url, refused(t))
	_, err := c.Txn(within(t), nil, Write{})
	if !IsOutcomeUnknown(err) {
		t.Error(err)
	}
}

func TestWhatIsRefusedForNowIsSentAgain(t *testing.T) {
	ok := says(200, web1)
	for name, test := range map[string]struct {
		kind, notice string
		status       int
		key          string
		sent         int
	}{
		"without a leader":                {"no-quorum", "the cluster has no leader, trying again", 503, "", 3},
		"by a node that stops":            {"stopping", "the node stops, trying again", 503, "", 3},
		"by one with too much to do":      {"overloaded", "the node has too much to do, trying again", 503, "", 3},
		"because of others' writes":       {"outrun", "others kept changing the same objects, trying again", 503, "", 3},
		"an outcome that may be known":    {"outcome-unknown", "the outcome is not known, trying again", 504, "k", 3},
		"an outcome that will not be":     {"outcome-unknown", "", 504, "", 1},
		"a write that something garbled":  {"", "", 502, "", 1},
		"what does not change by waiting": {"detached", "", 503, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := problemBody(test.kind)
			n := newNode(t, atLevel(5, inTurn(says(test.status, body), says(test.status, body), ok)))
			var notices []string
			c := newClient(t, Config{Patience: 10 * time.Second, Notice: func(text string) { notices = append(notices, text) }}, n.url)
			_, err := c.PutRaw(within(t), fsm.Ref{Kind: fsm.KindPool, Name: "p"}, []byte(`{}`), Write{Key: test.key})
			if len(n.requests()) != test.sent || (err == nil) != (test.sent == 3) {
				t.Errorf("error %v, asked %q", err, n.requests())
			}
			if test.sent == 3 {
				equal(t, "notices", notices, test.notice, test.notice)
			}
		})
	}
}

func TestAClusterWithoutKeysIsWrittenToAllTheSame(t *testing.T) {
	for level, sent := range map[int]int{4: 2, 5: 1} {
		n := newNode(t, atLevel(level, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get(headerKey) != "" {
				says(400, problemBody("invalid-request"))(w, r)
				return
			}
			says(200, web1)(w, r)
		}))
		c := newClient(t, Config{}, n.url)
		_, err := c.Pools().Patch(within(t), "p", map[string]any{}, Write{})
		if (err == nil) != (level == 4) || len(n.requests()) != sent {
			t.Errorf("level %d: %v, asked %q", level, err, n.requests())
		}
		if _, err := c.Pools().Patch(within(t), "p", map[string]any{}, Write{Key: "mine"}); !IsInvalid(err) {
			t.Errorf("level %d: a key of the caller's own is dropped: %v", level, err)
		}
	}
}

func TestPatienceEnds(t *testing.T) {
	n := newNode(t, says(503, problemBody("no-quorum")))
	c := newClient(t, Config{Patience: 600 * time.Millisecond}, n.url)
	_, err := c.Pools().Get(within(t), "p", Read{})
	if !IsNoQuorum(err) || len(n.requests()) < 2 || len(n.requests()) > 5 {
		t.Errorf("error %v after %d requests", err, len(n.requests()))
	}
}

func TestACancelledRequestEndsAtOnce(t *testing.T) {
	other := newNode(t, says(200, web1))
	c := newClient(t, Config{}, newNode(t, hangs).url, other.url)
	ctx, cancel := context.WithTimeout(within(t), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Pools().Get(ctx, "p", Read{}); !errors.Is(err, context.DeadlineExceeded) || len(other.requests()) > 0 {
		t.Error(err)
	}
}

func TestAnAnswerIsBounded(t *testing.T) {
	n := newNode(t, says(200, strings.Repeat(" ", 2000)))
	c := newClient(t, Config{MaxAnswer: 1000}, n.url, n.url)
	if _, err := c.Pools().Get(within(t), "p", Read{}); !errors.Is(err, errTooLong) || len(n.requests()) != 1 {
		t.Errorf("error %v, asked %q", err, n.requests())
	}
}

func TestGarbageIsAnError(t *testing.T) {
	for _, body := range []string{"", "<html>", "[1]", `{"spec":5}`, "null garbage"} {
		c := newClient(t, Config{}, newNode(t, says(200, body)).url)
		if _, err := c.Backends("web").Get(within(t), "web1", Read{}); err == nil || !strings.Contains(err.Error(), "is that address its API?") {
			t.Errorf("%q: %v", body, err)
		}
		if _, err := c.Apply(within(t), nil, Apply{}, Write{}); err == nil && body[0] != '{' {
			t.Errorf("%q is a diff", body)
		}
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	elsewhere := newNode(t, says(200, web1))
	n := newNode(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.url, http.StatusTemporaryRedirect)
	})
	c := newClient(t, Config{Token: "ek-x"}, n.url)
	if _, err := c.Pools().Get(within(t), "p", Read{}); problemOf(err).Status != http.StatusTemporaryRedirect || len(elsewhere.requests()) > 0 {
		t.Error(err)
	}
}

func TestATypedObjectGoesThereAndBack(t *testing.T) {
	n := newNode(t, func(w http.ResponseWriter, r *http.Request) {
		says(201, web1)(w, r)
	})
	c := newClient(t, Config{}, n.url)
	b := &fsm.Backend{Name: "web1", Labels: map[string]string{"a": "b"}}
	b.Spec.SetDefaults()
	b.Spec.Address = "10.0.0.5:9000"
	got, err := c.Backends("web").Create(within(t), b, Write{Reason: "more & more"})
	if err != nil || !got.Created || got.Revision != 12 || got.Object.Spec.Weight != 3 || got.Object.Meta.Revision != 7 {
		t.Errorf("%+v, %v", got, err)
	}
	equal(t, "asked", n.requests(), "POST /v1/pools/web/backends?reason=more+%26+more")
	if !strings.Contains(n.sent[0], `"address":"10.0.0.5:9000"`) || !strings.Contains(n.sent[0], `"name":"web1"`) {
		t.Errorf("it sent %s", n.sent[0])
	}
}

func TestACertificateIsWrittenWithItsKeyAndReadWithout(t *testing.T) {
	const there = `{"name":"site","labels":{"a":"b"},"spec":{"chain":"C"},"status":{"subject":"CN=a","issuer":"CN=ca","names":["a.example"],"not_before":"2026-01-02T03:04:05Z","not_after":"2027-01-02T03:04:05Z","key":"Ed25519","fingerprint":"00ff","expires_in_seconds":-5,"used_by":{"listeners":["web"],"pools":["p"]},"warnings":["it has expired"]},"meta":{"revision":7}}`
	n := newNode(t, says(200, there))
	c := newClient(t, Config{}, n.url)
	put := &fsm.Object[fsm.CertificateSpec, CertificateStatus]{Name: "site", Spec: fsm.CertificateSpec{Chain: "C", Key: "K"}}
	if _, err := c.Certificates().Put(within(t), put, Write{}); err != nil {
		t.Fatal(err)
	}
	got, err := c.Certificates().Get(within(t), "site", Read{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Spec != (fsm.CertificateSpec{Chain: "C"}) || got.Status.NotAfter.Year() != 2027 || got.Status.Names[0] != "a.example" {
		t.Errorf("read %+v", got)
	}
	if used := got.Status.UsedBy; got.Status.ExpiresInSeconds != -5 || used.Listeners[0] != "web" || used.Pools[0] != "p" || got.Status.Warnings[0] != "it has expired" {
		t.Errorf("read %+v", got.Status)
	}
	if _, err := c.Certificates().Put(within(t), got, Write{}); err != nil { // keeps the key
		t.Fatal(err)
	}
	equal(t, "asked", n.requests(), "PUT /v1/certificates/site", "GET /v1/certificates/site", "PUT /v1/certificates/site")
	equal(t, "sent", n.sent, `{"labels":null,"spec":{"chain":"C","key":"K"}}`, "", `{"labels":{"a":"b"},"spec":{"chain":"C"}}`)
}

func TestOptionsOnTheWire(t *testing.T) {
	n := newNode(t, says(200, `{"items":[]}`))
	c := newClient(t, Config{Token: "ek-t", UserAgent: "me"}, n.url)
	ctx := within(t)
	calls := []func() error{
		func() error {
			_, err := c.Backends("a b").List(ctx, Read{Linearizable: true, MinRevision: 3, Timeout: time.Second, Labels: []string{"a=b", "!c"}, Fields: []string{"name"}, Limit: 2, Page: "x"})
			return err
		},
		func() error {
			_, err := c.Delete(ctx, fsm.Ref{Kind: fsm.KindRoute, Name: "a/b"}, Write{MustExist: true, WaitAll: true, WaitTimeout: 2 * time.Second, ConfirmWithin: time.Minute})
			return err
		},
		func() error { _, err := c.Rollback(ctx, 9, Write{DryRun: true, Reason: "ö"}); return err },
		func() error { return c.Heartbeat(ctx, "p", "b", "u/1") },
		func() error { _, err := c.Confirm(ctx, 9, Write{}); return err },
		func() error { _, err := c.Undo(ctx, 9, Write{}); return err },
		func() error { _, err := c.Pending(ctx); return err },
		func() error {
			_, err := c.Revisions(ctx, Range{Limit: 5, Before: 9, After: 2, Name: "a", Actor: "token:x"})
			return err
		},
		func() error { _, err := c.Revision(ctx, 9); return err },
		func() error { _, err := c.DiffRevisions(ctx, 3, 0); return err },
		func() error {
			_, err := c.Apply(ctx, []byte("kind: pool"), Apply{Owner: "o", Prune: true}, Write{})
			return err
		},
		func() error {
			_, err := c.Apply(ctx, []byte(` {"pools":[]}`), Apply{}, Write{DryRun: true})
			return err
		},
		func() error {
			_, err := c.Export(ctx, Export{Kinds: []fsm.Kind{fsm.KindPool, fsm.KindRoute}, Owner: "o", Labels: []string{"a"}})
			return err
		},
		func() error {
			_, err := c.Explain(ctx, Explain{URL: "http://a/?b", Headers: []string{"A:1", "B:2"}, Client: "10.0.0.1"})
			return err
		},
		func() error {
			_, err := c.ClearOverride(ctx, "p", "b", Write{})
			return err
		},
		func() error {
			_, err := c.Pools().Patch(ctx, "p", map[string]any{"labels": nil}, Write{MustNotExist: true})
			return err
		},
	}
	for i, call := range calls {
		if err := call(); err != nil {
			t.Errorf("call %d: %v", i, err)
		}
	}
	equal(t, "asked", n.requests(),
		"GET /v1/backends?pool=a+b&consistency=linearizable&min_index=3&timeout=1s&label=a%3Db%2C%21c&fields=name&limit=2&page=x",
		"DELETE /v1/routes/a%2Fb?wait=all&timeout=2s&confirm_within=1m0s",
		"POST /v1/rollback?reason=%C3%B6&dry_run=true",
		"PUT /v1/pools/p/backends/b/heartbeat?uid=u%2F1",
		"POST /v1/revisions/9/confirm", "POST /v1/revisions/9/undo", "GET /v1/pending",
		"GET /v1/revisions?limit=5&before=9&after=2&name=a&actor=token%3Ax", "GET /v1/revisions/9", "GET /v1/revisions/3/diff/current",
		"POST /v1/apply?prune=true&owner=o", "POST /v1/apply?dry_run=true",
		"GET /v1/export?format=yaml&owner=o&kind=pool,route&label=a",
		"GET /v1/explain?url=http%3A%2F%2Fa%2F%3Fb&header=A%3A1&header=B%3A2&client=10.0.0.1",
		"DELETE /v1/pools/p/backends/b/override", "PATCH /v1/pools/p")
	for i, want := range map[int]map[string]string{
		0:  {"Authorization": "Bearer ek-t", "User-Agent": "me", "Content-Type": "", headerKey: ""},
		1:  {"If-Match": "*"},
		10: {"Content-Type": "application/yaml"},
		11: {"Content-Type": "application/json", headerKey: ""},
		14: {headerKey: ""},
		15: {"Content-Type": "application/merge-patch+json", "If-None-Match": "*"},
	} {
		for name, value := range want {
			if got := n.asked[i].Header.Get(name); got != value {
				t.Errorf("request %d has %s %q, want %q", i, name, got, value)
			}
		}
	}
	keys := n.keys()
	if slices.Sort(keys); len(keys) != 5 || len(slices.Compact(keys)) != 5 {
		t.Errorf("the keys made up are %q: want one of its own for each of five writes", keys)
	}
}

func TestATokenIsToldOnce(t *testing.T) {
	n := newNode(t, inTurn(says(201, `{"name":"ci","spec":{"role":"editor"},"token":"ek-secret"}`), says(201, `{"name":"ci","spec":{"role":"editor"}}`)))
	c := newClient(t, Config{}, n.url)
	expires := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	secret, made, err := c.CreateToken(within(t), NewToken{Name: "ci", Role: fsm.RoleEditor, Expires: &expires}, Write{})
	if err != nil || secret != "ek-secret" || made.Object.Spec.Role != fsm.RoleEditor || len(n.keys()) > 0 {
		t.Errorf("%q, %+v, %v, keys %q", secret, made, err, n.keys())
	}
	equal(t, "sent", n.sent, `{"name":"ci","spec":{"expires":"2030-01-02T03:04:05Z","role":"editor"}}`)
	if _, _, err := c.CreateToken(within(t), NewToken{Name: "ci"}, Write{}); err == nil {
		t.Error("a token that nobody is told of")
	}
}

func TestWhatAnAnswerSaysOfAWrite(t *testing.T) {
	n := newNode(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Evenkeel-Wait", "timeout")
		w.Header().Set("X-Evenkeel-Lagging", "n2, n3")
		w.Header().Set("X-Evenkeel-Age", "0.250")
		if r.URL.Query().Has("dry_run") {
			says(200, `{"revision":12,"changes":[{"kind":"pool","name":"p","action":"update","fields":[{"pointer":"/spec/x","before":1}]}],"unchanged":4}`)(w, r)
			return
		}
		says(204, "")(w, r)
	})
	c := newClient(t, Config{}, n.url)
	got, err := c.Pools().Delete(within(t), "p", Write{WaitAll: true})
	if err != nil || got.Object != nil || got.Waited != WaitedTimeout || !slices.Equal(got.Lagging, []string{"n2", "n3"}) || got.Dry != nil {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = c.Pools().Delete(within(t), "p", Write{DryRun: true})
	if err != nil || got.Dry == nil || got.Dry.Unchanged != 4 || string(got.Dry.Changes[0].Fields[0].Before) != "1" || got.Dry.Changes[0].Fields[0].After != nil {
		t.Errorf("%+v, %v", got, err)
	}
	answer, err := c.GetRaw(within(t), fsm.Ref{Kind: fsm.KindPool, Name: "p"}, Read{})
	if age, ok := answer.Age(); err != nil || !ok || age != 250*time.Millisecond {
		t.Errorf("age %s, %v, %v", age, ok, err)
	}
}

func TestAListIsReadInPages(t *testing.T) {
	n := newNode(t, inTurn(
		says(200, `{"items":[{"name":"a"},{"name":"b"}],"next":"N1"}`), says(200, `{"items":[{"name":"c"}]}`),
		says(200, `{"items":[{"name":"a"}],"next":"N2"}`), says(410, problemBody("compacted")),
	))
	c := newClient(t, Config{}, n.url)
	read := func() (names []string, err error) {
		for pool, err := range c.Pools().All(within(t), Read{Limit: 2}) {
			if err != nil {
				return names, err
			}
			names = append(names, pool.Name)
		}
		return names, nil
	}
	names, err := read()
	if equal(t, "names", names, "a", "b", "c"); err != nil {
		t.Error(err)
	}
	names, err = read()
	if equal(t, "names", names, "a"); !IsCompacted(err) {
		t.Error(err)
	}
	equal(t, "asked", n.requests(), "GET /v1/pools?limit=2", "GET /v1/pools?limit=2&page=N1", "GET /v1/pools?limit=2", "GET /v1/pools?limit=2&page=N2")
}

func TestProblems(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
		is     func(error) bool
		text   string
	}{
		"faults":         {400, `{"type":"/v1/problems/invalid-object","title":"Faulty","detail":"2 things","faults":[{"pointer":"/a","message":"x"},{"pointer":"","message":"y"}]}`, IsInvalid, "400 Faulty: 2 things\n  /a: x\n  (whole document): y"},
		"stale":          {412, `{"title":"T","detail":"D","current":{"name":"p"}}`, IsStale, "412 T: D"},
		"a place":        {400, `{"title":"Faulty","faults":[{"pointer":"/a","message":"x","line":2,"column":3},{"message":"y","line":4,"column":1}]}`, IsInvalid, "400 Faulty\n  line 2, column 3: /a: x\n  line 4, column 1: y"},
		"a conflict":     {409, problemBody("exists"), IsConflict, "409 T: D"},
		"not found":      {404, problemBody("not-found"), IsNotFound, "404 T"},
		"no quorum":      {503, problemBody("no-quorum"), IsNoQuorum, "503 T"},
		"compacted":      {410, problemBody("compacted"), IsCompacted, "410 T"},
		"a key again":    {422, problemBody("key-reused"), IsKeyReused, "422 T"},
		"unconfirmed":    {409, problemBody("unconfirmed"), IsUnconfirmed, "409 T"},
		"no token":       {401, problemBody("unauthorized"), IsUnauthorized, "401 T"},
		"a role too low": {403, problemBody("forbidden"), IsForbidden, "403 T"},
		"a gateway's":    {504, "<html>\xff" + strings.Repeat("x", 1000), IsOutcomeUnknown, "504 Gateway Timeout: <html>?xxx"},
		"of a new kind":  {418, `{"type":"urn:a:b","detail":"teapot"}`, func(err error) bool { return problemOf(err).Kind() == "b" }, "418 I'm a teapot: teapot"},
	} {
		c := newClient(t, Config{}, newNode(t, says(test.status, test.body)).url)
		_, err := c.Pools().Put(within(t), &fsm.Pool{Name: "p"}, Write{})
		if !test.is(err) || !strings.Contains(err.Error(), test.text) || len(err.Error()) > 600 {
			t.Errorf("%s: %v", name, err)
		}
		if name == "stale" && string(problemOf(err).Current) != `{"name":"p"}` {
			t.Errorf("the current object is %s", problemOf(err).Current)
		}
	}
}

func TestAClientIsSharedByMany(t *testing.T) {
	nodes := []*node{newNode(t, inTurn(dies, says(200, web1), dies, says(200, web1))), newNode(t, says(200, web1))}
	c := newClient(t, Config{}, refused(t), nodes[0].url, nodes[1].url)
	var done sync.WaitGroup
	for range 20 {
		done.Go(func() {
			if _, err := c.Backends("web").Get(within(t), "web1", Read{}); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
}

func TestTLSIsChecked(t *testing.T) {
	server := httptest.NewUnstartedServer(says(200, web1))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	c := newClient(t, Config{}, server.URL)
	if _, err := c.Pools().Get(within(t), "p", Read{}); !IsUntrusted(err) || !IsUnreached(err) {
		t.Error(err)
	}
	trusting := newClient(t, Config{TLS: server.Client().Transport.(*http.Transport).TLSClientConfig}, server.URL)
	if _, err := trusting.Pools().Get(within(t), "p", Read{}); err != nil {
		t.Error(err)
	}
	plain := newNode(t, says(200, web1))
	c = newClient(t, Config{}, strings.Replace(plain.url, "http://", "https://", 1))
	if _, err := c.Pools().Get(within(t), "p", Read{}); err == nil || !strings.Contains(err.Error(), "does not speak TLS") {
		t.Error(err)
	}
}

func TestAFaultyConfigIsRefused(t *testing.T) {
	for want, config := range map[string]Config{
		"names no node":              {},
		"neither HOST:PORT nor":      {Bases: []string{"ftp://x"}},
		"is no time to wait":         {Bases: []string{"a"}, Timeout: -1},
		"would end a watch":          {Bases: []string{"a"}, HTTP: &http.Client{Timeout: 1}},
		"characters that no token":   {Bases: []string{"a"}, Token: "a\nb"},
		"the bound of an answer, -1": {Bases: []string{"a"}, MaxAnswer: -1},
	} {
		if _, err := New(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	c := newClient(t, Config{}, "a")
	for want, write := range map[string]Write{
		"one condition": {MustExist: true, Revision: 1}, "WaitAll is not set": {WaitTimeout: 1},
		"served by no node": {DryRun: true, WaitAll: true},
	} {
		if _, err := c.Pools().Delete(within(t), "p", write); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	for _, ref := range []fsm.Ref{{}, {Kind: fsm.KindPool}, {Kind: fsm.KindBackend, Name: "b"}, {Kind: fsm.KindPool, Name: ".."}} {
		if _, err := c.Delete(within(t), ref, Write{}); err == nil {
			t.Errorf("%v is a name", ref)
		}
	}
}

func FuzzParseBases(f *testing.F) {
	for _, seed := range []string{"a", "a:1,b", "http://x/y/", "[::]:7070", "https://u:p@h", "0.0.0.0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		bases, err := ParseBases(text)
		if err != nil {
			return
		}
		again, err := ParseBases(strings.Join(bases, ","))
		if err != nil || !slices.Equal(bases, again) {
			t.Errorf("%q gives %q, and that %q, %v", text, bases, again, err)
		}
	})
}

func FuzzReadProblem(f *testing.F) {
	f.Add(400, []byte(`{"type":"/v1/problems/x","title":"T","faults":[{"pointer":"/a","line":1}],"current":{}}`))
	f.Add(502, []byte("<html>\xff"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		p := readProblem("GET /x", status, http.Header{}, body)
		if p.Error() == "" || p.Status != status || strings.ContainsAny(p.Kind(), "/:") {
			t.Errorf("%+v", p)
		}
	})
}
