package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"path/filepath"
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
