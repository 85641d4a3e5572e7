package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"evenkeel/cmd/evenkeel/cli"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// fakeAPI answers each "METHOD path" with the next of its replies, the last
// one again and again, and keeps what it was asked. In which order the parameters
// of a query stand makes no difference.
type fakeAPI struct {
	url     string
	mu      sync.Mutex
	replies map[string][]reply
	asked   []string
	keys    []string    // the Idempotency-Key of what had one
	header  http.Header // of every answer, besides
}

// ordered is what is asked for with the parameters of its query in order.
func ordered(u *url.URL) string {
	sorted := *u
	sorted.RawQuery = u.Query().Encode()
	return sorted.RequestURI()
}

type reply struct {
	status int
	body   string
}

func newFakeAPI(t testing.TB, replies map[string][]reply) *fakeAPI {
	t.Helper()
	api := &fakeAPI{replies: map[string][]reply{}}
	for key, answers := range replies {
		method, uri, _ := strings.Cut(key, " ")
		parsed, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		api.replies[method+" "+ordered(parsed)] = answers
	}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	api.url = server.URL
	return api
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	key := r.Method + " " + ordered(r.URL)
	asked := r.Method + " " + r.URL.RequestURI()
	for _, name := range []string{"Authorization", "If-Match"} {
		if value := r.Header.Get(name); value != "" {
			asked += " " + name + "=" + value
		}
	}
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		f.keys = append(f.keys, key)
	}
	f.asked = append(f.asked, strings.TrimSpace(asked+" "+string(body)))
	answers := f.replies[key]
	if len(answers) == 0 {
		answers = []reply{{404, problem("not-found", "There is no such thing", "nothing at "+r.URL.Path)}}
	}
	if len(answers) > 1 {
		f.replies[key] = answers[1:]
	}
	w.Header().Set("X-Evenkeel-Node", "n2")
	w.Header().Set("Content-Type", "application/json")
	maps.Copy(w.Header(), f.header)
	w.WriteHeader(answers[0].status)
	fmt.Fprint(w, answers[0].body)
}

func problem(kind, title, detail string) string {
	return fmt.Sprintf(`{"type":"/v1/problems/%s","title":%q,"detail":%q}`, kind, title, detail)
}

// execution is what a command line leads to.
type execution struct {
	code     int
	out, err string
}

// execute runs a verb as main does.
func execute(t testing.TB, env map[string]string, args ...string) execution {
	t.Helper()
	return executeApp(t, &cli.App{}, env, args...)
}

// executeApp runs a verb of an app whose output and environment it sets.
func executeApp(t testing.TB, app *cli.App, env map[string]string, args ...string) execution {
	t.Helper()
	var out, errOut bytes.Buffer
	app.Out, app.Err, app.Getenv = &out, &errOut, func(name string) string { return env[name] }
	root := cli.Group("evenkeel", "")
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetOut(&out)
	root.SetErr(&errOut)
	root.AddCommand(app.Commands()...)
	root.SetArgs(args)
	err := root.ExecuteContext(context.Background())
	if err != nil {
		fmt.Fprintf(&errOut, "%v\n", err)
	}
	return execution{cli.ExitCode(err), out.String(), errOut.String()}
}

