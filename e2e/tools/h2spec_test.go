package tools

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"evenkeel/e2e/harness"
)

// h2specCases is how many there are in v2.2.1, with the strict ones.
const h2specCases = 146

// invalidPreface is a case that a port which speaks HTTP/1 too cannot pass, HAProxy's
// neither: what does not begin as HTTP/2 is answered as HTTP/1 has it (RFC 9112 section
// 3), with a 400 that h2spec does not take for an end.
const invalidPreface = "3.5. HTTP/2 Connection Preface\n      × 2: Sends invalid connection preface\n"

func TestEveryCaseOfH2specPasses(t *testing.T) {
	h2spec := harness.Tool(t, "h2spec", "github.com/summerwind/h2spec/cmd/h2spec")
	b := newBed(t)
	// Some cases look at what follows a request's body, so they need one who reads it
	// first, and others at how much of a response they are sent.
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			fmt.Fprint(w, strings.Repeat("x", 1000))
		}
	}))
	t.Cleanup(backend.Close)
	for _, listener := range []string{"default", "secure", "only"} {
		b.serve(t, listener, map[string]any{}, backend.Listener.Addr().String())
	}
	secure, only, shared := b.Nodes[0], b.Nodes[1], b.Nodes[2]
	for where, way := range map[string][]string{
		"over TLS":      {"--tls", "--insecure", "--port", port(t, b.secure[secure.Name])},
		"in clear text": {"--port", port(t, b.only[only.Name])},
	} {
		out := mustRun(t, h2spec, append(way, "--strict", "--timeout", "10")...)
		if want := summary(h2specCases, 0); !strings.Contains(out, want) {
			t.Errorf("%s, want %s:\n%s", where, want, failures(out))
		}
	}
	out, _ := run("", h2spec, "--strict", "--timeout", "10", "--port", port(t, shared.HTTP)) // which fails for the one
	if want := summary(h2specCases-1, 1); !strings.Contains(out, want) || !strings.Contains(out, invalidPreface) {
		t.Errorf("where HTTP/1 is spoken too, want %s, which is %q:\n%s", want, invalidPreface, failures(out))
	}
}

func summary(passed, failed int) string {
	return fmt.Sprintf("%d tests, %d passed, 0 skipped, %d failed", passed+failed, passed, failed)
}

var terminal = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")

// failures is what h2spec says in the end.
func failures(out string) string {
	out = terminal.ReplaceAllString(out, "")
	if at := strings.Index(out, "Failures:"); at >= 0 {
		return out[at:]
	}
	return out[max(0, len(out)-2000):]
}
