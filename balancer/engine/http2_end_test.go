//lint:file-ignore SA1019 net/http has no server for one connection, and hides what these tests set.

package engine

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// flushed writes the head, and a text, at once.
func flushed(out http.ResponseWriter, text string) {
	io.WriteString(out, text)
	_ = http.NewResponseController(out).Flush()
}

func TestAResetOfTheClientsReachesTheBackend(t *testing.T) {
	ways(t, func(t *testing.T, start starter) {
		gone := make(chan struct{})
		w, client := start(func(out http.ResponseWriter, in *http.Request) {
			flushed(out, "begin")
			more := time.NewTicker(time.Millisecond) // over HTTP/1.1 a client that left is met by writing
			defer more.Stop()
			for {
				select {
				case <-in.Context().Done():
					close(gone)
					return
				case <-more.C:
					flushed(out, "more")
				}
			}
		}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		response, err := client.Do(request(t, "GET", w.url("/"), nil).WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(response.Body, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		cancel()
		response.Body.Close()
		await(t, gone, "the end of the request at the backend")
		eventually(t, "nothing is under way", func() bool { return w.requests() == 0 && w.backend("b0").Stats.InFlight() == 0 })
	})
}

func TestAResponseThatBreaksOffIsReset(t *testing.T) {
	ways(t, func(t *testing.T, start starter) {
		w, client := start(func(out http.ResponseWriter, in *http.Request) {
			flushed(out, "begin")
			panic(http.ErrAbortHandler)
		}, nil)
		response, err := client.Do(request(t, "GET", w.url("/"), nil))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if string(body) != "begin" || err == nil {
			t.Errorf("%q, %v: the response passes for a whole one", body, err)
		}
		if reset, ok := errors.AsType[http2.StreamError](err); ok && reset.Code != http2.ErrCodeInternal {
			t.Errorf("reset with %v", reset.Code)
		}
	})
}

func TestAResponseBeforeTheRequestsEndEndsIt(t *testing.T) {
	ways(t, func(t *testing.T, start starter) {
		w, client := start(func(out http.ResponseWriter, in *http.Request) {
			_ = http.NewResponseController(out).EnableFullDuplex()
			out.Header().Set("Content-Length", "4")
			out.WriteHeader(413)
			io.WriteString(out, "much")
		}, nil)
		in, up := io.Pipe()
		defer up.Close()
		go io.WriteString(up, "some")
		response, err := client.Do(request(t, "POST", w.url("/"), in))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if body, err := io.ReadAll(response.Body); response.StatusCode != 413 || string(body) != "much" {
			t.Errorf("%d, %q, %v", response.StatusCode, body, err)
		}
		eventually(t, "nothing is under way", func() bool { return w.requests() == 0 && w.backend("b0").Stats.InFlight() == 0 })
	})
}

func TestABackendThatIsGoneCountsAsOne(t *testing.T) {
	w := newWorld(t, overHTTP2, refusing(t))
	response, body := do(t, w.h2Client(), request(t, "GET", w.url("/"), nil))
	if response.StatusCode != 503 || !strings.HasPrefix(body, "Evenkeel: ") {
		t.Errorf("%d, %q", response.StatusCode, body)
	}
	if got := w.backend("b0").Stats.ConnectFailures(); got != 1 {
		t.Errorf("%d connect failures", got)
	}
}

func TestABackendThatSpeaksHTTP1DoesNotPassForConnected(t *testing.T) {
	w := newWorld(t, overHTTP2, scripted(t, func(p *peerConn) {
		p.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		_, _ = p.end()
	}))
	response, _ := do(t, w.h2Client(), request(t, "GET", w.url("/"), nil))
	if got := w.backend("b0").Stats.ConnectFailures(); response.StatusCode != 503 || got != 1 {
		t.Errorf("%d, %d connect failures", response.StatusCode, got)
	}
}

func TestARequestGoesElsewhereIfTheConnectFails(t *testing.T) {
	w := newWorld(t, overHTTP2, refusing(t), h2Backend(t, nil, func(out http.ResponseWriter, in *http.Request) { io.WriteString(out, "hello") }))
	client := w.h2Client()
	for range 4 {
		if response, body := do(t, client, request(t, "POST", w.url("/"), strings.NewReader("a"))); response.StatusCode != 200 || body != "hello" {
			t.Errorf("%d, %q", response.StatusCode, body)
		}
	}
}

// TestNoRequestFailsAsBackendsGoAway has a server close each of its connections
// gracefully again and again.
func TestNoRequestFailsAsBackendsGoAway(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var talks sync.WaitGroup
	var connections atomic.Int64
	talks.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			base := &http.Server{}
			server := &http2.Server{}
			if err := http2.ConfigureServer(base, server); err != nil {
				t.Error(err)
			}
			var served atomic.Int64
			talks.Go(func() {
				server.ServeConn(conn, &http2.ServeConnOpts{BaseConfig: base, Handler: http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
					if served.Add(1) == 50 { // sends a GOAWAY and lets what is open end
						go func() { _ = base.Shutdown(context.Background()) }()
					}
					io.Copy(io.Discard, in.Body)
					io.WriteString(out, "hello")
				})})
			})
		}
	})
	t.Cleanup(func() { listener.Close(); talks.Wait() })
	w := newWorld(t, overHTTP2, listener.Addr().String())
	client := w.h2Client()
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for range 100 {
				response, err := client.Post(w.url("/"), "", strings.NewReader("a"))
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(response.Body)
				response.Body.Close()
				if response.StatusCode != 200 || string(body) != "hello" {
					t.Errorf("%d, %q, %v", response.StatusCode, body, err)
					return
				}
			}
		})
	}
	clients.Wait()
	if connections.Load() < 5 {
		t.Errorf("%d connections: none went away", connections.Load())
	}
}

