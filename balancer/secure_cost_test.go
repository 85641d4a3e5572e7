package balancer

import (
	"fmt"
	"runtime"
	"testing"

	"evenkeel/balancer/certificates"
	"evenkeel/fsm"
)

func TestManyCertificatesAreHeldToManyHostsAtLittleCost(t *testing.T) {
	const many = 2000
	state := fsm.New()
	put := func(ops ...fsm.Operation) {
		for _, op := range ops {
			var results []fsm.Result
			state, results = fsm.Apply(state, []fsm.Command{{ID: fsm.CommandID{Origin: "n", Seq: state.Version() + 1}, Op: op}})
			if results[0].Err != nil {
				t.Fatal(results[0].Err)
			}
		}
	}
	put(fsm.Init{ClusterID: "c", FeatureLevel: fsm.FeatureLevel, Objects: fsm.DefaultObjects()},
		fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindRoute, Name: "default"}},
		fsm.Put{Name: "web", Spec: fsm.ListenerSpec{Address: ":443", Protocol: fsm.ProtocolHTTPS}})
	var steps []fsm.Step
	var all []*certificates.Certificate
	for i := range many {
		route := fsm.RouteSpec{Pools: []fsm.WeightedPool{{Name: "default", Weight: 1}}}
		route.Match.Host = fmt.Sprintf("H%d.example", i)
		steps = append(steps, fsm.Step{Put: &fsm.Put{Name: fmt.Sprint("r", i), Spec: route}})
		all = append(all, &certificates.Certificate{Name: fmt.Sprint(i), Names: []string{fmt.Sprintf("c%d.example", i)}})
	}
	put(fsm.Txn{Steps: steps})
	all[0].Names, all[1].Names, all[2].Names = []string{"h7.example"}, []string{"other", "*.example"}, nil
	s := &secure{
		listeners: map[string]*listenerTLS{"web": {settings: certificates.Settings{Certificates: all}}},
		pools:     map[string]*poolTLS{"p": {settings: certificates.UpstreamSettings{Certificate: all[3]}}},
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	unasked := s.unasked(state)
	runtime.ReadMemStats(&after)
	for i, c := range all {
		if want := i >= 4 || i == 2; (len(unasked[c]) > 0) != want {
			t.Fatalf("%v: %d hosts, want some: %t", c.Names, len(unasked[c]), want)
		}
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
		t.Errorf("it took %d bytes", took)
	}
}
