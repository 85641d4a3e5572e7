package http1

import (
	"strings"
	"testing"
)

// rewriteResponse is to responses what rewriteRequest is to requests.
func rewriteResponse(t testing.TB, in string, method Method, w *ResponseRewrite) string {
	t.Helper()
	var r Response
	var p Progress
	text := crlf(in)
	if n, err := r.Parse(text, &p, nil, method); n == 0 || err != nil {
		t.Fatalf("%q: %d, %v", text, n, err)
	}
	return strings.ReplaceAll(string(r.AppendTo(nil, w)), "\r\n", "\n")
}

func TestRewrittenResponses(t *testing.T) {
	tests := map[string]struct {
		section string
		in      string
		w       ResponseRewrite
		want    string
	}{
		"what is end to end is passed on as it came": {"RFC 9112 5.1",
			"HTTP/1.1 200  odd \xe4\t\nset-cookie: a\nSet-Cookie:b\nX:\t c \xff\ncontent-LENGTH: 5\n\n", ResponseRewrite{},
			"HTTP/1.1 200  odd \xe4\t\nset-cookie: a\nSet-Cookie:b\nX:\t c \xff\ncontent-LENGTH: 5\n\n"},
		"fields of one hop are not": {"RFC 9110 7.6.1",
			"HTTP/1.1 200 OK\nConnection: keep-alive, x-a\nX-A: b\nKeep-Alive: timeout=5\nProxy-Connection: close\nUpgrade: h2c\n" +
				"Proxy-Authenticate: Basic\nTE: trailers\nContent-Length: 0\n\n", ResponseRewrite{},
			"HTTP/1.1 200 OK\nContent-Length: 0\n\n"},
		"what frames is kept though named": {"RFC 9110 7.6.1",
			"HTTP/1.1 200 OK\nConnection: content-length\nContent-Length: 0\n\n", ResponseRewrite{},
			"HTTP/1.1 200 OK\nContent-Length: 0\n\n"},
		"HTTP/1.0 becomes HTTP/1.1": {"RFC 9110 2.5",
			"HTTP/1.0 404 Not here\nContent-Length: 0\n\n", ResponseRewrite{}, "HTTP/1.1 404 Not here\nContent-Length: 0\n\n"},
		"the space after the status is written": {"RFC 9112 4",
			"HTTP/1.1 200\nContent-Length: 0\n\n", ResponseRewrite{}, "HTTP/1.1 200 \nContent-Length: 0\n\n"},
		"so it is for HTTP/1.0": {"RFC 9112 4", "HTTP/1.0 200\n\n", ResponseRewrite{}, "HTTP/1.1 200 \n\n"},
		"close":                 {"RFC 9112 9.6", "HTTP/1.1 200 OK\nA: b\n\n", ResponseRewrite{Close: true}, "HTTP/1.1 200 OK\nA: b\nConnection: close\n\n"},
		"keep-alive":            {"RFC 9112 C.2.2", "HTTP/1.1 200 OK\nA: b\n\n", ResponseRewrite{KeepAlive: true}, "HTTP/1.1 200 OK\nA: b\nConnection: keep-alive\n\n"},
		"close wins over keep-alive": {"RFC 9112 9.3",
			"HTTP/1.1 200 OK\nA: b\n\n", ResponseRewrite{Close: true, KeepAlive: true}, "HTTP/1.1 200 OK\nA: b\nConnection: close\n\n"},
		"101 is passed on if asked for": {"RFC 9110 7.8",
			"HTTP/1.1 101 S\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Accept: a\n\n", ResponseRewrite{Upgrade: true},
			"HTTP/1.1 101 S\nUpgrade: websocket\nSec-WebSocket-Accept: a\nConnection: upgrade\n\n"},
		"another with Upgrade does not switch": {"RFC 9110 7.8",
			"HTTP/1.1 426 U\nConnection: Upgrade\nUpgrade: websocket\nContent-Length: 0\n\n", ResponseRewrite{Upgrade: true},
			"HTTP/1.1 426 U\nContent-Length: 0\n\n"},
		"chunked is passed on with its Trailer": {"RFC 9112 7.1",
			"HTTP/1.1 200 OK\nTrailer: a\nTransfer-Encoding: chunked\n\n", ResponseRewrite{},
			"HTTP/1.1 200 OK\nTrailer: a\nTransfer-Encoding: chunked\n\n"},
		"chunked is left out for HTTP/1.0": {"RFC 9112 6.1",
			"HTTP/1.1 200 OK\nA: b\nTrailer: a\nTransfer-Encoding: chunked\nC: d\n\n", ResponseRewrite{Unchunk: true, Close: true},
			"HTTP/1.1 200 OK\nA: b\nC: d\nConnection: close\n\n"},
		"204 loses its length": {"RFC 9110 8.6",
			"HTTP/1.1 204 No Content\nContent-Length: 0\nA: b\n\n", ResponseRewrite{}, "HTTP/1.1 204 No Content\nA: b\n\n"},
		"304 keeps its length": {"RFC 9110 8.6",
			"HTTP/1.1 304 Not Modified\nContent-Length: 5\n\n", ResponseRewrite{}, "HTTP/1.1 304 Not Modified\nContent-Length: 5\n\n"},
		"100 has no fields": {"RFC 9110 15.2.1", "HTTP/1.1 100 Continue\n\n", ResponseRewrite{}, "HTTP/1.1 100 Continue\n\n"},
		"Via is appended": {"RFC 9110 7.6.3",
			"HTTP/1.0 200 OK\nVia: 1.1 a\n\n", ResponseRewrite{Via: true}, "HTTP/1.1 200 OK\nVia: 1.1 a\nVia: 1.0 evenkeel\n\n"},
		"Via names HTTP/2 by its one number": {"RFC 9110 7.6.3",
			"HTTP/1.1 200 OK\nVia: 1.1 a\n\n", ResponseRewrite{Via: true, HTTP2: true}, "HTTP/1.1 200 OK\nVia: 1.1 a\nVia: 2 evenkeel\n\n"},
		"whole lines come last": {"RFC 9110 5.3",
			"HTTP/1.1 200 OK\nA: b\n\n",
			ResponseRewrite{Close: true, Edits: []Edit{{EditAdd, "C", "d"}}, Extra: []byte("Set-Cookie: e\r\nF: g\r\n")},
			"HTTP/1.1 200 OK\nA: b\nConnection: close\nC: d\nSet-Cookie: e\nF: g\n\n"},
		"forwarding fields mean nothing in a response": {"RFC 9110 5.1",
			"HTTP/1.1 200 OK\nX-Forwarded-For: a\nForwarded: b\nX_Forwarded_Host: c\nExpect: d\nHost: e f\n\n", ResponseRewrite{},
			"HTTP/1.1 200 OK\nX-Forwarded-For: a\nForwarded: b\nX_Forwarded_Host: c\nExpect: d\nHost: e f\n\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := rewriteResponse(t, test.in, GET, &test.w); got != test.want {
				t.Errorf("section %s:\n got %q\nwant %q", test.section, got, test.want)
			}
		})
	}
}