const (
	web1          = `{"pool":"default","name":"web1","labels":{},"spec":{"address":"10.0.0.5:9000","weight":1,"tier":0,"admin_state":"ready","later":{"kept":[1,12345678901234567890]}},"status":{"health":"down","since":9,"generation":3,"votes":[{"node":"n1","observer":"u1","health":"up","generation":3,"at":"2026-01-02T03:04:05Z"},{"node":"n2","observer":"u2","health":"down","generation":3,"reason":"connection refused","at":"2026-01-02T03:04:06Z"},{"node":"n3","observer":"u3","health":"down","generation":3,"reason":"no answer within 1s","at":"2026-01-02T03:04:07Z"}]},"meta":{"uid":"b1","revision":7,"created":"2026-01-02T03:04:05Z","modified":"2026-01-02T03:04:05Z","actor":"anonymous"}}`
	web2          = `{"pool":"default","name":"web2","labels":{"a":"b"},"spec":{"address":"[fd00::1]:9000","weight":5,"tier":1,"zone":"z","admin_state":"drain"},"status":{"health":"unknown","since":9,"generation":3,"votes":[]},"meta":{"uid":"b2","revision":8,"created":"2026-01-02T03:04:05Z","modified":"2026-01-02T03:04:05Z","actor":"anonymous"}}`
	pools         = `{"items":[{"name":"default","labels":{},"spec":{"strategy":"weighted_round_robin","check":{"type":"tcp","interval":"2s","timeout":"1s","rise":2,"fall":3}},"status":{"check_generation":1},"meta":{"uid":"p","revision":1}},{"name":"plain","labels":{},"spec":{"strategy":"random"},"status":{"check_generation":0},"meta":{"uid":"q","revision":2}},{"name":"web","labels":{},"spec":{"strategy":"random","check":{"type":"http","path":"/healthz","expect":"200-299","interval":"500ms","timeout":"100ms","rise":1,"fall":2}},"status":{"check_generation":1},"meta":{"uid":"r","revision":3}}],"revision":3}`
	route         = `{"name":"api","labels":{},"spec":{"listeners":["default","other"],"match":{"host":"*.example.org","path_prefix":"/api/"},"priority":10,"pools":[{"name":"a","weight":1},{"name":"b","weight":3}]},"status":{},"meta":{"uid":"r","revision":4}}`
	fullPool      = `{"name":"full","labels":{},"spec":{"strategy":"maglev","hash":{"on":"cookie","name":"s"},"sticky":{"cookie":"lb","http_only":true},"prefer_zone":true,"timeouts":{"connect":"1s"},"retries":{"attempts":2,"budget_percent":20,"budget_min":10},"limits":{"backend_requests":5,"idle_connections":9}},"status":{"check_generation":0},"meta":{"revision":3}}`
	tlsPool       = `{"name":"tls","labels":{},"spec":{"strategy":"random","protocol":"http2","tls":{"server_name":"s","insecure":true},"proxy_protocol":"v1","check":{"type":"grpc","service":"shop.Orders","interval":"2s","timeout":"1s","rise":2,"fall":3}},"status":{"check_generation":0},"meta":{"revision":3}}`
	secure        = `{"name":"secure","labels":{},"spec":{"address":":443","protocol":"https","tls":{"certificates":["site"],"policy":"modern","unknown_name":"refuse","client_auth":{"ca":"C","mode":"required"}},"http2":{"disabled":true},"proxy_protocol":{"trusted":["10.0.0.0/8"]}},"status":{},"meta":{"revision":4}}`
	fullRoute     = `{"name":"api","labels":{},"spec":{"match":{"path_prefix":"/a","headers":[{"name":"X"}]},"priority":0,"pools":[{"name":"a","weight":1}],"rewrite":{"prefix":"/"},"mirror":{"pool":"b","percent":5}},"status":{},"meta":{"revision":4}}`
	redirectRoute = `{"name":"api","labels":{},"spec":{"match":{"path_regexp":"/v[0-9]+","methods":["GET","HEAD"],"headers":[{"name":"X-A"}],"query":[{"name":"q"}]},"priority":0,"redirect":{"status":308,"scheme":"https"}},"status":{},"meta":{"revision":5}}`
	nodes         = `{"items":[{"name":"n1","uid":"u1","role":"leader","state":"alive","cluster_addr":"10.0.0.1:7071","api_addr":"10.0.0.1:7070","version":"v1.0.0","feature_level":4,"applied_revision":12,"applied_version":20},{"name":"n2","uid":"u2","role":"follower","state":"alive","cluster_addr":"10.0.0.2:7071","api_addr":"10.0.0.2:7070","version":"v1.0.0","feature_level":4,"applied_revision":11,"applied_version":19},{"name":"n3","uid":"u3","role":"follower","state":"dead","cluster_addr":"10.0.0.3:7071","api_addr":"","version":"v1.0.0","feature_level":3,"applied_revision":null,"applied_version":null},{"name":"w1","uid":"u4","role":"witness","state":"alive","cluster_addr":"10.0.0.4:7071","api_addr":"10.0.0.4:7070","version":"v1.0.0","feature_level":4,"witness":true,"applied_revision":12,"applied_version":20},{"name":"w2","uid":"u5","role":"nonvoter","state":"alive","cluster_addr":"10.0.0.5:7071","api_addr":"10.0.0.5:7070","version":"v1.0.0","feature_level":4,"witness":true,"applied_revision":12,"applied_version":20}],"revision":12}`
)

const (
	web1Health = `{"pool":"default","name":"web1","uid":"b1","address":"10.0.0.5:9000","admin_state":"ready","weight":1,"tier":0,"checked":true,"verdict":"up","since":812,"revision":7,"effective":"up","witnesses":[{"node":"n1","observer":"u1","current":true,"vote":{"health":"up","at":"2026-01-02T03:04:05Z"}},{"node":"n2","observer":"u2","current":true,"vote":{"health":"down","reason":"connect: connection refused","at":"2026-01-02T03:04:05Z"}}],"nodes":[{"node":"n1","uid":"u1","use":"used"},{"node":"n2","uid":"u2","use":"veto","veto":{"health":"down","reason":"connect: connection refused","age_seconds":12}},{"node":"n3","uid":"u3","use":"no_answer","error":"the node is dead"}]}`
	summary    = `"pool":"default","state":"degraded","backends":1,"serving":1,"up":1,"down":0,"unknown":0,"not_ready":0,"held":0,"overridden":0,"avoided":1,"flaps":0,"last_change":812,"panic":false`
	asked      = `"nodes":[{"node":"n1","uid":"u1","answered":true},{"node":"n2","uid":"u2","answered":true,"cut_off":true},{"node":"n3","uid":"u3","answered":false,"error":"the node is dead"}],"revision":7`
	web1Down   = `{"pool":"default","name":"web1","labels":{},"spec":{"address":"10.0.0.5:9000","weight":1,"tier":0,"admin_state":"drain"},"status":{"health":"up","effective":"down","since":9,"generation":3,"votes":[],"override":{"health":"down","actor":"a","at":"2026-01-02T03:04:05Z"},"drain":{"state":"timed_out","idle":[],"waiting":[]}},"meta":{"uid":"b1","revision":7}}`
)

