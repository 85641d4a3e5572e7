package engine

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"evenkeel/fsm"
)

func TestRedirects(t *testing.T) {
	v2 := "/v2"
	w := newWorld(t, nil)
	for name, c := range map[string]struct {
		redirect        fsm.Redirect
		target, version string
		host            string
		want            string
	}{
		"to HTTPS":               {fsm.Redirect{Status: 308, Scheme: "https"}, "/v1/a%20b?c=d", "1.1", "www.example.com:8080", "https://www.example.com/v1/a%20b?c=d"},
		"to another host":        {fsm.Redirect{Status: 301, Host: "new.example", Port: 81}, "/v1?", "1.1", "a", "http://new.example:81/v1?"},
		"to a path, no query":    {fsm.Redirect{Status: 303, Path: "/new", DropQuery: true}, "/v1?c", "1.1", "a:8080", "http://a:8080/new"},
		"to a prefix":            {fsm.Redirect{Status: 307, Prefix: &v2}, "/v1/a%2Fb?c", "1.1", "a", "http://a/v2/a%2Fb?c"},
		"of an absolute target":  {fsm.Redirect{Status: 302, Scheme: "https"}, "http://b.example/v1", "1.1", "a", "https://b.example/v1"},
		"without a host at hand": {fsm.Redirect{Status: 302, Prefix: &v2}, "/v1/x", "1.0", "", "/v2/x"},
	} {
		t.Run(name, func(t *testing.T) {
			w.route(fsm.RouteSpec{Match: fsm.RouteMatch{PathPrefix: "/v1"}, Redirect: &c.redirect})
			request := "GET " + c.target + " HTTP/" + c.version + "\r\n"
			if c.host != "" {
				request += "Host: " + c.host + "\r\n"
			}
			response, body := w.ask(request + "\r\n")
			if response.StatusCode != c.redirect.Status || response.Header.Get("Location") != c.want || body != "" {
				t.Errorf("%d, Location %q, body %q; want %d, %q", response.StatusCode, response.Header.Get("Location"), body, c.redirect.Status, c.want)
			}
			if response.Header.Get("Date") == "" || response.ContentLength != 0 {
				t.Errorf("Date %q, length %d", response.Header.Get("Date"), response.ContentLength)
			}
		})
	}
}

func TestFixedResponses(t *testing.T) {
	w := newWorld(t, nil)
	for name, c := range map[string]struct {
		respond fsm.Respond
		method  string
		body    string
		length  int64
	}{
		"a page":                    {fsm.Respond{Status: 503, Body: "<p>back soon", ContentType: "text/html"}, "GET", "<p>back soon", 12},
		"a page to HEAD":            {fsm.Respond{Status: 200, Body: "hello", ContentType: "text/plain"}, "HEAD", "", 5},
		"a status of no name":       {fsm.Respond{Status: 599, Body: "x", ContentType: "text/plain"}, "GET", "x", 1},
		"nothing":                   {fsm.Respond{Status: 200, ContentType: "text/plain"}, "GET", "", 0},
		"a status that has no body": {fsm.Respond{Status: 204, ContentType: "text/plain"}, "GET", "", 0},
		"not modified":              {fsm.Respond{Status: 304, ContentType: "text/plain"}, "GET", "", 0},
		"a method of no name":       {fsm.Respond{Status: 418, Body: "x", ContentType: "text/plain"}, "BREW", "x", 1},
	} {
		t.Run(name, func(t *testing.T) {
			w.route(fsm.RouteSpec{Respond: &c.respond})
			p := w.dial()
			request := c.method + " / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
			for range 2 { // by the same connection: its request's body is out of the way
				p.send(request)
				response, body := p.answer(request)
				wantType := ""
				if c.respond.Body != "" {
					wantType = c.respond.ContentType
				}
				if response.StatusCode != c.respond.Status || body != c.body || response.Header.Get("Content-Type") != wantType {
					t.Fatalf("%d %q of type %q", response.StatusCode, body, response.Header.Get("Content-Type"))
				}
				if lengths := response.Header.Values("Content-Length"); c.respond.Status == 204 && len(lengths) > 0 {
					t.Errorf("RFC 9110 section 8.6 forbids Content-Length here, got %q", lengths)
				}
				if response.Close || c.length > 0 && response.ContentLength != c.length {
					t.Errorf("close %v, length %d", response.Close, response.ContentLength)
				}
			}
		})
	}
}

