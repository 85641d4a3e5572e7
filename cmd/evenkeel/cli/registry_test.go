package cli_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"evenkeel/cmd/evenkeel/cli"
)

const (
	changes = `"changes":[` +
		`{"kind":"backend","pool":"shop","name":"web1","action":"update","fields":[{"pointer":"/spec/weight","before":1,"after":5}],"before":{"spec":{"weight":1}},"after":{"spec":{"weight":5}}},` +
		`{"kind":"backend","pool":"shop","name":"web2","action":"create","after":{"kind":"backend","pool":"shop","name":"web2","labels":{"b":"2","a":"x y"},"spec":{"address":"10.0.0.7:9000","weight":1}}},` +
		`{"kind":"backend","pool":"shop","name":"web3","action":"delete","before":{"spec":{"address":"10.0.0.8:9000"}}},` +
		`{"kind":"pool","name":"shop","action":"update","fields":[{"pointer":"/labels/a~1b","before":"x"},{"pointer":"/spec/check","after":{"type":"http","path":"/healthz","interval":"2s"}},{"pointer":"/spec/strategy","before":"random","after":"maglev"},{"pointer":"/spec/hash/name","before":"","after":"\u001b[2Jx"}]},` +
		`{"kind":"route","name":"r","action":"create","after":{"spec":{"match":{"host":"example.org","path_prefix":"/a/long/path/that/takes/room"},"pools":[{"name":"shop","weight":1}],"timeouts":{"request":"30s"}}}}]`
	diffDoc  = `{"revision":13,` + changes + `,"unchanged":7,"owner":"ops"}`
	noDiff   = `{"revision":12,"changes":[],"unchanged":12}`
	history  = `{"items":[{"revision":13,"time":"2026-01-02T03:04:05Z","actor":"token:ci","reason":"more","kind":"txn","count":5,"unconfirmed":true,"objects":[{"kind":"pool","name":"shop","action":"update"}]},{"revision":12,"time":"2026-01-02T03:04:04Z","actor":"cluster","kind":"undo","count":1,"undoes":11}],"revision":13,"oldest":2}`
	pending  = `{"items":[{"revision":13,"within":"1m0s","time":"2026-01-02T03:04:05Z","actor":"token:ci","reason":"more","count":5,"objects":[{"kind":"backend","pool":"default","name":"web1","action":"update"}]}]}`
	one      = `{"revision":13,"time":"2026-01-02T03:04:05Z","actor":"token:ci","reason":"more","kind":"txn","count":5,` + changes + `}`
	large    = `{"revision":14,"time":"2026-01-02T03:04:05Z","actor":"token:ci","kind":"restore","count":90000,"changes":[],"left_off":90000}`
	manifest = "pools:\n- name: shop\n"
)

