package table

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"evenkeel/fsm"
)

func redirectTo(spec fsm.Redirect, prefix string) *Redirect {
	return compileRoute(&fsm.Route{Spec: fsm.RouteSpec{Match: fsm.RouteMatch{PathPrefix: prefix}, Redirect: &spec}}, nil).Redirect
}

func TestRedirectLocation(t *testing.T) {
	prefix := func(text string) *string { return &text }
	at := func(host, target string) RedirectRequest {
		q := RedirectRequest{Scheme: "http", Host: host}
		q.Path, q.Query, q.HasQuery = strings.Cut(target, "?")
		return q
	}
	for _, c := range []struct {
		name   string
		spec   fsm.Redirect
		prefix string
		q      RedirectRequest
		want   string
	}{
		{"to HTTPS keeps host, path and query", fsm.Redirect{Scheme: "https"}, "", at("www.example.com", "/a%20b?c=d"), "https://www.example.com/a%20b?c=d"},
		{"to HTTPS goes to its own port", fsm.Redirect{Scheme: "https"}, "", at("www.example.com:8080", "/"), "https://www.example.com/"},
		{"to HTTPS on another port names that", fsm.Redirect{Scheme: "https", Port: 8443}, "", at("www.example.com:8080", "/"), "https://www.example.com:8443/"},
		{"to a scheme's own port names none", fsm.Redirect{Scheme: "https", Port: 443}, "", at("www.example.com", "/"), "https://www.example.com/"},
		{"to another scheme's port names it", fsm.Redirect{Port: 443}, "", at("www.example.com", "/"), "http://www.example.com:443/"},
		{"to the plain port names none", fsm.Redirect{Port: 80}, "", at("www.example.com:8080", "/"), "http://www.example.com/"},
		{"to a host drops the port", fsm.Redirect{Host: "new.example"}, "", at("old.example:8080", "/x"), "http://new.example/x"},
		{"to a host and port", fsm.Redirect{Host: "[fd00::1]", Port: 81}, "", at("old.example:8080", "/x"), "http://[fd00::1]:81/x"},
		{"to a port keeps the host", fsm.Redirect{Port: 81}, "", at("[fd00::1]:8080", "/x"), "http://[fd00::1]:81/x"},
		{"to a port keeps a host without one", fsm.Redirect{Port: 81}, "", at("[fd00::1]", "/x"), "http://[fd00::1]:81/x"},
		{"to a path keeps the port", fsm.Redirect{Path: "/new"}, "", at("www.example.com:8080", "/x?y"), "http://www.example.com:8080/new?y"},
		{"to a path where the client sent an empty port", fsm.Redirect{Path: "/new"}, "", at("www.example.com:", "/x"), "http://www.example.com/new"},
		{"without the query", fsm.Redirect{Path: "/new", DropQuery: true}, "", at("h", "/x?y"), "http://h/new"},
		{"with an empty query", fsm.Redirect{Path: "/new"}, "", at("h", "/x?"), "http://h/new?"},
		{"to a prefix", fsm.Redirect{Prefix: prefix("/v2")}, "/v1", at("h", "/v1/a%2Fb?c"), "http://h/v2/a%2Fb?c"},
		{"to no prefix", fsm.Redirect{Prefix: prefix("")}, "/v1", at("h", "/v1"), "http://h/"},
		{"of an absolute target without path", fsm.Redirect{Scheme: "https"}, "", at("h", "?q"), "https://h/?q"},
		{"of the asterisk of OPTIONS", fsm.Redirect{Scheme: "https"}, "", at("h", "*"), "https://h/"},
		{"over TLS stays there", fsm.Redirect{Path: "/new"}, "", RedirectRequest{Scheme: "https", Host: "h", Path: "/x"}, "https://h/new"},
		{"without any host is relative", fsm.Redirect{Path: "/new"}, "", at("", "/x?y"), "/new?y"},
		{"without any host leads to none", fsm.Redirect{Prefix: prefix("")}, "/v1", at("", "/v1//evil.example"), "/.//evil.example"},
		{"with a host keeps two slashes", fsm.Redirect{Prefix: prefix("")}, "/v1", at("h", "/v1//evil.example"), "http://h//evil.example"},
		{"cannot be made to name a user", fsm.Redirect{Path: "/new"}, "", at("h@evil.example", "/"), "http://h%40evil.example/new"},
		{"cannot be made to end the field", fsm.Redirect{Scheme: "https"}, "", at("h\r\nX: y", "/\r\nX: y?\r\n"), "https://h%0D%0AX/%0D%0AX:%20y?%0D%0A"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := string(redirectTo(c.spec, c.prefix).AppendLocation([]byte("Location: "), c.q)); got != "Location: "+c.want {
				t.Fatalf("got %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzRedirect(f *testing.F) {
	f.Add("www.example.com:8080", "/v1//x/../y%zz", "a=b", "/v2/", "/v1")
	f.Add("", "*", "", "", "/")
	f.Add("[::1]", "//h\r\n", "#\x00", "/", "/a b")
	allowed := regexp.MustCompile(`^[!-~]+$`)
	f.Fuzz(func(t *testing.T, host, path, query, prefix, matched string) {
		for _, spec := range []fsm.Redirect{{Scheme: "https"}, {Prefix: &prefix}, {Port: 81, Path: "/x"}, {Host: "new.example", Prefix: &prefix}} {
			got := string(redirectTo(spec, matched).AppendLocation(nil, RedirectRequest{Scheme: "http", Host: host, Path: path, Query: query, HasQuery: query != ""}))
			if !allowed.MatchString(got) {
				t.Fatalf("%+v made of host %q, path %q, query %q: %q", spec, host, path, query, got)
			}
			origin := strings.HasPrefix(got, "http://") || strings.HasPrefix(got, "https://")
			if !origin && (got[0] != '/' || strings.HasPrefix(got, "//")) {
				t.Fatalf("%+v made of host %q, path %q, query %q: %q, which names a host", spec, host, path, query, got)
			}
			if u, err := url.Parse(got); spec.Host != "" && (err != nil || u.Host != "new.example" || u.User != nil) {
				t.Fatalf("%+v made of host %q, path %q, query %q: %q (%v)", spec, host, path, query, got, err)
			}
		}
	})
}
