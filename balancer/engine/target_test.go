package engine

import (
	"strings"
	"testing"

	"evenkeel/fsm"
)

func TestTargetReachesBackendAsTheClientWroteIt(t *testing.T) {
	targets := map[string]struct{ sent, want string }{
		"a plain path":                  {"/a/b?c=d", "/a/b?c=d"},
		"an escaped slash":              {"/a%2Fb", "/a%2Fb"},
		"odd but visible bytes":         {"/a%2fb{|}^\"<>`\\", "/a%2fb{|}^\"<>`\\"},
		"dot segments":                  {"/a/../b/./c", "/a/../b/./c"},
		"a semicolon in the query":      {"/?a=1;b=2&c=%zz", "/?a=1;b=2&c=%zz"},
		"an empty query":                {"/x?", "/x?"},
		"two slashes at the front":      {"//host/x", "//host/x"},
		"an asterisk":                   {"*", "*"},
		"an absolute target":            {"http://other.example/x?y", "/x?y"},
		"an absolute target, no path":   {"http://other.example", "/"},
		"an escaped question mark":      {"/a%3Fb", "/a%3Fb"},
		"more than one question mark":   {"/a?b?c", "/a?b?c"},
		"a path with a colon in it":     {"/a:b", "/a:b"},
		"a path that looks like a port": {"/:80", "/:80"},
	}
	seen := make(chan string, 1)
	w := newWorld(t, nil, scripted(t, func(p *peerConn) {
		for {
			if _, err := p.r.Peek(1); err != nil {
				return
			}
			line, _, _ := strings.Cut(p.head(), "\r\n")
			seen <- line
			p.send("HTTP/1.1 204 No Content\r\n\r\n")
		}
	}))
	for name, test := range targets {
		t.Run(name, func(t *testing.T) {
			method := "GET"
			if test.sent == "*" {
				method = "OPTIONS"
			}
			p := w.dial()
			defer p.Close()
			p.send(method + " " + test.sent + " HTTP/1.1\r\nHost: example.com\r\n\r\n")
			if status := p.response(method).StatusCode; status != 204 {
				t.Fatalf("status %d", status)
			}
			if got, want := <-seen, method+" "+test.want+" HTTP/1.1"; got != want {
				t.Errorf("backend got %q, want %q", got, want)
			}
		})
	}
}

func TestARouteMatchesTheDecodedPath(t *testing.T) {
	w := newWorld(t, nil, answering(t, "hello"))
	w.do(put("", "r", fsm.RouteSpec{Match: fsm.RouteMatch{Path: "/a b"}, Pools: []fsm.WeightedPool{{Name: "p", Weight: 1}}}))
	for path, want := range map[string]int{"/a%20b": 200, "/a%2520b": 404, "/a+b": 404} {
		if status, _ := w.get(path); status != want {
			t.Errorf("%s: status %d, want %d", path, status, want)
		}
	}
}
