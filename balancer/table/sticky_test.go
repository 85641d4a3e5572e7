package table

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"evenkeel/fsm"
)

// fields are a request's header fields.
type fields http.Header

func (f fields) FieldText(name string, i int) (string, bool) {
	lines := http.Header(f).Values(name)
	if i >= len(lines) {
		return "", false
	}
	return lines[i], true
}

func cookies(lines ...string) fields { return fields{"Cookie": lines} }

func withCookie(s fsm.Sticky) func(*fsm.PoolSpec) {
	return func(spec *fsm.PoolSpec) { spec.Sticky = &s }
}

func stickyKeys(keys ...string) Options {
	var o Options
	for _, key := range keys {
		o.StickyKeys = append(o.StickyKeys, []byte(key))
	}
	return o
}

// stickyRegistry has a pool p of three backends with a sticky cookie.
func stickyRegistry(t *testing.T, s fsm.Sticky) *registry {
	t.Helper()
	r := newRegistry(t)
	pool := putPool("p")
	spec := pool.Spec.(fsm.PoolSpec)
	withCookie(s)(&spec)
	pool.Spec = spec
	r.do(pool, putBackend("p", "a", "10.0.0.1:1"), putBackend("p", "b", "10.0.0.2:1"), putBackend("p", "c", "10.0.0.3:1"))
	return r
}

// change puts the backend anew.
func (r *registry) change(name, address string, change ...func(*fsm.BackendSpec)) {
	r.t.Helper()
	r.do(putBackend("p", name, address, change...))
}

func plainSticky() fsm.Sticky {
	var s fsm.Sticky
	s.SetDefaults()
	return s
}

func build(r *registry, o Options) *Pool {
	return NewBuilder(newAnswers(), o).Update(r.State).PoolNamed("p")
}

func backendNamed(t *testing.T, p *Pool, name string) *Backend {
	t.Helper()
	at := slices.IndexFunc(p.Backends(), func(b *Backend) bool { return b.Name == name })
	if at < 0 {
		t.Fatalf("no backend %q", name)
	}
	return p.Backends()[at]
}

// cookieFor returns the cookie that a client of the backend sends.
func cookieFor(t *testing.T, p *Pool, name string) string {
	t.Helper()
	line := string(p.AppendCookie(nil, backendNamed(t, p, name)))
	pair, _, ok := strings.Cut(strings.TrimPrefix(line, "Set-Cookie: "), ";")
	if !ok {
		t.Fatalf("the cookie is set as %q", line)
	}
	return pair
}

// wantAlways fails unless a client with the cookie always gets that backend.
func wantAlways(t *testing.T, p *Pool, cookie, name string) {
	t.Helper()
	for range 20 {
		if got := p.Pick(&Choice{Fields: cookies(cookie)}); got == nil || got.Name != name {
			t.Fatalf("a client of %q got %+v", name, got)
		}
	}
}

// wantAny fails unless a client with the cookie is treated as a new one.
func wantAny(t *testing.T, p *Pool, cookie string, names ...string) {
	t.Helper()
	got := map[string]bool{}
	for range 20 * len(names) {
		got[p.Pick(&Choice{Fields: cookies(cookie)}).Name] = true
	}
	for _, name := range names {
		if !got[name] || len(got) != len(names) {
			t.Fatalf("got %v, want all of %v", got, names)
		}
	}
}

func TestAStickyCookieBringsAClientBackOnAnyNodeWithTheKey(t *testing.T) {
	r := stickyRegistry(t, plainSticky())
	cookie := cookieFor(t, build(r, stickyKeys("secret")), "b")
	other := build(r, stickyKeys("secret"))
	wantAlways(t, other, cookie, "b")
	wantAlways(t, other, "theme=dark; "+cookie+"; lang=en", "b")
	if !other.IsNamed(&Choice{Fields: cookies(cookie)}, backendNamed(t, other, "b")) ||
		other.IsNamed(&Choice{Fields: cookies(cookie)}, backendNamed(t, other, "a")) {
		t.Error("it does not say rightly whom the cookie names")
	}
	wantAny(t, build(r, stickyKeys("other")), cookie, "a", "b", "c")
}

