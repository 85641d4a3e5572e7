package engine

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestResponseIsStreamed(t *testing.T) {
	tests := map[string]struct{ head, first, second string }{
		"in chunks":           {"Transfer-Encoding: chunked\r\n\r\n", "5\r\nfirst\r\n", "6\r\nsecond\r\n0\r\n\r\n"},
		"of a known length":   {"Content-Length: 11\r\n\r\n", "first", "second"},
		"until the end comes": {"Connection: close\r\n\r\n", "first", "second"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			seenHead, seenFirst := make(chan struct{}), make(chan struct{})
			w := newWorld(t, nil, scripted(t, func(p *peerConn) {
				p.head()
				p.send("HTTP/1.1 200 OK\r\n" + test.head)
				p.wait(seenHead, "the head at the client")
				p.send(test.first)
				p.wait(seenFirst, "the first piece at the client")
				p.send(test.second)
			}))
			p := w.dial()
			p.send("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
			response := p.response("GET")
			close(seenHead)
			first := make([]byte, 5)
			if _, err := io.ReadFull(response.Body, first); err != nil || string(first) != "first" {
				t.Fatalf("first piece: %q, %v", first, err)
			}
			close(seenFirst)
			rest, err := io.ReadAll(response.Body)
			if err != nil || string(rest) != "second" {
				t.Fatalf("rest: %q, %v", rest, err)
			}
		})
	}
}

func TestRequestIsStreamed(t *testing.T) {
	tests := map[string]struct{ head, first, second string }{
		"in chunks":         {"Transfer-Encoding: chunked\r\n\r\n", "5\r\nfirst\r\n", "6\r\nsecond\r\n0\r\n\r\n"},
		"of a known length": {"Content-Length: 11\r\n\r\n", "first", "second"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			seen := make(chan struct{})
			w := newWorld(t, nil, scripted(t, func(p *peerConn) {
				p.head()
				p.expect(test.first)
				close(seen)
				p.expect(test.second)
				p.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}))
			p := w.dial()
			p.send("POST / HTTP/1.1\r\nHost: example.com\r\n" + test.head + test.first)
			await(t, seen, "the first piece at the backend")
			p.send(test.second)
			response := p.response("POST")
			if body, err := io.ReadAll(response.Body); err != nil || string(body) != "ok" {
				t.Fatalf("body %q, %v", body, err)
			}
		})
	}
}

func TestBothDirectionsStreamAtOnce(t *testing.T) {
	w := newWorld(t, nil, scripted(t, func(p *peerConn) {
		p.head()
		p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for _, word := range []string{"one", "two"} {
			p.expect("3\r\n" + word + "\r\n")
			p.send("3\r\n" + word + "\r\n")
		}
		p.expect("0\r\n\r\n")
		p.send("0\r\n\r\n")
	}))
	p := w.dial()
	p.send("POST / HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n")
	if head := p.head(); strings.Contains(head, "Connection: close\r\n") {
		t.Errorf("a response ahead of the request's end need not end the connection: %q", head)
	}
	for _, word := range []string{"one", "two"} {
		p.send("3\r\n" + word + "\r\n")
		p.expect("3\r\n" + word + "\r\n")
	}
	p.send("0\r\n\r\n")
	p.expect("0\r\n\r\n")
}

func TestTrailersPassBothWays(t *testing.T) {
	w := newWorld(t, nil, scripted(t, func(p *peerConn) {
		request := p.request()
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			t.Error(err)
		}
		if got := request.Trailer.Get("X-Sum"); got != "request" {
			t.Errorf("request trailer %q", got)
		}
		if got := request.Header.Get("Te"); got != "trailers" {
			t.Errorf("TE %q", got)
		}
		p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n" +
			"1\r\nx\r\n0\r\nX-Sum: response\r\nX-Late: surprise\r\n\r\n")
	}))
	p := w.dial()
	p.send("POST / HTTP/1.1\r\nHost: example.com\r\nTE: trailers, gzip\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"1\r\nx\r\n0\r\nX-Sum: request\r\n\r\n")
	response := p.response("POST")
	if _, ok := response.Trailer["X-Sum"]; !ok {
		t.Errorf("trailer is not announced: %v", response.Trailer)
	}
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "x" {
		t.Fatalf("body %q, %v", body, err)
	}
	want := http.Header{"X-Sum": {"response"}, "X-Late": {"surprise"}}
	if diff := cmp.Diff(want, response.Trailer); diff != "" {
		t.Errorf("trailer (-want +got):\n%s", diff)
	}
	if in, out := w.counters.BytesIn.Load(), w.counters.BytesOut.Load(); in != 27 || out != 46 {
		t.Errorf("counted %d bytes in, %d out", in, out)
	}
}

