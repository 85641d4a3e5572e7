package httpapi_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"evenkeel/fsm"
)

func TestAPatchChangesWhatItSaysAndNothingElse(t *testing.T) {
	for name, c := range map[string]struct{ path, put, patch, want string }{
		"a field of the spec":         {webBackend, `{"address":"h:1","weight":3,"labels":{"a":"b"}}`, `{"spec":{"weight":5}}`, `{"address":"h:1","weight":5,"labels":{"a":"b"}}`},
		"a field of the spec, flat":   {webBackend, `{"address":"h:1","weight":3}`, `{"weight":5}`, `{"address":"h:1","weight":5}`},
		"a label more":                {webBackend, `{"address":"h:1","labels":{"a":"b"}}`, `{"labels":{"c":"d"}}`, `{"address":"h:1","labels":{"a":"b","c":"d"}}`},
		"a label less":                {webBackend, `{"address":"h:1","labels":{"a":"b","c":"d"}}`, `{"labels":{"a":null}}`, `{"address":"h:1","labels":{"c":"d"}}`},
		"no labels any more":          {webBackend, `{"address":"h:1","labels":{"a":"b"}}`, `{"labels":null}`, `{"address":"h:1"}`},
		"a field back to its default": {webBackend, `{"address":"h:1","weight":3}`, `{"weight":null}`, `{"address":"h:1"}`},
		"a field deep within":         {"/v1/pools/p", `{"check":{"type":"http","path":"/a","interval":"3s"}}`, `{"spec":{"check":{"path":"/b"}}}`, `{"check":{"type":"http","path":"/b","interval":"3s"}}`},
		"a part that is taken away":   {"/v1/pools/p", `{"check":{"type":"http"},"slow_start":"5s"}`, `{"check":null}`, `{"slow_start":"5s"}`},
		"a part that comes to be":     {"/v1/pools/p", `{}`, `{"check":{"type":"http","path":"/c"}}`, `{"check":{"type":"http","path":"/c"}}`},
		"a list as a whole":           {"/v1/routes/r", `{"match":{"methods":["GET","PUT"]},"pools":[{"name":"default"}],"listeners":["default"]}`, `{"match":{"methods":["POST"]}}`, `{"match":{"methods":["POST"]},"pools":[{"name":"default"}],"listeners":["default"]}`},
		"a listener":                  {"/v1/listeners/l", `{"address":":8085"}`, `{"labels":{"a":"b"}}`, `{"address":":8085","labels":{"a":"b"}}`},
		"what it says already":        {webBackend, `{"address":"h:1","weight":3}`, `{"weight":3}`, `{"address":"h:1","weight":3}`},
		"nothing":                     {webBackend, `{"address":"h:1","weight":3}`, `{}`, `{"address":"h:1","weight":3}`},
		"an object as it was read":    {webBackend, `{"address":"h:1"}`, `{"pool":"default","name":"web1","labels":{},"spec":{"weight":4},"status":{},"meta":{}}`, `{"address":"h:1","weight":4}`},
	} {
		t.Run(name, func(t *testing.T) {
			api, other := newClient(t), newClient(t)
			before := api.send("PUT", c.path, c.put).want(201)
			patched := api.send("PATCH", c.path, c.patch, "Content-Type", "application/merge-patch+json").want(200)
			wanted := other.send("PUT", c.path, c.want).want(201)
			for _, part := range []string{"labels", "spec"} {
				if got, want := jsonOf(t, patched.at(part)), jsonOf(t, wanted.at(part)); got != want {
					t.Errorf("%s is %s, want %s", part, got, want)
				}
			}
			unchanged := jsonOf(t, before.at("spec"), before.at("labels")) == jsonOf(t, patched.at("spec"), patched.at("labels"))
			if same := before.Header.Get("ETag") == patched.Header.Get("ETag"); same != unchanged {
				t.Errorf("the revision was %s and is %s", before.Header.Get("ETag"), patched.Header.Get("ETag"))
			}
		})
	}
}

