package tools

import (
	"path/filepath"
	"strings"
	"testing"

	"evenkeel/e2e/harness"
)

const request = "GET / HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n"

// sclient runs openssl s_client, which asks for host and sends input until the server
// ends the connection.
func (b *bed) sclient(openssl string, node *harness.Node, input string, flags ...string) (string, error) {
	args := append([]string{"s_client", "-connect", b.secure[node.Name], "-servername", host, "-CAfile", b.ca, "-verify_return_error"}, flags...)
	return run(input, openssl, args...)
}

func TestOpensslMakesHandshakesAndResumesThem(t *testing.T) {
	openssl := installed(t, "openssl", "openssl")
	b := newBed(t)
	b.serve(t, "secure", map[string]any{}, digesting(t))
	for flag, version := range map[string]string{"-tls1_2": "TLSv1.2", "-tls1_3": "TLSv1.3"} {
		t.Run(version, func(t *testing.T) {
			session := filepath.Join(t.TempDir(), "session")
			for n, node := range b.Nodes {
				out, err := b.sclient(openssl, node, request, "-ign_eof", flag, "-alpn", "http/1.1", "-sess_out", session+node.Name)
				if err != nil {
					t.Fatal(err)
				}
				for _, want := range []string{"New, " + version, "Verify return code: 0 (ok)", "ALPN protocol: http/1.1", "subject=", "HTTP/1.1 200 OK", digestOf(nil)} {
					if !strings.Contains(out, want) {
						t.Errorf("%s: no %q in %s", node.Name, want, out)
					}
				}
				other := b.Nodes[(n+1)%len(b.Nodes)]
				out, err = b.sclient(openssl, other, request, "-ign_eof", flag, "-sess_in", session+node.Name)
				if err != nil || !strings.Contains(out, "Reused, "+version) || !strings.Contains(out, "HTTP/1.1 200 OK") {
					t.Errorf("a session of %s at %s: %v: %s", node.Name, other.Name, err, out)
				}
			}
		})
	}
	t.Run("TLS 1.1 is refused", func(t *testing.T) {
		out, err := b.sclient(openssl, b.Nodes[0], request, "-ign_eof", "-tls1_1", "-cipher", "ALL@SECLEVEL=0")
		if err == nil || !strings.Contains(out, "protocol version") {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("renegotiation is refused", func(t *testing.T) {
		// A line with an R alone has s_client renegotiate. crypto/tls ends the connection.
		out, err := b.sclient(openssl, b.Nodes[0], "R\n"+request, "-tls1_2")
		if err == nil || !strings.Contains(out, "RENEGOTIATING") || !strings.Contains(out, "alert unexpected message") || strings.Contains(out, "HTTP/1.1 200 OK") {
			t.Errorf("%v: %s", err, out)
		}
	})
}
