//go:build !race

// What a list costs under the race detector says nothing of what it costs.

package httpapi_test

import (
	"fmt"
	"testing"
	"time"

	"evenkeel/fsm"
	"evenkeel/httpapi/keypair"
)

// manyOfTLS fills a registry with listeners that show all certificates, and routes and
// certificates of which none is for another.
func manyOfTLS(t testing.TB, listeners, routes, certificates int, host string) *client {
	t.Helper()
	c := newClient(t)
	var steps []fsm.Step
	add := func(put fsm.Put) { steps = append(steps, fsm.Step{Put: &put}) }
	flush := func() {
		c.cluster.apply(t, fsm.Txn{Steps: steps})
		steps = nil
	}
	c.cluster.apply(t, fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindRoute, Name: "default"}})
	for i := range listeners {
		add(fsm.Put{Name: fmt.Sprint("l", i), Spec: fsm.ListenerSpec{Address: fmt.Sprintf(":%d", 10_000+i), Protocol: fsm.ProtocolHTTPS}})
	}
	for i := range routes {
		spec := fsm.RouteSpec{Pools: []fsm.WeightedPool{{Name: "default", Weight: 1}}}
		spec.Match.Host = fmt.Sprintf(host, i)
		add(fsm.Put{Name: fmt.Sprint("r", i), Spec: spec})
	}
	flush()
	key := newKey(t)
	for i := range certificates {
		chain, _ := pairOf(t, fmt.Sprintf("c%d.example", i), 90*24*time.Hour, key)
		add(fsm.Put{Name: fmt.Sprint("c", i), Spec: (&keypair.Document{Chain: chain}).Spec()})
	}
	flush()
	return c
}

func TestListsOfManyCertificatesAndRoutesCostWhatTheyHold(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of objects")
	}
	const most = 2 * time.Second // where each is held to each other it is 5 s on an idle machine
	for _, host := range []string{"h%d.example", "*.h%d.example"} {
		c := manyOfTLS(t, 5, 5000, 5000, host)
		c.checked = false
		for _, path := range []string{"/v1/routes", "/v1/certificates", "/v1/listeners"} {
			best := time.Hour
			for range 3 { // the machine may be busy
				begun := time.Now()
				c.send("GET", path, "").want(200)
				if best = min(best, time.Since(begun)); best < most {
					break
				}
			}
			if best > most {
				t.Errorf("GET %s of hosts such as %s took %v", path, host, best)
			}
		}
	}
}