func jsonOf(t testing.TB, values ...any) string {
	t.Helper()
	text, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAFaultyPatchIsRefusedWithEveryFaultNamedAsItWasSent(t *testing.T) {
	for name, c := range map[string]struct {
		path, patch string
		pointers    []string
	}{
		"values":                       {webBackend, `{"spec":{"weight":-1,"address":"h"}}`, []string{"/spec/address", "/spec/weight"}},
		"values, flat":                 {webBackend, `{"weight":-1,"address":"h"}`, []string{"/address", "/weight"}},
		"a type and a field":           {webBackend, `{"spec":{"weight":"x","wieght":1}}`, []string{"/spec/weight", "/spec/wieght"}},
		"an unknown field taken away":  {webBackend, `{"wieght":null}`, []string{"/wieght"}},
		"an address that is missing":   {webBackend, `{"address":null}`, []string{"/address"}},
		"an element that is null":      {"/v1/routes/default", `{"spec":{"pools":[null]}}`, []string{"/spec/pools/0"}},
		"a label that is none":         {webBackend, `{"labels":{"a":1}}`, []string{"/labels/a"}},
		"a spec taken away":            {webBackend, `{"spec":null}`, []string{"/spec"}},
		"a spec that is none":          {webBackend, `{"spec":1}`, []string{"/spec"}},
		"a name taken away":            {webBackend, `{"name":null}`, []string{"/name"}},
		"a field and a label twice":    {webBackend, `{"weight":1,"weight":2,"labels":{"a":"x","a":null}}`, []string{"/labels/a", "/weight"}},
		"another name and pool":        {webBackend, `{"name":"x","pool":"y"}`, []string{"/name", "/pool"}},
		"a list":                       {webBackend, `[]`, []string{""}},
		"null":                         {webBackend, `null`, []string{""}},
		"no JSON":                      {webBackend, `{`, []string{""}},
		"fields beside the spec":       {webBackend, `{"weight":1,"spec":{"weight":2}}`, []string{"/weight"}},
		"a pool that is not there":     {"/v1/routes/default", `{"pools":[{"name":"none"}]}`, []string{"/pools/0/name"}},
		"what does not go together":    {"/v1/pools/default", `{"hash":{"on":"cookie","name":"x"}}`, []string{"/hash"}},
		"what would be faulty, though": {"/v1/pools/none", `{"strategy":1}`, []string{"/strategy"}},
	} {
		t.Run(name, func(t *testing.T) {
			api := newClient(t)
			api.send("PUT", webBackend, `{"address":"h:1"}`).want(201)
			before := api.cluster.State()
			got := api.send("PATCH", c.path, c.patch).wantProblem(400, "invalid-object").faults()
			if pointers := slices.Sorted(maps.Keys(got)); !slices.Equal(pointers, c.pointers) {
				t.Errorf("the faults are %v, want those of %v", got, c.pointers)
			}
			if api.cluster.State().Revision() != before.Revision() {
				t.Error("the refused patch changed something")
			}
		})
	}
}

func TestConditionsOfAPatch(t *testing.T) {
	api := newClient(t)
	tag := api.send("PUT", webBackend, `{"address":"h:1"}`).want(201).Header.Get("ETag")
	api.send("PATCH", webBackend, `{"weight":2}`, "If-Match", `"1"`).wantProblem(412, "precondition-failed").wantAt("web1", "current", "name")
	api.send("PATCH", webBackend, `{"weight":2}`, "If-Match", `"999"`).wantProblem(412, "precondition-failed")
	api.send("PATCH", webBackend, `{"weight":2}`, "If-None-Match", "*").wantProblem(400, "invalid-request")
	api.send("PATCH", "/v1/pools/none", `{}`).wantProblem(404, "not-found")
	api.send("PATCH", "/v1/pools/none", `{}`, "If-Match", "*").wantProblem(412, "precondition-failed")
	api.send("PATCH", "/v1/pools/none", `{}`, "If-Match", `"7"`).wantProblem(412, "precondition-failed")
	api.send("PATCH", webBackend, `{"weight":2}`, "If-Match", tag).want(200).wantAt(2.0, "spec", "weight")
	api.send("PATCH", webBackend, `{"weight":3}`, "If-Match", "*").want(200).wantAt(3.0, "spec", "weight")
}

func TestAPatchOfAnotherMediaTypeIsRefused(t *testing.T) {
	api := newClient(t)
	api.send("PUT", webBackend, `{"address":"h:1"}`).want(201)
	for media, status := range map[string]int{
		"": 200, "application/json": 200, "application/merge-patch+json; charset=utf-8": 200,
		"application/json-patch+json": 415, "application/x-www-form-urlencoded": 415, "text/yaml": 415, ";": 415,
	} {
		got := api.send("PATCH", webBackend, `{"weight":2}`, "Content-Type", media).want(status)
		if status == 415 {
			got.wantProblem(415, "unsupported-media-type").wantHeader("Accept-Patch", "application/merge-patch+json, application/json")
		}
	}
}

func TestAPatchIsMadeAgainOnWhatOthersWroteMeanwhile(t *testing.T) {
	api := newClient(t)
	api.send("PUT", webBackend, `{"address":"h:1"}`).want(201)
	var puts int
	api.cluster.propose = func(op fsm.Operation) (fsm.Result, error) {
		if puts++; puts == 1 { // another client is faster
			other := op.(fsm.Put)
			spec := other.Spec.(fsm.BackendSpec)
			spec.Weight, spec.Zone = 1, "z"
			api.cluster.apply(t, fsm.Put{Pool: "default", Name: "web1", Spec: spec})
		}
		return api.cluster.perform(fsm.Command{Actor: "test", Op: op}), nil
	}
	got := api.send("PATCH", webBackend, `{"weight":9}`).want(200)
	if got.wantAt(9.0, "spec", "weight").wantAt("z", "spec", "zone"); puts != 2 {
		t.Errorf("%d commands were proposed, want 2", puts)
	}
}

func TestAPatchAtARevisionIsNotMadeAgain(t *testing.T) {
	api := newClient(t)
	tag := api.send("PUT", webBackend, `{"address":"h:1"}`).want(201).Header.Get("ETag")
	api.cluster.propose = func(op fsm.Operation) (fsm.Result, error) {
		api.cluster.apply(t, fsm.Put{Pool: "default", Name: "web1", Spec: op.(fsm.Put).Spec})
		return api.cluster.perform(fsm.Command{Actor: "test", Op: op}), nil
	}
	api.send("PATCH", webBackend, `{"weight":9}`, "If-Match", tag).wantProblem(412, "precondition-failed")
}

func TestAPatchMayBeTried(t *testing.T) {
	api := newClient(t)
	api.send("PUT", webBackend, `{"address":"h:1"}`).want(201)
	before := api.cluster.State()
	got := api.send("PATCH", webBackend+"?dry_run=true", `{"weight":9}`).want(200)
	if !strings.Contains(got.body, `{"pointer":"/spec/weight","before":1,"after":9}`) || api.cluster.State() != before {
		t.Errorf("the answer is %s", got.body)
	}
}

func TestATokenIsPatchedAndStaysTheSame(t *testing.T) {
	api := newClient(t)
	token, _ := api.send("PUT", "/v1/tokens/ci", `{"role":"viewer"}`).want(201).at("token").(string)
	hash := api.cluster.State().Token("ci").Spec.Hash
	api.send("PATCH", "/v1/tokens/ci", `{"role":"editor","labels":{"team":"a"}}`).want(200).wantAt("editor", "spec", "role").wantAt(nil, "token")
	if got := api.cluster.State().Token("ci").Spec; got.Hash != hash || token == "" || got.Labels["team"] != "a" {
		t.Errorf("the token is %+v", got)
	}
}

func TestAnOperatorPatchesWhatIsItsOwnOfABackend(t *testing.T) {
	api := roleClient(t)
	api.as("editors", "PUT", webBackend, `{"address":"h:1"}`).want(201)
	api.as("operators", "PATCH", webBackend, `{"weight":2,"admin_state":"drain"}`).want(200).wantAt(2.0, "spec", "weight")
	api.as("operators", "PATCH", webBackend, `{"address":"h:2"}`).wantProblem(403, "forbidden")
	api.as("operators", "PATCH", webBackend+"?dry_run=true", `{"labels":{"a":"b"}}`).wantProblem(403, "forbidden")
	api.as("operators", "PATCH", "/v1/pools/default", `{}`).wantProblem(403, "forbidden")
	api.addToken("team", fsm.TokenSpec{Role: fsm.RoleEditor, Labels: map[string]string{"team": "a"}})
	api.as("team", "PATCH", webBackend, `{"weight":3}`).wantProblem(404, "not-found")
	api.as("team", "PATCH", webBackend+"?dry_run=true", `{"weight":3}`).wantProblem(404, "not-found")
}
