package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"

	"evenkeel/balancer/proxy"
	"evenkeel/balancer/table"
	"evenkeel/fsm"
)

// noNames is the resolver of a program whose backends have addresses.
type noNames struct{}

func (noNames) Lookup(string) []netip.Addr { return nil }
func (noNames) Changed() []string          { return nil }
func (noNames) Forget(string)              {}

// A program mounts a pool of backends as a handler of its own server.
func Example() {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "answered ", r.URL.Path)
	}))
	defer upstream.Close()

	state, results := fsm.Apply(fsm.New(), []fsm.Command{
		{ID: fsm.CommandID{Origin: "example", Seq: 1}, Op: fsm.Init{ClusterID: "example", FeatureLevel: fsm.FeatureLevel, Objects: []fsm.Put{
			{Name: "web", Spec: fsm.PoolSpec{Strategy: fsm.StrategyLeastConnections}},
			{Name: "all", Spec: fsm.RouteSpec{Pools: []fsm.WeightedPool{{Name: "web", Weight: 1}}}},
		}}},
		{ID: fsm.CommandID{Origin: "example", Seq: 2}, Op: fsm.Put{Pool: "web", Name: "one", Spec: fsm.BackendSpec{
			Address: strings.TrimPrefix(upstream.URL, "http://"), Weight: 1, AdminState: fsm.AdminReady,
		}}},
	})
	for _, result := range results {
		if result.Err != nil {
			fmt.Println(result.Err)
		}
	}
	tables := table.NewBuilder(noNames{}, table.Options{}).Update(state)
	handler := proxy.NewHandler("", func() *table.Table { return tables }, nil)
	defer handler.Close()
	server := httptest.NewServer(handler)
	defer server.Close()

	response, err := http.Get(server.URL + "/hello")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	fmt.Println(response.StatusCode, string(body), err)
	http.DefaultClient.CloseIdleConnections()
	// Output: 200 answered /hello <nil>
}