// registryReplies has what the verbs ask that are about the whole registry.
func registryReplies() map[string][]reply {
	answers := replies()
	maps.Copy(answers, map[string][]reply{
		"POST /v1/apply":              {{200, diffDoc}},
		"POST /v1/apply?dry_run=true": {{200, diffDoc}},
		"POST /v1/apply?prune=true&owner=ops&reason=more&confirm_within=1m0s":          {{200, diffDoc}},
		"POST /v1/apply?owner=same&dry_run=true":                                       {{200, noDiff}},
		"POST /v1/apply?owner=same":                                                    {{200, noDiff}},
		"POST /v1/apply?owner=bad&dry_run=true":                                        {{400, `{"type":"/v1/problems/invalid-object","title":"The object is faulty","faults":[{"pointer":"/pools/0/spec/x","message":"there is no such field","line":2,"column":3}]}`}},
		"GET /v1/export?format=yaml":                                                   {{200, "pools: []\n"}},
		"GET /v1/export?format=json&owner=ops&kind=pool,backend&label=a%3Db%2C%21c":    {{200, "{\"pools\":[]}\n"}},
		"GET /v1/revisions?limit=20":                                                   {{200, history}},
		"GET /v1/revisions?limit=20&kind=certificate":                                  {{200, history}},
		"GET /v1/revisions?limit=50":                                                   {{200, history}},
		"GET /v1/revisions?limit=2&before=14&after=11&kind=pool&pool=p&name=n&actor=a": {{200, history}},
		"GET /v1/revisions/13":                                                         {{200, one}},
		"GET /v1/revisions/14":                                                         {{200, large}},
		"GET /v1/revisions/1":                                                          {{410, problem("compacted", "The revision is no longer known", "the oldest is 2")}},
		"GET /v1/revisions/12/diff/current":                                            {{200, diffDoc}},
		"GET /v1/revisions/12/diff/13":                                                 {{200, diffDoc}},
		"GET /v1/pending":                                                              {{200, pending}},
		"POST /v1/rollback?dry_run=true":                                               {{200, diffDoc}},
		"POST /v1/rollback":                                                            {{200, diffDoc}},
		"POST /v1/revisions/13/confirm":                                                {{200, noDiff}},
		"POST /v1/revisions/13/undo?reason=oops":                                       {{200, diffDoc}},
		"PUT /v1/pools/default/backends/web1?dry_run=true":                             {{200, diffDoc}},
		"DELETE /v1/pools/default/backends/web2?confirm_within=1m0s":                   {{204, ""}},
		"GET /v1/pools/default/backends/web2":                                          {{200, web2}},
		"PUT /v1/pools/default/backends/web2?confirm_within=1m0s":                      {{200, web2}},
		"DELETE /v1/pools/default/backends/web1?dry_run=true":                          {{200, diffDoc}},
		"PUT /v1/pools/default/backends/web1?wait=all&timeout=5s&confirm_within=1m0s":  {{200, web1}},
	})
	return answers
}

func TestVerbsOfTheWholeRegistry(t *testing.T) {
	for name, line := range map[string]string{
		"apply":                         "apply -f testdata/cluster.yaml",
		"apply dry run":                 "apply -f testdata/cluster.yaml --dry-run",
		"apply with all":                "apply -f testdata/cluster.yaml --prune --owner ops --confirm-within 60s --reason more",
		"apply without a change":        "apply -f testdata/cluster.yaml --owner same",
		"apply nothing":                 "apply -f testdata/empty.yaml",
		"apply a ghost":                 "apply -f testdata/ghost.yaml",
		"diff":                          "diff -f testdata/cluster.yaml",
		"diff as yaml":                  "diff -f testdata/cluster.yaml -o yaml",
		"diff without a difference":     "diff -f testdata/cluster.yaml --owner same",
		"diff of a faulty manifest":     "diff -f testdata/cluster.yaml --owner bad",
		"export":                        "export",
		"export of a part":              "export -o json --label a=b --label !c --owner ops --kind pool,backends",
		"history":                       "history",
		"history as json":               "history -o json",
		"history of a part":             "history --limit 2 --before 14 --after 11 --kind pools --pool p --name n --actor a",
		"history of certificates":       "history --kind certificates",
		"history of those that wait":    "history --pending",
		"history of one":                "history 13",
		"history of a large one":        "history 14",
		"history of a forgotten one":    "history 1",
		"history between two":           "history 12 13",
		"history until now":             "history 12 current",
		"rollback":                      "rollback 12",
		"rollback dry run":              "rollback 12 --dry-run -o json",
		"confirm":                       "confirm 13",
		"confirm of what does not wait": "confirm 12",
		"undo":                          "undo 13 --reason oops",
		"backend rm to be confirmed":    "backend rm web2 --confirm-within 1m",
		"backend set without a change":  "backend set web2 --tier 1 --confirm-within 1m",
		"backend weight dry run":        "backend weight web1 5 --dry-run",
		"backend rm dry run":            "backend rm web1 --dry-run",
	} {
		t.Run(name, func(t *testing.T) {
			goldenVerb(t, name, line, registryReplies())
		})
	}
}

