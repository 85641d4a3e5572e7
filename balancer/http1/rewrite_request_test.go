package http1

import (
	"net/netip"
	"strings"
	"testing"
)

// quiet is a rewriting that adds nothing of its own.
var quiet = RequestRewrite{NoXForwarded: true, NoForwarded: true}

// rewriteRequest parses a head whose line ends are line feeds and returns it
// rewritten, with line feeds again.
func rewriteRequest(t testing.TB, in string, w *RequestRewrite) string {
	t.Helper()
	var r Request
	var p Progress
	text := crlf(in)
	if n, err := r.Parse(text, &p, nil); n == 0 || err != nil {
		t.Fatalf("%q: %d, %v", text, n, err)
	}
	out := string(r.AppendTo([]byte("before"), w))
	if !strings.HasPrefix(out, "before") {
		t.Errorf("what was in the buffer is gone: %q", out)
	}
	return strings.ReplaceAll(strings.TrimPrefix(out, "before"), "\r\n", "\n")
}

func TestRewrittenRequests(t *testing.T) {
	with := func(change func(*RequestRewrite)) *RequestRewrite {
		w := quiet
		change(&w)
		return &w
	}
	tests := map[string]struct {
		section string
		in      string
		w       *RequestRewrite
		want    string
	}{
		"what is end to end is passed on as it came": {"RFC 9112 5.1",
			"get /a/../b?c=%zz HTTP/1.1\nb: 1\nHOST: a\nB:2\nx-odd:  \t a  b\xff \t \nb: 1\nCookie:\n\n", &quiet,
			"get /a/../b?c=%zz HTTP/1.1\nb: 1\nHOST: a\nB:2\nx-odd:  \t a  b\xff \t \nb: 1\nCookie:\n\n"},
		"empty lines before it are not": {"RFC 9112 2.2", "\n\nGET / HTTP/1.1\nHost: a\n\n", &quiet, "GET / HTTP/1.1\nHost: a\n\n"},
		"fields of one hop are not": {"RFC 9110 7.6.1",
			"GET / HTTP/1.1\nConnection: keep-alive\nKeep-Alive: timeout=5\nHost: a\nProxy-Connection: keep-alive\nTE: gzip\n" +
				"Upgrade: websocket\nHTTP2-Settings: a\nA: b\nProxy-Authorization: c\nproxy-authenticate: d\n\n", &quiet,
			"GET / HTTP/1.1\nHost: a\nA: b\n\n"},
		"nor are those that Connection names": {"RFC 9110 7.6.1",
			"GET / HTTP/1.1\nHost: a\nX-One: 1\nX-Two: 2\nx-one: 3\nConnection: keep-alive, x-TWO,, x-one , X-Absent\nX-Three: 4\n\n", &quiet,
			"GET / HTTP/1.1\nHost: a\nX-Three: 4\n\n"},
		"named in several Connections": {"RFC 9110 7.6.1",
			"GET / HTTP/1.1\nConnection: a\nHost: a\nA: 1\nB: 2\nConnection: b\n\n", &quiet, "GET / HTTP/1.1\nHost: a\n\n"},
		"an option is a name too": {"RFC 9110 7.6.1",
			"GET / HTTP/1.1\nHost: a\nClose: 1\nConnection: close\n\n", &quiet, "GET / HTTP/1.1\nHost: a\n\n"},
		"what frames and routes is kept though named": {"RFC 9110 7.6.1",
			"POST / HTTP/1.1\nHost: a\nContent-Length: 5\nExpect: 100-continue\nConnection: host, content-length, transfer-encoding, expect\n\n", &quiet,
			"POST / HTTP/1.1\nHost: a\nContent-Length: 5\nExpect: 100-continue\n\n"},
		"so is a coding": {"RFC 9110 7.6.1",
			"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nConnection: Transfer-Encoding\n\n", &quiet,
			"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n"},
		"a chunked body keeps its Trailer": {"RFC 9110 6.6.2",
			"POST / HTTP/1.1\nHost: a\nTrailer: b\ntransfer-encoding:CHUNKED\n\n", &quiet,
			"POST / HTTP/1.1\nHost: a\nTrailer: b\ntransfer-encoding:CHUNKED\n\n"},
		"trailers stay welcome": {"RFC 9110 10.1.4",
			"GET / HTTP/1.1\nHost: a\nTE: trailers, gzip\nConnection: TE\nB: c\n\n", &quiet,
			"GET / HTTP/1.1\nHost: a\nB: c\nConnection: te\nTE: trailers\n\n"},
		"HTTP/1.0 becomes HTTP/1.1 and gets a Host": {"RFC 9110 2.5",
			"GET /a HTTP/1.0\nA: b\n\n", &quiet, "GET /a HTTP/1.1\nHost: \nA: b\n\n"},
		"HTTP/1.0 keeps its Host": {"RFC 9110 2.5",
			"GET /a HTTP/1.0\nA: b\nHost: a\n\n", &quiet, "GET /a HTTP/1.1\nA: b\nHost: a\n\n"},
		"HTTP/1.0 without fields": {"RFC 9110 2.5", "GET /a HTTP/1.0\n\n", &quiet, "GET /a HTTP/1.1\nHost: \n\n"},
		"an expectation of HTTP/1.0 would be held to": {"RFC 9110 10.1.1",
			"POST / HTTP/1.0\nHost: a\nExpect: 100-continue\nContent-Length: 5\n\n", &quiet,
			"POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\n"},
		"an expectation without content is none": {"RFC 9110 10.1.1",
			"GET / HTTP/1.1\nHost: a\nExpect: 100-continue\n\n", &quiet, "GET / HTTP/1.1\nHost: a\n\n"},
		"an expectation is passed on": {"RFC 9110 10.1.1",
			"POST / HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 5\n\n", &quiet,
			"POST / HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 5\n\n"},
		"an expectation is dropped if asked for": {"RFC 9110 10.1.1",
			"POST / HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 5\n\n", with(func(w *RequestRewrite) { w.DropExpect = true }),
			"POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\n"},
		"absolute form becomes origin form and its host counts": {"RFC 9112 3.2.2",
			"GET http://b:80/c?d HTTP/1.1\nA: b\nHost: a\n\n", &quiet, "GET /c?d HTTP/1.1\nHost: b:80\nA: b\n\n"},
		"absolute form without a path": {"RFC 9110 4.2.3",
			"GET http://b HTTP/1.1\nHost: b\n\n", &quiet, "GET / HTTP/1.1\nHost: b\n\n"},
		"absolute form with a query only": {"RFC 9112 3.2.1",
			"GET http://b?c HTTP/1.1\nHost: b\n\n", &quiet, "GET /?c HTTP/1.1\nHost: b\n\n"},
		"absolute form with an empty query": {"RFC 9112 3.2.1",
			"GET http://b/? HTTP/1.1\nHost: b\n\n", &quiet, "GET /? HTTP/1.1\nHost: b\n\n"},
		"absolute form with two slashes": {"RFC 9112 3.2.1",
			"GET http://b//c HTTP/1.1\nHost: b\n\n", &quiet, "GET //c HTTP/1.1\nHost: b\n\n"},
		"absolute form in HTTP/1.0": {"RFC 9112 3.2.2",
			"GET http://b/ HTTP/1.0\n\n", &quiet, "GET / HTTP/1.1\nHost: b\n\n"},
		"OPTIONS of a server in absolute form": {"RFC 9112 3.2.4",
			"OPTIONS http://b:8001 HTTP/1.1\nHost: b:8001\n\n", &quiet, "OPTIONS * HTTP/1.1\nHost: b:8001\n\n"},
		"OPTIONS of the server": {"RFC 9112 3.2.4", "OPTIONS * HTTP/1.1\nHost: b\n\n", &quiet, "OPTIONS * HTTP/1.1\nHost: b\n\n"},
		"another target": {"RFC 9112 3.2",
			"GET /a HTTP/1.1\nHost: a\nB: c\n\n", with(func(w *RequestRewrite) { w.Target = []byte("/d?e") }),
			"GET /d?e HTTP/1.1\nHost: a\nB: c\n\n"},
		"another host": {"RFC 9110 7.2",
			"GET /a HTTP/1.1\nB: c\nHost: a\nD: e\n\n", with(func(w *RequestRewrite) { w.Host = []byte("f:1") }),
			"GET /a HTTP/1.1\nHost: f:1\nB: c\nD: e\n\n"},
		"another host for absolute form": {"RFC 9110 7.2",
			"GET http://b/c HTTP/1.1\nHost: a\n\n", with(func(w *RequestRewrite) { w.Host = []byte("f") }),
			"GET /c HTTP/1.1\nHost: f\n\n"},
		"another host for HTTP/1.0": {"RFC 9110 7.2",
			"GET /c HTTP/1.0\n\n", with(func(w *RequestRewrite) { w.Host = []byte("f") }), "GET /c HTTP/1.1\nHost: f\n\n"},
		"an empty host": {"RFC 9110 7.2",
			"GET /c HTTP/1.1\nHost: a\n\n", with(func(w *RequestRewrite) { w.Host = []byte{} }), "GET /c HTTP/1.1\nHost: \n\n"},
		"both and empty lines": {"RFC 9112 2.2",
			"\nGET /c HTTP/1.1\nHost: a\n\n", with(func(w *RequestRewrite) { w.Target, w.Host = []byte("/x"), []byte("y") }),
			"GET /x HTTP/1.1\nHost: y\n\n"},
		"an offer to upgrade is kept if asked for": {"RFC 9110 7.8",
			"GET / HTTP/1.1\nHost: a\nUpgrade:  websocket\nConnection: keep-alive, Upgrade, x-a\nX-A: b\nSec-WebSocket-Key: k\n\n",
			with(func(w *RequestRewrite) { w.Upgrade = true }),
			"GET / HTTP/1.1\nHost: a\nUpgrade:  websocket\nSec-WebSocket-Key: k\nConnection: upgrade\n\n"},
		"an offer to upgrade is left out if not": {"RFC 9110 7.8",
			"GET / HTTP/1.1\nHost: a\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Key: k\n\n", &quiet,
			"GET / HTTP/1.1\nHost: a\nSec-WebSocket-Key: k\n\n"},
		"an offer that is none is not kept": {"RFC 9113 3.1",
			"GET / HTTP/1.1\nHost: a\nUpgrade: h2c\nHTTP2-Settings: a\nConnection: upgrade, http2-settings\n\n",
			with(func(w *RequestRewrite) { w.Upgrade = true }), "GET / HTTP/1.1\nHost: a\n\n"},
		"an offer and trailers": {"RFC 9110 10.1.4",
			"GET / HTTP/1.1\nHost: a\nUpgrade: websocket\nTE: trailers\nConnection: upgrade, te\n\n",
			with(func(w *RequestRewrite) { w.Upgrade = true }),
			"GET / HTTP/1.1\nHost: a\nUpgrade: websocket\nConnection: upgrade, te\nTE: trailers\n\n"},
		"Via is appended": {"RFC 9110 7.6.3",
			"GET / HTTP/1.1\nHost: a\nVia: 1.0 b\nC: d\n\n", with(func(w *RequestRewrite) { w.Via = true }),
			"GET / HTTP/1.1\nHost: a\nVia: 1.0 b\nC: d\nVia: 1.1 evenkeel\n\n"},
		"Via names the version that came": {"RFC 9110 7.6.3",
			"GET / HTTP/1.0\nHost: a\n\n", with(func(w *RequestRewrite) { w.Via = true }),
			"GET / HTTP/1.1\nHost: a\nVia: 1.0 evenkeel\n\n"},
		"Via names HTTP/2 by its one number": {"RFC 9110 7.6.3",
			"GET / HTTP/1.1\nHost: a\nVia: 1.1 b\n\n", with(func(w *RequestRewrite) { w.Via, w.HTTP2 = true, true }),
			"GET / HTTP/1.1\nHost: a\nVia: 1.1 b\nVia: 2 evenkeel\n\n"},
		"forwarding fields are written": {"RFC 7239",
			"GET / HTTP/1.1\nHost: a\n\n", &RequestRewrite{Peer: netip.MustParseAddr("192.0.2.1"), Proto: "https"},
			"GET / HTTP/1.1\nHost: a\nX-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: https\nX-Forwarded-Host: a\n" +
				"Forwarded: for=192.0.2.1;host=a;proto=https\n\n"},
		"they name the host that the client asked for": {"RFC 7239",
			"GET http://b:80/c HTTP/1.1\nHost: a\n\n", &RequestRewrite{Peer: netip.MustParseAddr("192.0.2.1"), Host: []byte("c")},
			"GET /c HTTP/1.1\nHost: c\nX-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: http\nX-Forwarded-Host: b:80\n" +
				"Forwarded: for=192.0.2.1;host=\"b:80\";proto=http\n\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := rewriteRequest(t, test.in, test.w); got != test.want {
				t.Errorf("section %s:\n got %q\nwant %q", test.section, got, test.want)
			}
		})
	}
}