func TestRewrites(t *testing.T) {
	w := newWorld(t, nil, echoing(t))
	text := func(s string) *string { return &s }
	for name, c := range map[string]struct {
		rewrite       fsm.Rewrite
		sent          string // method and target
		want, useHost string
	}{
		"a path":                         {fsm.Rewrite{Path: "/new"}, "GET /v1/a?b=c", "GET /new?b=c", "example.com"},
		"a prefix":                       {fsm.Rewrite{Prefix: text("/v2/")}, "GET /v1/a%2Fb?c", "GET /v2/a%2Fb?c", "example.com"},
		"no prefix":                      {fsm.Rewrite{Prefix: text("")}, "GET /v1", "GET /", "example.com"},
		"a prefix behind dots":           {fsm.Rewrite{Prefix: text("/v2")}, "GET /x/../v1/./a%20b", "GET /v2/a%20b", "example.com"},
		"an escaped prefix":              {fsm.Rewrite{Prefix: text("/v2")}, "GET /%761/a", "GET /v2/a", "example.com"},
		"an expression":                  {fsm.Rewrite{Regexp: "^/v1/([0-9]+)/(.*)$", Replacement: "/$2/$1"}, "GET /v1/17/x%2Fy?z", "GET /x%2Fy/17?z", "example.com"},
		"a host":                         {fsm.Rewrite{Host: "inner:81"}, "GET /v1/../v1?x", "GET /v1/../v1?x", "inner:81"},
		"path and host":                  {fsm.Rewrite{Path: "/new", Host: "inner"}, "GET /v1", "GET /new", "inner"},
		"an absolute target":             {fsm.Rewrite{Prefix: text("/v2")}, "GET http://b.example/v1/a", "GET /v2/a", "b.example"},
		"an absolute target, no path":    {fsm.Rewrite{Path: "/new"}, "GET http://b.example", "GET /new", "b.example"},
		"an absolute target, query only": {fsm.Rewrite{Path: "/new"}, "GET http://b.example?q", "GET /new?q", "b.example"},
		"the asterisk":                   {fsm.Rewrite{Path: "/new", Host: "inner"}, "OPTIONS *", "OPTIONS *", "inner"},
		"the asterisk, absolute":         {fsm.Rewrite{Path: "/new"}, "OPTIONS http://b.example", "OPTIONS *", "b.example"},
	} {
		t.Run(name, func(t *testing.T) {
			w.route(toPool(func(r *fsm.RouteSpec) {
				if strings.Contains(c.sent, "/v1") || strings.Contains(c.sent, "%761") {
					r.Match.PathPrefix = "/v1"
				}
				r.Rewrite = &c.rewrite
			}))
			response, got := w.ask(c.sent + " HTTP/1.1\r\nHost: example.com\r\n\r\n")
			if response.StatusCode != 200 || !strings.HasPrefix(got, c.want+" HTTP/1.1\r\n") {
				t.Fatalf("%d: the backend got %q, want %q", response.StatusCode, got, c.want)
			}
			if n := strings.Count(got, "\r\nHost: "); n != 1 || !strings.Contains(got, "\r\nHost: "+c.useHost+"\r\n") {
				t.Errorf("the backend got %q, want host %q once", got, c.useHost)
			}
			if c.rewrite.Host != "" && !strings.Contains(got, "\r\nX-Forwarded-Host: example.com\r\n") {
				t.Errorf("the backend is not told the client's host: %q", got)
			}
		})
	}
}

func TestRewriteThatGrowsTooLongIs414(t *testing.T) {
	w := newWorld(t, nil, echoing(t))
	w.route(toPool(func(r *fsm.RouteSpec) {
		r.Rewrite = &fsm.Rewrite{Regexp: "^(.*)$", Replacement: "/" + strings.Repeat("$1", 100)}
	}))
	p := w.dial()
	for path, want := range map[string]int{"/" + strings.Repeat("a", 1000): 414, "/" + strings.Repeat("a", 100): 200} {
		request := "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"
		p.send(request)
		if response, _ := p.answer(request); response.StatusCode != want {
			t.Errorf("a path of %d bytes: status %d, want %d", len(path), response.StatusCode, want)
		}
	}
	if got := w.backend("b0").Stats.Requests(); got != 1 {
		t.Errorf("the backend was asked %d times", got)
	}
}

