package cli_test

import (
	"fmt"
	"strings"
	"testing"

	"evenkeel/cmd/evenkeel/cli"
)

// The parts of explanations, as the API writes them.
const (
	explainedHead    = `"node":"n1","revision":42,"request":{"method":"GET","host":"shop.example","path":"/cart","client":"192.0.2.7"}`
	explainedWeb     = `"listener":{"name":"web","state":"listening","address":"[::]:80","how":"address"}`
	explainedBounds  = `"bounds":{"connect":"3s","first_byte":"1m0s","body":"5m0s","request":"5s","attempts":3,"budget_percent":20,"budget_min":10,"backend_requests":100,"queue":0,"queue_timeout":"5s"}`
	explainedBackend = `"admin_state":"ready","tier":0,"weight":2,"in_flight":3,`
	explainedSearch  = `"search":{"considered":[{"route":"admin","match":{"host":"shop.example","methods":["POST"]},"priority":0,"taken":false,"missed":"method","why":"the method GET is not POST"},{"route":"cart","match":{"host":"shop.example","path_prefix":"/cart"},"priority":0,"taken":true}],"left_off":{"host":7,"path":2},"behind":3}`
	explainedRoute   = `"route":{"name":"cart","match":{"host":"shop.example","path_prefix":"/cart"},"action":"pools","sent":["GET /basket HTTP/1.1","Host: shop.example","A: \u001b[31mred"],"response_fields":[{"op":"set","name":"X","value":"1"}],"mirror":{"pool":"copy","percent":5},"deny":["10.0.0.0/8"]}`
	explainedPools   = `"pools":[{"weight":3,"route_share":0.75,"name":"shop","strategy":"maglev","hash":{"on":"cookie","name":"session"},"registered":9,"candidates":2,"tier":1,"panic":false,"heedless":false,"choice":{"how":"hash","backend":"s1","why":"the hash of the cookie session leads there"},"backends":[` +
		`{"name":"s1","uid":"1","address":"10.0.0.1:80","use":"used","candidate":true,"health":"up",` + explainedBackend + `"effective_weight":0.5,"share":0.6667},` +
		`{"name":"s2","uid":"2","address":"10.0.0.2:80","use":"veto","reason":"connection refused","candidate":false,"health":"up",` + explainedBackend + `"effective_weight":2,"share":0},` +
		`{"name":"s3","uid":"3","address":"10.0.0.3:80","use":"ejected","reason":"timeout","candidate":false,"health":"up",` + explainedBackend + `"effective_weight":2,"share":0},` +
		`{"name":"s4","uid":"4","address":"10.0.0.4:80","use":"down","candidate":false,"health":"down",` + explainedBackend + `"effective_weight":2,"share":0}],"left_off":{"tier":4,"zone":1},` + explainedBounds + `},` +
		`{"weight":1,"route_share":0.25,"name":"empty","strategy":"random","registered":0,"candidates":0,"panic":false,"heedless":false,"choice":{"how":"no_backend","why":"the pool has no backends"},"backends":[],` + explainedBounds + `}]`
)

func TestAnExplanationIsAStory(t *testing.T) {
	for name, test := range map[string]struct{ line, query, body string }{
		"explain": {"explain http://shop.example/cart", "method=GET&url=http%3A%2F%2Fshop.example%2Fcart",
			`{` + explainedHead + `,` + explainedWeb + `,"outcome":{"kind":"backend","text":"a backend answers, unless a pool is drawn that has none","unavailable":0.25},` + explainedSearch + `,` + explainedRoute + `,` + explainedPools + `}`},
		"explain with all": {"explain shop.example/cart -X POST -H A:1 -H B:2,3 --client 192.0.2.7:99 --listener web -o yaml",
			"client=192.0.2.7%3A99&header=A%3A1&header=B%3A2%2C3&listener=web&method=POST&url=http%3A%2F%2Fshop.example%2Fcart",
			`{` + explainedHead + `,` + explainedWeb + `,"outcome":{"kind":"response","status":200,"text":"the route has a fixed response"}}`},
		"explain without a route": {"explain shop.example/cart", "method=GET&url=http%3A%2F%2Fshop.example%2Fcart",
			`{` + explainedHead + `,"listener":{"name":"a","state":"failed","address":":80","error":"the port is taken","how":"ambiguous","others":[{"name":"b","address":":80","route":"r"}]},"outcome":{"kind":"no_route","status":404,"text":"no route matches this request"},"search":{"considered":[],"behind":0}}`},
		"explain at a closed listener": {"explain shop.example/cart", "method=GET&url=http%3A%2F%2Fshop.example%2Fcart",
			`{` + explainedHead + `,"listener":{"name":"web","state":"","address":":80","how":"only"},"outcome":{"kind":"redirect","status":308,"text":"the route redirects to https://shop.example/cart","location":"https://shop.example/cart"},"search":{"considered":[{"route":"r","match":{},"priority":0,"taken":true}],"behind":0},"route":{"name":"r","match":{},"action":"redirect"}}`},
		"explain without a listener": {"explain shop.example/cart -o json", "method=GET&url=http%3A%2F%2Fshop.example%2Fcart",
			`{"node":"n1","revision":1,"request":{"method":"GET","host":"","path":"","client":""},"outcome":{"kind":"no_listener","text":"the registry has no listener, so nothing would accept the connection"}}`},
		"explain a panic": {"explain shop.example/cart", "method=GET&url=http%3A%2F%2Fshop.example%2Fcart",
			`{` + explainedHead + `,` + explainedWeb + `,"outcome":{"kind":"backend","text":"a backend answers"},"pools":[{"weight":1,"route_share":1,"name":"shop","strategy":"random","registered":1,"candidates":1,"panic":true,"heedless":false,"choice":{"how":"only","backend":"s1","why":"there is no other to choose"},"backends":[` +
				`{"name":"s1","uid":"1","address":"10.0.0.1:80","use":"panic","candidate":true,"health":"down",` + explainedBackend + `"effective_weight":2,"share":1}],` + explainedBounds + `}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			api := newFakeAPI(t, map[string][]reply{"GET /v1/explain?" + test.query: {{200, test.body}}})
			got := execute(t, map[string]string{"EVENKEEL_API": api.url}, strings.Fields(test.line)...)
			text := fmt.Sprintf("$ evenkeel %s\nexit %d\n--- stdout\n%s--- stderr\n%s", test.line, got.code, got.out, got.err)
			golden(t, name, strings.ReplaceAll(text, api.url, "http://API"))
		})
	}
}

func TestWhatIsEmptyIsNotExplained(t *testing.T) {
	api := newFakeAPI(t, nil)
	got := execute(t, map[string]string{"EVENKEEL_API": api.url}, "explain", "shop.example", "--listener=", "--client=", "-X", "")
	for _, flag := range []string{"--method is empty", "--client is empty", "--listener is empty"} {
		if got.code != cli.ExitUsage || !strings.Contains(got.err, flag) || len(api.asked) > 0 {
			t.Errorf("exit %d, stderr %q, asked %q", got.code, got.err, api.asked)
		}
	}
}
