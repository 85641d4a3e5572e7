package table

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"evenkeel/fsm"
)

func rewriteBy(t testing.TB, spec fsm.Rewrite, prefix string) *Rewrite {
	t.Helper()
	route := compileRoute(&fsm.Route{Spec: fsm.RouteSpec{Match: fsm.RouteMatch{PathPrefix: prefix}, Rewrite: &spec}}, nil)
	if route.unreadable {
		t.Fatalf("%+v is unreadable", spec)
	}
	return route.Rewrite
}

func TestRewriteTarget(t *testing.T) {
	prefix := func(text string) fsm.Rewrite { return fsm.Rewrite{Prefix: &text} }
	replace := func(pattern, with string) fsm.Rewrite { return fsm.Rewrite{Regexp: pattern, Replacement: with} }
	for _, c := range []struct {
		name       string
		spec       fsm.Rewrite
		prefix     string
		sent, want string
	}{
		{"a path replaces all of it", fsm.Rewrite{Path: "/new%20path"}, "", "/a/../b%2F?c=%zz", "/new%20path?c=%zz"},
		{"a path is escaped where it must be", fsm.Rewrite{Path: "/a{b}"}, "", "/x", "/a%7Bb%7D"},
		{"an empty query stays", fsm.Rewrite{Path: "/new"}, "", "/x?", "/new?"},
		{"more than one question mark stays", fsm.Rewrite{Path: "/new"}, "", "/x?a?b", "/new?a?b"},
		{"the asterisk of OPTIONS stays", fsm.Rewrite{Path: "/new"}, "", "*", "*"},
		{"without a path change all stays", fsm.Rewrite{Host: "h"}, "", "/a/../b%2f{|}^\"<>`\\?c{", "/a/../b%2f{|}^\"<>`\\?c{"},
		{"without a path change an absent path is the root", fsm.Rewrite{Host: "h"}, "", "?c", "/?c"},
		{"what a request line cannot hold is escaped", fsm.Rewrite{Host: "h"}, "", "/caf\xc3\xa9#?\xc3 #", "/caf%C3%A9%23?%C3%20%23"},

		{"a prefix is replaced", prefix("/v2"), "/v1", "/v1/a/b?c", "/v2/a/b?c"},
		{"a prefix is all there is", prefix("/v2"), "/v1", "/v1", "/v2"},
		{"a prefix with a final slash in the request", prefix("/v2"), "/v1", "/v1/", "/v2/"},
		{"a final slash of the new prefix makes no second one", prefix("/v2/"), "/v1", "/v1/a", "/v2/a"},
		{"a final slash of the new prefix stays where it is all", prefix("/v2/"), "/v1", "/v1", "/v2/"},
		{"a final slash of the route's prefix makes no difference", prefix("/v2"), "/v1/", "/v1/a", "/v2/a"},
		{"a prefix is stripped by nothing", prefix(""), "/v1", "/v1/a", "/a"},
		{"a prefix is stripped by /", prefix("/"), "/v1", "/v1/a", "/a"},
		{"a prefix that is all there is leaves the root", prefix(""), "/v1", "/v1", "/"},
		{"a prefix is put in front of everything", prefix("/app"), "/", "/a/b", "/app/a/b"},
		{"a prefix is put in front of the root", prefix("/app"), "/", "/", "/app/"},
		{"empty segments behind the prefix stay", prefix("/v2"), "/v1", "/v1//a//", "/v2//a//"},
		{"the prefix may be escaped", prefix("/v2"), "/a b", "/%61%20b/c%20d", "/v2/c%20d"},
		{"what follows keeps its escapes", prefix("/v2"), "/v1", "/v1/a%2fb%25c%2541", "/v2/a%2fb%25c%2541"},
		{"what follows may be percent signs alone", prefix("/v2"), "/v1", "/v1/%25", "/v2/%25"},
		{"the slash behind the prefix may be escaped", prefix("/v2"), "/v1", "/v1%2Fa%2Fb", "/v2/a%2Fb"},
		{"the slash behind a stripped prefix may be escaped", prefix(""), "/v1", "/v1%2Fa", "/a"},
		{"a slash within the prefix may be escaped", prefix("/v2"), "/a/b", "/a%2Fb/c", "/v2/c"},
		{"a prefix beyond ASCII", prefix("/v2"), "/é", "/%c3%A9/é", "/v2/%C3%A9"},
		{"dot segments before the prefix", prefix("/v2"), "/v1", "/x/../v1/a%20b", "/v2/a%20b"},
		{"dot segments behind the prefix", prefix("/v2"), "/v1", "/v1/x/../a%2525", "/v2/a%2525"},
		{"dot segments that leave the prefix and return", prefix("/v2"), "/v1", "/v1/../v1/./a", "/v2/a"},
		{"escaped dot segments", prefix("/v2"), "/v1", "/v1/%2e%2e/v1/a", "/v2/a"},
		{"a path that the route does not match stays", prefix("/v2"), "/v1", "/v10/a", "/v10/a"},
		{"odd bytes behind a prefix are escaped", prefix("/v2"), "/v1", "/v1/a{b}", "/v2/a%7Bb%7D"},

		{"an expression is replaced wherever it matches", replace("a", "xy"), "", "/a/ba", "/xy/bxy"},
		{"groups are filled in", replace(`^/users/([0-9]+)/(?P<what>.*)$`, "/${what}/$1"), "", "/users/17/photo?x", "/photo/17?x"},
		{"a dollar sign is written twice", replace("a", "$$1"), "", "/a", "/$1"},
		{"an expression that matches nowhere changes nothing", replace("z+", ""), "", "/a%2Fb", "/a%2Fb"},
		{"an expression sees the path as it was sent", replace("%2F", "/"), "", "/a%2Fb", "/a/b"},
		{"an expression does not see the query", replace("x", "y"), "", "/a?x", "/a?x"},
		{"a slash that an expression removes is put back", replace("^/", ""), "", "/a", "/a"},
		{"all of the path may go", replace(".*", ""), "", "/a", "/"},
		{"an escape that an expression breaks is none", replace("2", ""), "", "/a%2Fx", "/a%25Fx"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := rewriteBy(t, c.spec, c.prefix)
			path, query, hasQuery := strings.Cut(c.sent, "?")
			if got := string(w.AppendTarget([]byte("GET "), path, query, hasQuery)); got != "GET "+c.want {
				t.Fatalf("%q became %q, want %q", c.sent, got, c.want)
			}
		})
	}
}