func TestAStickyCookieTellsNothingAboutItsBackend(t *testing.T) {
	p := build(stickyRegistry(t, plainSticky()), stickyKeys("secret"))
	seen := map[string]bool{}
	for _, b := range p.Backends() {
		_, token, _ := strings.Cut(cookieFor(t, p, b.Name), "=")
		if len(token) != 16 || seen[token] {
			t.Errorf("the token %q is not a hash of its own", token)
		}
		seen[token] = true
	}
}

// The same backend's name in another pool, or anew after it was deleted, is
// another backend.
func TestAStickyCookieIsOfOnePoolAndOneBackendsLife(t *testing.T) {
	r := stickyRegistry(t, plainSticky())
	cookie := cookieFor(t, build(r, stickyKeys("secret")), "b")
	r.do(remove(fsm.KindBackend, "p", "b"), putBackend("p", "b", "10.0.0.2:1"))
	wantAny(t, build(r, stickyKeys("secret")), cookie, "a", "b", "c")
}

func TestAStickyCookieOfAnOldKeyIsKnownAndReplaced(t *testing.T) {
	r := stickyRegistry(t, plainSticky())
	cookie := cookieFor(t, build(r, stickyKeys("old")), "b")
	p := build(r, stickyKeys("new", "old"))
	wantAlways(t, p, cookie, "b")
	if p.IsNamed(&Choice{Fields: cookies(cookie)}, backendNamed(t, p, "b")) {
		t.Error("the old cookie needs no new one")
	}
	if fresh := cookieFor(t, p, "b"); fresh == cookie {
		t.Error("the new cookie is made with the old key")
	}
	wantAlways(t, build(r, stickyKeys("new")), cookieFor(t, p, "b"), "b")
}

func TestWhichBackendsServeTheirStickyClients(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *registry)
		served bool
	}{
		{"one that is ready does", func(*registry) {}, true},
		{"one of weight 0 does", func(r *registry) { r.change("b", "10.0.0.2:1", weight(0)) }, true},
		{"one that drains does", func(r *registry) { r.change("b", "10.0.0.2:1", admin(fsm.AdminDrain)) }, true},
		{"one of a tier in reserve does", func(r *registry) { r.change("b", "10.0.0.2:1", tier(2)) }, true},
		{"one in maintenance does not", func(r *registry) { r.change("b", "10.0.0.2:1", admin(fsm.AdminMaint)) }, false},
		{"one that is down does not", func(r *registry) { r.vote("p", "b", fsm.HealthDown) }, false},
		{"one that drains and is down does not", func(r *registry) {
			r.change("b", "10.0.0.2:1", admin(fsm.AdminDrain))
			r.vote("p", "b", fsm.HealthDown)
		}, false},
		{"one whose name does not resolve does not", func(r *registry) { r.change("b", "nowhere.example:1") }, false},
		{"one that is gone does not", func(r *registry) { r.do(remove(fsm.KindBackend, "p", "b")) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := stickyRegistry(t, plainSticky())
			cookie := cookieFor(t, build(r, stickyKeys("secret")), "b")
			c.change(r)
			p := build(r, stickyKeys("secret"))
			if c.served {
				wantAlways(t, p, cookie, "b")
			} else {
				wantAny(t, p, cookie, "a", "c")
			}
		})
	}
}

func TestATokenThatIsNotKnownIsIgnored(t *testing.T) {
	p := build(stickyRegistry(t, plainSticky()), stickyKeys("secret"))
	for _, cookie := range []string{
		"evenkeel=", "evenkeel", "evenkeel=b", "evenkeel=" + strings.Repeat("A", 16), "evenkeel=" + strings.Repeat("x", 9000),
		"Evenkeel" + strings.TrimPrefix(cookieFor(t, p, "b"), "evenkeel"), cookieFor(t, p, "b") + "x", ";;=;",
	} {
		wantAny(t, p, cookie, "a", "b", "c")
	}
}