func replies() map[string][]reply {
	return map[string][]reply{
		"GET /v1/health":                                  {{200, `{"items":[{` + summary + `}],` + asked + `}`}},
		"GET /v1/pools/default/health":                    {{200, `{` + summary + `,"items":[` + web1Health + `],` + asked + `}`}},
		"GET /v1/pools/default/backends/web1/health":      {{200, web1Health}},
		"PUT /v1/pools/default/backends/web1/override":    {{200, web1Down}},
		"DELETE /v1/pools/default/backends/web1/override": {{204, ""}},
		"GET /v1/cluster":                                 {{200, `{"id":"c0ffee","leader":"n1","quorum":true,"revision":12,"version":20,"digest":"00ff","feature_level":3,"confirmed":true}`}},
		"GET /v1/nodes":                                   {{200, nodes}},
		"GET /v1/backends":                                {{200, `{"items":[` + web1 + `,` + web2 + `],"revision":12}`}},
		"GET /v1/backends?pool=default":                   {{200, `{"items":[` + web1 + `],"revision":12}`}},
		"POST /v1/backends":                               {{201, web1}},
		"GET /v1/pools/default/backends/web1":             {{200, web1}},
		"PUT /v1/pools/default/backends/web1":             {{200, web1}},
		"DELETE /v1/pools/default/backends/web1":          {{204, ""}},
		"GET /v1/pools":                                   {{200, pools}},
		"POST /v1/pools":                                  {{201, `{"name":"web","spec":{"strategy":"random"},"meta":{"revision":3}}`}},
		"GET /v1/pools/web":                               {{200, `{"name":"web","labels":{"k":"v","gone":"x"},"spec":{"strategy":"random","check":{"type":"http","path":"/old","rise":1}},"meta":{"revision":3}}`}},
		"PUT /v1/pools/web":                               {{200, `{"name":"web","spec":{"strategy":"random"},"meta":{"revision":4}}`}},
		"GET /v1/routes":                                  {{200, `{"items":[` + route + `],"revision":12}`}},
		"POST /v1/routes":                                 {{201, route}},
		"GET /v1/pools/full":                              {{200, fullPool}},
		"PUT /v1/pools/full":                              {{200, fullPool}},
		"GET /v1/routes/api":                              {{200, fullRoute}},
		"GET /v1/pools/tls":                               {{200, tlsPool}},
		"PUT /v1/pools/tls":                               {{200, tlsPool}},
		"GET /v1/listeners/secure":                        {{200, secure}},
		"PUT /v1/listeners/secure":                        {{200, secure}},
		"GET /v1/certificates":                            {{200, `{"items":[{"name":"site"},{"name":"other"}],"revision":12}`}},
		"PUT /v1/routes/api":                              {{200, redirectRoute}},
		"GET /v1/listeners":                               {{200, `{"items":[{"name":"default","labels":{},"spec":{"address":":8080","protocol":"http","trusted_proxies":["10.0.0.0/8"]},"status":{"nodes":{"n1":{"state":"listening"},"n2":{"state":"failed","address":"[::]:8080","error":"address already in use"}}},"meta":{"uid":"l","revision":1}}],"revision":12}`}},
		"POST /v1/listeners":                              {{201, `{"name":"web","spec":{"address":":80","protocol":"http"},"status":{},"meta":{"revision":2}}`}},
		"GET /readyz":                                     {{200, "ready\n"}},
		"GET /livez":                                      {{200, "alive\n"}},
		"DELETE /v1/pools/in":                             {{409, problem("in-use", "Something else needs the object", "route api uses pool in")}},
	}
}

