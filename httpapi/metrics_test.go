package httpapi_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"evenkeel/fsm"
	"evenkeel/httpapi"
)

func TestMetricsSayWhatRunsAndHowItFares(t *testing.T) {
	c := newClient(t, func(config *httpapi.Config) {
		config.Listeners = func() map[string]httpapi.ListenerStatus {
			return map[string]httpapi.ListenerStatus{"default": {State: "listening"}, "web": {State: "failed"}}
		}
		config.Traffic = func() httpapi.Traffic {
			return httpapi.Traffic{
				Listeners: []httpapi.ListenerTraffic{
					{Name: "default", Connections: 2, Requests: 9, Unrouted: 1, Unavailable: 3, ProxyHeader: 4, HTTP2Floods: 5, HTTP2Faults: 6,
						HTTP2: 7, Spoken: map[string]uint64{"http1": 8}, FullHandshakes: 1},
					{Name: "secure", FullHandshakes: 3, Resumed: 4, BadHandshakes: map[string]uint64{"timeout": 5}},
				},
				Backends: []httpapi.BackendTraffic{
					{Pool: "default", Name: "web1", InFlight: 1, Requests: 5, ConnectFailures: 2, Failures: 1, Ejections: 3, Responses: [6]uint64{2: 4}},
					{Pool: "default", Name: "web1", InFlight: 1, Requests: 7}, // its former registration
				},
			}
		}
		config.Probes = func() httpapi.ProbeCount { return httpapi.ProbeCount{Passed: 6, Failed: 3, Void: 4} }
		config.Health = func() httpapi.LocalHealth {
			return httpapi.LocalHealth{Vetoes: []httpapi.Veto{{UID: "x", Health: "down"}, {UID: "y", Health: "up"}}, Ejections: []httpapi.Ejection{{Pool: "default"}}}
		}
		config.Signals = func() httpapi.Signals {
			return httpapi.Signals{
				Transitions: map[fsm.Health]uint64{fsm.HealthDown: 3}, VoteFailures: 4, VoteRefusals: 8,
				Evidence: map[string]uint64{"met": 5}, Messages: map[string]uint64{"excess": 6}, Votes: map[string]uint64{"proposed": 7},
			}
		}
		config.Refused = func() map[string]uint64 { return map[string]uint64{"garbage": 2} }
	})
	c.send("POST", "/v1/backends", `{"address":"h:1","name":"web1"}`).want(201)
	c.send("PUT", "/v1/listeners/secure", `{"address":":8443","protocol":"https"}`).want(201)
	chain, private := pairOf(t, "site.example", time.Hour, newKey(t))
	ends := leafOf(t, chain).NotAfter
	c.send("PUT", "/v1/certificates/site", bodyOf(t, map[string]any{"chain": chain, "key": private})).want(201)
	got := c.send("GET", "/metrics", "").want(200)
	for _, line := range []string{
		`evenkeel_build_info{goversion="`,
		"evenkeel_cluster_leader 1", "evenkeel_cluster_quorum 1", "evenkeel_cluster_term 7", "evenkeel_cluster_detached 0",
		"evenkeel_votes_ignored_total 8", "evenkeel_votes_refused_total 9",
		`evenkeel_cluster_nodes{state="alive"} 1`, `evenkeel_cluster_nodes{state="dead"} 0`,
		fmt.Sprintf("evenkeel_registry_revision %d\n", c.cluster.State().Revision()), `evenkeel_registry_objects{kind="backend"} 1`,
		`evenkeel_backends{health="unknown",pool="default"} 1`, `evenkeel_backends{health="down",pool="default"} 0`,
		`evenkeel_listener_up{listener="default"} 1`, `evenkeel_listener_up{listener="web"} 0`,
		`evenkeel_listener_connections{listener="default"} 2`, `evenkeel_listener_requests_total{listener="default"} 9`,
		`evenkeel_listener_errors_total{listener="default",reason="no_route"} 1`, `evenkeel_listener_errors_total{listener="default",reason="no_backend"} 3`,
		`evenkeel_listener_errors_total{listener="default",reason="proxy_header"} 4`, `evenkeel_listener_errors_total{listener="default",reason="http2_flood"} 5`,
		`evenkeel_listener_errors_total{listener="default",reason="http2_fault"} 6`, `evenkeel_listener_http2_requests_total{listener="default"} 7`,
		`evenkeel_listener_connections_total{listener="default",protocol="http1"} 8`,
		`evenkeel_listener_tls_handshakes_total{kind="full",listener="secure"} 3`, `evenkeel_listener_tls_handshakes_total{kind="resumed",listener="secure"} 4`,
		`evenkeel_listener_tls_handshake_failures_total{listener="secure",reason="timeout"} 5`,
		fmt.Sprintf("evenkeel_certificate_expiry_timestamp_seconds{certificate=\"site\"} %s\n", strconv.FormatFloat(float64(ends.Unix()), 'g', -1, 64)),
		`evenkeel_backend_in_flight{backend="web1",pool="default"} 2`, `evenkeel_backend_requests_total{backend="web1",pool="default"} 12`,
		`evenkeel_backend_connect_failures_total{backend="web1",pool="default"} 2`, `evenkeel_backend_failures_total{backend="web1",pool="default"} 1`,
		`evenkeel_backend_ejections_total{backend="web1",pool="default"} 3`,
		`evenkeel_backend_responses_total{backend="web1",class="2xx",pool="default"} 4`,
		`evenkeel_cluster_refused_total{reason="garbage"} 2`, `evenkeel_probes_total{result="failed"} 3`, `evenkeel_probes_total{result="void"} 4`,
		`evenkeel_api_requests_total{code="201",method="post"} 1`,
		`evenkeel_backend_health{backend="web1",pool="default"} -1`, `evenkeel_backend_flaps{pool="default"} 0`,
		`evenkeel_backends_ejected{pool="default"} 1`, "evenkeel_backends_vetoed 1", `evenkeel_backend_transitions_total{health="down"} 3`,
		`evenkeel_evidence_total{result="met"} 5`, `evenkeel_cluster_messages_total{result="excess"} 6`,
		`evenkeel_votes_total{result="proposed"} 7`, "evenkeel_vote_failures_total 4", "evenkeel_vote_refusals_total 8",
		"go_goroutines ",
	} {
		if !strings.Contains(got.body, line) {
			t.Errorf("no line %q", line)
		}
	}
	if strings.Contains(got.body, `kind="full",listener="default"`) {
		t.Error("a listener without TLS has handshakes")
	}
	problems, err := promlint.New(strings.NewReader(got.body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "evenkeel_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestUnknownMethodsDoNotMakeNewSeries(t *testing.T) {
	c := newClient(t)
	c.send("BREW1", "/livez", "")
	c.send("BREW2", "/livez", "")
	got := c.send("GET", "/metrics", "").want(200)
	if !strings.Contains(got.body, `evenkeel_api_requests_total{code="405",method="unknown"} 2`) {
		t.Error("unknown methods are not counted as one")
	}
}
