package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// Backend is a server behind the balancer, in the test's own process. It
// answers every path with its name, but for /echo (what it was asked, as JSON),
// /hold (answers when the request or the backend ends) and /ws (a WebSocket
// that sends every message back).
type Backend struct {
	Name    string
	Address string

	hits   atomic.Int64
	held   atomic.Int64
	server *http.Server
	ended  chan struct{} // closed when server has ended
}

// Echo is what /echo answers.
type Echo struct {
	Backend string
	Method  string
	Path    string
	Host    string
	Header  http.Header
	Body    string
}

// NewBackend starts a backend on a free port. It ends with the test.
func NewBackend(t testing.TB, name string) *Backend {
	t.Helper()
	return NewBackendAt(t, name, FreeAddress(t))
}

// NewBackendAt starts a backend at an address. It ends with the test.
func NewBackendAt(t testing.TB, name, address string) *Backend {
	t.Helper()
	b := &Backend{Name: name, Address: address}
	b.Start(t)
	t.Cleanup(b.Kill)
	return b
}

// NewBackends starts backends b1 to bN.
func NewBackends(t testing.TB, count int) []*Backend {
	t.Helper()
	backends := make([]*Backend, count)
	for i := range backends {
		backends[i] = NewBackend(t, fmt.Sprintf("b%d", i+1))
	}
	return backends
}

// Start opens the backend's port, again after a Kill.
func (b *Backend) Start(t testing.TB) {
	t.Helper()
	listener, err := net.Listen("tcp", b.Address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: b.handler(), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan struct{})
	b.server, b.ended = server, ended
	go func() {
		defer close(ended)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("backend %s: %v", b.Name, err)
		}
	}()
}

// Kill closes the backend's port and all its connections at once.
func (b *Backend) Kill() {
	_ = b.server.Close() // of a listener that is gone either way
	<-b.ended
}

// Hits returns how many requests reached the backend.
func (b *Backend) Hits() int64 { return b.hits.Load() }

// Held returns how many requests wait at /hold.
func (b *Backend) Held() int64 { return b.held.Load() }

func (b *Backend) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		b.hits.Add(1)
		fmt.Fprintln(w, b.Name)
	})
	mux.HandleFunc("/hold", func(w http.ResponseWriter, r *http.Request) {
		b.hits.Add(1)
		b.held.Add(1)
		defer b.held.Add(-1)
		<-r.Context().Done()
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		b.hits.Add(1)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client is gone
		}
		_ = json.NewEncoder(w).Encode(Echo{b.Name, r.Method, r.URL.Path, r.Host, r.Header, string(body)})
	})
	mux.HandleFunc("/ws", b.webSocket)
	return mux
}

func (b *Backend) webSocket(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the answer says why
	}
	defer conn.Close()
	for {
		kind, message, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if err := conn.WriteMessage(kind, append([]byte(b.Name+": "), message...)); err != nil {
			return
		}
	}
}