// TestVerbs holds the output of every verb, and what it asked of the API, to
// golden files. `go test ./cmd/evenkeel/cli -update` writes them.
func TestVerbs(t *testing.T) {
	tests := map[string]string{
		"status": "status", "status as json": "status -o json", "status as yaml": "status -o yaml",
		"members": "members", "members as json": "members -o json",
		"backend ls": "backend ls", "backend ls of a pool as yaml": "backend ls --pool default -o yaml",
		"backend get": "backend get web1", "backend get by pool and name": "backend get default/web1 -o json",
		"backend add":                 "backend add 10.0.0.5:9000",
		"backend add with all":        "backend add 10.0.0.5:9000 --name web1 --pool default --weight 3 --tier 2 --zone z --admin-state drain --label a=b --label c=d",
		"backend set":                 "backend set web1 --address 10.0.0.6:1 --zone=",
		"backend drain":               "backend drain web1",
		"backend ready":               "backend ready default/web1 -o json",
		"backend weight":              "backend weight web1 7",
		"backend rm":                  "backend rm web1",
		"pool ls":                     "pool ls",
		"pool add":                    "pool add web --strategy random --check http --check-path /healthz --check-interval 500ms --check-timeout 100ms --check-rise 1 --check-fall 2 --check-expect 200-299",
		"pool set":                    "pool set web --strategy round_robin --check tcp --check-path= --label gone- --label k=w",
		"pool set without check":      "pool set web --check none",
		"pool add with all":           "pool add web --strategy maglev --hash-on cookie --hash-name session --hash-balance 125 --sticky-cookie lb --prefer-zone --connect-timeout 1s --first-byte-timeout 2s --request-timeout 3s --retry-attempts 2 --max-requests 100 --queue 50 --queue-timeout 1s --set sticky.secure=true --set timeouts.body=10s --set limits.idle_connections=7",
		"pool set that removes":       "pool set full --hash-on= --sticky-cookie= --connect-timeout= --max-requests= --prefer-zone=false --set retries=",
		"route ls":                    "route ls",
		"route add with all":          "route add api --pool a --method GET,POST --header X-A=1 --header !X-B --header X-C~a{1,2} --query debug --path-regexp /v[0-9]+/.* --allow 10.0.0.0/8,fd00::/8 --deny 10.1.0.0/16 --rewrite-host b.internal --mirror b=5 --request-timeout 30s --first-byte-timeout 5s --retry-attempts 1 --set request_fields=[{\"op\":\"set\",\"name\":\"X\",\"value\":\"1\"}]",
		"route add to https":          "route add web --redirect-to-https --redirect-host www.example.org --redirect-status 301",
		"route add a response":        "route add no --respond-status 404 --respond-body gone --path /old",
		"route set another action":    "route set api --pool= --redirect-to-https --rewrite-prefix= --mirror= --header=",
		"listener add with all":       "listener add web --address :80 --via --client-head-timeout 5s --client-idle-timeout 30s --body-timeout 1m --max-connections 10000 --set limits.head_bytes=8192",
		"route add":                   "route add api --pool a,b=3 --listener default --listener other --host *.example.org --path-prefix /api/ --priority 10",
		"listener ls":                 "listener ls",
		"listener add":                "listener add web --address :80 --trusted-proxy 10.0.0.0/8,fd00::/8",
		"listener add of https":       "listener add secure --address :443 --protocol https --tls-certificate site,other --tls-certificate third --tls-policy modern --tls-min-version 1.3 --tls-unknown-name refuse --client-auth optional --client-ca-file testdata/ca.pem --http2-max-streams 50 --proxy-protocol-from 10.0.0.0/8,fd00::/8",
		"listener add of tcp":         "listener add db --address :5432 --protocol tcp --idle-timeout 2h --http2=false",
		"listener set without TLS":    "listener set secure --protocol http --client-auth none --tls-certificate= --http2 --proxy-protocol-from=",
		"listener get of https":       "listener get secure",
		"route add by name":           "route add db --listener db --sni *.db.example --pool a",
		"pool add over TLS":           "pool add web --protocol http2 --tls --tls-server-name app.internal --tls-ca-file testdata/ca.pem --tls-certificate own --max-backend-connections 2 --check grpc --check-service shop.Orders --check-tls-ca-file testdata/ca.pem --check-tls-server-name c --tunnel-timeout 2h",
		"pool add with PROXY":         "pool add web --protocol http1 --proxy-protocol v2 --tls-insecure --check tcp --check-tls --check-tls-insecure",
		"pool set keeps TLS":          "pool set tls --tls-server-name= --tls-insecure=false",
		"pool set without TLS":        "pool set tls --tls=false",
		"pool get over TLS":           "pool get tls",
		"health":                      "health",
		"health of a pool":            "health default",
		"health of a pool as json":    "health default -o json",
		"health why":                  "health --why default/web1",
		"health why by name":          "health --why web1",
		"health why as yaml":          "health --why web1 -o yaml",
		"health why of nothing":       "health --why",
		"health why of a ghost":       "health --why ghost",
		"backend override down":       "backend override down web1 --for 10m --reason swap",
		"backend override clear":      "backend override clear default/web1",
		"backend override of a ghost": "backend override up ghost",
		"pool set of health":          "pool set web --check-port 9001 --check-fast-interval 200ms --check-observers 5 --check-host h --check-expect-text ok --ejection-failures 3 --ejection-errors 5 --ejection-hold 1s --slow-start 30s --panic-percent 50",
		"healthcheck":                 "healthcheck",
		"healthcheck of a witness":    "healthcheck --live",
		"an object that is in use":    "pool rm in",
		"an object that is not there": "pool get nope",
	}
	for name, line := range tests {
		t.Run(name, func(t *testing.T) { goldenVerb(t, name, line, replies()) })
	}
}

