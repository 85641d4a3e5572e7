package tools

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// digesting is a backend that answers with the digest of what it was sent, and to
// /large with a MiB.
func digesting(t *testing.T) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		digest := sha256.New()
		if _, err := io.Copy(digest, r.Body); err != nil {
			return // the client is gone
		}
		if r.URL.Path == "/large" {
			_, _ = w.Write(large)
			return
		}
		fmt.Fprintf(w, "%s %x", r.Method, digest.Sum(nil))
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// large is what the backend answers to /large, and what clients upload.
var large = bytes.Repeat([]byte("0123456789abcdef"), 1<<16)

// upload is a file with large in it.
func upload(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(name, large, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func TestCurlSpeaksEveryVersionOfHTTP(t *testing.T) {
	curl := installed(t, "curl", "curl")
	b, file, address := newBed(t), upload(t), digesting(t)
	b.serve(t, "default", map[string]any{}, address)
	b.serve(t, "secure", map[string]any{}, address)
	for name, c := range map[string]struct {
		listener, version string
		flags             []string
	}{
		"HTTP/1.0":                  {"default", "1.1", []string{"--http1.0"}}, // RFC 9110 section 2.5 has the answer so
		"HTTP/1.1":                  {"default", "1.1", []string{"--http1.1"}},
		"HTTP/2 by prior knowledge": {"default", "2", []string{"--http2-prior-knowledge"}},
		"HTTPS/1.1":                 {"secure", "1.1", []string{"--http1.1"}},
		"HTTPS, HTTP/2":             {"secure", "2", []string{"--http2"}},
		"TLS 1.2":                   {"secure", "2", []string{"--http2", "--tls-max", "1.2"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, node := range b.Nodes {
				url := "http://" + b.address(node, c.listener)
				if c.listener == "secure" {
					url = "https://" + b.address(node, c.listener)
				}
				flags := append([]string{"--silent", "--show-error", "--fail", "--cacert", b.ca, "--write-out", "\n%{http_version}"}, c.flags...)
				for what, want := range map[string]string{
					"GET":  "GET " + digestOf(nil),
					"POST": "POST " + digestOf(large),
				} {
					args := append(flags[:len(flags):len(flags)], url+"/")
					if what == "POST" {
						args = append(args, "--data-binary", "@"+file)
					}
					got := mustRun(t, curl, args...)
					body, version, _ := strings.Cut(got, "\n")
					if body != want || version != c.version {
						t.Errorf("%s: %s: got %q over HTTP/%s, want %q over HTTP/%s", node.Name, what, body, version, want, c.version)
					}
				}
				if got := mustRun(t, curl, append(flags[:len(flags):len(flags)], url+"/large", "--range", "0-")...); !strings.HasPrefix(got, string(large)) {
					t.Errorf("%s: of a large response came %d bytes", node.Name, len(got))
				}
			}
		})
	}
}

func TestNghttpAndH2loadLoseNothing(t *testing.T) {
	nghttp, h2load := installed(t, "nghttp", "nghttp2-client"), installed(t, "h2load", "nghttp2-client")
	b, file, address := newBed(t), upload(t), digesting(t)
	b.serve(t, "default", map[string]any{}, address)
	b.serve(t, "secure", map[string]any{}, address)
	for _, listener := range []string{"default", "secure"} {
		t.Run(listener, func(t *testing.T) {
			for _, node := range b.Nodes {
				url := "http://" + b.address(node, listener)
				if listener == "secure" {
					url = "https://" + b.address(node, listener)
				}
				if got, want := mustRun(t, nghttp, "--no-verify-peer", "--data", file, url+"/"), "POST "+digestOf(large); !strings.Contains(got, want) {
					t.Errorf("%s: nghttp got %q, want %q", node.Name, got, want)
				}
				// A window as small as there is has every frame wait for the last one.
				if got := mustRun(t, nghttp, "--no-verify-peer", "--window-bits", "10", "--connection-window-bits", "10", url+"/large"); got != string(large) {
					t.Errorf("%s: through a small window came %d bytes of %d", node.Name, len(got), len(large))
				}
				succeeds(t, h2load, "--requests", "2000", "--clients", "10", "--max-concurrent-streams", "20", url+"/")
				succeeds(t, h2load, "--requests", "100", "--clients", "5", "--max-concurrent-streams", "10", "--data", file, url+"/large")
				succeeds(t, h2load, "--requests", "1000", "--clients", "10", "--h1", url+"/")
			}
		})
	}
}

var loaded = regexp.MustCompile(`requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, 0 failed, 0 errored, 0 timeout`)

// succeeds runs h2load, none of whose requests may fail.
func succeeds(t *testing.T, h2load string, args ...string) {
	t.Helper()
	out := mustRun(t, h2load, args...)
	found := loaded.FindStringSubmatch(out)
	if found == nil || found[1] != args[1] || found[3] != args[1] || !strings.Contains(out, args[1]+" 2xx, 0 3xx, 0 4xx, 0 5xx") {
		t.Errorf("h2load %s:\n%s", strings.Join(args, " "), out)
	}
}
