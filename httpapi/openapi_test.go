package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/mux"

	"evenkeel/httpapi"
	"evenkeel/httpapi/problem"
)

// contract routes by the OpenAPI document with all objects closed: clients
// must bear new members of answers, but our own answers have none that is not
// written down.
var contract = sync.OnceValues(func() (routers.Router, error) {
	openapi3filter.RegisterBodyDecoder("application/vnd.evenkeel.snapshot", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("text/event-stream", openapi3filter.PlainBodyDecoder)
	text, err := os.ReadFile("openapi.json")
	if err != nil {
		return nil, err
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, err
	}
	closeObjects(tree)
	if text, err = json.Marshal(tree); err != nil {
		return nil, err
	}
	document, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(document)
})

func closeObjects(tree any) {
	switch node := tree.(type) {
	case map[string]any:
		if _, set := node["additionalProperties"]; !set && node["type"] == "object" && node["properties"] != nil {
			node["additionalProperties"] = false
		}
		for _, child := range node {
			closeObjects(child)
		}
	case []any:
		for _, child := range node {
			closeObjects(child)
		}
	}
}

// checkAgainstDocument fails the test when the answer is not one that the
// OpenAPI document promises. Paths and methods that it does not have are
// another test's business.
func checkAgainstDocument(t testing.TB, method, path string, response *http.Response, body string) {
	t.Helper()
	if err := documentFault(t, method, path, response, body); err != nil {
		t.Errorf("%s %s: status %d is not as openapi.json promises: %v\n%s", method, path, response.StatusCode, err, body)
	}
}

func documentFault(t testing.TB, method, path string, response *http.Response, body string) error {
	t.Helper()
	router, err := contract()
	if err != nil {
		t.Fatalf("load openapi.json: %v", err)
	}
	request := httptest.NewRequest(method, path, nil)
	route, params, err := router.FindRoute(request)
	if err != nil {
		return nil
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: request, Route: route, PathParams: params},
		Status:                 response.StatusCode,
		Header:                 response.Header,
		Options:                &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	}
	input.SetBodyBytes([]byte(body))
	return openapi3filter.ValidateResponse(t.Context(), input)
}

func TestAnAnswerThatIsNotInTheDocumentIsCaught(t *testing.T) {
	const good = `{"items":[],"revision":1}`
	for name, c := range map[string]struct {
		status int
		body   string
		fault  bool
	}{
		"what is promised":        {200, good, false},
		"a member more":           {200, `{"items":[],"revision":1,"more":true}`, true},
		"a member less":           {200, `{"items":[]}`, true},
		"another type":            {200, `{"items":[],"revision":"1"}`, true},
		"an object that is none":  {200, `{"items":[{"name":"p"}],"revision":1}`, true},
		"a status that is not in": {418, good, true},
	} {
		t.Run(name, func(t *testing.T) {
			response := &http.Response{StatusCode: c.status, Header: http.Header{
				"Content-Type": {"application/json"}, "X-Evenkeel-Node": {"n1"}, "X-Evenkeel-Revision": {"1"},
			}}
			if err := documentFault(t, "GET", "/v1/pools", response, c.body); (err != nil) != c.fault {
				t.Errorf("fault %v, want one: %t", err, c.fault)
			}
		})
	}
}

func loadDocument(t testing.TB) *openapi3.T {
	t.Helper()
	document, err := openapi3.NewLoader().LoadFromFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestTheDocumentIsValidOpenAPI(t *testing.T) {
	if err := loadDocument(t).Validate(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTheDocumentAndTheRouterHaveTheSamePaths(t *testing.T) {
	var routed, documented []string
	api := httpapi.New(httpapi.Config{Cluster: newFakeCluster(t), NodeName: "n1"})
	err := api.Router().Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := route.GetPathTemplate()
		if err != nil {
			return err
		}
		methods, err := route.GetMethods()
		if err != nil {
			return fmt.Errorf("path %s takes any method: %w", path, err)
		}
		for _, method := range methods {
			if method != http.MethodHead { // follows from GET
				routed = append(routed, method+" "+path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range loadDocument(t).Paths.Map() {
		for method := range item.Operations() {
			documented = append(documented, method+" "+path)
		}
	}
	slices.Sort(routed)
	slices.Sort(documented)
	if diff := cmp.Diff(routed, documented); diff != "" {
		t.Error("paths (-router +document):\n" + diff)
	}
}

func TestWhatNeedsATokenSaysThatLoginsAreSlowed(t *testing.T) {
	for path, item := range loadDocument(t).Paths.Map() {
		for method, operation := range item.Operations() {
			if (operation.Responses.Value("401") == nil) != (operation.Responses.Value("429") == nil) {
				t.Errorf("%s %s has one of 401 and 429, and not the other", method, path)
			}
		}
	}
}

func TestTheDocumentIsServedAsItIs(t *testing.T) {
	want, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	got := newClient(t).send("GET", "/v1/openapi.json", "").want(200).wantHeader("Content-Type", "application/json")
	if got.body != string(want) {
		t.Error("the served document is not openapi.json")
	}
}

// TestExamplesOfTheDocumentAreAccepted sends every example of a body.
func TestExamplesOfTheDocumentAreAccepted(t *testing.T) {
	sent := 0
	for path, item := range loadDocument(t).Paths.Map() {
		for method, operation := range item.Operations() {
			if operation.RequestBody == nil {
				continue
			}
			content := operation.RequestBody.Value.Content["application/json"]
			if content == nil { // a snapshot, which has tests of its own
				continue
			}
			example, ok := content.Example.(map[string]any)
			if !ok {
				t.Errorf("%s %s has no example", method, path)
				continue
			}
			name, _ := example["name"].(string)
			if name == "" {
				name = "example"
			}
			body, err := json.Marshal(example)
			if err != nil {
				t.Fatal(err)
			}
			concrete := strings.NewReplacer("{pool}", "default", "{name}", name).Replace(path)
			c := newClient(t)
			sent++
			switch {
			case strings.HasSuffix(path, "/override"): // of a backend that is there
				c.send("PUT", webPath, `{"address":"h:1"}`).want(http.StatusCreated)
				c.send(method, webPath+"/override", string(body)).want(http.StatusOK)
			case method == http.MethodPatch: // of what is there
				there, err := json.Marshal(item.Put.RequestBody.Value.Content["application/json"].Example)
				if err != nil {
					t.Fatal(err)
				}
				c.send("PUT", concrete, string(there)).want(http.StatusCreated)
				c.send(method, concrete, string(body)).want(http.StatusOK)
			case path == "/v1/txn", path == "/v1/apply", path == "/v1/rollback":
				c.send(method, path, string(body)).want(http.StatusOK)
			default:
				c.send(method, concrete, string(body)).want(http.StatusCreated)
			}
		}
	}
	if sent < 9 {
		t.Errorf("only %d examples were sent", sent)
	}
}

func TestEveryProblemTypeIsExplained(t *testing.T) {
	c := newClient(t)
	for _, entry := range problem.Catalog() {
		c.send("GET", problem.BasePath+string(entry.Kind), "").want(200).
			wantAt(entry.Title, "title").wantAt(float64(entry.Status), "status")
	}
	c.send("GET", problem.BasePath+"no-such", "").wantProblem(404, "not-found")
}
