package engine

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"evenkeel/fsm"
)

// toPool is a route to the pool "p".
func toPool(change func(*fsm.RouteSpec)) fsm.RouteSpec {
	spec := fsm.RouteSpec{Pools: []fsm.WeightedPool{{Name: "p", Weight: 1}}}
	change(&spec)
	return spec
}

// route replaces the route "r".
func (w *world) route(spec fsm.RouteSpec) {
	w.t.Helper()
	w.do(put("", "r", spec))
}

// listen changes the listener.
func (w *world) listen(change func(*fsm.ListenerSpec)) {
	w.t.Helper()
	spec := fsm.ListenerSpec{Address: ":80", Protocol: fsm.ProtocolHTTP}
	change(&spec)
	w.do(put("", "web", spec))
}

// ask sends a request by a fresh connection and reads the response.
func (w *world) ask(request string) (*http.Response, string) {
	w.t.Helper()
	p := w.dial()
	defer p.Close()
	p.send(request)
	return p.answer(request)
}

// answer reads a whole response to a request.
func (p *peerConn) answer(request string) (*http.Response, string) {
	p.t.Helper()
	method, _, _ := strings.Cut(request, " ")
	response := p.response(method)
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatalf("read body: %v after %q", err, body)
	}
	return response, string(body)
}

// echoing is a backend that answers with the head, and the body, that it got.
func echoing(t testing.TB) string {
	return scripted(t, func(p *peerConn) {
		for {
			if _, err := p.r.Peek(1); err != nil {
				return
			}
			got := p.head()
			if _, length, ok := strings.Cut(strings.ToLower(got), "content-length: "); ok {
				n := 0
				if _, err := fmt.Sscan(length, &n); err != nil {
					p.t.Error(err)
					return
				}
				body := make([]byte, n)
				if _, err := io.ReadFull(p.r, body); err != nil {
					return
				}
				got += string(body)
			}
			p.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Old: 1\r\nx-old: 2\r\nContent-Length: %d\r\n\r\n%s", len(got), got))
		}
	})
}

func TestRoutesMatchByConditions(t *testing.T) {
	w := newWorld(t, nil, answering(t, "hello"))
	is := func(m ...fsm.ValueMatch) []fsm.ValueMatch { return m }
	for name, c := range map[string]struct {
		match     fsm.RouteMatch
		yes, noes string // requests without their versions and ends
	}{
		"method":           {fsm.RouteMatch{Methods: []string{"DELETE", "BREW"}}, "BREW /", "GET /"},
		"field":            {fsm.RouteMatch{Headers: is(fsm.ValueMatch{Name: "x-a", Value: "1"})}, "GET /|X-A: 0|x-A:  1 ", "GET /|X-A: 11"},
		"absent field":     {fsm.RouteMatch{Headers: is(fsm.ValueMatch{Name: "Cookie", Absent: true})}, "GET /|X-A: 1", "GET /|cookie: a=b"},
		"field expression": {fsm.RouteMatch{Headers: is(fsm.ValueMatch{Name: "X-A", Regexp: "v[0-9]+"})}, "GET /|X-A: v12", "GET /|X-A: v12b"},
		"host field":       {fsm.RouteMatch{Headers: is(fsm.ValueMatch{Name: "Host", Regexp: `a\..*`})}, "GET /|Host: a.example", "GET /|Host: b.example"},
		"parameter":        {fsm.RouteMatch{Query: is(fsm.ValueMatch{Name: "a b", Value: "c&d"})}, "GET /?x&a+b=c%26d", "GET /?a+b=c&d"},
		"absent parameter": {fsm.RouteMatch{Query: is(fsm.ValueMatch{Name: "a", Absent: true})}, "GET /?b", "GET /?b&%61"},
		"path expression":  {fsm.RouteMatch{PathRegexp: "/a( b)+"}, "GET /x/../a%20b%20b", "GET /a%20b/c"},
		"host":             {fsm.RouteMatch{Host: "*.example.com"}, "GET http://a.b.example.com/|Host: other", "GET /|Host: example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			w.route(toPool(func(r *fsm.RouteSpec) { r.Match = c.match }))
			for line, want := range map[string]int{c.yes: 200, c.noes: 404} {
				head := strings.Replace(line+" HTTP/1.1", " HTTP/1.1", "", 1)
				request, fields, _ := strings.Cut(head, "|")
				request += " HTTP/1.1\r\n"
				if !strings.Contains(strings.ToLower(fields), "host:") {
					request += "Host: example.com\r\n"
				}
				if fields != "" {
					request += strings.ReplaceAll(fields, "|", "\r\n") + "\r\n"
				}
				if response, _ := w.ask(request + "\r\n"); response.StatusCode != want {
					t.Errorf("%q: status %d, want %d", request, response.StatusCode, want)
				}
			}
		})
	}
}

