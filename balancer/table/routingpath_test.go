package table

import (
	"net/url"
	"strings"
	"testing"
)

func TestRoutingPath(t *testing.T) {
	for _, c := range []struct {
		name, raw, want string
		malformed       bool
	}{
		{name: "nothing to do", raw: "/a/b", want: "/a/b"},
		{name: "no path at all", raw: "", want: "/"},
		{name: "the asterisk of OPTIONS", raw: "*", want: "*"},
		{name: "a hidden file is no segment of dots", raw: "/a/.b/..c/d.", want: "/a/.b/..c/d."},
		{name: "three dots are a name", raw: "/.../a", want: "/.../a"},
		{name: "one dot", raw: "/a/./b", want: "/a/b"},
		{name: "two dots", raw: "/public/../admin", want: "/admin"},
		{name: "one dot at the end", raw: "/a/.", want: "/a/"},
		{name: "two dots at the end", raw: "/a/b/..", want: "/a/"},
		{name: "more dots than there is above", raw: "/../../a", want: "/a"},
		{name: "empty segments stay", raw: "/a//b/../c", want: "/a//c"},
		{name: "an empty segment is one to go up from", raw: "/a//../b", want: "/a/b"},
		{name: "only dots", raw: "/..", want: "/"},
		{name: "an escape", raw: "/a%20b%C3%a9", want: "/a bé"},
		{name: "escaped dots", raw: "/public/%2e%2E/admin", want: "/admin"},
		{name: "an escaped slash before dots", raw: "/public%2f../admin", want: "/admin"},
		{name: "an escape is decoded once", raw: "/%252e%252e/a", want: "/%2e%2e/a"},
		{name: "a plus sign is no space", raw: "/a+b", want: "/a+b"},
		{name: "an escape that ends early", raw: "/a%2", malformed: true},
		{name: "a lone percent sign", raw: "/100%", malformed: true},
		{name: "an escape of other digits", raw: "/%zz/..", malformed: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _, ok := RoutingPath(nil, c.raw)
			if ok == c.malformed || got != c.want {
				t.Errorf("got %q, %v; want %q, %v", got, ok, c.want, !c.malformed)
			}
		})
	}
}

// referenceRoutingPath decodes as net/url does, then removes dot segments on a
// stack.
func referenceRoutingPath(raw string) (string, bool) {
	path, err := url.PathUnescape(raw)
	if err != nil {
		return "", false
	}
	if path == "" {
		return "/", true
	}
	if path[0] != '/' {
		return path, true
	}
	segments := strings.Split(path, "/")[1:]
	kept := []string{}
	for i, segment := range segments {
		if segment == ".." {
			kept = kept[:max(0, len(kept)-1)]
		} else if segment != "." {
			kept = append(kept, segment)
			continue
		}
		if i == len(segments)-1 {
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/"), true
}

func FuzzRoutingPath(f *testing.F) {
	for _, seed := range []string{"", "*", "/a/../b", "/%2e%2e%2fb/.", "//..//.", "/a%", "/%41%zz", "a/..", "/a/b/c/../../..", "/.%2e"} {
		f.Add(seed)
	}
	buffer := make([]byte, 0, 1024)
	f.Fuzz(func(t *testing.T, raw string) {
		want, valid := referenceRoutingPath(raw)
		for _, buffer := range [][]byte{nil, buffer} {
			got, _, ok := RoutingPath(buffer, raw)
			if got != want || ok != valid {
				t.Fatalf("%q became %q, %v; want %q, %v", raw, got, ok, want, valid)
			}
		}
	})
}

func TestRoutingPathAllocatesNothing(t *testing.T) {
	buffer := make([]byte, 0, 256)
	for _, raw := range []string{"", "/a/b", "/a%20b/" + strings.Repeat("x", 100), "/a/../b", "/%2e%2e/b/.", "/%zz"} {
		if n := testing.AllocsPerRun(1000, func() { _, buffer, _ = RoutingPath(buffer, raw) }); n != 0 {
			t.Errorf("%q allocates %v times", raw, n)
		}
	}
}