func TestRewriteThatGrowsBeyondMeasureIsRefused(t *testing.T) {
	w := rewriteBy(t, fsm.Rewrite{Regexp: "^(.*)$", Replacement: "/" + strings.Repeat("$1", 100)}, "")
	if got := w.AppendTarget(nil, "/"+strings.Repeat("a", 600), "", false); len(got) != 100*601+1 {
		t.Errorf("a path of 60 KB came out with %d bytes", len(got))
	}
	if got := w.AppendTarget([]byte("x"), "/"+strings.Repeat("a", 700), "", false); got != nil {
		t.Errorf("a path of 70 KB came out with %d bytes, want none", len(got))
	}
	w = rewriteBy(t, fsm.Rewrite{Regexp: "a", Replacement: strings.Repeat("b", 1024)}, "")
	if made, ok := w.replaceAll("/" + strings.Repeat("a", 16<<10)); ok || len(made) > maxTarget+1024 {
		t.Errorf("of a path of 16 MB %d bytes were made before it was refused (%v)", len(made), !ok)
	}
}

func TestExpressionsAreReplacedAsRegexpReplacesThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.SampledFrom([]string{"a*", "a|b", "", "(a)(b?)", "^/", "$", "b+|", "é?"}).Draw(t, "pattern")
		with := rapid.SampledFrom([]string{"", "x", "${1}y", "$0$0", "$$"}).Draw(t, "replacement")
		path := rapid.StringOf(rapid.SampledFrom([]rune("/abé%"))).Draw(t, "path")
		w := &Rewrite{pattern: regexp.MustCompile(pattern), replacement: with}
		if got, ok := w.replaceAll(path); !ok || got != w.pattern.ReplaceAllString(path, with) {
			t.Fatalf("%q by %q in %q gave %q, %v", pattern, with, path, got, ok)
		}
	})
}