func TestAManifestComesFromTheStandardInput(t *testing.T) {
	api := newFakeAPI(t, registryReplies())
	got := executeApp(t, &cli.App{In: strings.NewReader(manifest)}, map[string]string{"EVENKEEL_API": api.url}, "apply", "-f", "-")
	if got.code != cli.ExitOK || !slices.Equal(api.asked, []string{"POST /v1/apply " + strings.TrimSpace(manifest)}) || len(api.keys) != 1 {
		t.Errorf("exit %d, stderr %q, asked %q", got.code, got.err, api.asked)
	}
	endless := io.MultiReader(strings.NewReader("a"), zeros{})
	got = executeApp(t, &cli.App{In: endless}, map[string]string{"EVENKEEL_API": api.url}, "apply", "-f", "-")
	if got.code != cli.ExitError || !strings.Contains(got.err, "the standard input has more than 16777216 bytes") {
		t.Errorf("exit %d, stderr %q", got.code, got.err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestUsageOfTheWholeRegistry(t *testing.T) {
	for line, want := range map[string]string{
		"apply":                        "-f is missing",
		"diff":                         "-f is missing",
		"apply -f x --wait many":       `--wait "many" is neither local nor all`,
		"apply -f x --wait-timeout 1s": "--wait-timeout bounds --wait all",
		"apply -f x --wait all --wait-timeout -1s":        `--wait-timeout "-1s" is no time`,
		"apply -f x --confirm-within -1s":                 `--confirm-within "-1s" is no time`,
		"apply -f x --confirm-within 1s --dry-run":        "leave out --confirm-within",
		"backend rm a b --idempotency-key k":              "name one object",
		"export -o table":                                 "a manifest is no table",
		"export --kind pool,x,y":                          "--kind \"x\" is not one of listener, route, pool, backend, certificate\n--kind \"y\"",
		"watch --kind node":                               `--kind "node" is not one of`,
		"watch --since 1 --snapshot":                      "exclude each other",
		"history x":                                       `"x" is no revision`,
		"history 0":                                       `"0" is no revision`,
		"history current":                                 `"current" is no revision`,
		"history 1 2 3":                                   "accepts at most 2 arg(s)",
		"history --limit 0":                               "--limit 0 is no number",
		"history 1 --pending":                             "--pending lists revisions",
		"rollback":                                        "accepts 1 arg(s)",
		"rollback -1":                                     "unknown shorthand flag",
		"confirm x":                                       `"x" is no revision`,
		"status --ca-file a --token a --token-file b":     "exclude each other",
		"backend set web1 --weight 5 --wait-timeout 1m":   "--wait-timeout bounds",
		"backend override up web1 --confirm-within 5m":    "unknown flag: --confirm-within",
		"backend set web1 --confirm-within -5m":           "is no time to confirm in",
		"history --kind pool,route":                       "--kind takes one kind here",
		"apply -f x --wait all --dry-run":                 "leave out --wait all",
		"backend override clear web1 --wait-timeout -10m": "--wait-timeout bounds",
	} {
		got := execute(t, nil, strings.Fields(line)...)
		// What cobra itself refuses main marks as a usage error.
		if got.code != cli.ExitUsage && !strings.HasPrefix(want, "unknown") || !strings.Contains(got.err, want) {
			t.Errorf("%s: exit %d, stderr %q; want %q", line, got.code, got.err, want)
		}
	}
}

func TestAWriteThatNotEveryNodeServesIsTold(t *testing.T) {
	api := newFakeAPI(t, registryReplies())
	api.header = http.Header{"X-Evenkeel-Wait": {"timeout"}, "X-Evenkeel-Lagging": {"n2, n3"}, "X-Evenkeel-Revision": {"14"}}
	got := execute(t, map[string]string{"EVENKEEL_API": api.url}, "backend", "weight", "web1", "5", "--wait", "all", "--wait-timeout", "5s", "--confirm-within", "1m")
	const want = "revision 13 is undone in 1m0s, unless you say: evenkeel confirm 13\nrevision 14 is written, and not served yet by n2, n3: it will be, once they follow\n"
	if got.code != cli.ExitError || got.err != want || !strings.Contains(got.out, "web1") {
		t.Errorf("exit %d, stdout %q, stderr %q, asked %q", got.code, got.out, got.err, api.asked)
	}
}

func TestAWatchIsPrinted(t *testing.T) {
	const events = "id: 12\nevent: sync\ndata: {}\n\n" +
		"event: put\ndata: {\"revision\":13,\"time\":\"2026-01-02T03:04:05Z\",\"actor\":\"ci\",\"reason\":\"a\\u001b\",\"kind\":\"backend\",\"pool\":\"web\",\"name\":\"web1\",\"action\":\"create\",\"object\":{\"name\":\"web1\"}}\n\n" +
		"id: 13\nevent: delete\ndata: {\"revision\":13,\"time\":\"2026-01-02T03:04:05Z\",\"actor\":\"ci\",\"kind\":\"pool\",\"name\":\"p\",\"action\":\"delete\"}\n\n" +
		"event: error\ndata: {\"type\":\"/v1/problems/compacted\",\"status\":410,\"title\":\"T\"}\n\n"
	for _, format := range []string{"table", "json", "yaml"} {
		asked := make(chan string, 1)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked <- r.URL.RequestURI()
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, events)
		}))
		defer server.Close()
		got := execute(t, map[string]string{"EVENKEEL_API": server.URL}, "watch", "-o", format, "--kind", "backend,pool", "--name", "web1", "--label", "a")
		text := fmt.Sprintf("asked %s\nexit %d\n--- stdout\n%s--- stderr\n%s", <-asked, got.code, got.out, got.err)
		golden(t, "watch as "+format, strings.ReplaceAll(text, server.URL, "http://API"))
	}
}