func TestFieldEdits(t *testing.T) {
	w := newWorld(t, nil, echoing(t))
	w.route(toPool(func(r *fsm.RouteSpec) {
		r.RequestFields = []fsm.FieldEdit{
			{Op: fsm.EditSet, Name: "X-Set", Value: "new"}, {Op: fsm.EditAdd, Name: "X-Add", Value: "2"},
			{Op: fsm.EditRemove, Name: "X-Gone"}, {Op: fsm.EditSet, Name: "X-Forwarded-For", Value: "me"},
		}
		r.ResponseFields = []fsm.FieldEdit{
			{Op: fsm.EditRemove, Name: "X-OLD"}, {Op: fsm.EditAdd, Name: "X-New", Value: "1"}, {Op: fsm.EditAdd, Name: "X-New", Value: "2"},
		}
	}))
	response, got := w.ask("GET / HTTP/1.1\r\nHost: a\r\nx-set: old\r\nX-SET: older\r\nX-Add: 1\r\nx-gone: 1\r\nX-Keep: 1\r\n\r\n")
	for _, line := range []string{"X-Set: new", "X-Add: 1", "X-Add: 2", "X-Keep: 1", "X-Forwarded-For: me"} {
		if strings.Count(got, "\r\n"+line+"\r\n") != 1 {
			t.Errorf("the backend did not get %q once: %q", line, got)
		}
	}
	if lower := strings.ToLower(got); strings.Contains(lower, "old") || strings.Contains(lower, "x-gone") || strings.Count(lower, "x-forwarded-for") != 1 {
		t.Errorf("the backend got what was replaced or removed: %q", got)
	}
	if news := response.Header["X-New"]; len(response.Header["X-Old"]) != 0 || strings.Join(news, ",") != "1,2" {
		t.Errorf("the client got X-Old %q, X-New %q", response.Header["X-Old"], news)
	}
}

// Responses of Evenkeel's own are edited like those of backends, and keep what
// frames them.
func TestOwnResponsesAreEdited(t *testing.T) {
	edits := []fsm.FieldEdit{
		{Op: fsm.EditSet, Name: "Strict-Transport-Security", Value: "max-age=1"}, {Op: fsm.EditSet, Name: "cache-control", Value: "public"},
		{Op: fsm.EditAdd, Name: "X-A", Value: "1"}, {Op: fsm.EditRemove, Name: "x-a"}, {Op: fsm.EditAdd, Name: "X-B", Value: "1"},
		{Op: fsm.EditRemove, Name: "Date"},
	}
	for name, c := range map[string]struct {
		spec   fsm.RouteSpec
		status int
		body   string
	}{
		"a redirect":       {fsm.RouteSpec{Redirect: &fsm.Redirect{Status: 308, Scheme: "https"}}, 308, ""},
		"a fixed response": {fsm.RouteSpec{Respond: &fsm.Respond{Status: 200, Body: "hello", ContentType: "text/plain"}}, 200, "hello"},
		"a refusal":        {toPool(func(r *fsm.RouteSpec) { r.Deny = []string{"127.0.0.1/32"} }), 403, "Evenkeel: this client may not use this route.\n"},
		"a failure":        {toPool(func(*fsm.RouteSpec) {}), 503, "Evenkeel: no backend is available for this request.\n"},
		"a page for a failure": {toPool(func(r *fsm.RouteSpec) {
			r.ErrorPages = []fsm.ErrorPage{{Status: 503, Body: "sorry", ContentType: "text/plain"}}
		}), 503, "sorry"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			c.spec.ResponseFields = edits
			w.route(c.spec)
			p := w.dial()
			for _, method := range []string{"GET", "HEAD"} {
				request := method + " / HTTP/1.1\r\nHost: a\r\n\r\n"
				p.send(request)
				response, body := p.answer(request)
				if method == "HEAD" && body == "" {
					body = c.body
				}
				if response.StatusCode != c.status || body != c.body || response.ContentLength != int64(len(c.body)) {
					t.Errorf("%s: %d %q of length %d", method, response.StatusCode, body, response.ContentLength)
				}
				h := response.Header
				if h.Get("Strict-Transport-Security") != "max-age=1" || strings.Join(h["Cache-Control"], "|") != "public" || h.Get("X-B") != "1" || h["X-A"] != nil || h["Date"] != nil {
					t.Errorf("%s: fields %v", method, h)
				}
			}
		})
	}
}

