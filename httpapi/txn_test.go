package httpapi_test

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"evenkeel/fsm"
)

// txnOf returns the body of a transaction.
func txnOf(operations ...string) string {
	return `{"operations":[` + strings.Join(operations, ",") + `]}`
}

const (
	putPool  = `{"op":"put","kind":"pool","name":"p","spec":{}}`
	putB1    = `{"op":"put","kind":"backend","pool":"p","name":"b1","labels":{"a":"b"},"spec":{"address":"h:1"}}`
	putRoute = `{"op":"put","kind":"route","name":"r","spec":{"match":{"host":"x.example"},"listeners":["default"],"pools":[{"name":"p"}]}}`
)

func TestATransactionIsOneRevision(t *testing.T) {
	api := newClient(t)
	api.send("PUT", webBackend, `{"address":"h:9","weight":3}`).want(201)
	before := api.cluster.State().Revision()
	got := api.send("POST", "/v1/txn?reason=move", txnOf(putRoute, putB1, putPool,
		`{"op":"patch","kind":"backend","name":"web1","labels":{"c":"d"},"spec":{"weight":5}}`,
		`{"op":"delete","kind":"backend","pool":"default","name":"none"}`)).want(200)
	s := api.cluster.State()
	if s.Revision() != before+1 || got.at("revision") != float64(before+1) || got.Header.Get("X-Evenkeel-Revision") != fmt.Sprint(before+1) {
		t.Errorf("the revision is %d, and was %d; the answer is %s", s.Revision(), before, got.body)
	}
	if b := s.Backend("default", "web1"); b.Spec.Weight != 5 || b.Labels["c"] != "d" || b.Spec.Address != "h:9" {
		t.Errorf("the patched backend is %+v", b)
	}
	results := got.at("results").([]any)
	for n, want := range []string{"route  r true true", "backend p b1 true true", "pool  p true true", "backend default web1 false true", "backend default none false false"} {
		r := results[n].(map[string]any)
		pool, _ := r["pool"].(string)
		if line := fmt.Sprint(r["kind"], " ", pool, " ", r["name"], " ", r["created"], " ", r["changed"]); line != want {
			t.Errorf("result %d is %q, want %q", n, line, want)
		}
		if _, there := r["object"]; there != (n < 4) {
			t.Errorf("result %d has an object: %t", n, there)
		}
	}
	if r := s.RevisionAt(s.Revision()); r.Reason != "move" || r.Count != 4 {
		t.Errorf("the journal has %+v", r)
	}
}

func TestATransactionThatChangesNothingMakesNoRevision(t *testing.T) {
	api := newClient(t)
	api.send("POST", "/v1/txn", txnOf(putPool, putB1)).want(200)
	before := api.cluster.State().Revision()
	got := api.send("POST", "/v1/txn", txnOf(putPool, putB1, `{"op":"patch","kind":"pool","name":"default"}`)).want(200)
	if api.cluster.State().Revision() != before || strings.Contains(got.body, `"changed":true`) {
		t.Errorf("the answer is %s", got.body)
	}
}