func TestEdits(t *testing.T) {
	const in = "GET / HTTP/1.1\nHost: a\nA: 1\nB: 2\na: 3\n\n"
	const start = "GET / HTTP/1.1\nHost: a\n"
	tests := map[string]struct {
		edits []Edit
		want  string
	}{
		"set replaces all":                   {[]Edit{{EditSet, "a", "x"}}, "B: 2\na: x\n"},
		"set of what is not there":           {[]Edit{{EditSet, "C", ""}}, "A: 1\nB: 2\na: 3\nC: \n"},
		"add keeps all":                      {[]Edit{{EditAdd, "A", "x"}}, "A: 1\nB: 2\na: 3\nA: x\n"},
		"add twice":                          {[]Edit{{EditAdd, "A", "x"}, {EditAdd, "A", "y"}}, "A: 1\nB: 2\na: 3\nA: x\nA: y\n"},
		"remove removes all":                 {[]Edit{{EditRemove, "A", "ignored"}}, "B: 2\n"},
		"remove of what is not there":        {[]Edit{{EditRemove, "C", ""}}, "A: 1\nB: 2\na: 3\n"},
		"remove what was added":              {[]Edit{{EditAdd, "C", "x"}, {EditRemove, "c", ""}}, "A: 1\nB: 2\na: 3\n"},
		"add after remove":                   {[]Edit{{EditRemove, "A", ""}, {EditAdd, "A", "x"}}, "B: 2\nA: x\n"},
		"set after set":                      {[]Edit{{EditSet, "A", "x"}, {EditSet, "A", "y"}}, "B: 2\nA: y\n"},
		"set after add":                      {[]Edit{{EditAdd, "A", "x"}, {EditSet, "A", "y"}}, "B: 2\nA: y\n"},
		"add after set":                      {[]Edit{{EditSet, "A", "x"}, {EditAdd, "A", "y"}}, "B: 2\nA: x\nA: y\n"},
		"several names keep their order":     {[]Edit{{EditSet, "C", "1"}, {EditRemove, "B", ""}, {EditAdd, "D", "2"}}, "A: 1\na: 3\nC: 1\nD: 2\n"},
		"no edits":                           {[]Edit{}, "A: 1\nB: 2\na: 3\n"},
		"a name that is longer than another": {[]Edit{{EditRemove, "AA", ""}}, "A: 1\nB: 2\na: 3\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := quiet
			w.Edits = test.edits
			if got := rewriteRequest(t, in, &w); got != start+test.want+"\n" {
				t.Errorf("got %q, want %q", got, start+test.want+"\n")
			}
			response := "HTTP/1.1 200 OK\nA: 1\nB: 2\na: 3\n\n"
			got := rewriteResponse(t, response, GET, &ResponseRewrite{Edits: test.edits})
			if want := "HTTP/1.1 200 OK\n" + test.want + "\n"; got != want {
				t.Errorf("response: got %q, want %q", got, want)
			}
		})
	}
}

