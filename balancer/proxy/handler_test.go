package proxy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"evenkeel/balancer/table"
	"evenkeel/fsm"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type noNames struct{}

func (noNames) Lookup(string) []netip.Addr { return nil }
func (noNames) Changed() []string          { return nil }
func (noNames) Forget(string)              {}

// tableOf compiles a registry of a route and its pool "p" with backends.
func tableOf(t testing.TB, route fsm.RouteSpec, backends ...string) *table.Table {
	t.Helper()
	ops := []fsm.Operation{
		fsm.Init{ClusterID: "test", FeatureLevel: fsm.FeatureLevel, Objects: []fsm.Put{{Name: "p", Spec: fsm.PoolSpec{Strategy: fsm.StrategyRoundRobin}}}},
		fsm.Put{Name: "r", Spec: route},
	}
	for i, address := range backends {
		ops = append(ops, fsm.Put{Pool: "p", Name: fmt.Sprintf("b%d", i), Spec: fsm.BackendSpec{Address: address, Weight: 1, AdminState: fsm.AdminReady}})
	}
	state := fsm.New()
	for i, op := range ops {
		next, results := fsm.Apply(state, []fsm.Command{{ID: fsm.CommandID{Origin: "test", Seq: uint64(i) + 1}, Op: op}})
		if results[0].Err != nil {
			t.Fatal(results[0].Err)
		}
		state = next
	}
	return table.NewBuilder(noNames{}, table.Options{}).Update(state)
}

func toPool() fsm.RouteSpec { return fsm.RouteSpec{Pools: []fsm.WeightedPool{{Name: "p", Weight: 1}}} }

// mounted serves a handler over the table.
func mounted(t testing.TB, tables *table.Table) *httptest.Server {
	handler := NewHandler("web", func() *table.Table { return tables }, nil)
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.Close()
		handler.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return server
}

func backend(t testing.TB, handler http.HandlerFunc) string {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func get(t testing.TB, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// refusing returns an address at which nobody listens.
func refusing(t testing.TB) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestAFailedConnectIsRetriedOnAnotherBackend(t *testing.T) {
	hello := backend(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello ", r.Host) })
	tables := tableOf(t, toPool(), refusing(t), hello)
	server := mounted(t, tables)
	for range 4 {
		status, body := get(t, server.URL)
		if want := "hello " + strings.TrimPrefix(server.URL, "http://"); status != 200 || body != want {
			t.Fatalf("%d %q, want %q", status, body, want)
		}
	}
	refused := tables.PoolNamed("p").Backends()[0].Stats
	if refused.ConnectFailures() == 0 || refused.InFlight() != 0 {
		t.Errorf("%d connect failures, %d in flight", refused.ConnectFailures(), refused.InFlight())
	}
}

func TestWithoutABackendTheAnswerIs503(t *testing.T) {
	server := mounted(t, tableOf(t, toPool(), refusing(t)))
	if status, body := get(t, server.URL); status != 503 || !strings.HasPrefix(body, "Evenkeel: ") {
		t.Errorf("%d %q", status, body)
	}
}

func TestARouteActsBeforeAndAfterTheBackend(t *testing.T) {
	seen := backend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Gone", "1")
		fmt.Fprintf(w, "%s %s", r.RequestURI, r.Header.Get("X-Added"))
	})
	prefix := "/v2"
	route := toPool()
	route.Match.PathPrefix = "/v1"
	route.Rewrite = &fsm.Rewrite{Prefix: &prefix}
	route.RequestFields = []fsm.FieldEdit{{Op: fsm.EditSet, Name: "X-Added", Value: "yes"}}
	route.ResponseFields = []fsm.FieldEdit{{Op: fsm.EditRemove, Name: "X-Gone"}}
	server := mounted(t, tableOf(t, route, seen))
	response, err := http.Get(server.URL + "/v1/a%2Fb?c=d")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != "/v2/a%2Fb?c=d yes" || response.Header.Get("X-Gone") != "" {
		t.Errorf("%q, %v, X-Gone %q", body, err, response.Header.Get("X-Gone"))
	}
	if status, _ := get(t, server.URL+"/other"); status != 404 {
		t.Errorf("status %d for a path without a route", status)
	}
}

func TestAPathThatARouteMakesTooLongIsRefused(t *testing.T) {
	asked := false
	route := toPool()
	route.Rewrite = &fsm.Rewrite{Regexp: "a", Replacement: "/" + strings.Repeat("x", 1000)}
	server := mounted(t, tableOf(t, route, backend(t, func(http.ResponseWriter, *http.Request) { asked = true })))
	if status, body := get(t, server.URL+"/"+strings.Repeat("a", 100)); status != 414 || asked {
		t.Errorf("%d %q; the backend was asked: %v", status, body, asked)
	}
}