// A drained backend has no place among the choices, and its sticky client was
// sent to it again and again when it did not answer.
func TestARetryLeavesTheStickyBackendWhateverItsState(t *testing.T) {
	for name, change := range map[string]func(*fsm.BackendSpec){"ready": weight(1), "of weight 0": weight(0), "draining": admin(fsm.AdminDrain)} {
		t.Run(name, func(t *testing.T) {
			r := stickyRegistry(t, plainSticky())
			r.change("b", "10.0.0.2:1", change)
			p := build(r, stickyKeys("secret"))
			var tried Tried
			q := &Choice{Fields: cookies(cookieFor(t, p, "b")), Tried: &tried}
			var order []string
			for b := p.Pick(q); b != nil && len(order) < 10; b = p.Pick(q) {
				order = append(order, b.Name)
				tried.Add(b)
			}
			if len(order) != 3 || order[0] != "b" || tried.Len() != 3 {
				t.Fatalf("tried %v, want b and then each of the others once (%d counted)", order, tried.Len())
			}
			tried.Reset()
			if tried.Len() != 0 || tried.Has(backendNamed(t, p, "b")) {
				t.Fatal("it remembers more after a reset")
			}
		})
	}
}

func TestTheStickyCookiesAttributes(t *testing.T) {
	for _, c := range []struct {
		name, want string
		sticky     fsm.Sticky
	}{
		{"by default", "evenkeel=T; Path=/; HttpOnly", plainSticky()},
		{"with none", "id=T; Path=/", fsm.Sticky{Cookie: "id"}},
		{"with all", "__Host-id=T; Path=/; Max-Age=90; HttpOnly; Secure; SameSite=None",
			fsm.Sticky{Cookie: "__Host-id", MaxAge: fsm.Duration(90 * time.Second), Secure: true, HTTPOnly: true, SameSite: "none"}},
		{"lax", "id=T; Path=/; SameSite=Lax", fsm.Sticky{Cookie: "id", SameSite: "lax"}},
		{"strict", "id=T; Path=/; SameSite=Strict", fsm.Sticky{Cookie: "id", SameSite: "strict"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := build(stickyRegistry(t, c.sticky), stickyKeys("secret"))
			_, token, _ := strings.Cut(cookieFor(t, p, "a"), "=")
			line := string(p.AppendCookie([]byte("X: y\r\n"), backendNamed(t, p, "a")))
			if want := "X: y\r\nSet-Cookie: " + strings.Replace(c.want, "T", token, 1) + "\r\n"; line != want {
				t.Fatalf("got  %q\nwant %q", line, want)
			}
			// net/http reads the line as it is meant.
			response := http.Response{Header: http.Header{"Set-Cookie": {strings.TrimSuffix(line[len("X: y\r\nSet-Cookie: "):], "\r\n")}}}
			if set := response.Cookies(); len(set) != 1 || set[0].Valid() != nil || set[0].Value != token {
				t.Fatalf("net/http reads it as %v", set)
			}
		})
	}
}

func TestWithoutAKeyNoPoolIsSticky(t *testing.T) {
	p := build(stickyRegistry(t, plainSticky()), Options{})
	if p.IsSticky() || len(p.AppendCookie(nil, p.Backends()[0])) != 0 || !p.IsNamed(new(Choice), p.Backends()[0]) {
		t.Fatal("it sets cookies that it cannot sign")
	}
}

func TestStickyPicksAllocateNothing(t *testing.T) {
	p := build(stickyRegistry(t, plainSticky()), stickyKeys("secret"))
	q := &Choice{Fields: cookies("a=b; " + cookieFor(t, p, "b"))}
	line, b := make([]byte, 0, 256), p.Backends()[1]
	if n := testing.AllocsPerRun(1000, func() {
		p.Pick(q)
		p.IsNamed(q, b)
		line = p.AppendCookie(line[:0], b)
	}); n != 0 {
		t.Fatalf("a request allocates %v times", n)
	}
}

func BenchmarkStickyPick(b *testing.B) {
	r := newRegistry(b)
	spec := putPool("p").Spec.(fsm.PoolSpec)
	withCookie(plainSticky())(&spec)
	r.do(fsm.Put{Name: "p", Spec: spec}, putBackend("p", "a", "10.0.0.1:1"))
	p := build(r, stickyKeys("secret"))
	line := string(p.AppendCookie(nil, p.Backends()[0]))
	pair, _, _ := strings.Cut(strings.TrimPrefix(line, "Set-Cookie: "), ";")
	q := &Choice{Fields: cookies(pair)}
	b.ReportAllocs()
	for b.Loop() {
		p.Pick(q)
	}
}