// What is decoded of a path behind the prefix is the same before and after.
func TestPrefixIsReplacedInWhatTheRouteSaw(t *testing.T) {
	piece := rapid.SampledFrom([]string{"/", "/v1", "%2F", "%2f", "a", "%61", "..", "%2e", ".", "%25", "%252F", "é", "{", "%c3%a9", "+"})
	rapid.Check(t, func(t *rapid.T) {
		sent := "/" + strings.Join(rapid.SliceOfN(piece, 0, 10).Draw(t, "path"), "")
		matched := rapid.SampledFrom([]string{"/", "/v1", "/v1/a", "/é"}).Draw(t, "matched")
		replacement := rapid.SampledFrom([]string{"", "/", "/x", "/x/y", "/%C3%A9"}).Draw(t, "replacement")
		routed, _, ok := RoutingPath(nil, sent)
		if !ok {
			return
		}
		rest, found := strings.CutPrefix(routed, strings.TrimRight(matched, "/"))
		if !found || rest != "" && rest[0] != '/' {
			return
		}
		plain, err := url.PathUnescape(replacement)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.TrimRight(plain, "/") + rest
		if want == "" {
			want = "/"
		}
		c := newPathChange("", &replacement, matched)
		got := string(c.appendTo(nil, sent))
		if decoded, err := url.PathUnescape(got); err != nil || decoded != want {
			t.Fatalf("%q, of which the route matched %q, became %q, decoded %q (%v), want %q", sent, matched, got, decoded, err, want)
		}
	})
}

func FuzzRewrite(f *testing.F) {
	f.Add("/v1/a%2Fb/../c", "x=1", "/v2/", "/v1", "b", "$0{")
	f.Add("*", "", "", "/", "^/", "")
	f.Add("", "\x00#", "//", "/é", "", "%")
	f.Add("/v1%2F", "", "", "/v1", "(", "")
	// RFC 3986 section 3.3, and what is left to the client.
	strict := regexp.MustCompile(`^/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*$`)
	lenient := regexp.MustCompile(`^/[!-"$->@-~]*$`)
	visible := regexp.MustCompile(`^[!-"$-~]*$`)
	f.Fuzz(func(t *testing.T, path, query, prefix, matched, pattern, replacement string) {
		if strings.Contains(path, "?") {
			return // what is behind it is the query
		}
		for _, spec := range []fsm.Rewrite{{Host: "h"}, {Path: "/" + prefix}, {Prefix: &prefix}, {Regexp: pattern, Replacement: replacement}} {
			route := compileRoute(&fsm.Route{Spec: fsm.RouteSpec{Match: fsm.RouteMatch{PathPrefix: matched}, Rewrite: &spec}}, nil)
			if route.unreadable {
				continue
			}
			got := route.Rewrite.AppendTarget(nil, path, query, query != "")
			if got == nil || path == "*" && string(got) == "*" {
				continue
			}
			target, rest, _ := strings.Cut(string(got), "?")
			valid := strict
			if !route.Rewrite.path.changes() && route.Rewrite.pattern == nil {
				valid = lenient
			}
			if !valid.MatchString(target) || !visible.MatchString(rest) {
				t.Fatalf("%+v made of path %q and query %q: %q", spec, path, query, got)
			}
			if _, err := url.ParseRequestURI(string(got)); err != nil && valid == strict {
				t.Fatalf("%+v made of path %q and query %q: %v", spec, path, query, err)
			}
		}
	})
}

func TestRewritesAndRedirectsOfPrefixesAllocateNothing(t *testing.T) {
	prefix := "/v2"
	w, r := rewriteBy(t, fsm.Rewrite{Prefix: &prefix}, "/v1"), redirectTo(fsm.Redirect{Scheme: "https", Prefix: &prefix}, "/v1")
	buffer := make([]byte, 0, 1024)
	for _, path := range []string{"/v1/a", "/v1/" + strings.Repeat("%20", 100), "/v1/../v1/%20"} {
		q := RedirectRequest{Scheme: "http", Host: "www.example.com:80", Path: path, Query: "x", HasQuery: true}
		if n := testing.AllocsPerRun(1000, func() {
			w.AppendTarget(buffer, path, "x", true)
			r.AppendLocation(buffer, q)
		}); n != 0 {
			t.Errorf("%q allocates %v times", path, n)
		}
	}
}