func TestAnAuthorityIsNamed(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"items":[]}`)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	dir := t.TempDir()
	ca, none := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "none.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := errors.Join(os.WriteFile(ca, text, 0o600), os.WriteFile(none, []byte("no"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		env  map[string]string
		args []string
		code int
		text string
	}{
		"by a flag":         {nil, []string{"--ca-file", ca}, cli.ExitOK, ""},
		"by an environment": {map[string]string{"EVENKEEL_API_CA": ca}, nil, cli.ExitOK, ""},
		"not at all":        {nil, nil, cli.ExitError, "--ca-file or EVENKEEL_API_CA"},
		"which is none":     {nil, []string{"--ca-file", none}, cli.ExitError, "holds no certificate in PEM"},
		"which is not there": {map[string]string{"EVENKEEL_API_CA": filepath.Join(dir, "ghost")}, nil, cli.ExitError,
			"read certificate authority: open "},
	} {
		got := execute(t, test.env, append([]string{"pool", "ls", "--api", server.URL}, test.args...)...)
		if got.code != test.code || !strings.Contains(got.err, test.text) {
			t.Errorf("%s: exit %d, stderr %q", name, got.code, got.err)
		}
	}
}

// Quotes of the kind ` would make their words the name of the flag's value.
func TestAFlagsHelpNamesTheKindOfItsValue(t *testing.T) {
	got := execute(t, nil, "apply", "--help")
	if got.code != cli.ExitOK || !strings.Contains(got.out, "--confirm-within duration ") {
		t.Errorf("exit %d, stdout %q", got.code, got.out)
	}
}

