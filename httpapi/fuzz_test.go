package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// FuzzBodiesOfWrites sends any body to every kind of object. What is refused
// is refused with a problem of the 400s and changes nothing; what is accepted
// reads back, and sent back as read it changes nothing.
func FuzzBodiesOfWrites(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"address":":1"}`, `{"address":"10.0.0.5:9000","weight":3,"labels":{"a":"b"},"zone":"z"}`,
		`{"spec":{"address":"h:1","admin_state":"drain"},"status":1,"meta":[],"local":null}`,
		`{"pools":[{"name":"default","weight":0}],"match":{"host":"*.example.com","path_prefix":"/x"},"priority":-5}`,
		`{"strategy":"random","check":{"type":"http","expect":"200-299,304","interval":"100ms","timeout":"10ms"}}`,
		`{"name":"x","spec":{}}`, `{"spec":{},"weight":1}`, `{"labels":null,"pool":null,"name":null}`, `[`, ``,
	} {
		f.Add([]byte(seed))
	}
	paths := []string{"/v1/listeners/x", "/v1/routes/x", "/v1/pools/x", "/v1/pools/default/backends/x"}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, path := range paths {
			c := newClient(t)
			c.checked = len(body) < 1<<10 // the schema is slow on large ones
			before := c.cluster.State().Version()
			got := c.send("PUT", path, string(body))
			if got.StatusCode != http.StatusCreated {
				if got.StatusCode < 400 || got.StatusCode > 499 || c.cluster.State().Version() != before {
					t.Fatalf("PUT %s: status %d, version from %d to %d", path, got.StatusCode, before, c.cluster.State().Version())
				}
				continue
			}
			read := c.send("GET", path, "").want(http.StatusOK)
			c.send("PUT", path, read.body).want(http.StatusOK).wantHeader("ETag", got.Header.Get("ETag"))
		}
	})
}

// FuzzQueriesOfTheHistory asks for any part of the history. What is refused is
// refused with a problem of the 400s.
func FuzzQueriesOfTheHistory(f *testing.F) {
	f.Add("", "limit=2&before=3")
	f.Add("/2", "")
	f.Add("/1/diff/current", "consistency=linearizable")
	f.Add("/-1/diff/18446744073709551616", "kind=pool&actor=a@b")
	c := newClient(f)
	c.write("/v1/pools/web", `{}`)
	c.send("POST", "/v1/apply?confirm_within=1m", "pools: [{name: p}]").want(http.StatusOK)
	f.Fuzz(func(t *testing.T, path, query string) {
		asked := url.URL{Path: "/v1/revisions" + path, RawQuery: query}
		request, err := http.NewRequest(http.MethodGet, "http://localhost:7070"+asked.RequestURI(), nil)
		if err != nil {
			t.Skip()
		}
		recorder := httptest.NewRecorder()
		c.handler.ServeHTTP(recorder, request)
		if got := recorder.Code; got != 200 && (got < 400 || got > 499) && got != 301 {
			t.Fatalf("GET %s: status %d: %s", request.URL, got, recorder.Body)
		}
	})
}

// FuzzBodiesOfSeveralObjects sends any body to what writes several objects. What is
// accepted is one revision at most, and the same once more is none.
func FuzzBodiesOfSeveralObjects(f *testing.F) {
	for _, seed := range []string{`{"to":1}`, `{"to":2}`, `{"to":0}`, shop, "owner: a\npools: []", `{"pools":[{"name":"default"}]}`, "\t", "[", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, path := range []string{"/v1/rollback", "/v1/apply", "/v1/apply?prune=true"} {
			c := newClient(t)
			c.checked = false
			c.write("/v1/pools/web", `{}`)
			before := c.cluster.State().Revision()
			got := c.send("POST", path, string(body))
			made := c.cluster.State().Revision() - before
			if ok := got.StatusCode == http.StatusOK; !ok && (got.StatusCode < 400 || got.StatusCode > 499) || !ok && made != 0 || made > 1 {
				t.Fatalf("POST %s: status %d, %d revisions: %s", path, got.StatusCode, made, got.body)
			}
			if again := c.send("POST", path, string(body)); again.StatusCode != got.StatusCode || c.cluster.State().Revision() != before+made {
				t.Fatalf("POST %s once more: status %d, then %d: %s", path, got.StatusCode, again.StatusCode, again.body)
			}
		}
	})
}