func TestInterimResponses(t *testing.T) {
	w := newWorld(t, nil, scripted(t, func(p *peerConn) {
		p.head()
		p.send("HTTP/1.1 100 Continue\r\n\r\n" +
			"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n" +
			"HTTP/1.1 102 Processing\r\n\r\n" +
			"HTTP/1.1 200 OK\r\nX-Final: 1\r\nContent-Length: 2\r\n\r\nok")
	}))
	t.Run("reach a client of HTTP/1.1 in their order", func(t *testing.T) {
		p := w.dial()
		p.send("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
		want := "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
		if got := p.head(); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		if got, want := p.head(), "HTTP/1.1 102 Processing\r\n\r\n"; got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		response := p.response("GET")
		if response.StatusCode != 200 || response.Header.Get("Link") != "" || response.Header.Get("X-Final") != "1" {
			t.Fatalf("final response %d %v", response.StatusCode, response.Header)
		}
	})
	t.Run("are kept from a client of HTTP/1.0", func(t *testing.T) {
		p := w.dial()
		p.send("GET / HTTP/1.0\r\nHost: example.com\r\n\r\n")
		if got := p.response("GET").StatusCode; got != 200 {
			t.Fatalf("status %d", got)
		}
	})
}

func TestInterimResponsesAreBounded(t *testing.T) {
	w := newWorld(t, nil, scripted(t, func(p *peerConn) {
		p.head()
		for range 1000 {
			if _, err := io.WriteString(p.Conn, "HTTP/1.1 102 Processing\r\n\r\n"); err != nil {
				return
			}
		}
		_, _ = p.end()
	}))
	p := w.dial()
	p.send("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
	for range w.engine.bounds.Interim {
		if head := p.head(); !strings.HasPrefix(head, "HTTP/1.1 102 ") {
			t.Fatalf("got %q", head)
		}
	}
	if status := p.response("GET").StatusCode; status != http.StatusBadGateway {
		t.Fatalf("status %d", status)
	}
}

func TestExpectContinue(t *testing.T) {
	const request = "POST / HTTP/1.1\r\nHost: example.com\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
	t.Run("the backend's 100 lets the body come", func(t *testing.T) {
		w := newWorld(t, nil, scripted(t, func(p *peerConn) {
			if head := p.head(); !strings.Contains(head, "Expect: 100-continue\r\n") {
				t.Errorf("the backend is not asked: %q", head)
			}
			p.send("HTTP/1.1 100 Continue\r\n\r\n")
			p.expect("body")
			p.send("HTTP/1.1 204 No Content\r\n\r\n")
		}))
		p := w.dial()
		p.send(request)
		p.expect("HTTP/1.1 100 Continue\r\n\r\n")
		p.send("body")
		if status := p.response("POST").StatusCode; status != 204 {
			t.Fatalf("status %d", status)
		}
	})
	t.Run("a backend that says nothing gets the body all the same", func(t *testing.T) {
		w := newWorld(t, func(l *tuning) { l.ExpectContinue = 10 * time.Millisecond }, scripted(t, func(p *peerConn) {
			p.head()
			p.expect("body")
			p.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
		}))
		p := w.dial()
		p.send(request)
		p.expect("HTTP/1.1 100 Continue\r\n\r\n")
		p.send("body")
		if status := p.response("POST").StatusCode; status != 204 {
			t.Fatalf("status %d", status)
		}
	})
	t.Run("a refusal that keeps the connection does not make the client send its body", func(t *testing.T) {
		w := newWorld(t, nil, scripted(t, func(p *peerConn) {
			p.head()
			p.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
			if sent, _ := p.end(); sent != "" { // the end may be a reset
				t.Errorf("the backend gets %q of a body it refused", sent)
			}
		}))
		p := w.dial()
		p.send(request)
		p.expect("HTTP/1.1 403 Forbidden\r\n")
		rest, err := p.end()
		if err != nil || !strings.HasSuffix(rest, "\r\n\r\nno") || !strings.Contains(rest, "Connection: close\r\n") {
			t.Errorf("after the status line: %q, %v", rest, err)
		}
	})
	t.Run("a refusal reaches a client that never sent its body", func(t *testing.T) {
		w := newWorld(t, nil, scripted(t, func(p *peerConn) {
			p.head()
			p.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
		}))
		p := w.dial()
		p.send(request)
		response := p.response("POST")
		if response.StatusCode != 403 || !response.Close {
			t.Fatalf("status %d, close %v", response.StatusCode, response.Close)
		}
		if body, err := io.ReadAll(response.Body); err != nil || string(body) != "no" {
			t.Fatalf("body %q, %v", body, err)
		}
		if rest, err := p.end(); rest != "" || err != nil {
			t.Errorf("after the response: %q, %v", rest, err)
		}
	})
}

func TestEarlyAnswerReachesClientThatGoesOnSending(t *testing.T) {
	w := newWorld(t, nil, scripted(t, func(p *peerConn) {
		p.head()
		p.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 7\r\nConnection: close\r\n\r\ntoo big")
		_, _ = p.end()
	}))
	p := w.dial()
	p.send("POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 100_000))
	response := p.response("POST")
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "too big" || response.StatusCode != 413 {
		t.Fatalf("%d %q, %v", response.StatusCode, body, err)
	}
	if rest, err := p.end(); rest != "" || err != nil { // the rest of the body is no request
		t.Errorf("after the response: %q, %v", rest, err)
	}
}

func TestResponsesWithoutBody(t *testing.T) {
	tests := map[string]struct{ method, response string }{
		"HEAD":                 {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nContent-Type: text/x\r\n\r\n"},
		"HEAD without length":  {"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
		"204":                  {"GET", "HTTP/1.1 204 No Content\r\n\r\n"},
		"304":                  {"GET", "HTTP/1.1 304 Not Modified\r\nEtag: \"x\"\r\n\r\n"},
		"an empty 200":         {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		"an empty 200, chunks": {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	}
	for name, test := range tests {
		t.Run(name+" leaves the connection usable", func(t *testing.T) {
			w := newWorld(t, nil, scripted(t, func(p *peerConn) {
				for range 2 {
					p.head()
					p.send(test.response)
				}
			}))
			p := w.dial()
			for range 2 {
				p.send(test.method + " / HTTP/1.1\r\nHost: example.com\r\n\r\n")
				response := p.response(test.method)
				if body, err := io.ReadAll(response.Body); err != nil || len(body) > 0 {
					t.Fatalf("body %q, %v", body, err)
				}
				if test.method == "HEAD" && strings.Contains(test.response, "1234") && response.ContentLength != 1234 {
					t.Errorf("length %d", response.ContentLength)
				}
			}
		})
	}
}

func TestFieldsOfBothDirections(t *testing.T) {
	var seen http.Header
	var host string
	w := newWorld(t, nil, scripted(t, func(p *peerConn) {
		request := p.request()
		seen, host = request.Header, request.Host
		p.send("HTTP/1.1 299 Odd\r\nContent-Length: 1\r\nKeep-Alive: timeout=5\r\nConnection: X-Hop\r\nX-Hop: 1\r\n" +
			"Proxy-Authenticate: Basic\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-End: 1\r\nContent-Encoding: gzip\r\n\r\nx")
	}))
	p := w.dial()
	p.send("GET / HTTP/1.1\r\nHost: Example.COM:99\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: gzip\r\n" +
		"Proxy-Authorization: x\r\nProxy-Connection: x\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\nX-End: 1\r\nX-End: 2\r\n\r\n")
	response := p.response("GET")
	if host != "Example.COM:99" {
		t.Errorf("host %q was not kept", host)
	}
	delete(seen, "Forwarded")
	want := []string{"X-End", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(seen))); diff != "" {
		t.Errorf("request fields (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"1", "2"}, seen["X-End"]); diff != "" {
		t.Errorf("X-End (-want +got):\n%s", diff)
	}
	want = []string{"Content-Encoding", "Content-Length", "Date", "Set-Cookie", "X-End"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(response.Header))); diff != "" {
		t.Errorf("response fields (-want +got):\n%s", diff)
	}
	if response.StatusCode != 299 {
		t.Errorf("status %d", response.StatusCode)
	}
}

func TestOwnAnswers(t *testing.T) {
	w := newWorld(t, func(l *tuning) { l.Linger = 100 * time.Millisecond })
	t.Run("no usable backend is 503", func(t *testing.T) {
		status, body := w.get("/")
		if status != 503 || body != "Evenkeel: no backend is available for this request.\n" {
			t.Errorf("%d %q", status, body)
		}
	})
	t.Run("CONNECT is refused", func(t *testing.T) {
		p := w.dial()
		p.send("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
		response := p.response("CONNECT")
		if response.StatusCode != 405 || !response.Close {
			t.Errorf("%d, close %v", response.StatusCode, response.Close)
		}
	})
	t.Run("HTTP/2 where it is off is refused, and nothing reaches a backend", func(t *testing.T) {
		without := *w.server.listener.Settings.Load()
		without.HTTP2.Disabled = true
		w.server.listener.Settings.Store(&without)
		p := w.dial()
		p.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
		response := p.response("PRI")
		if response.StatusCode != 400 || !response.Close {
			t.Errorf("%d, close %v", response.StatusCode, response.Close)
		}
	})
	t.Run("what is none of HTTP/2 where that is all is a fault of HTTP/2", func(t *testing.T) {
		before := w.server.listener.Settings.Load()
		only := *before
		only.HTTP2.Only = true
		w.server.listener.Settings.Store(&only)
		defer w.server.listener.Settings.Store(before)
		p := w.dial()
		p.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		settings, goAway := "\x00\x00", "\x07\x00\x00\x00\x00\x00" // RFC 9113 sections 4.1, 6.5 and 6.8
		if answer, err := p.end(); err != nil || !strings.HasPrefix(answer, settings) || !strings.Contains(answer, goAway) || strings.Contains(answer, "HTTP/1") {
			t.Errorf("got %q, %v", answer, err)
		}
	})
	t.Run("a refused request's body is read for a moment, to keep the connection", func(t *testing.T) {
		p := w.dial()
		for range 2 {
			p.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
			response := p.response("POST")
			if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != 503 || response.Close {
				t.Errorf("%d, close %v, %v", response.StatusCode, response.Close, err)
			}
		}
	})
	t.Run("and for a moment only", func(t *testing.T) {
		p := w.dial()
		p.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
		response := p.response("POST")
		if response.StatusCode != 503 {
			t.Errorf("status %d", response.StatusCode)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Error(err)
		}
		if rest, err := p.end(); rest != "" || err != nil {
			t.Errorf("got %q, %v", rest, err)
		}
	})
	t.Run("no route is 404", func(t *testing.T) {
		w.do(removeRoute)
		status, body := w.get("/")
		if status != 404 || body != "Evenkeel: no route matches this request.\n" {
			t.Errorf("%d %q", status, body)
		}
	})
	got := fmt.Sprint(w.counters.NoBackend.Load(), w.counters.Refused.Load(), w.counters.NoRoute.Load(), w.counters.Requests.Load())
	if got != "4 2 1 7" {
		t.Errorf("counted %s", got)
	}
}