func TestCompletionOfRevisions(t *testing.T) {
	api := newFakeAPI(t, registryReplies())
	env := map[string]string{"EVENKEEL_API": api.url}
	const newest = "13\ttxn, unconfirmed by token:ci: more\n12\tundo of 11 by cluster\n"
	for line, want := range map[string]string{
		"__complete history ":                          newest,
		"__complete history 12 ":                       newest,
		"__complete rollback ":                         newest,
		"__complete watch --since ":                    newest,
		"__complete confirm ":                          "13\tby token:ci: more\n",
		"__complete undo ":                             "13\tby token:ci: more\n",
		"__complete undo 13 ":                          ":",
		"__complete backend rm default/web1 ":          "default/web2\n",
		"__complete backend weight web1 ":              ":",
		"__complete health ":                           "default\nplain\nweb\n",
		"__complete health --why ":                     "default/web1\ndefault/web2\n",
		"__complete listener add l --tls-certificate ": "site\nother\n",
		"__complete listener add l --protocol ":        "http\nhttps\ntcp\ntls-passthrough\n",
		"__complete listener add l --client-auth ":     "required\noptional\nnone\n",
		"__complete pool add p --tls-certificate ":     "site\nother\n",
		"__complete pool add p --check ":               "tcp\nhttp\ngrpc\nnone\n",
		"__complete pool add p --proxy-protocol ":      "v1\nv2\n",
		"__complete route add r --pool ":               "default\nplain\nweb\n",
		"__complete route add r --listener ":           "default\n",
		"__complete watch --kind ":                     "listener\nroute\npool\nbackend\ncertificate\ntoken\n",
		"__complete history --kind ":                   "listener\nroute\npool\nbackend\ncertificate\ntoken\n",
		"__complete export --kind ":                    "listener\nroute\npool\nbackend\ncertificate\n",
		"__complete backend drain web1 --wait ":        "local\nall\n",
	} {
		got := execute(t, env, strings.Split(line, " ")...)
		if got.code != cli.ExitOK || !strings.HasPrefix(got.out, want) {
			t.Errorf("%s: exit %d, stdout %q, stderr %q; want %q", line, got.code, got.out, got.err, want)
		}
	}
	lost := map[string]string{"EVENKEEL_API": refused(t)}
	if got := execute(t, lost, "__complete", "rollback", ""); got.code != cli.ExitOK || !strings.HasPrefix(got.out, ":") {
		t.Errorf("without a node: exit %d, stdout %q", got.code, got.out)
	}
}

// asMain makes this test's own binary the command line's, for shells.
const asMain = "EVENKEEL_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) == "" {
		os.Exit(m.Run())
	}
	app := &cli.App{Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv}
	root := cli.Group("evenkeel", "")
	root.AddCommand(app.Commands()...)
	os.Exit(cli.ExitCode(root.ExecuteContext(context.Background())))
}

// The generated script asks bash-completion for the words of the line; a function
// takes its place, so that only bash itself is needed.
const completeLine = `
_get_comp_words_by_ref() { words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; cur=${words[cword]}; prev=${words[cword-1]}; }
__ltrim_colon_completions() { :; }
source <(evenkeel completion bash)
COMP_WORDS=(evenkeel backend drain default/we); COMP_CWORD=3
COMP_LINE="${COMP_WORDS[*]}"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9
__start_evenkeel
printf '%s\n' "${COMPREPLY[@]}"
`

func TestBashCompletesNamesOfTheCluster(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "evenkeel")); err != nil {
		t.Fatal(err)
	}
	api := newFakeAPI(t, replies())
	cmd := exec.CommandContext(t.Context(), bash, "--norc", "-c", completeLine)
	cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "EVENKEEL_API=" + api.url, asMain + "=1"}
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil || string(out) != "default/web1\ndefault/web2\n" {
		t.Errorf("it offers %q, %v\n%s", out, err, errOut.String())
	}
	for shell, check := range map[string]string{"zsh": "-n", "fish": "--no-execute"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		script := filepath.Join(bin, shell)
		if err := os.WriteFile(script, []byte(execute(t, nil, "completion", shell).out), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), path, check, script).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
	}
}
