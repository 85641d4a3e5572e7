package cli_test

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evenkeel/cluster/secret"
	"evenkeel/cmd/evenkeel/cli"
)

const madeToken = `{"name":"ci","labels":{},"spec":{"role":"editor","labels":{"team":"shop"},"expires":"2099-01-31T00:00:00Z"},"status":{},"meta":{"uid":"t1","revision":9,"created":"2026-01-02T03:04:05Z","modified":"2026-01-02T03:04:05Z","actor":"bootstrap@127.0.0.1"}`

func TestTokenCreatePrintsTheTokenAlone(t *testing.T) {
	api := newFakeAPI(t, map[string][]reply{"POST /v1/tokens": {{201, madeToken + `,"token":"ek-xyzzy"}`}}})
	got := execute(t, nil, "token", "create", "ci", "--role", "editor", "--label", "team=shop", "--expires", "2099-01-31", "--api", api.url)
	if got.code != cli.ExitOK || got.out != "ek-xyzzy\n" || !strings.Contains(got.err, "it is not shown again") {
		t.Errorf("got %+v", got)
	}
	want := `POST /v1/tokens {"name":"ci","spec":{"expires":"2099-01-31T00:00:00Z","labels":{"team":"shop"},"role":"editor"}}`
	if len(api.asked) != 1 || api.asked[0] != want {
		t.Errorf("asked %q, want %q", api.asked, want)
	}
	got = execute(t, nil, "token", "create", "ci", "--role", "editor", "-o", "json", "--api", api.url)
	var document struct {
		Name  string
		Token string
		Spec  struct{ Role string }
	}
	if err := json.Unmarshal([]byte(got.out), &document); err != nil || document.Token != "ek-xyzzy" || document.Name != "ci" || document.Spec.Role != "editor" {
		t.Errorf("%v: %s", err, got.out)
	}
}

func TestTokenLsShowsWhatTokensMay(t *testing.T) {
	api := newFakeAPI(t, map[string][]reply{"GET /v1/tokens": {{200, `{"items":[` + madeToken + `},{"name":"root","labels":{},"spec":{"role":"admin"},"status":{},"meta":{"created":"2026-01-02T03:04:05Z"}}],"revision":9}`}}})
	got := execute(t, nil, "token", "ls", "--api", api.url)
	for _, want := range []string{
		"NAME  ROLE    LIMITED TO  EXPIRES               MADE",
		"ci    editor  team=shop   2099-01-31T00:00:00Z  2026-01-02T03:04:05Z",
		"root  admin", "never",
	} {
		if !strings.Contains(got.out, want) {
			t.Errorf("%q is not in\n%s%s", want, got.out, got.err)
		}
	}
}

func TestTokenCreateNamesAllThatIsWrong(t *testing.T) {
	got := execute(t, nil, "token", "create", "ci", "--role", "root", "--label", "team", "--label", "a=1", "--label", "a=2", "--expires", "tomorrow")
	for _, want := range []string{
		`--role "root" is none of viewer, operator, editor, admin`, `--label "team" is not KEY=VALUE`, `--label "a=2" repeats the key`,
		`--expires "tomorrow" is neither a time from now such as 720h nor a date`,
	} {
		if !strings.Contains(got.err, want) {
			t.Errorf("%q is not in %s", want, got.err)
		}
	}
	for args, want := range map[string]string{
		"":                                   "--role is missing",
		"--role viewer --expires -1h":        "is past",
		"--role viewer --expires 1999-01-01": "is past",
	} {
		got := execute(t, nil, append([]string{"token", "create", "ci"}, strings.Fields(args)...)...)
		if got.code != cli.ExitUsage || !strings.Contains(got.err, want) {
			t.Errorf("%q: %+v; want %q", args, got, want)
		}
	}
}