func TestConnectionsToABackendAreFewAndShared(t *testing.T) {
	var now, most atomic.Int64
	release := make(chan struct{})
	limit := func(s *http2.Server) { s.MaxConcurrentStreams = 10 }
	w := newWorld(t, overHTTP2, h2Backend(t, limit, func(out http.ResponseWriter, in *http.Request) {
		n := now.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		<-release
		now.Add(-1)
	}))
	client := w.h2Client()
	var clients sync.WaitGroup
	for range 60 {
		clients.Go(func() {
			response, err := client.Get(w.url("/"))
			if err != nil {
				t.Error(err)
				return
			}
			response.Body.Close()
			if response.StatusCode != 200 {
				t.Errorf("%d", response.StatusCode)
			}
		})
	}
	eventually(t, "all that there is room for are at the backend", func() bool { return now.Load() == 40 })
	if got := w.backend("b0").Stats.Connects(); got != 4 {
		t.Errorf("%d connections", got)
	}
	close(release)
	clients.Wait()
	if got := w.backend("b0").Stats.Connects(); got != 4 || most.Load() > 40 {
		t.Errorf("%d connections, %d requests at once", got, most.Load())
	}
}

func TestARequestThatWaitsForAStreamInVainGoesElsewhere(t *testing.T) {
	release := make(chan struct{})
	limit := func(s *http2.Server) { s.MaxConcurrentStreams = 1 }
	w := newWorld(t, func(with *tuning) {
		overHTTP2(with)
		with.pool.Timeouts = connectWithin(200 * time.Millisecond)
	}, h2Backend(t, limit, func(out http.ResponseWriter, in *http.Request) { <-release }))
	client := w.h2Client()
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			if response, err := client.Get(w.url("/")); err != nil {
				t.Error(err)
			} else {
				response.Body.Close()
			}
		})
	}
	eventually(t, "all streams are in use", func() bool { return w.backend("b0").Stats.InFlight() == 4 && w.backend("b0").Stats.Connects() == 4 })
	response, _ := do(t, client, request(t, "GET", w.url("/"), nil))
	if response.StatusCode != 503 {
		t.Errorf("%d", response.StatusCode)
	}
	if got := w.backend("b0").Stats.ConnectFailures(); got != 0 {
		t.Errorf("%d connect failures: the backend is blamed", got)
	}
	close(release)
	clients.Wait()
}

func TestNoRequestOfHTTP2FailsAcrossADrain(t *testing.T) {
	w := newWorld(t, nil, answering(t, "hello"))
	var clients sync.WaitGroup
	var served atomic.Int64
	for range 4 {
		client := w.h2Client()
		for range 4 {
			clients.Go(func() {
				for {
					response, err := client.Get(w.url("/"))
					if err != nil {
						if !strings.Contains(err.Error(), "connection refused") {
							t.Errorf("after %d: %v", served.Load(), err)
						}
						return
					}
					body, err := io.ReadAll(response.Body)
					response.Body.Close()
					if response.StatusCode != 200 || string(body) != "hello" {
						t.Errorf("%d, %q, %v", response.StatusCode, body, err)
						return
					}
					served.Add(1)
				}
			})
		}
	}
	eventually(t, "there is traffic", func() bool { return served.Load() > 500 })
	w.stop()
	clients.Wait()
	await(t, w.stopped, "the end of the listener")
}

func TestADrainTimeoutCutsStreams(t *testing.T) {
	began := make(chan struct{})
	w := newWorld(t, nil, scripted(t, func(p *peerConn) {
		p.head()
		close(began)
		_, _ = p.end()
	}))
	w.engine.config.DrainTimeout = 200 * time.Millisecond
	failed := make(chan error, 1)
	go func() {
		response, err := w.h2Client().Get(w.url("/"))
		if err == nil {
			response.Body.Close()
		}
		failed <- err
	}()
	await(t, began, "the request at the backend")
	w.stop()
	await(t, w.stopped, "the end of the listener")
	if err := <-failed; err == nil {
		t.Error("a request that was cut got an answer")
	}
	if got := w.backend("b0").Stats.InFlight(); got != 0 {
		t.Errorf("%d in flight", got)
	}
}