func TestEditsWinOverWhatIsWritten(t *testing.T) {
	w := RequestRewrite{Peer: netip.MustParseAddr("192.0.2.1"), Trusted: true, Via: true, Edits: []Edit{
		{EditRemove, "x-forwarded-for", ""}, {EditSet, "Forwarded", "for=b"}, {EditSet, "X-Forwarded-Proto", "ftp"},
		{EditRemove, "X-Forwarded-Host", ""}, {EditRemove, "Via", ""},
	}}
	in := "GET / HTTP/1.1\nHost: a\nX-Forwarded-For: a\nX-Forwarded-Proto: https\nForwarded: for=a\nVia: 1.1 b\n\n"
	want := "GET / HTTP/1.1\nHost: a\nForwarded: for=b\nX-Forwarded-Proto: ftp\n\n"
	if got := rewriteRequest(t, in, &w); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	w.Edits = []Edit{{EditAdd, "X-Forwarded-For", "b"}}
	w.NoForwarded, w.Via = true, false
	want = "GET / HTTP/1.1\nHost: a\nX-Forwarded-Proto: https\nForwarded: for=a\nVia: 1.1 b\nX-Forwarded-For: a, 192.0.2.1\n" +
		"X-Forwarded-Host: a\nX-Forwarded-For: b\n\n"
	if got := rewriteRequest(t, in, &w); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWhatMayBeInAnEdit(t *testing.T) {
	for name, want := range map[string]bool{
		"X-A": true, "Cookie": true, "!#$%&'*+-.^_`|~09": true, "X-Forwarded-For": true, "Authorization": true,
		"": false, "a b": false, "a:": false, "a\r\n": false, "\xe4": false, "a\x00": false,
		"Host": false, "content-length": false, "TRANSFER-ENCODING": false, "Connection": false, "Upgrade": false,
		"Te": false, "Trailer": false, "Keep-Alive": false, "Proxy-Connection": false, "Expect": false, "HTTP2-Settings": false,
	} {
		if ValidFieldName(name) != want {
			t.Errorf("name %q: %v", name, !want)
		}
	}
	for value, want := range map[string]bool{
		"": true, "a": true, "a b\tc": true, "\xe4\"": true, "0123456789abcdefg": true,
		" a": false, "a ": false, "\ta": false, "a\t": false, " ": false, "a\r\nb: c": false, "a\nb": false, "a\x00": false, "a\x7f": false,
		"0123456789abc\rdefg": false,
	} {
		if ValidFieldValue(value) != want {
			t.Errorf("value %q: %v", value, !want)
		}
	}
}