// TestTheNodesOwnEnvironmentIsEnoughToAskIt has the verbs work inside a node's
// container, whose API speaks TLS and wants a token.
func TestTheNodesOwnEnvironmentIsEnoughToAskIt(t *testing.T) {
	text := secret.New()
	ring, err := secret.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := secret.BootstrapTokens([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	issued, err := ring.WebCertificate("n1", []string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	nameless, err := ring.WebCertificate("n1", []string{"elsewhere.example"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	serve := func(certificate *tls.Certificate) string {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/readyz" && r.Header.Get("Authorization") != "Bearer "+tokens[0] {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"items":[],"revision":1}`)
		}))
		server.TLS = &tls.Config{Certificates: []tls.Certificate{*certificate}}
		server.StartTLS()
		t.Cleanup(server.Close)
		return strings.TrimPrefix(server.URL, "https://")
	}
	cluster, own := serve(issued), serve(nameless)
	file := func(name string, data []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certificate := file("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: nameless.Certificate[0]}))
	other := file("other.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issued.Certificate[0]}))
	_, port, _ := strings.Cut(cluster, ":")
	for name, c := range map[string]struct {
		env  map[string]string
		code int
	}{
		"with the cluster's authority":  {map[string]string{"EVENKEEL_API_ADDR": "0.0.0.0:" + port, "EVENKEEL_API_TLS": "cluster", "EVENKEEL_SECRET": text}, cli.ExitOK},
		"by its URL":                    {map[string]string{"EVENKEEL_API": "https://" + cluster, "EVENKEEL_SECRET_FILE": file("secret", []byte(text))}, cli.ExitOK},
		"with a certificate of its own": {map[string]string{"EVENKEEL_API_ADDR": own, "EVENKEEL_API_TLS_CERT": certificate, "EVENKEEL_SECRET": text}, cli.ExitOK},
		"without the secret":            {map[string]string{"EVENKEEL_API": "https://" + cluster}, cli.ExitError},
		"with another secret":           {map[string]string{"EVENKEEL_API": "https://" + cluster, "EVENKEEL_SECRET": secret.New()}, cli.ExitError},
		"with another certificate":      {map[string]string{"EVENKEEL_API_ADDR": own, "EVENKEEL_API_TLS_CERT": other, "EVENKEEL_SECRET": text}, cli.ExitError},
		"with a faulty secret":          {map[string]string{"EVENKEEL_API": "https://" + cluster, "EVENKEEL_SECRET": "hunter2"}, cli.ExitError},
	} {
		t.Run(name, func(t *testing.T) {
			for _, verb := range [][]string{{"pool", "ls"}, {"healthcheck"}} {
				got := execute(t, c.env, append(verb, "--wait-leader", "0s")...)
				if got.code != c.code || strings.Contains(got.err+got.out, tokens[0]) || strings.Contains(got.err, "hunter2") {
					t.Errorf("%v: %+v, want the code %d", verb, got, c.code)
				}
			}
		})
	}
}

func TestATokenOfTheSecretIsSentWhereNoOtherIsGiven(t *testing.T) {
	text := secret.New()
	tokens, err := secret.BootstrapTokens([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"the secret alone":            {map[string]string{"EVENKEEL_SECRET": text}, " Authorization=Bearer " + tokens[0]},
		"a token comes first":         {map[string]string{"EVENKEEL_SECRET": text, "EVENKEEL_TOKEN": "mine"}, " Authorization=Bearer mine"},
		"the admin token comes first": {map[string]string{"EVENKEEL_SECRET": text, "EVENKEEL_ADMIN_TOKEN": "admin"}, " Authorization=Bearer admin"},
		"nothing":                     {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			api := newFakeAPI(t, map[string][]reply{"GET /v1/pools": {{200, `{"items":[],"revision":1}`}}})
			if got := execute(t, c.env, "pool", "ls", "--api", api.url); got.code != cli.ExitOK {
				t.Fatalf("%+v", got)
			}
			if want := "GET /v1/pools" + c.want; len(api.asked) != 1 || api.asked[0] != want {
				t.Errorf("asked %q, want %q", api.asked, want)
			}
		})
	}
}