// goldenVerb holds what a verb does to its golden file.
func goldenVerb(t *testing.T, name, line string, answers map[string][]reply) {
	t.Helper()
	api := newFakeAPI(t, answers)
	got := execute(t, map[string]string{"EVENKEEL_API": api.url}, strings.Fields(line)...)
	text := fmt.Sprintf("$ evenkeel %s\nexit %d\n--- asked\n%s\n--- stdout\n%s--- stderr\n%s",
		line, got.code, strings.Join(api.asked, "\n"), got.out, got.err)
	golden(t, name, strings.ReplaceAll(text, api.url, "http://API"))
}

func golden(t testing.TB, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", regexp.MustCompile(`\W+`).ReplaceAllString(name, "-")+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestExitCodes(t *testing.T) {
	tests := map[string]struct {
		reply reply
		line  string
		code  int
		want  string // in the error output
	}{
		"a fault is an error with its pointer": {
			reply{400, `{"type":"/v1/problems/invalid-object","title":"The object is faulty","detail":"2 things are wrong, see faults","faults":[{"pointer":"/spec/weight","message":"2000 is more than 1000"},{"pointer":"","message":"unknown field"}]}`},
			"pool get x", cli.ExitError, "2 things are wrong, see faults\n  /spec/weight: 2000 is more than 1000\n  (whole document): unknown field\n"},
		"a conflict":                        {reply{409, problem("exists", "The name is taken", "d")}, "pool get x", cli.ExitConflict, "409 The name is taken: d"},
		"a key used before":                 {reply{422, problem("key-reused", "t", "d")}, "pool get x", cli.ExitConflict, "422 t: d"},
		"a forgotten revision":              {reply{410, problem("compacted", "t", "d")}, "pool get x", cli.ExitNotFound, "410 t: d"},
		"a precondition":                    {reply{412, problem("precondition-failed", "t", "d")}, "pool get x", cli.ExitConflict, "412 t: d"},
		"no quorum":                         {reply{503, problem("no-quorum", "The cluster has no leader", "d")}, "pool get x", cli.ExitNoQuorum, "no leader"},
		"another 503":                       {reply{503, problem("not-ready", "t", "d")}, "pool get x", cli.ExitError, "503 t"},
		"an unknown outcome":                {reply{504, problem("outcome-unknown", "t", "d")}, "pool get x", cli.ExitNoQuorum, "504 t"},
		"a gateway that knows no problem":   {reply{504, "<html>"}, "pool get x", cli.ExitNoQuorum, "504 Gateway Timeout: <html>"},
		"not found":                         {reply{404, problem("not-found", "t", "d")}, "pool get x", cli.ExitNotFound, "404 t: d"},
		"unauthorized":                      {reply{401, problem("unauthorized", "A valid token is needed", "")}, "pool get x", cli.ExitError, "A valid token is needed"},
		"no such object to delete":          {reply{412, problem("precondition-failed", "t", "d")}, "pool rm x", cli.ExitNotFound, "there is no pool x"},
		"an answer that is not Evenkeel's":  {reply{200, "<html>"}, "pool ls", cli.ExitError, "is that address its API?"},
		"an object without a revision":      {reply{200, "{}"}, "pool set x", cli.ExitError, "is that address Evenkeel's API?"},
		"a node that is not ready":          {reply{503, problem("not-ready", "t", "d")}, "healthcheck", cli.ExitError, "check health: "},
		"a node without quorum, for Docker": {reply{503, problem("no-quorum", "t", "d")}, "healthcheck", cli.ExitError, "check health: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			answers := map[string][]reply{}
			for _, key := range []string{"GET /v1/pools/x", "DELETE /v1/pools/x", "GET /v1/pools", "GET /readyz"} {
				answers[key] = []reply{test.reply}
			}
			api := newFakeAPI(t, answers)
			got := execute(t, nil, append(strings.Fields(test.line), "--wait-leader", "0s", "--api", api.url)...)
			if got.code != test.code || !strings.Contains(got.err, test.want) || got.out != "" {
				t.Errorf("exit %d, stdout %q, stderr %q; want exit %d and %q", got.code, got.out, got.err, test.code, test.want)
			}
		})
	}
}

