package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"evenkeel/cluster/secret"
	"evenkeel/cmd/evenkeel/cli"
)

// startNode runs a node until the test ends, and returns its log and the URL of
// its API.
func startNode(t *testing.T, args ...string) (log *logBuffer, api string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	log = &logBuffer{}
	ended := make(chan int, 1)
	args = append([]string{"serve", "--name", "solo", "--data-dir", filepath.Join(t.TempDir(), "data"), "--log-format", "json",
		"--cluster-addr", "127.0.0.1:0", "--listener-addr", "default=127.0.0.1:0", "--drain-timeout", "1s"}, args...)
	go func() { ended <- run(ctx, args, io.Discard, log) }()
	t.Cleanup(func() {
		stop()
		select {
		case code := <-ended:
			if code != cli.ExitOK {
				t.Errorf("exit %d: %s", code, log)
			}
		case <-time.After(30 * time.Second):
			t.Errorf("did not stop: %s", log)
		}
	})
	eventually(t, "the node is ready", func() bool {
		return log.find("ready") != nil || len(ended) > 0
	})
	ready := log.find("ready")
	if ready == nil {
		t.Fatalf("the node ended: %s", log)
	}
	return log, ready["api"].(string)
}

func TestBeyondLoopbackTheSecretsTokenAndAuthorityAreWhatIsNeeded(t *testing.T) {
	text := secret.New()
	t.Setenv("EVENKEEL_SECRET", text)
	_, api := startNode(t, "--api-addr", "0.0.0.0:0", "--api-tls", "cluster")
	if !strings.HasPrefix(api, "https://127.0.0.1:") {
		t.Fatalf("the API is at %s", api)
	}
	ring, err := secret.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	authority, err := ring.WebAuthorities()
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := secret.BootstrapTokens([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}, Timeout: 30 * time.Second}
	ask := func(token string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, api+"/v1/pools", nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	for name, c := range map[string]struct {
		token  string
		status int
	}{
		"nobody":               {"", http.StatusUnauthorized},
		"who holds the secret": {tokens[0], http.StatusOK},
		"who holds another":    {secret.NewToken(), http.StatusUnauthorized},
	} {
		if got := ask(c.token); got != c.status {
			t.Errorf("%s gets %d, want %d", name, got, c.status)
		}
	}
}

// TestNoSecretIsToldByAnyAnswerOrLog asks a node for all that it can be asked for,
// well and badly.
func TestNoSecretIsToldByAnyAnswerOrLog(t *testing.T) {
	const admin = "xyzzy-plugh-admin-token"
	text := secret.New()
	t.Setenv("EVENKEEL_SECRET", text)
	t.Setenv("EVENKEEL_ADMIN_TOKEN", admin)
	log, api := startNode(t, "--api-addr", "127.0.0.1:0", "--log-level", "debug")
	bootstrap, err := secret.BootstrapTokens([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	asked := &strings.Builder{}
	ask := func(method, path, token, body string) string {
		request, err := http.NewRequestWithContext(t.Context(), method, api+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Close = true
		request.Header.Set("Authorization", token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s %s: %v\n%s\n", method, path, response.Header, answer)
	}
	made := ask(http.MethodPost, "/v1/tokens", "Bearer "+admin, `{"name":"ci","role":"editor","labels":{"a":"b"}}`)
	token := regexp.MustCompile(`ek-[A-Za-z0-9_-]{43}`).FindString(made)
	if token == "" {
		t.Fatalf("no token was made: %s", made)
	}
	hash := secret.HashToken(token)

	var document struct{ Paths map[string]map[string]any }
	_, answer, _ := strings.Cut(ask(http.MethodGet, "/v1/openapi.json", "", ""), "\n")
	if err := json.Unmarshal([]byte(answer), &document); err != nil {
		t.Fatal(err)
	}
	for path, methods := range document.Paths {
		if strings.Contains(path, "watch") {
			continue // it does not end
		}
		path = strings.NewReplacer("{pool}", "default", "{name}", "ci", "{node}", "solo", "{kind}", "forbidden", "{revision}", "1").Replace(path)
		for _, by := range []string{"Bearer " + admin, "Bearer " + bootstrap[0], "Bearer " + token, "Bearer " + token + "x", "Basic " + admin, admin} {
			if _, reads := methods["get"]; reads && path != "/v1/snapshot" {
				asked.WriteString(ask(http.MethodGet, path, by, ""))
			}
			asked.WriteString(ask(http.MethodPost, path, by, "{"))
			asked.WriteString(ask(http.MethodPut, path, by, `{"role":"editor","spec":{"hash":1}}`))
			asked.WriteString(ask("BREW", path+"?token=none", by, ""))
		}
	}
	snapshot := ask(http.MethodGet, "/v1/snapshot", "Bearer "+admin, "")
	raw := strings.TrimPrefix(text, "evenkeel-")
	for what, hidden := range map[string]string{
		"the secret": raw, "the admin token": admin, "the secret's token": bootstrap[0][3:], "a token": token[3:],
	} {
		for where, shown := range map[string]string{"an answer": asked.String(), "the log": log.String(), "a snapshot": snapshot} {
			if at := strings.Index(shown, hidden); at >= 0 {
				t.Errorf("%s has %s: …%s…", where, what, shown[max(0, at-200):at])
			}
		}
	}
	for where, shown := range map[string]string{"an answer": asked.String() + made, "the log": log.String()} {
		if strings.Contains(shown, hex.EncodeToString(hash[:])) {
			t.Errorf("%s has the hash of a token", where)
		}
	}
}
