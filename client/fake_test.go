package client

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is a server that answers as a test tells it, and keeps what it was asked.
type node struct {
	url    string
	answer http.HandlerFunc

	mu    sync.Mutex
	asked []*http.Request
	sent  []string // bodies
}

func newNode(t testing.TB, answer http.HandlerFunc) *node {
	t.Helper()
	n := &node{answer: answer}
	server := httptest.NewServer(n)
	t.Cleanup(server.Close)
	n.url = server.URL
	return n
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	n.mu.Lock()
	n.asked = append(n.asked, r)
	n.sent = append(n.sent, string(body))
	n.mu.Unlock()
	n.answer(w, r)
}

// requests returns what the node was asked, but for the level.
func (n *node) requests() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []string
	for _, r := range n.asked {
		if r.URL.Path != "/v1/cluster" {
			all = append(all, r.Method+" "+r.URL.RequestURI())
		}
	}
	return all
}

func (n *node) keys() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var keys []string
	for _, r := range n.asked {
		if key := r.Header.Get(headerKey); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// newClient returns a client of some nodes, without patience unless it is given some.
func newClient(t testing.TB, config Config, nodes ...string) *Client {
	t.Helper()
	config.Bases = nodes
	if config.Patience == 0 {
		config.Patience = -1
	}
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// What nodes do.

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Evenkeel-Revision", "12")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func problemBody(kind string) string {
	return fmt.Sprintf(`{"type":"/v1/problems/%s","title":"T","detail":"D"}`, kind)
}

// atLevel answers the question for the feature level, and all else as rest does.
func atLevel(level int, rest http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/cluster" {
			fmt.Fprintf(w, `{"feature_level":%d}`, level)
			return
		}
		rest(w, r)
	}
}

// dies answers nothing.
func dies(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// diesMidAnswer announces more than it sends.
func diesMidAnswer(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "100")
	fmt.Fprint(w, `{"name":`)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// hangs answers when the client is gone.
func hangs(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// inTurn gives one answer after another, the last one again and again.
func inTurn(answers ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		answer := answers[0]
		if len(answers) > 1 {
			answers = answers[1:]
		}
		mu.Unlock()
		answer(w, r)
	}
}

// refused returns an address at which nothing listens.
func refused(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func equal(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got\n  %s\nwant\n  %s", what, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}