// The members of the cluster are not for a token that is limited to some objects.
func TestTheStatusForALimitedTokenIsWithoutNodes(t *testing.T) {
	answers := replies()
	answers["GET /v1/nodes"] = []reply{{403, problem("forbidden", "This is not allowed", "d")}}
	env := map[string]string{"EVENKEEL_API": newFakeAPI(t, answers).url}
	if got := execute(t, env, "status"); got.code != cli.ExitOK || !strings.Contains(got.out, "the nodes are not told") || !strings.Contains(got.out, "web1") {
		t.Errorf("exit %d, stderr %q, stdout:\n%s", got.code, got.err, got.out)
	}
	got := execute(t, env, "status", "-o", "json")
	var doc map[string]any
	if err := json.Unmarshal([]byte(got.out), &doc); err != nil || doc["nodes"] != nil || doc["backends"] == nil {
		t.Errorf("exit %d, stderr %q, %v, stdout:\n%s", got.code, got.err, err, got.out)
	}
}

func TestUsageErrors(t *testing.T) {
	for line, want := range map[string]string{
		"pool add p --tls-ca-file x --tls=false":               "--tls=false removes what --tls-ca-file is about",
		"pool add p --tls=maybe":                               `--tls "maybe" is neither true nor false`,
		"pool add p --tls-insecure=maybe":                      `--tls-insecure "maybe" is neither true nor false`,
		"pool add p --check-tls=false --check-tls-insecure":    "--check-tls=false removes what --check-tls-insecure is about",
		"listener add l --client-auth none --client-ca-file x": "--client-auth none removes what --client-ca-file is about",
		"listener add l --http2=maybe":                         `--http2 "maybe" is neither true nor false`,
		"listener add l --http2-max-streams many":              `--http2-max-streams "many" is not a whole number`,
		"backend":                           "",
		"backend sell":                      `"sell" is no verb of "evenkeel backend"`,
		"backend weight web1":               "accepts 2 arg(s), received 1; usage: evenkeel backend weight",
		"backend weight web1 heavy":         `weight "heavy" is not a whole number`,
		"backend add a:1 --weight heavy":    `--weight "heavy" is not a whole number`,
		"backend add a:1 --label x":         `label "x" is neither`,
		"backend get /x":                    "is empty",
		"route add r --pool a=b":            `weight "b" is not a whole number`,
		"route add r --mirror a=b":          `percentage "b" is not a whole number`,
		"route add r --header =a":           `--header "=a" names nothing`,
		"pool add p --prefer-zone=maybe":    `--prefer-zone "maybe" is neither true nor false`,
		"pool add p --queue many":           `--queue "many" is not a whole number`,
		"pool add p --set timeouts":         `--set "timeouts" is not FIELD=VALUE`,
		"pool add p --set a..b=1":           `--set "a..b=1" is not FIELD=VALUE`,
		"route add r --redirect-to-https=x": `--redirect-to-https "x" is neither true nor false`,
		"status --api ftp://x":              "is neither HOST:PORT nor",
		"status --api ,":                    "names no node",
		"status --timeout -1s":              `--timeout "-1s" is no time to wait`,
		"health web/web1":                   `"web/web1" names a backend, and health shows pools: write health --why web/web1 for that backend`,
		"status --timeout 0":                `--timeout "0s" is no time to wait`,
		"status --token a --token-file b":   "exclude each other",
		"pool ls x":                         "accepts 0 arg(s)",
		"backend sett":                      `did you mean "set"?`,
	} {
		got := execute(t, nil, strings.Fields(line)...)
		code := cli.ExitUsage
		if want == "" {
			code = cli.ExitOK // help
		}
		if got.code != code || !strings.Contains(got.err, want) {
			t.Errorf("%s: exit %d, stderr %q; want exit %d and %q", line, got.code, got.err, code, want)
		}
	}
}

func TestWhichAPIAndToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		args []string
		env  map[string]string
		want string // the token
	}{
		"no token":                            {nil, nil, ""},
		"a flag counts first":                 {[]string{"--token", "flag"}, map[string]string{"EVENKEEL_TOKEN": "env"}, "flag"},
		"a file of a flag":                    {[]string{"--token-file", file}, map[string]string{"EVENKEEL_TOKEN": "env"}, "from-file"},
		"the environment":                     {nil, map[string]string{"EVENKEEL_TOKEN": "env", "EVENKEEL_ADMIN_TOKEN": "admin"}, "env"},
		"a file of the environment":           {nil, map[string]string{"EVENKEEL_TOKEN_FILE": file, "EVENKEEL_ADMIN_TOKEN": "admin"}, "from-file"},
		"the node's own token comes last":     {nil, map[string]string{"EVENKEEL_ADMIN_TOKEN": "admin"}, "admin"},
		"the node's own token, from its file": {nil, map[string]string{"EVENKEEL_ADMIN_TOKEN_FILE": file}, "from-file"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			api := newFakeAPI(t, replies())
			env := map[string]string{"EVENKEEL_API_ADDR": strings.Replace(api.url, "http://127.0.0.1", "0.0.0.0", 1)}
			maps.Copy(env, test.env)
			got := execute(t, env, append([]string{"members"}, test.args...)...)
			want := []string{"GET /v1/nodes", "GET /v1/cluster"}
			if test.want != "" {
				for i := range want {
					want[i] += " Authorization=Bearer " + test.want
				}
			}
			if got.code != cli.ExitOK || !slices.Equal(api.asked, want) {
				t.Errorf("exit %d, stderr %q, asked %q; want %q", got.code, got.err, api.asked, want)
			}
		})
	}
}