func TestEveryFaultOfATransactionIsNamedAndNothingIsApplied(t *testing.T) {
	for name, c := range map[string]struct {
		body     string
		pointers []string
	}{
		"faults of decoding and of values": {txnOf(putPool,
			`{"op":"put","kind":"backend","pool":"p","name":"B","spec":{"address":"h","wieght":1}}`,
			`{"op":"patch","kind":"backend","name":"web1","spec":{"weight":"x","zoone":null}}`,
			`{"op":"delete","kind":"route","name":"default","spec":{}}`),
			[]string{"/operations/1/name", "/operations/1/spec/address", "/operations/1/spec/wieght", "/operations/2/spec/weight", "/operations/2/spec/zoone", "/operations/3/spec"}},
		"faults of the operations themselves": {txnOf(`{"op":"post","kind":"pool","name":"p"}`, `{"op":"put","kind":"node","name":"p"}`, `1`, `{}`,
			`{"op":"put","kind":"pool","pool":"x","name":"o"}`, `{"op":"put","kind":"token","name":"x","spec":{"role":"viewer"}}`, `{"op":"put","kind":"pool","name":"q","what":1,"spec":{}}`),
			[]string{"/operations/0/op", "/operations/1/kind", "/operations/2", "/operations/3/kind", "/operations/3/op", "/operations/4/pool", "/operations/4/spec", "/operations/5/kind", "/operations/6/what"}},
		"faults of conditions": {txnOf(`{"op":"put","kind":"pool","name":"a","if_match":0,"spec":{}}`, `{"op":"put","kind":"pool","name":"b","if_match":1,"if_none_match":true,"spec":{}}`,
			`{"op":"delete","kind":"pool","name":"c","if_none_match":true}`, `{"op":"put","kind":"pool","name":"d","if_match":"1","spec":{}}`, `{"op":"put","kind":"pool","name":"e","if_match":-1,"spec":{}}`),
			[]string{"/operations/0/if_match", "/operations/1/if_none_match", "/operations/2/if_none_match", "/operations/3/if_match", "/operations/4/if_match"}},
		"an object twice":                 {txnOf(putPool, `{"op":"delete","kind":"pool","name":"p"}`), []string{"/operations/1"}},
		"what the registry says":          {txnOf(putB1, putRoute, `{"op":"put","kind":"backend","name":"b2","spec":{"address":"h:9"}}`), []string{"/operations/0/pool", "/operations/1/spec/pools/0/name", "/operations/2/spec/address"}},
		"patches of nothing":              {txnOf(`{"op":"patch","kind":"pool","name":"a"}`, `{"op":"patch","kind":"pool","name":"b","if_match":7}`), []string{"/operations/0", "/operations/1"}},
		"a patch that makes a faulty one": {txnOf(`{"op":"patch","kind":"backend","name":"web1","spec":{"weight":-1}}`), []string{"/operations/0/spec/weight"}},
		"no operations":                   {`{"operations":[]}`, []string{"/operations"}},
		"none at all":                     {`{}`, []string{"/operations"}},
		"operations that are none":        {`{"operations":{}}`, []string{"/operations"}},
		"another field":                   {`{"operations":[],"dry_run":true}`, []string{"/dry_run", "/operations"}},
		"a list":                          {`[]`, []string{""}},
		"no JSON":                         {`{"operations":[`, []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			api := newClient(t)
			api.send("PUT", webBackend, `{"address":"h:9"}`).want(201)
			before := api.cluster.State().Revision()
			for _, query := range []string{"", "?dry_run=true"} {
				got := api.send("POST", "/v1/txn"+query, c.body)
				if got.StatusCode != 400 && got.StatusCode != 409 {
					t.Fatalf("status %d: %s", got.StatusCode, got.body)
				}
				if pointers := slices.Sorted(maps.Keys(got.faults())); !slices.Equal(pointers, c.pointers) {
					t.Errorf("the faults are %v, want those of %v", got.faults(), c.pointers)
				}
			}
			if api.cluster.State().Revision() != before {
				t.Error("something was applied")
			}
		})
	}
}

func TestAStaleConditionOfATransactionShowsWhatIsThere(t *testing.T) {
	api := newClient(t)
	api.send("POST", "/v1/txn", txnOf(putPool, putB1)).want(200)
	got := api.send("POST", "/v1/txn", txnOf(`{"op":"put","kind":"pool","name":"q","spec":{}}`,
		`{"op":"put","kind":"backend","pool":"p","name":"b1","if_match":1,"spec":{"address":"h:2"}}`,
		`{"op":"put","kind":"pool","name":"p","if_none_match":true,"spec":{}}`,
		`{"op":"delete","kind":"route","name":"none","if_match":3}`,
		`{"op":"patch","kind":"pool","name":"default","if_match":99}`)).wantProblem(412, "precondition-failed")
	got.wantAt("b1", "current", "name").wantAt("b1", "currents", "/operations/1", "name").
		wantAt("p", "currents", "/operations/2", "name").wantAt("default", "currents", "/operations/4", "name")
	if pointers := slices.Sorted(maps.Keys(got.faults())); !slices.Equal(pointers, []string{"/operations/1", "/operations/2/name", "/operations/3", "/operations/4"}) {
		t.Errorf("the faults are %v", got.faults())
	}
	if api.cluster.State().Pool("q") != nil {
		t.Error("a part was applied")
	}
	api.send("POST", "/v1/txn", txnOf(putPool), "If-Match", `"1"`).wantProblem(400, "invalid-request")
}

