//lint:file-ignore SA1019 net/http has no server for one connection, and hides what these tests set.

package engine

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"evenkeel/balancer/table"
	"evenkeel/fsm"

	"golang.org/x/net/http2"
)

// overHTTP2 makes the pool's backends be spoken to in HTTP/2.
func overHTTP2(with *tuning) { with.http2 = func(p *table.Pool) { p.HTTP2 = true } }

// h2Backend serves HTTP/2 by prior knowledge, with what net/http's users have.
func h2Backend(t testing.TB, configure func(*http2.Server), handler http.HandlerFunc) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http2.Server{}
	if configure != nil {
		configure(server)
	}
	var talks sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]struct{}{}
	talks.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[conn] = struct{}{}
			mu.Unlock()
			talks.Go(func() { server.ServeConn(conn, &http2.ServeConnOpts{Handler: handler, BaseConfig: &http.Server{}}) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for conn := range open {
			conn.Close()
		}
		mu.Unlock()
		talks.Wait()
	})
	return listener.Addr().String()
}

// h1Backend is the same over HTTP/1.1.
func h1Backend(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Close()
		serving.Wait()
	})
	return listener.Addr().String()
}

// h2Client speaks HTTP/2 by prior knowledge to the listener.
func (w *world) h2Client() *http.Client {
	transport := &http2.Transport{
		AllowHTTP:          true,
		DisableCompression: true,
		DialTLSContext: func(ctx context.Context, network, addr string, _ *tls.Config) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, network, addr)
		},
	}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// h1Client speaks HTTP/1.1 to it.
func (w *world) h1Client() *http.Client {
	transport := &http.Transport{DisableCompression: true}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (w *world) url(path string) string { return "http://" + w.addr + path }

// ways are the protocols on either side. At least one is HTTP/2.
func ways(t *testing.T, run func(t *testing.T, start func(handler http.HandlerFunc, tune func(*tuning)) (*world, *http.Client))) {
	for _, way := range []string{"h2 to h1", "h1 to h2", "h2 to h2"} {
		t.Run(way, func(t *testing.T) {
			run(t, func(handler http.HandlerFunc, tune func(*tuning)) (*world, *http.Client) {
				to2 := strings.HasSuffix(way, "h2")
				var addr string
				if to2 {
					addr = h2Backend(t, nil, handler)
				} else {
					addr = h1Backend(t, handler)
				}
				w := newWorld(t, func(with *tuning) {
					if to2 {
						overHTTP2(with)
					}
					if tune != nil {
						tune(with)
					}
				}, addr)
				if strings.HasPrefix(way, "h2") {
					return w, w.h2Client()
				}
				return w, w.h1Client()
			})
		})
	}
}

// do sends a request and reads the answer.
func do(t testing.TB, client *http.Client, request *http.Request) (*http.Response, string) {
	t.Helper()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("after %q: %v", body, err)
	}
	return response, string(body)
}

func request(t testing.TB, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// connectWithin bounds connects, and waits for streams.
func connectWithin(d time.Duration) *fsm.PoolTimeouts {
	return &fsm.PoolTimeouts{Connect: fsm.Duration(d)}
}