func TestMembersAreChanged(t *testing.T) {
	for line, c := range map[string]struct {
		asked string
		reply reply
		code  int
		text  string // on the error output
	}{
		"members remove n2":           {"DELETE /v1/nodes/n2", reply{204, ""}, cli.ExitOK, "node n2 is removed\n"},
		"members rm n2":               {"DELETE /v1/nodes/n2", reply{412, problem("precondition-failed", "t", "d")}, cli.ExitNotFound, "there is no node n2"},
		"members remove a/b":          {"DELETE /v1/nodes/a%2Fb", reply{412, problem("precondition-failed", "t", "d")}, cli.ExitNotFound, "there is no node a/b"},
		"members remove n1":           {"DELETE /v1/nodes/n1", reply{409, problem("unsafe", "t", "no majority")}, cli.ExitConflict, "no majority"},
		"members promote n2":          {"POST /v1/nodes/n2/promote", reply{204, ""}, cli.ExitOK, "node n2 has a vote\n"},
		"members transfer-leader":     {"POST /v1/cluster/transfer-leader", reply{204, ""}, cli.ExitOK, "another node leads\n"},
		"members transfer-leader n2":  {"POST /v1/cluster/transfer-leader?to=n2", reply{204, ""}, cli.ExitOK, "node n2 leads\n"},
		"members remove":              {"", reply{}, cli.ExitUsage, "usage: "},
		"members transfer-leader a b": {"", reply{}, cli.ExitUsage, "usage: "},
	} {
		t.Run(line, func(t *testing.T) {
			answers := replies()
			answers[c.asked] = []reply{c.reply}
			api := newFakeAPI(t, answers)
			got := execute(t, map[string]string{"EVENKEEL_API": api.url}, strings.Fields(line)...)
			var want []string
			switch {
			case strings.HasPrefix(c.asked, "DELETE "):
				want = []string{c.asked + " If-Match=*"}
			case c.asked != "":
				want = []string{c.asked}
			}
			if got.code != c.code || !strings.Contains(got.err, c.text) || got.out != "" || !slices.Equal(api.asked, want) {
				t.Errorf("exit %d, stdout %q, stderr %q, asked %q", got.code, got.out, got.err, api.asked)
			}
		})
	}
}

func TestMissingMayBeIgnored(t *testing.T) {
	api := newFakeAPI(t, replies())
	got := execute(t, map[string]string{"EVENKEEL_API": api.url}, "backend", "rm", "web1", "--ignore-missing")
	if got.code != cli.ExitOK || !slices.Equal(api.asked, []string{"DELETE /v1/pools/default/backends/web1"}) {
		t.Errorf("exit %d, stderr %q, asked %q", got.code, got.err, api.asked)
	}
}

// What has no answer to show is a document all the same for a script that asks for one.
func TestADeletionIsADocumentForAScript(t *testing.T) {
	api := newFakeAPI(t, replies())
	api.header = http.Header{"X-Evenkeel-Revision": {"12"}}
	api.replies["DELETE /v1/pools/default/backends/web2"] = []reply{{204, ""}}
	env := map[string]string{"EVENKEEL_API": api.url}
	for line, want := range map[string]string{
		"backend rm web1 -o json":             "{\n  \"kind\": \"backend\",\n  \"pool\": \"default\",\n  \"name\": \"web1\",\n  \"action\": \"delete\",\n  \"revision\": 12\n}\n",
		"backend rm web1 -o yaml":             "kind: backend\npool: default\nname: web1\naction: delete\nrevision: 12\n",
		"backend rm web1 web2 -o yaml":        "---\nkind: backend\npool: default\nname: web1\naction: delete\nrevision: 12\n---\nkind: backend\npool: default\nname: web2\naction: delete\nrevision: 12\n",
		"backend override clear web1 -o yaml": "kind: backend\npool: default\nname: web1\naction: update\nrevision: 12\n",
	} {
		if got := execute(t, env, strings.Fields(line)...); got.code != cli.ExitOK || got.out != want || got.err != "" {
			t.Errorf("%s: exit %d, stderr %q, stdout %q", line, got.code, got.err, got.out)
		}
	}
	got := execute(t, env, "backend", "rm", "web1", "ghost", "web2", "-o", "json")
	if got.code != cli.ExitNotFound || strings.Count(got.out, "delete") != 1 || !strings.Contains(got.err, "ghost") {
		t.Errorf("exit %d, stderr %q, stdout %q", got.code, got.err, got.out)
	}
}