func TestRefusalsOfATransactionAreThoseOfItsFirstFaultyOperation(t *testing.T) {
	api := newClient(t)
	api.send("PUT", webBackend, `{"address":"h:9"}`).want(201)
	api.send("POST", "/v1/txn", txnOf(`{"op":"delete","kind":"pool","name":"default"}`)).wantProblem(409, "in-use")
	api.send("POST", "/v1/txn", txnOf(`{"op":"put","kind":"backend","name":"b","spec":{"address":"h:9"}}`)).wantProblem(409, "duplicate-address").
		wantHeader("Location", webBackend)
	api.send("POST", "/v1/txn?confirm_within=1m", txnOf(putPool)).want(200)
	api.send("POST", "/v1/txn", txnOf(`{"op":"delete","kind":"pool","name":"p"}`)).wantProblem(409, "unconfirmed")
	api.send("PUT", "/v1/pools/x", `{}`, "Idempotency-Key", "k").want(201)
	api.send("POST", "/v1/txn", txnOf(putPool), "Idempotency-Key", "k").wantProblem(422, "key-reused")
}

func TestATransactionThatComesAgainUnderItsKeyIsNotMadeAgain(t *testing.T) {
	api := newClient(t)
	body := txnOf(putPool, putB1, `{"op":"patch","kind":"pool","name":"default","labels":{"a":"b"}}`)
	first := api.send("POST", "/v1/txn", body, "Idempotency-Key", "k").want(200)
	api.send("DELETE", "/v1/pools/p/backends/b1", "").want(204)
	before := api.cluster.State().Revision()
	again := api.send("POST", "/v1/txn", body, "Idempotency-Key", "k").want(200).wantHeader("Idempotency-Replayed", "true")
	if again.at("revision") != first.at("revision") || api.cluster.State().Revision() != before || strings.Contains(again.body, `"b1","object"`) {
		t.Errorf("the second answer is %s", again.body)
	}
}

func TestPatchesOfATransactionAreMadeAgainOnWhatOthersWroteMeanwhile(t *testing.T) {
	api := newClient(t)
	api.send("PUT", webBackend, `{"address":"h:1"}`).want(201)
	var tries int
	api.cluster.propose = func(op fsm.Operation) (fsm.Result, error) {
		if tries++; tries == 1 {
			api.cluster.apply(t, fsm.Put{Pool: "default", Name: "web1", Spec: fsm.BackendSpec{Address: "h:7", Weight: 1, AdminState: fsm.AdminReady}})
		}
		return api.cluster.perform(fsm.Command{Actor: "test", Op: op}), nil
	}
	api.send("POST", "/v1/txn", txnOf(putPool, `{"op":"patch","kind":"backend","name":"web1","spec":{"weight":9}}`)).want(200)
	if b := api.cluster.State().Backend("default", "web1"); b.Spec.Weight != 9 || b.Spec.Address != "h:7" || tries != 2 {
		t.Errorf("after %d tries the backend is %+v", tries, b.Spec)
	}
}

func TestATransactionMayBeTried(t *testing.T) {
	api := newClient(t)
	before := api.cluster.State()
	got := api.send("POST", "/v1/txn?dry_run=true", txnOf(putPool, putB1, `{"op":"patch","kind":"pool","name":"default","labels":{"a":"b"}}`,
		`{"op":"delete","kind":"backend","name":"none"}`)).want(200).wantAt(1.0, "unchanged")
	if changes := got.at("changes").([]any); len(changes) != 3 || api.cluster.State() != before {
		t.Errorf("the answer is %s", got.body)
	}
}

func TestATransactionOfALimitedTokenTouchesItsObjectsAlone(t *testing.T) {
	api := roleClient(t)
	api.addToken("team", fsm.TokenSpec{Role: fsm.RoleEditor, Labels: map[string]string{"team": "a"}})
	api.as("team", "POST", "/v1/txn", txnOf(`{"op":"put","kind":"pool","name":"q","labels":{"team":"a"},"spec":{}}`)).want(200)
	api.as("team", "POST", "/v1/txn", txnOf(`{"op":"put","kind":"pool","name":"r","spec":{}}`)).wantProblem(403, "forbidden")
	api.as("team", "POST", "/v1/txn", txnOf(`{"op":"patch","kind":"pool","name":"default","labels":{"a":"b"}}`)).wantProblem(400, "invalid-object")
	got := api.as("team", "POST", "/v1/txn", txnOf(`{"op":"delete","kind":"pool","name":"q"}`, `{"op":"delete","kind":"pool","name":"default"}`)).wantProblem(400, "invalid-object")
	if _, named := got.faults()["/operations/1"]; !named {
		t.Errorf("the faults are %v", got.faults())
	}
	api.as("viewers", "POST", "/v1/txn", txnOf(putPool)).wantProblem(403, "forbidden")
}

