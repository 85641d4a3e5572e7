package httpapi

import (
	"log/slog"
	"net/http/httptest"
	"testing"

	"evenkeel/cluster/secret"
	"evenkeel/fsm"
)

// FuzzGuard sends whatever there is instead of a token: nobody gets in by it, and
// nothing panics.
func FuzzGuard(f *testing.F) {
	strong := secret.NewToken()
	for _, seed := range [][3]string{
		{"Bearer sesam", "localhost:7070", "192.0.2.1:1"}, {"bearer  sesame ", "[::1]", "[fe80::1%eth0]:1"},
		{"Basic c2VzYW1l", "n1", "@"}, {"", "", ""}, {"Bearer " + strong[:len(strong)-1], "a:b:c", "::"}, {"Bearer", "x", "1.2.3.4"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	state := fsm.New()
	g := newGuard(Config{
		Logger: slog.New(slog.DiscardHandler), Cluster: stateOnly{state: state}, AdminToken: "sesame", BootstrapTokens: [][32]byte{secret.HashToken(strong)},
	}, func() {})
	f.Fuzz(func(t *testing.T, authorization, host, remote string) {
		r := httptest.NewRequest("GET", "/v1/pools", nil)
		r.Header["Authorization"] = []string{authorization}
		r.Host, r.RemoteAddr = host, remote
		sender, refusal := g.check(r)
		token := bearer(r)
		if refusal == nil && token != "sesame" && token != strong {
			t.Fatalf("%q is let in as %s", authorization, sender.name)
		}
		if (sender == nil) == (refusal == nil) {
			t.Fatalf("got %v and %v", sender, refusal)
		}
	})
}

func TestARequestWithTwoTokensHasNone(t *testing.T) {
	g := newGuard(Config{Logger: slog.New(slog.DiscardHandler), Cluster: stateOnly{state: fsm.New()}, AdminToken: "sesame"}, func() {})
	for _, tokens := range [][]string{{"Bearer sesame", "Bearer other"}, {"Bearer other", "Bearer sesame"}, {"Bearer sesame", "Bearer sesame"}, {"Basic x", "Bearer sesame"}} {
		r := httptest.NewRequest("GET", "/v1/pools", nil)
		r.Header["Authorization"] = tokens
		if sender, refusal := g.check(r); refusal == nil {
			t.Errorf("%q is let in as %s", tokens, sender.name)
		}
	}
}

// stateOnly is a cluster of which nothing but the state is asked.
type stateOnly struct {
	Cluster
	state *fsm.State
}

func (s stateOnly) State() *fsm.State { return s.state }