func TestStatusOfALargeRegistry(t *testing.T) {
	var items []string
	for i := range 100 {
		backend := strings.Replace(web1, `"web1"`, fmt.Sprintf(`"b%02d"`, i), 1)
		backend = strings.Replace(backend, `"pool":"default"`, fmt.Sprintf(`"pool":"p%d"`, i/50), 1)
		if i%2 == 0 {
			backend = strings.Replace(backend, `"health":"down"`, `"health":"up"`, 1)
		}
		items = append(items, backend)
	}
	answers := replies()
	answers["GET /v1/backends"] = []reply{{200, `{"items":[` + strings.Join(items, ",") + `],"revision":12}`}}
	answers["GET /v1/cluster"] = []reply{{200, `{"id":"c0ffee","leader":"","quorum":false,"revision":12,"confirmed":false,"age_seconds":75.2,"detached":"the disk hangs"}`}}
	api := newFakeAPI(t, answers)
	got := execute(t, map[string]string{"EVENKEEL_API": api.url}, "status")
	golden(t, "status of a large registry", strings.ReplaceAll(got.out+got.err, api.url, "http://API"))
}

func TestAControlCharacterDoesNotReachTheTerminal(t *testing.T) {
	answers := replies()
	answers["GET /v1/nodes"] = []reply{{200, `{"items":[{"name":"n1\u001b[2J","role":"leader\u009b","state":"alive\n"}]}`}}
	api := newFakeAPI(t, answers)
	got := execute(t, map[string]string{"EVENKEEL_API": api.url}, "members")
	if strings.ContainsAny(got.out, "\x1b\u009b") || strings.Count(got.out, "\n") != 4 {
		t.Errorf("stdout %q", got.out)
	}
}

func TestCompletion(t *testing.T) {
	api := newFakeAPI(t, replies())
	env := map[string]string{"EVENKEEL_API": api.url}
	for line, want := range map[string]string{
		"__complete export -o ":              "yaml\njson\n",
		"__complete backend drain ":          "default/web1\ndefault/web2\n",
		"__complete pool get ":               "default\nplain\nweb\n",
		"__complete members remove ":         "n1\n",
		"__complete pool add x --check ":     "tcp\nhttp\ngrpc\nnone\n",
		"__complete backend ls -o ":          "table\njson\nyaml\n",
		"__complete backend ls --pool ":      "default\nplain\nweb\n",
		"__complete backend add --pool ":     "default\nplain\nweb\n",
		"__complete route add x --pool ":     "default\nplain\nweb\n",
		"__complete history --pool ":         "default\nplain\nweb\n",
		"__complete watch --pool ":           "default\nplain\nweb\n",
		"__complete route set x --mirror ":   "default\nplain\nweb\n",
		"__complete route set x --listener ": "default\n",
		"__complete explain --listener ":     "default\n",
	} {
		args := strings.Split(line, " ")
		got := execute(t, env, args...)
		if got.code != cli.ExitOK || !strings.HasPrefix(got.out, want) {
			t.Errorf("%s: exit %d, stdout %q, stderr %q; want %q", line, got.code, got.out, got.err, want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if got := execute(t, env, "completion", shell); got.code != cli.ExitOK || !strings.Contains(got.out, "evenkeel") {
			t.Errorf("completion %s: exit %d, stderr %q", shell, got.code, got.err)
		}
	}
}

func TestSecret(t *testing.T) {
	first, second := execute(t, nil, "secret"), execute(t, nil, "secret")
	if first.code != cli.ExitOK || !strings.HasPrefix(first.out, "evenkeel-") || strings.Count(first.out, "\n") != 1 || first.out == second.out {
		t.Errorf("secrets %q and %q", first.out, second.out)
	}
}

func TestASecretInAFileIsForItsOwnerAlone(t *testing.T) {
	file, err := os.OpenFile(filepath.Join(t.TempDir(), "secret"), os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	app := &cli.App{Out: file, Err: io.Discard, Getenv: func(string) string { return "" }}
	root := cli.Group("evenkeel", "")
	root.AddCommand(app.Commands()...)
	root.SetArgs([]string{"secret"})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	info, err := file.Stat()
	if err != nil || info.Mode().Perm()&0o077 != 0 || info.Size() == 0 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
}

func TestVersion(t *testing.T) {
	text, data := execute(t, nil, "version"), execute(t, nil, "version", "-o", "json")
	if !strings.HasPrefix(text.out, "evenkeel ") || !strings.Contains(data.out, `"platform": "`) || text.code+data.code != 0 {
		t.Errorf("version %q and %q", text.out, data.out)
	}
}