// Each of the operations has a fault of its own, so that no fault hides behind
// another one.
func TestATransactionOfALimitedTokenTellsNothingOfWhatItDoesNotSee(t *testing.T) {
	api := limitedClient(t)
	api.as("editors", "PUT", "/v1/routes/route-b", `{"labels":{"team":"b"},"match":{"host":"b.example"},"pools":[{"name":"pool-a"},{"name":"pool-b"}]}`).want(201)
	const labels = `"labels":{"team":"a"}`
	for name, operation := range map[string]string{
		"a delete":                  `{"op":"delete","kind":"pool","name":"%s"}`,
		"a delete at a revision":    `{"op":"delete","kind":"pool","name":"%s","if_match":3}`,
		"a patch":                   `{"op":"patch","kind":"pool","name":"%s","spec":{"strategy":"random"}}`,
		"a put at a revision":       `{"op":"put","kind":"pool","name":"%s",` + labels + `,"spec":{},"if_match":3}`,
		"a put without its labels":  `{"op":"put","kind":"pool","name":"%s","spec":{}}`,
		"a delete, and a stale one": `{"op":"delete","kind":"pool","name":"%s"},{"op":"put","kind":"pool","name":"pool-a",` + labels + `,"if_match":1,"spec":{}}`,
	} {
		for _, query := range []string{"", "?dry_run=true"} {
			theirs := api.as("editors-of-a", "POST", "/v1/txn"+query, txnOf(strings.ReplaceAll(operation, "%s", "pool-b")))
			nobodys := api.as("editors-of-a", "POST", "/v1/txn"+query, txnOf(strings.ReplaceAll(operation, "%s", "none")))
			if theirs.StatusCode < 400 || theirs.StatusCode != nobodys.StatusCode || strings.ReplaceAll(theirs.body, "pool-b", "none") != nobodys.body {
				t.Errorf("%s%s: %d %s\nand of none: %d %s", name, query, theirs.StatusCode, theirs.body, nobodys.StatusCode, nobodys.body)
			}
		}
	}
	const taken = `{"op":"put","kind":"pool","name":"pool-b",` + labels + `,"spec":{}}`
	const address = `{"op":"put","kind":"backend","pool":"pool-b","name":"new",` + labels + `,"spec":{"address":"own:1"}}`
	const used = `{"op":"delete","kind":"pool","name":"pool-a"},{"op":"delete","kind":"backend","pool":"pool-a","name":"own"}`
	const missing = `{"op":"put","kind":"backend","pool":"none","name":"new",` + labels + `,"spec":{"address":"x:1"}}`
	for _, c := range []struct {
		operations, kind string
		status           int
		pointers         []string
	}{
		{taken + "," + address + "," + used, "forbidden", 403, []string{"/operations/0", "/operations/1/spec/address", "/operations/2"}},
		{address + "," + taken, "duplicate-address", 409, []string{"/operations/0/spec/address", "/operations/1"}},
		{used + "," + address, "in-use", 409, []string{"/operations/0", "/operations/2/spec/address"}},
		{missing + "," + address, "invalid-object", 400, []string{"/operations/0/pool", "/operations/1/spec/address"}},
	} {
		got := api.as("editors-of-a", "POST", "/v1/txn", txnOf(c.operations)).wantProblem(c.status, c.kind)
		if pointers := slices.Sorted(maps.Keys(got.faults())); !slices.Equal(pointers, c.pointers) {
			t.Errorf("the faults are %v, want those of %v", got.faults(), c.pointers)
		}
		if strings.Contains(got.body, "route-b") || strings.Contains(got.body, "pool-b/own") || got.Header.Get("Location") != "" {
			t.Errorf("what the token does not see is told: %s", got.body)
		}
	}
	two := `{"op":"put","kind":"backend","pool":"pool-a","name":"x",` + labels + `,"spec":{"address":"x:1"}}`
	got := api.as("editors-of-a", "POST", "/v1/txn", txnOf(two, strings.ReplaceAll(two, `"x",`, `"y",`))).wantProblem(409, "duplicate-address")
	if !strings.Contains(got.body, "pool-a/x") {
		t.Errorf("its own address that is there twice: %s", got.body)
	}
}