func TestErrorPages(t *testing.T) {
	page := func(r *fsm.RouteSpec) {
		r.ErrorPages = []fsm.ErrorPage{
			{Status: 502, Body: "<p>502", ContentType: "text/html"}, {Status: 503, Body: "<p>503", ContentType: "text/html"},
			{Status: 400, Body: "<p>400", ContentType: "text/html"},
		}
	}
	dying := func(t testing.TB) string { return scripted(t, func(p *peerConn) { p.head() }) }
	own := func(t testing.TB) string {
		return scripted(t, func(p *peerConn) {
			p.head()
			p.send("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")
		})
	}
	for name, c := range map[string]struct {
		backends []string
		request  string
		status   int
		body     string
	}{
		"no backend":          {nil, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 503, "<p>503"},
		"no backend, by HEAD": {nil, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 503, ""},
		"a backend that dies": {[]string{dying(t)}, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 502, "<p>502"},
		"a body that is malformed where it comes with the head": {nil, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "Evenkeel: the request's body is malformed or incomplete.\n"},
		"a backend's own is left to it":                         {[]string{own(t)}, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 503, "busy"},
		"a status that no page is for":                          {nil, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 405, "Evenkeel: CONNECT is not supported, this is a gateway.\n"},
		"a fault before a route is found":                       {nil, "GET /% HTTP/1.1\r\nHost: a\r\n\r\n", 400, "Evenkeel: the path is not correctly escaped.\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil, c.backends...)
			w.route(toPool(page))
			response, body := w.ask(c.request)
			if response.StatusCode != c.status || body != c.body {
				t.Fatalf("%d %q, want %d %q", response.StatusCode, body, c.status, c.body)
			}
			if page := strings.HasPrefix(body, "<p>"); page && (response.Header.Get("Content-Type") != "text/html" || response.Header.Get("Cache-Control") != "no-store") {
				t.Errorf("fields %v", response.Header)
			}
		})
	}
}

func TestInterimResponsesAndUpgradesAreNotEdited(t *testing.T) {
	w := newWorld(t, nil, scripted(t, func(p *peerConn) {
		p.head()
		p.send("HTTP/1.1 103 Early Hints\r\nX-Old: 1\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\nX-Old: 2\r\n\r\nhello")
		_, _ = p.end()
	}))
	w.route(toPool(func(r *fsm.RouteSpec) {
		r.ResponseFields = []fsm.FieldEdit{{Op: fsm.EditRemove, Name: "X-Old"}}
	}))
	p := w.dial()
	p.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
	for _, want := range []string{"103 Early Hints\r\nX-Old: 1\r\n", "101 Switching Protocols\r\n"} {
		if got := p.head(); !strings.HasPrefix(got, "HTTP/1.1 "+want) || !strings.Contains(got, "X-Old") {
			t.Errorf("got %q", got)
		}
	}
	p.expect("hello")
}

// A redirect or a fixed response that comes before the request's body lets the
// body pass, and the connection lives on.
func TestOwnResponsesLetTheBodyPass(t *testing.T) {
	w := newWorld(t, nil)
	w.route(fsm.RouteSpec{Respond: &fsm.Respond{Status: 200, Body: "hello", ContentType: "text/plain"}})
	p := w.dial()
	p.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf")
	response, err := http.ReadResponse(p.r, &http.Request{Method: "POST"})
	if err != nil || response.StatusCode != 200 || response.Close {
		t.Fatalf("%+v, %v", response, err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
	p.send("rest")
	if body, _, err := exchangeOnce(p); body != "hello" || err != nil {
		t.Fatalf("the next request got %q, %v", body, err)
	}
}
