package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestWhyABackendIsOrIsNotUsed reads documents as the API sends them. Each begins
// as one that is up, used by n1 and n3 by the votes of n1, n2 and n3.
func TestWhyABackendIsOrIsNotUsed(t *testing.T) {
	const (
		witnesses = `"witnesses":[{"node":"n1","current":true,"vote":{"health":"up"},"opinion":{"health":"up","run":3,"age_seconds":0.4,"latency_seconds":0.0012}},` +
			`{"node":"n2","current":true,"vote":{"health":"down","reason":"connect: connection refused"},"opinion":{"health":"down","run":-9,"error":"connect: connection refused","age_seconds":1.26,"latency_seconds":0.0005}},` +
			`{"node":"n3","current":true,"vote":{"health":"up"}}]`
		used = `"nodes":[{"node":"n1","use":"used"},{"node":"n3","use":"used"}]`
	)
	all := func(use string) string {
		return `"nodes":[{"node":"n1","use":"` + use + `"},{"node":"n2","use":"` + use + `"},{"node":"n3","use":"` + use + `"}]`
	}
	for name, c := range map[string]struct {
		changes string // members that replace those before
		want    []string
	}{
		"one that all use": {"", []string{
			"web/web1 is used by n1 and n3.",
			"The cluster's verdict is up, since version 812, by 2 of 3 witnesses.",
			"n1 voted up; its last probe, 400ms ago, passed in 1.2ms.",
			"n2 voted down: connect: connection refused; its last probe, 1.3s ago, failed after 500µs: connect: connection refused.",
			"n3 voted up.",
		}},
		"one that a node vetoes": {`"nodes":[{"node":"n1","use":"used"},{"node":"n2","use":"veto","veto":{"health":"down","reason":"connect: connection refused","age_seconds":12.2}},{"node":"n3","use":"used"}]`, []string{
			"web/web1 is used by n1 and n3.",
			"n2 avoids it: its own probes fail since 12s: connect: connection refused.",
		}},
		"one that two nodes eject": {`"nodes":[{"node":"n1","use":"ejected","ejection":{"reason":"reset","left_seconds":4}},{"node":"n2","use":"ejected","ejection":{"reason":"reset","left_seconds":4}},{"node":"n3","use":"used"}]`, []string{
			"web/web1 is used by n3.",
			"n1 and n2 avoid it: their own requests failed: reset, and it is tried again in 4s.",
		}},
		"one that is down":          {`"verdict":"down","effective":"down",` + all("down"), []string{"web/web1 is used by no node.", "n1, n2 and n3 give it no new requests: the cluster's verdict is down.", "The cluster's verdict is down, since version 812, by 1 of 3 witnesses."}},
		"one in a panic":            {all("panic"), []string{"n1, n2 and n3 use it although it is not healthy: too few backends of the pool are, and it panics."}},
		"one that is drained":       {`"admin_state":"drain","drain":{"state":"draining","idle":["n1"],"waiting":["n2","n3"]},` + all("drain"), []string{"give it no new requests: an operator drains it.", "Its drain is under way, and waits for requests in flight from n2 and n3."}},
		"one whose drain is done":   {`"drain":{"state":"drained","idle":[],"waiting":[]},` + all("drain"), []string{"Its drain is done: no node has a request in flight to it."}},
		"one whose drain timed out": {`"drain":{"state":"timed_out","idle":[],"waiting":[]},` + all("drain"), []string{"Its drain ended by its timeout: requests may still be in flight to it."}},
		"one in maintenance":        {`"admin_state":"maint","checked":false,"verdict":"unknown","witnesses":[],` + all("maintenance"), []string{"an operator took it out for maintenance.", "Nobody probes it while it is in maintenance."}},
		"one of weight 0":           {`"weight":0,` + all("weight"), []string{"give it no new requests: its weight is 0."}},
		"one that wants nothing":    {`"reduction":100,` + all("weight"), []string{"it asked to be spared all of its weight."}},
		"one that wants less":       {`"reduction":40`, []string{"It asked to be spared 40 % of its weight."}},
		"one of another tier":       {`"tier":2,` + all("tier"), []string{"it is of tier 2, and backends of a lower tier serve."}},
		"one with an override": {`"effective":"down","override":{"health":"down","for":"10m0s","reason":"disk swap","actor":"admin@10.0.0.9","at":"2026-01-02T03:04:05Z"},` + all("override"), []string{
			"give it no new requests: an operator said that it is down.",
			"The operator admin@10.0.0.9 said down at 2026-01-02T03:04:05Z, for 10m0s: disk swap.",
		}},
		"one with an override for good": {`"override":{"health":"up","actor":"a","at":"2026-01-02T03:04:05Z"}`, []string{"said up at 2026-01-02T03:04:05Z, until that is taken back."}},
		"one that is held":              {`"verdict":"down","effective":"down","held":true,"flaps":5,` + all("held"), []string{"it is held down because it went down too often.", "Its witnesses agree that it is up; it went down 5 times, and is held down for a while."}},
		"one that flapped":              {`"flaps":1`, []string{"It went down once of late."}},
		"one in a slow start":           {`"ramp":811`, []string{"It is in its slow start: its weight grows to its full value."}},
		"one without a check":           {`"checked":false,"verdict":"unknown","effective":"unknown","witnesses":[]`, []string{"Its pool has no check: nobody probes it, and it is used like one that is up."}},
		"one that is not known yet":     {`"verdict":"unknown","effective":"unknown","witnesses":[{"node":"n1","current":true,"vote":{"health":"up"}},{"node":"n2","current":true}]`, []string{"There is no verdict yet: 1 of 2 witnesses voted up and 0 down. Until then it is used like one that is up.", "n2 has not voted yet."}},
		"a node that does not answer":   {`"nodes":[{"node":"n1","use":"used"},{"node":"n2","use":"no_answer","error":"the node did not answer within 1s"}]`, []string{"web/web1 is used by n1.", "n2 did not tell its part: the node did not answer within 1s."}},
		"nodes that do not answer":      {`"nodes":[{"node":"n1","use":"no_answer","error":"the node is dead"},{"node":"n2","use":"no_answer","error":"the node is dead"},{"node":"n3","use":"no_answer","error":"the node cannot be reached: connection refused"}]`, []string{"n1 and n2 did not tell their parts: they are dead.", "n3 did not tell its part: the node cannot be reached: connection refused."}},
		"a node that is cut off":        {`"nodes":[{"node":"n1","use":"used","cut_off":true}]`, []string{"n1 follows no leader, and goes by its own probes."}},
		"a witness that departed":       {`"witnesses":[{"node":"n4","current":false,"vote":{"health":"up"}},{"node":"n1","current":true,"vote":{"health":"down","outdated":true}}]`, []string{"n4 voted up; it observes the backend no longer.", "n1 voted down about an address or check before the present one, which does not count."}},
		"a probe that told nothing":     {`"witnesses":[{"node":"n1","current":true,"opinion":{"health":"unknown","run":0,"void":"no ports","age_seconds":1,"latency_seconds":0}}]`, []string{"n1 has not voted yet; its last probe, 1s ago, told nothing: no ports."}},
		"a weight that cannot be read":  {`"witnesses":[{"node":"n1","current":true,"vote":{"health":"up"},"opinion":{"health":"up","run":1,"weight_error":"it is no weight","age_seconds":1,"latency_seconds":0.1}}]`, []string{"n1 voted up; its last probe, 1s ago, passed in 100ms, but it is no weight."}},
		"a use of a newer build":        {all("resting"), []string{"n1, n2 and n3 say resting, which this build does not know."}},
		"one of another zone":           {all("zone"), []string{"n1, n2 and n3 give it no new requests: backends of the own zone serve, and this one comes behind them."}},
		"one whose name is not known":   {all("address"), []string{"n1, n2 and n3 give it no new requests: the backend's host name has no address there."}},
		"no node at all":                {`"nodes":[]`, []string{"web/web1: no node takes traffic."}},
	} {
		t.Run(name, func(t *testing.T) {
			merged := map[string]any{}
			first := `{"pool":"web","name":"web1","weight":1,"admin_state":"ready","checked":true,"verdict":"up","effective":"up","since":812,` + witnesses + "," + used + `}`
			for _, text := range []string{first, "{" + c.changes + "}"} {
				if err := json.Unmarshal([]byte(text), &merged); err != nil {
					t.Fatalf("%s: %v", text, err)
				}
			}
			text, err := json.Marshal(merged)
			if err != nil {
				t.Fatal(err)
			}
			var d whyDoc
			if err := json.Unmarshal(text, &d); err != nil {
				t.Fatal(err)
			}
			got := "\n" + strings.Join(explain(d), "\n") + "\n"
			for _, want := range c.want {
				if !strings.Contains(got, want+"\n") {
					t.Errorf("no line ends in %q:%s", want, got)
				}
			}
		})
	}
}

func TestSpansAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		95 * time.Second: "1m35s", 12*time.Second + 300*time.Millisecond: "12s", 1260 * time.Millisecond: "1.3s",
		40*time.Millisecond + 300*time.Microsecond: "40ms", 1234567: "1.23ms", 0: "0s",
	} {
		if got := span(d.Seconds()); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
}