func TestALimitedTokenIsToldOfNoUnconfirmedChangeOfOthers(t *testing.T) {
	api := limitedClient(t)
	api.as("editors", "PUT", "/v1/pools/pool-c", `{"labels":{"team":"a"}}`).want(201)
	const route = "/v1/routes/route-b"
	api.as("editors", "PUT", route, `{"labels":{"team":"b"},"match":{"host":"b.example"},"pools":[{"name":"pool-c"}]}`).want(201)
	api.as("editors", "DELETE", route+"?confirm_within=1h", "").want(204)
	for _, got := range []answer{
		api.as("editors-of-a", "DELETE", "/v1/pools/pool-c", ""),
		api.as("editors-of-a", "POST", "/v1/txn", txnOf(`{"op":"delete","kind":"pool","name":"pool-c"}`)),
		api.as("editors-of-a", "POST", "/v1/txn?dry_run=true", txnOf(`{"op":"delete","kind":"pool","name":"pool-c"}`)),
	} {
		if got.wantProblem(409, "unconfirmed"); strings.Contains(got.body, "route-b") {
			t.Errorf("what the token does not see is told: %s", got.body)
		}
	}
}

func TestATransactionOfManyObjectsIsBounded(t *testing.T) {
	api := newClient(t)
	var many []string
	for n := range 5000 {
		many = append(many, fmt.Sprintf(`{"op":"put","kind":"backend","pool":"default","name":"b%d","spec":{"address":"10.0.%d.%d:80","weight":%d}}`, n, n/250, n%250, 1+n%9))
	}
	before := api.cluster.State().Revision()
	api.send("POST", "/v1/txn", txnOf(many...)).want(200)
	if got := api.cluster.State(); got.Revision() != before+1 {
		t.Errorf("the revision is %d, and was %d", got.Revision(), before)
	}
	for n := range many { // with what cannot be compressed
		noise := ""
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			noise += fmt.Sprintf(`,"%s":"%s%s"`, name, rand.Text(), rand.Text())
		}
		many[n] = strings.Replace(many[n], `"spec"`, `"labels":{`+noise[1:]+`},"spec"`, 1)
	}
	api.send("POST", "/v1/txn?dry_run=true", txnOf(many...)).wantProblem(413, "body-too-large")
	api.send("POST", "/v1/txn", `{"operations":[`+strings.Repeat(`{},`, 20_000)+`{}]}`).wantProblem(400, "invalid-object")
	api.send("POST", "/v1/txn", `{"operations":[`+strings.Repeat(`0,`, 700_000)+`0]}`).wantProblem(400, "invalid-object")
	faulty := api.send("POST", "/v1/txn", `{"operations":[`+strings.Repeat(`{},`, 15_000)+`{}]}`).wantProblem(400, "invalid-object")
	if len(faulty.body) > 64<<10 {
		t.Errorf("the answer has %d bytes", len(faulty.body))
	}
	api.send("POST", "/v1/txn", strings.Repeat(" ", 16<<20)+"{}").wantProblem(413, "body-too-large")
}

func FuzzTransaction(f *testing.F) {
	api := newClient(f)
	api.checked = false
	f.Add(txnOf(putPool, putB1, putRoute))
	f.Add(txnOf(`{"op":"patch","kind":"pool","name":"default","if_match":1,"labels":{"a":null},"spec":{"check":null}}`, `{"op":"delete","kind":"route","name":"default"}`))
	f.Add(`{"operations":[{"op":"put","kind":"listener","name":"l","if_none_match":true,"spec":null}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		one := *api
		one.TB = t
		if got := one.send("POST", "/v1/txn?dry_run=true", body); got.StatusCode >= 500 {
			t.Errorf("status %d: %s", got.StatusCode, got.body)
		}
	})
}
