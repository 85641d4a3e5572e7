package main

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"evenkeel/balancer"
	"evenkeel/fsm"
	"evenkeel/health"
	"evenkeel/httpapi"
)

// fixed is a registry that does not change.
type fixed struct{ state *fsm.State }

func (f fixed) Watch() (*fsm.State, <-chan struct{}) { return f.state, nil }

// explaining is a data path of a registry with one of each that explanations tell
// of.
func explaining(t *testing.T) *dataPath {
	t.Helper()
	state, seq := fsm.New(), uint64(0)
	weight := func(w int) fsm.BackendSpec {
		return fsm.BackendSpec{Address: "127.0.0.1:9", Weight: w, AdminState: fsm.AdminReady, Zone: "z"}
	}
	prefix := ""
	for _, op := range []fsm.Operation{
		fsm.Init{ClusterID: "test", FeatureLevel: fsm.FeatureLevel, Objects: []fsm.Put{{Name: "p", Spec: fsm.PoolSpec{
			Strategy: fsm.StrategyRingHash, Hash: &fsm.HashSpec{On: fsm.HashHeader, Name: "A", BalanceFactor: 125}, Sticky: &fsm.Sticky{Cookie: "c"},
		}}}},
		fsm.Put{Pool: "p", Name: "b0", Spec: weight(0)},
		fsm.Put{Name: "q", Spec: fsm.PoolSpec{Strategy: fsm.StrategyRandom}},
		fsm.Put{Pool: "q", Name: "b1", Spec: weight(1)},
		fsm.Put{Name: "web", Spec: fsm.ListenerSpec{Address: "127.0.0.1:1", Protocol: fsm.ProtocolHTTP}}, // which stays closed
		fsm.Put{Name: "api", Spec: fsm.ListenerSpec{Address: "127.0.0.2:1", Protocol: fsm.ProtocolHTTP}},
		fsm.Put{Name: "pools", Spec: fsm.RouteSpec{
			Listeners: []string{"web"}, Match: fsm.RouteMatch{Host: "h", PathPrefix: "/a", Query: []fsm.ValueMatch{{Name: "q"}}}, Deny: []string{"10.0.0.0/8"}, Allow: []string{"0.0.0.0/0"},
			Pools: []fsm.WeightedPool{{Name: "p", Weight: 1}, {Name: "q", Weight: 2}}, Rewrite: &fsm.Rewrite{Prefix: &prefix},
			RequestFields: []fsm.FieldEdit{{Op: fsm.EditSet, Name: "B", Value: "1"}}, ResponseFields: []fsm.FieldEdit{{Op: fsm.EditRemove, Name: "Server"}},
			Mirror: &fsm.Mirror{Pool: "q", Percent: 5}, ErrorPages: []fsm.ErrorPage{{Status: 403, ContentType: "text/html"}},
		}},
		fsm.Put{Name: "none", Spec: fsm.RouteSpec{Match: fsm.RouteMatch{Path: "/n"}, Pools: []fsm.WeightedPool{{Name: "p", Weight: 1}}}},
		fsm.Put{Name: "redirect", Spec: fsm.RouteSpec{Match: fsm.RouteMatch{Path: "/r"}, Redirect: &fsm.Redirect{Status: 308, Scheme: "https"}}},
		fsm.Put{Name: "respond", Spec: fsm.RouteSpec{Match: fsm.RouteMatch{Path: "/f", Methods: []string{"PUT"}}, Respond: &fsm.Respond{Status: 410, ContentType: "text/plain"}}},
	} {
		seq++
		next, results := fsm.Apply(state, []fsm.Command{{ID: fsm.CommandID{Origin: "test", Seq: seq}, Op: op}})
		if results[0].Err != nil {
			t.Fatal(results[0].Err)
		}
		state = next
	}
	traffic, err := balancer.New(balancer.Config{Zone: "z", StopDelay: -1, ListenerAddrs: map[string]string{"web": "127.0.0.1:0"}, StickyKeys: [][]byte{{1}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- traffic.Run(ctx, fixed{state}) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the listener is open", func() bool { return traffic.Listeners()["web"].State == balancer.StateListening })
	return &dataPath{traffic: traffic, observer: health.New(health.Config{})}
}

// explanationSchema is that of the OpenAPI document, with its objects closed.
func explanationSchema(t *testing.T) *openapi3.Schema {
	t.Helper()
	text, err := os.ReadFile("../../httpapi/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	document, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, schema := range document.Components.Schemas {
		closeSchema(schema.Value)
	}
	return document.Components.Schemas["Explanation"].Value
}

func closeSchema(s *openapi3.Schema) {
	if s.AdditionalProperties.Schema == nil && len(s.Properties) > 0 {
		no := false
		s.AdditionalProperties.Has = &no
	}
	for _, property := range s.Properties {
		if property.Ref == "" {
			closeSchema(property.Value)
		}
	}
	if s.Items != nil && s.Items.Ref == "" {
		closeSchema(s.Items.Value)
	}
}

func TestExplanationsAreAsTheDocumentPromises(t *testing.T) {
	data, schema := explaining(t), explanationSchema(t)
	for kind, q := range map[string]httpapi.ExplainQuery{
		"backend":    {Method: "GET", Target: "/a?q=1", Fields: []string{"A: 1", "Cookie: c=1"}},
		"no_backend": {Method: "GET", Target: "/n"},
		"forbidden":  {Method: "GET", Target: "/a?q=1", Client: netip.MustParseAddr("10.0.0.1")},
		"redirect":   {Method: "GET", Target: "/r"},
		"response":   {Method: "PUT", Target: "/f"},
		"no_route":   {Method: "GET", Target: "/f", Listener: "api"},
		"refused":    {Method: "GET", Target: "/%"},
	} {
		t.Run(kind, func(t *testing.T) {
			q.Host, q.Port = "h", 1
			if !q.Client.IsValid() {
				q.Client = netip.MustParseAddr("192.0.2.1")
			}
			if q.Listener == "" {
				q.Listener = "web"
			}
			text, err := json.Marshal(data.explain("n1", q))
			if err != nil {
				t.Fatal(err)
			}
			var document map[string]any
			if err := json.Unmarshal(text, &document); err != nil {
				t.Fatal(err)
			}
			if err := schema.VisitJSON(document, openapi3.MultiErrors()); err != nil {
				t.Errorf("%v\n%s", err, text)
			}
			if got := document["outcome"].(map[string]any)["kind"]; got != kind {
				t.Errorf("the outcome is %v: %s", got, text)
			}
			if document["node"] != "n1" {
				t.Errorf("the node is %v", document["node"])
			}
		})
	}
}

func TestAWitnessExplainsNothing(t *testing.T) {
	if e := (*dataPath)(nil).explain("n1", httpapi.ExplainQuery{}); e != nil {
		t.Errorf("explained as %v", e)
	}
}