func TestMalformedPathIs400(t *testing.T) {
	w := newWorld(t, nil, answering(t, "hello"))
	if status, _ := w.get("/100%"); status != 400 {
		t.Errorf("status %d", status)
	}
}

func TestAccessLists(t *testing.T) {
	for name, c := range map[string]struct {
		allow, deny, trusted []string
		field                string
		want                 int
	}{
		"an allowed client":               {allow: []string{"127.0.0.0/8"}, want: 200},
		"one that is not":                 {allow: []string{"10.0.0.0/8"}, want: 403},
		"a denied client":                 {allow: []string{"127.0.0.0/8"}, deny: []string{"127.0.0.1/32"}, want: 403},
		"one that claims another address": {allow: []string{"10.0.0.0/8"}, field: "X-Forwarded-For: 10.0.0.1", want: 403},
		"one that hides behind a claim":   {deny: []string{"127.0.0.0/8"}, field: "X-Forwarded-For: 10.0.0.1", want: 403},
		"one that a trusted proxy names": {allow: []string{"10.0.0.0/8"}, trusted: []string{"127.0.0.0/8"},
			field: "X-Forwarded-For: 192.0.2.1, 10.0.0.1", want: 200},
		"one that claims an address to a trusted proxy": {allow: []string{"10.0.0.0/8"}, trusted: []string{"127.0.0.0/8"},
			field: "X-Forwarded-For: 10.0.0.1, 192.0.2.1", want: 403},
		"one that a trusted proxy names by Forwarded": {deny: []string{"2001:db8::/32"}, trusted: []string{"127.0.0.0/8"},
			field: `Forwarded: for="[2001:db8::1]:47"`, want: 403},
		"a trusted proxy that does not know its client": {allow: []string{"127.0.0.0/8"}, trusted: []string{"127.0.0.0/8"},
			field: "X-Forwarded-For: unknown", want: 403},
		"a trusted proxy by itself": {allow: []string{"127.0.0.0/8"}, trusted: []string{"127.0.0.0/8"}, want: 200},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil, answering(t, "hello"))
			w.listen(func(l *fsm.ListenerSpec) { l.TrustedProxies = c.trusted })
			w.route(toPool(func(r *fsm.RouteSpec) { r.Allow, r.Deny = c.allow, c.deny }))
			field := c.field
			if field != "" {
				field += "\r\n"
			}
			response, _ := w.ask("GET / HTTP/1.1\r\nHost: a\r\n" + field + "\r\n")
			if response.StatusCode != c.want {
				t.Errorf("status %d, want %d", response.StatusCode, c.want)
			}
			if got, want := w.backend("b0").Stats.Requests() == 1, c.want == 200; got != want {
				t.Errorf("the backend was asked: %v, want %v", got, want)
			}
		})
	}
}

// TestTheClientThatATrustedProxyNamesIsHashed: else all clients behind a proxy
// would share a backend.
func TestTheClientThatATrustedProxyNamesIsHashed(t *testing.T) {
	for name, trusted := range map[string][]string{"trusted": {"127.0.0.0/8"}, "not trusted": nil} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(with *tuning) { with.pool = fsm.PoolSpec{Strategy: fsm.StrategyMaglev} }, answering(t, "0"), answering(t, "1"))
			w.listen(func(l *fsm.ListenerSpec) { l.TrustedProxies = trusted })
			for client := range 32 {
				if response, _ := w.ask(fmt.Sprintf("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.%d\r\n\r\n", client)); response.StatusCode != 200 {
					t.Fatalf("status %d", response.StatusCode)
				}
			}
			first, second := w.backend("b0").Stats.Requests(), w.backend("b1").Stats.Requests()
			if both := first > 0 && second > 0; both != (trusted != nil) {
				t.Errorf("the backends got %d and %d requests", first, second)
			}
		})
	}
}

func TestAccessListsGoBeforeRedirectsAndFixedResponses(t *testing.T) {
	w := newWorld(t, nil)
	deny := []string{"0.0.0.0/0"}
	for name, spec := range map[string]fsm.RouteSpec{
		"redirect": {Deny: deny, Redirect: &fsm.Redirect{Status: 308, Scheme: "https"}},
		"respond":  {Deny: deny, Respond: &fsm.Respond{Status: 200, Body: "secret", ContentType: "text/plain"}},
	} {
		w.route(spec)
		if status, body := w.get("/"); status != 403 || strings.Contains(body, "secret") {
			t.Errorf("%s: %d %q", name, status, body)
		}
	}
}
