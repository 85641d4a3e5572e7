package fsm

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// wantFaults holds an operation to exactly those faults, each with its pointer
// and the beginning of its message.
func wantFaults(t *testing.T, op Operation, want ...string) {
	t.Helper()
	var got []string
	if err := Validate(op); err != nil {
		for _, fault := range err.Faults {
			got = append(got, fault.Pointer+" "+fault.Message)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("got %d faults, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i, text := range got {
		if !strings.HasPrefix(text, want[i]) {
			t.Errorf("fault %d is %q, want it to begin with %q", i, text, want[i])
		}
	}
}

func TestTheSpecsOfTheGoldenFilesAreValid(t *testing.T) {
	for name, command := range encodings() {
		if err := validate(command.Op, new(faults)); err != nil { // as logs have them
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, spec := range []Spec{
		ListenerSpec{Address: ":80", Protocol: "http", Forwarding: &Forwarding{}, Timeouts: &ListenerTimeouts{}, Limits: &ListenerLimits{}},
		PoolSpec{Strategy: StrategyRandom, Timeouts: &PoolTimeouts{}, Limits: &PoolLimits{}},
		RouteSpec{Pools: []WeightedPool{{"p", 1}}, Timeouts: &RouteTimeouts{}},
	} {
		wantFaults(t, Put{Name: "x", Spec: spec}) // all defaults
	}
}

// bound is a number or time span with its range; zero tells that 0 stands for
// the default.
type bound struct {
	pointer   string
	low, high int64
	zero      bool
	spec      func(v int64) Spec
}

func onListener(change func(*ListenerSpec, int64)) func(int64) Spec {
	return func(v int64) Spec {
		s := ListenerSpec{Address: ":80", Protocol: "http", Timeouts: &ListenerTimeouts{}, Limits: &ListenerLimits{}}
		change(&s, v)
		return s
	}
}

func onPool(change func(*PoolSpec, int64)) func(int64) Spec {
	return func(v int64) Spec {
		s := PoolSpec{
			Strategy: StrategyMaglev, Hash: &HashSpec{On: HashSource}, Timeouts: &PoolTimeouts{},
			Retries: &Retries{8, 20, 10}, Limits: &PoolLimits{BackendRequests: 1},
		}
		change(&s, v)
		return s
	}
}

func onRoute(change func(*RouteSpec, int64)) func(int64) Spec {
	return func(v int64) Spec {
		s := RouteSpec{Pools: []WeightedPool{{"p", 1}}, Timeouts: &RouteTimeouts{}, Retries: &RouteRetries{1}, Mirror: &Mirror{"m", 1},
			ErrorPages: []ErrorPage{{500, "", "text/html"}}}
		change(&s, v)
		return s
	}
}

func bounds() []bound {
	const ms, second, hour = int64(time.Millisecond), int64(time.Second), int64(time.Hour)
	const day = 24 * hour
	return []bound{
		{"/spec/timeouts/client_head", 10 * ms, hour, true, onListener(func(s *ListenerSpec, v int64) { s.Timeouts.ClientHead = Duration(v) })},
		{"/spec/timeouts/client_idle", 10 * ms, day, true, onListener(func(s *ListenerSpec, v int64) { s.Timeouts.ClientIdle = Duration(v) })},
		{"/spec/timeouts/body", 10 * ms, day, true, onListener(func(s *ListenerSpec, v int64) { s.Timeouts.Body = Duration(v) })},
		{"/spec/limits/connections", 0, 1_000_000, true, onListener(func(s *ListenerSpec, v int64) { s.Limits.Connections = int(v) })},
		{"/spec/limits/head_bytes", 1024, 1 << 20, true, onListener(func(s *ListenerSpec, v int64) { s.Limits.HeadBytes = int(v) })},
		{"/spec/limits/line_bytes", 256, 65536, true, onListener(func(s *ListenerSpec, v int64) { s.Limits.LineBytes = int(v) })},
		{"/spec/limits/line_bytes", 256, 2048, true, onListener(func(s *ListenerSpec, v int64) { s.Limits.HeadBytes, s.Limits.LineBytes = 2048, int(v) })},
		{"/spec/limits/fields", 8, 4096, true, onListener(func(s *ListenerSpec, v int64) { s.Limits.Fields = int(v) })},

		{"/spec/hash/balance_factor", 101, 1000, true, onPool(func(s *PoolSpec, v int64) { s.Hash.BalanceFactor = int(v) })},
		{"/spec/sticky/max_age", second, 8760 * hour, true, onPool(func(s *PoolSpec, v int64) { s.Sticky = &Sticky{Cookie: "c", MaxAge: Duration(v)} })},
		{"/spec/timeouts/connect", ms, 10 * 60 * second, true, onPool(func(s *PoolSpec, v int64) { s.Timeouts.Connect = Duration(v) })},
		{"/spec/timeouts/first_byte", ms, day, true, onPool(func(s *PoolSpec, v int64) { s.Timeouts.FirstByte = Duration(v) })},
		{"/spec/timeouts/body", ms, day, true, onPool(func(s *PoolSpec, v int64) { s.Timeouts.Body = Duration(v) })},
		{"/spec/timeouts/request", ms, day, true, onPool(func(s *PoolSpec, v int64) { s.Timeouts.Request = Duration(v) })},
		{"/spec/timeouts/tunnel", ms, day, true, onPool(func(s *PoolSpec, v int64) { s.Timeouts.Tunnel = Duration(v) })},
		{"/spec/timeouts/idle", ms, hour, true, onPool(func(s *PoolSpec, v int64) { s.Timeouts.Idle = Duration(v) })},
		{"/spec/retries/attempts", 1, 32, false, onPool(func(s *PoolSpec, v int64) { s.Retries.Attempts = int(v) })},
		{"/spec/retries/budget_percent", 0, 100, true, onPool(func(s *PoolSpec, v int64) { s.Retries.BudgetPercent = int(v) })},
		{"/spec/retries/budget_min", 0, 10_000, true, onPool(func(s *PoolSpec, v int64) { s.Retries.BudgetMin = int(v) })},
		{"/spec/limits/backend_requests", 0, 1_000_000, true, onPool(func(s *PoolSpec, v int64) { s.Limits.BackendRequests = int(v) })},
		{"/spec/limits/queue", 0, 100_000, true, onPool(func(s *PoolSpec, v int64) { s.Limits.Queue = int(v) })},
		{"/spec/limits/queue_timeout", ms, 10 * 60 * second, true, onPool(func(s *PoolSpec, v int64) { s.Limits.QueueTimeout = Duration(v) })},
		{"/spec/limits/idle_connections", 1, 100_000, true, onPool(func(s *PoolSpec, v int64) { s.Limits.IdleConnections = int(v) })},

		{"/spec/mirror/percent", 1, 100, false, onRoute(func(s *RouteSpec, v int64) { s.Mirror.Percent = int(v) })},
		{"/spec/error_pages/0/status", 400, 599, false, onRoute(func(s *RouteSpec, v int64) { s.ErrorPages[0].Status = int(v) })},
		{"/spec/timeouts/request", ms, day, true, onRoute(func(s *RouteSpec, v int64) { s.Timeouts.Request = Duration(v) })},
		{"/spec/timeouts/first_byte", ms, day, true, onRoute(func(s *RouteSpec, v int64) { s.Timeouts.FirstByte = Duration(v) })},
		{"/spec/retries/attempts", 1, 32, false, onRoute(func(s *RouteSpec, v int64) { s.Retries.Attempts = int(v) })},
		{"/spec/respond/status", 200, 599, false, func(v int64) Spec {
			return RouteSpec{Respond: &Respond{Status: int(v), ContentType: "text/plain"}}
		}},
		{"/spec/redirect/port", 0, 65535, true, func(v int64) Spec {
			return RouteSpec{Redirect: &Redirect{Status: 308, Host: "h", Port: int(v)}}
		}},
	}
}

func TestEveryNumberIsBoundAtBothEnds(t *testing.T) {
	for _, b := range bounds() {
		good := []int64{b.low, b.high}
		bad := []int64{b.low - 1, b.high + 1, -1, -1 << 40, 1 << 62}
		if b.zero {
			good = append(good, 0)
			bad = slices.DeleteFunc(bad, func(v int64) bool { return v == 0 })
		} else {
			bad = append(bad, 0)
		}
		for _, v := range good {
			if err := Validate(Put{Name: "x", Spec: b.spec(v)}); err != nil {
				t.Errorf("%s = %d is refused: %v", b.pointer, v, err)
			}
		}
		for _, v := range bad {
			err := Validate(Put{Name: "x", Spec: b.spec(v)})
			if err == nil || err.Faults[0].Pointer != b.pointer || !strings.Contains(err.Faults[0].Message, "is not from") {
				t.Errorf("%s = %d gives %v", b.pointer, v, err)
			}
		}
	}
}

func TestFaultsOfListenersHTTPSettings(t *testing.T) {
	wantFaults(t, Put{Name: "l", Spec: ListenerSpec{Address: ":80", Protocol: "http",
		Timeouts: &ListenerTimeouts{ClientHead: 1, ClientIdle: 1, Body: 1}, Limits: &ListenerLimits{-1, 1, 1 << 30, 1}}},
		`/spec/timeouts/client_head "1ns" is not from "10ms" to "1h0m0s": leave it out for the default`, "/spec/timeouts/client_idle", "/spec/timeouts/body",
		"/spec/limits/connections", "/spec/limits/head_bytes", "/spec/limits/fields", "/spec/limits/line_bytes 1073741824 is not from 256 to 1048576")
	wantFaults(t, Put{Name: "l", Spec: ListenerSpec{Address: ":80", Protocol: "http", Limits: &ListenerLimits{HeadBytes: 8192, LineBytes: 8193}}},
		"/spec/limits/line_bytes 8193 is not from 256 to 8192")
}

func TestFaultsOfPools(t *testing.T) {
	hash := func(strategy string, h HashSpec) Put {
		return Put{Name: "p", Spec: PoolSpec{Strategy: strategy, Hash: &h}}
	}
	sticky := func(s Sticky) Put { return Put{Name: "p", Spec: PoolSpec{Strategy: StrategyRandom, Sticky: &s}} }
	for name, c := range map[string]struct {
		put  Put
		want []string
	}{
		"a hash where nothing is hashed":           {hash(StrategyRandom, HashSpec{On: HashPath}), []string{`/spec/hash strategy "random" hashes nothing: leave hash out, or use one of maglev, ring_hash, rendezvous`}},
		"a hash of nothing known":                  {hash(StrategyMaglev, HashSpec{On: "moon"}), []string{`/spec/hash/on "moon" cannot be hashed: use one of source, header`}},
		"a source has no name":                     {hash(StrategyMaglev, HashSpec{On: HashSource, Name: "x"}), []string{`/spec/hash/name "x": a hash of the source has no name`}},
		"a path has no name":                       {hash(StrategyRingHash, HashSpec{On: HashPath, Name: "x"}), []string{"/spec/hash/name"}},
		"a header needs a name":                    {hash(StrategyMaglev, HashSpec{On: HashHeader}), []string{"/spec/hash/name is missing"}},
		"a header's name is a token":               {hash(StrategyMaglev, HashSpec{On: HashHeader, Name: "X:"}), []string{`/spec/hash/name "X:" is not the name of a header field`}},
		"a cookie's name is a token":               {hash(StrategyMaglev, HashSpec{On: HashCookie, Name: "a=b"}), []string{"/spec/hash/name"}},
		"a query parameter needs a name":           {hash(StrategyRendezvous, HashSpec{On: HashQuery}), []string{"/spec/hash/name is missing"}},
		"a query parameter's name may be anything": {hash(StrategyRendezvous, HashSpec{On: HashQuery, Name: "a b[]=é"}), nil},
		"a name is bounded":                        {hash(StrategyMaglev, HashSpec{On: HashQuery, Name: strings.Repeat("a", 257)}), []string{"/spec/hash/name has 257 bytes"}},

		"a cookie needs a name":                  {sticky(Sticky{}), []string{"/spec/sticky/cookie is missing"}},
		"a cookie's name holds no separator":     {sticky(Sticky{Cookie: "a;b"}), []string{`/spec/sticky/cookie "a;b" is not the name of a cookie`}},
		"a cookie's name holds no line end":      {sticky(Sticky{Cookie: "a\r\nSet-Cookie"}), []string{`/spec/sticky/cookie "a\r\nSet-Cookie"`}},
		"a prefix that browsers mind":            {sticky(Sticky{Cookie: "__Host-lb"}), []string{`/spec/sticky/cookie "__Host-lb": browsers take a cookie of that name only if it is secure`}},
		"the other prefix":                       {sticky(Sticky{Cookie: "__secure-lb"}), []string{"/spec/sticky/cookie"}},
		"a prefix that is kept":                  {sticky(Sticky{Cookie: "__Host-lb", Secure: true}), nil},
		"same_site none needs secure":            {sticky(Sticky{Cookie: "c", SameSite: "none"}), []string{`/spec/sticky/same_site "none"`}},
		"same_site none with secure":             {sticky(Sticky{Cookie: "c", SameSite: "none", Secure: true}), nil},
		"same_site is one of three":              {sticky(Sticky{Cookie: "c", SameSite: "Lax"}), []string{`/spec/sticky/same_site "Lax" is not one of`}},
		"a cookie's age counts in whole seconds": {sticky(Sticky{Cookie: "c", MaxAge: Duration(1500 * time.Millisecond)}), []string{`/spec/sticky/max_age "1.5s" is not in whole seconds`}},

		"a queue where nothing waits": {Put{Name: "p", Spec: PoolSpec{Strategy: StrategyRandom, Limits: &PoolLimits{Queue: 5}}}, []string{"/spec/limits/queue 5: nothing waits where backends have no bound: set backend_requests too"}},
		"all faults at once": {Put{Name: "p", Spec: PoolSpec{Strategy: "best", Hash: &HashSpec{On: "x"}, Sticky: &Sticky{}, Timeouts: &PoolTimeouts{Connect: 1}, Retries: &Retries{}, Limits: &PoolLimits{Queue: -1}}},
			[]string{"/spec/strategy", "/spec/hash ", "/spec/hash/on", "/spec/sticky/cookie", "/spec/timeouts/connect", "/spec/retries/attempts", "/spec/limits/queue"}},
	} {
		t.Run(name, func(t *testing.T) { wantFaults(t, c.put, c.want...) })
	}
}

func TestFaultsOfRoutesMatches(t *testing.T) {
	match := func(m RouteMatch) Put {
		return Put{Name: "r", Spec: RouteSpec{Match: m, Pools: []WeightedPool{{"p", 1}}}}
	}
	many := func(n int) (matches []ValueMatch) {
		for i := range n {
			matches = append(matches, ValueMatch{Name: fmt.Sprint("n", i)})
		}
		return matches
	}
	for name, c := range map[string]struct {
		put  Put
		want []string
	}{
		"one match of the path":                       {match(RouteMatch{Path: "/a", PathPrefix: "/b", PathRegexp: "/c"}), []string{"/spec/match/path_prefix", `/spec/match/path_regexp "/c": another match of the path is set too`}},
		"a regexp beside a prefix":                    {match(RouteMatch{PathPrefix: "/b", PathRegexp: "/c"}), []string{"/spec/match/path_regexp"}},
		"a regexp that does not compile":              {match(RouteMatch{PathRegexp: "/(a"}), []string{`/spec/match/path_regexp "/(a" is not a regular expression: error parsing regexp: missing closing )`}},
		"a regexp that is long":                       {match(RouteMatch{PathRegexp: strings.Repeat("a", 1025)}), []string{"/spec/match/path_regexp has 1025 bytes, at most 1024"}},
		"a regexp that grows":                         {match(RouteMatch{PathRegexp: "(?:(?:abcdefghij){31}){31}"}), []string{`/spec/match/path_regexp "(?:(?:abcdefghij){31}){31}" stands for some`}},
		"a regexp that grows by an unbounded minimum": {match(RouteMatch{PathRegexp: "(?:" + strings.Repeat("[ab]c", 10) + "){900,}"}), []string{"/spec/match/path_regexp"}},
		"methods":          {match(RouteMatch{Methods: []string{"GET", "get", "A B", "GET", "", strings.Repeat("A", 33)}}), []string{`/spec/match/methods/1 "get" matches no request, since methods are compared with case: write "GET"`, "/spec/match/methods/2", `/spec/match/methods/3 "GET" is listed twice`, "/spec/match/methods/4", "/spec/match/methods/5"}},
		"too many methods": {match(RouteMatch{Methods: make([]string, 17)}), []string{"/spec/match/methods has 17"}},
		"headers": {match(RouteMatch{Headers: []ValueMatch{{}, {Name: "X Y"}, {Name: "X", Value: "a\x00"}, {Name: "X", Value: "a", Regexp: "b"}, {Name: "X", Regexp: "*"}, {Name: "X", Value: "a "}}}),
			[]string{"/spec/match/headers/0/name is missing", "/spec/match/headers/1/name", `/spec/match/headers/2/value "a\x00" holds a control`, `/spec/match/headers/3/regexp "b": value is set too`, "/spec/match/headers/4/regexp", "/spec/match/headers/5/value"}},
		"query": {match(RouteMatch{Query: []ValueMatch{{}, {Name: "a b", Value: " é\n"}, {Name: "q", Value: strings.Repeat("v", 4097)}, {Name: "q", Value: "a", Regexp: "("}}}),
			[]string{"/spec/match/query/0/name is missing", "/spec/match/query/2/value has 4097", "/spec/match/query/3/regexp", "/spec/match/query/3/regexp"}},
		"too many headers and parameters": {match(RouteMatch{Headers: many(17), Query: many(17)}), []string{"/spec/match/headers has 17", "/spec/match/query has 17"}},
		"as many as are taken":            {match(RouteMatch{Headers: many(16), Query: many(16)}), nil},
		"networks": {Put{Name: "r", Spec: RouteSpec{Pools: []WeightedPool{{"p", 1}}, Allow: []string{"10.0.0.0/8", "10.0.0.1"}, Deny: make([]string, 257)}},
			[]string{`/spec/allow/1 "10.0.0.1" is not a network`, "/spec/deny has 257 networks"}},
	} {
		t.Run(name, func(t *testing.T) { wantFaults(t, c.put, c.want...) })
	}
}

func TestExactlyOneActionAndWhatGoesWithIt(t *testing.T) {
	pools := []WeightedPool{{"p", 1}}
	redirect := &Redirect{Status: 308, Scheme: "https"}
	respond := &Respond{Status: 200, ContentType: "text/plain"}
	rest := RouteSpec{
		Rewrite: &Rewrite{Path: "/"}, RequestFields: []FieldEdit{{EditRemove, "X", ""}}, ResponseFields: []FieldEdit{{EditRemove, "X", ""}},
		Mirror: &Mirror{"m", 1}, Timeouts: &RouteTimeouts{}, Retries: &RouteRetries{1}, ErrorPages: []ErrorPage{{403, "", "text/html"}},
	}
	with := func(p []WeightedPool, a *Redirect, b *Respond) Put {
		spec := rest
		spec.Pools, spec.Redirect, spec.Respond = p, a, b
		return Put{Name: "r", Spec: spec}
	}
	wantFaults(t, with(pools, nil, nil))
	wantFaults(t, with(nil, nil, nil), "/spec/pools is empty, and neither redirect nor respond is set: set one of the three")
	wantFaults(t, with(pools, redirect, respond), "/spec/redirect pools is set too: set exactly one", "/spec/respond pools is set too")
	alone := []string{"/spec/rewrite is about requests that go to a backend, and a route with redirect sends none", "/spec/request_fields", "/spec/mirror", "/spec/timeouts", "/spec/retries"}
	wantFaults(t, with([]WeightedPool{}, redirect, nil), alone...)
	alone[0] = "/spec/rewrite is about requests that go to a backend, and a route with respond sends none"
	wantFaults(t, with(nil, nil, respond), alone...)
	wantFaults(t, with(nil, redirect, respond), "/spec/respond redirect is set too", "/spec/rewrite", "/spec/request_fields", "/spec/mirror", "/spec/timeouts", "/spec/retries")
}

func TestFaultsOfRoutesActions(t *testing.T) {
	text := func(s string) *string { return &s }
	toPool := func(change func(*RouteSpec)) Put {
		spec := RouteSpec{Pools: []WeightedPool{{"p", 1}}}
		change(&spec)
		return Put{Name: "r", Spec: spec}
	}
	redirect := func(prefix string, r Redirect) Put {
		return Put{Name: "r", Spec: RouteSpec{Match: RouteMatch{PathPrefix: prefix}, Redirect: &r}}
	}
	respond := func(r Respond) Put { return Put{Name: "r", Spec: RouteSpec{Respond: &r}} }
	rewrite := func(prefix string, r Rewrite) Put {
		return toPool(func(s *RouteSpec) { s.Match.PathPrefix, s.Rewrite = prefix, &r })
	}
	pages := func(p ...ErrorPage) Put { return toPool(func(s *RouteSpec) { s.ErrorPages = p }) }
	for name, c := range map[string]struct {
		put  Put
		want []string
	}{
		"a redirect's parts": {redirect("", Redirect{Status: 300, Scheme: "ftp", Host: "a:80", Port: -1, Path: "x", Prefix: text("/y z")}),
			[]string{"/spec/redirect/status 300 is not one of", "/spec/redirect/scheme", "/spec/redirect/host", "/spec/redirect/port", "/spec/redirect/path", "/spec/redirect/prefix \"/y z\" replaces what match.path_prefix", "/spec/redirect/prefix", "/spec/redirect/prefix \"/y z\": path is set too"}},
		"a redirect to itself":                {redirect("", Redirect{Status: 308, DropQuery: true}), []string{"/spec/redirect leads back to the same address"}},
		"a redirect that strips":              {redirect("/a", Redirect{Status: 302, Prefix: text("")}), nil},
		"a redirect to an IPv6 address":       {redirect("", Redirect{Status: 302, Host: "[fd00::1]"}), nil},
		"a redirect to an IPv4 address":       {redirect("", Redirect{Status: 302, Host: "10.0.0.1"}), nil},
		"a redirect to what is no address":    {redirect("", Redirect{Status: 302, Host: "10.0.0.256"}), []string{"/spec/redirect/host"}},
		"a redirect to a bare IPv6 address":   {redirect("", Redirect{Status: 302, Host: "fd00::1"}), []string{"/spec/redirect/host"}},
		"a redirect that splits the response": {redirect("", Redirect{Status: 302, Host: "a\r\nX: y", Path: "/\r\nX: y"}), []string{"/spec/redirect/host", "/spec/redirect/path"}},
		"a redirect that is not escaped":      {redirect("", Redirect{Status: 302, Path: "/é"}), []string{`/spec/redirect/path "/é" is not escaped`}},

		"a response's parts":             {respond(Respond{Status: 100, Body: strings.Repeat("x", 65537), ContentType: "text"}), []string{"/spec/respond/status", "/spec/respond/body has 65537 bytes", `/spec/respond/content_type "text" is not a media type`}},
		"a body that may not be":         {respond(Respond{Status: 204, Body: "x", ContentType: "text/plain"}), []string{"/spec/respond/body a response of status 204 has no body"}},
		"a type that splits the head":    {respond(Respond{Status: 200, ContentType: "text/plain\r\nX: y"}), []string{"/spec/respond/content_type"}},
		"a type that is missing":         {respond(Respond{Status: 200}), []string{"/spec/respond/content_type"}},
		"the largest body":               {respond(Respond{Status: 200, Body: strings.Repeat("x", 65536), ContentType: "application/problem+json"}), nil},
		"a rewrite of nothing":           {rewrite("", Rewrite{}), []string{"/spec/rewrite changes nothing"}},
		"a rewrite's parts":              {rewrite("", Rewrite{Path: "/a b", Prefix: text("x"), Regexp: "(", Replacement: "/ x", Host: "a b"}), []string{"/spec/rewrite/path", "/spec/rewrite/prefix \"x\" replaces what match.path_prefix", "/spec/rewrite/prefix", "/spec/rewrite/regexp", "/spec/rewrite/regexp path and prefix is set too", "/spec/rewrite/replacement", "/spec/rewrite/host"}},
		"a replacement of nothing":       {rewrite("", Rewrite{Path: "/", Replacement: "/x"}), []string{`/spec/rewrite/replacement "/x" replaces what regexp matches`}},
		"a group that is not there":      {rewrite("", Rewrite{Regexp: "/(a)(?P<n>b)", Replacement: "/$2x/${3}/$n/${1}/$$9/$0"}), []string{`/spec/rewrite/replacement "/$2x/${3}/$n/${1}/$$9/$0": $2x names no group of "/(a)(?P<n>b)"; write ${1}x`, "/spec/rewrite/replacement"}},
		"a lone dollar sign":             {rewrite("", Rewrite{Regexp: "/a", Replacement: "/$"}), []string{"/spec/rewrite/replacement"}},
		"a host with a port":             {rewrite("", Rewrite{Host: "a.internal:8080"}), nil},
		"an IPv6 host with a port":       {rewrite("", Rewrite{Host: "[::1]:8080"}), nil},
		"a host with a port too high":    {rewrite("", Rewrite{Host: "a:65536"}), []string{"/spec/rewrite/host"}},
		"a host that splits the request": {rewrite("", Rewrite{Host: "a\r\nX: y"}), []string{"/spec/rewrite/host"}},
		"a prefix that is stripped":      {rewrite("/a", Rewrite{Prefix: text("")}), nil},

		"a mirror's parts": {toPool(func(s *RouteSpec) { s.Mirror = &Mirror{"P", 101} }), []string{"/spec/mirror/pool", "/spec/mirror/percent"}},
		"pages": {pages(ErrorPage{399, "", "text/html"}, ErrorPage{404, strings.Repeat("x", 65537), "a/b/c"}, ErrorPage{404, "", "text/html"}),
			[]string{"/spec/error_pages/0/status", "/spec/error_pages/1/body", "/spec/error_pages/1/content_type", "/spec/error_pages/2/status 404 is listed twice"}},
		"too many pages": {pages(make([]ErrorPage, 17)...), []string{"/spec/error_pages has 17 pages"}},
	} {
		t.Run(name, func(t *testing.T) { wantFaults(t, c.put, c.want...) })
	}
}

func TestFaultsOfEdits(t *testing.T) {
	edit := func(e FieldEdit) []FieldEdit { return []FieldEdit{e} }
	for name, c := range map[string]struct {
		edits []FieldEdit
		want  []string
	}{
		"an unknown operation":          {edit(FieldEdit{"replace", "X", ""}), []string{`/op "replace" is not one of set, add, remove`}},
		"a name that is missing":        {edit(FieldEdit{EditSet, "", "x"}), []string{"/name is missing"}},
		"a name that is no token":       {edit(FieldEdit{EditSet, "X-A:", "x"}), []string{`/name "X-A:" is not the name of a header field`}},
		"a name that splits the head":   {edit(FieldEdit{EditSet, "X\r\nY", "x"}), []string{`/name "X\r\nY"`}},
		"a value with a line feed":      {edit(FieldEdit{EditSet, "X", "a\nb"}), []string{`/value "a\nb" holds a control character`}},
		"a value with a return":         {edit(FieldEdit{EditAdd, "X", "a\rb"}), []string{"/value"}},
		"a value with a NUL":            {edit(FieldEdit{EditAdd, "X", "a\x00b"}), []string{"/value"}},
		"a value with a DEL":            {edit(FieldEdit{EditAdd, "X", "a\x7fb"}), []string{"/value"}},
		"a value within white space":    {edit(FieldEdit{EditAdd, "X", " a"}), []string{`/value " a" begins or ends with white space`}},
		"a value that is long":          {edit(FieldEdit{EditAdd, "X", strings.Repeat("a", 4097)}), []string{"/value has 4097 bytes"}},
		"a value of what is removed":    {edit(FieldEdit{EditRemove, "X", "a"}), []string{`/value "a": all fields of that name are removed`}},
		"an empty value":                {edit(FieldEdit{EditSet, "X", ""}), nil},
		"tabs, quotes and other bytes":  {edit(FieldEdit{EditSet, "X", "a\tb \"é\""}), nil},
		"the host is rewritten instead": {edit(FieldEdit{EditSet, "hOST", "x"}), []string{`/name "hOST" cannot be edited as a field: use rewrite.host`}},
	} {
		t.Run(name, func(t *testing.T) {
			for i, pointer := range []string{"/spec/request_fields", "/spec/response_fields"} {
				spec := RouteSpec{Pools: []WeightedPool{{"p", 1}}}
				*[]*[]FieldEdit{&spec.RequestFields, &spec.ResponseFields}[i] = c.edits
				var want []string
				for _, text := range c.want {
					want = append(want, pointer+"/0"+text)
				}
				wantFaults(t, Put{Name: "r", Spec: spec}, want...)
			}
		})
	}
	for _, name := range []string{"Connection", "content-length", "KEEP-ALIVE", "Proxy-Connection", "te", "Trailer", "Transfer-Encoding", "upgrade"} {
		wantFaults(t, Put{Name: "r", Spec: RouteSpec{Pools: []WeightedPool{{"p", 1}}, ResponseFields: []FieldEdit{{EditRemove, name, ""}}}},
			fmt.Sprintf("/spec/response_fields/0/name %q cannot be edited: it frames", name))
	}
	wantFaults(t, Put{Name: "r", Spec: RouteSpec{Pools: []WeightedPool{{"p", 1}}, RequestFields: make([]FieldEdit, 65)}}, "/spec/request_fields has 65 edits")
}

// TestTheSyntaxOfRegexpsIsPinned fails when a toolchain reads more or less than
// the one with which level 2 was released: then replicas of different builds
// would disagree, and the difference needs a feature level of its own.
func TestTheSyntaxOfRegexpsIsPinned(t *testing.T) {
	for text, valid := range map[string]bool{
		`/a+?(b|c)*[^d-f]{2,3}$`: true, `(?P<n>a)`: true, `(?<n>a)`: true, `(?i)a(?-i:b)`: true, `(?s:.)\A\z`: true,
		`\d\w\s\b\pL\p{Greek}\p{^Lu}`: true, `[[:alpha:]]`: true, `\Q.*\E`: true, `a{,2}`: true, `a{1000}`: true, `\x{10FFFF}`: true,
		`(?=a)`: false, `(?!a)`: false, `(?<=a)`: false, `(?>a)`: false, `\1`: false, `a{1001}`: false, `(a{32}){32}`: false,
		`a**`: false, `*`: false, `(?P<n>a)(?P<n>b)`: true, `(?P<1-n>a)`: false, `\p{NoSuch}`: false, `[z-a]`: false, `(`: false, `\C`: false, `\Z`: false,
	} {
		var f faults
		if got := checkRegexp(&f, "/p", text) != nil; got != valid || (len(f.list) == 0) != valid {
			t.Errorf("%q is valid: %t, faults %v", text, got, f.list)
		}
	}
}

func TestMirrorsAreReferences(t *testing.T) {
	r := newRegistry(t)
	mirrored := route("r", "default")
	spec := mirrored.Spec.(RouteSpec)
	spec.Mirror = &Mirror{"copies", 100}
	mirrored.Spec = spec
	if err := r.refused(CodeInvalid, mirrored); err.Faults[0].Pointer != "/spec/mirror/pool" || !strings.Contains(err.Error(), `pool "copies" does not exist: create it first`) {
		t.Errorf("faults %+v", err.Faults)
	}
	r.must(pool("copies"))
	r.must(mirrored)
	if err := r.refused(CodeInUse, Delete{Ref: Ref{Kind: KindPool, Name: "copies"}}); err.Other.Name != "r" {
		t.Errorf("in the way is %v", err.Other)
	}
	restored := &registry{State: throughSnapshot(t, r.State), t: t, seq: r.seq}
	restored.refused(CodeInUse, Delete{Ref: Ref{Kind: KindPool, Name: "copies"}})
	r.must(route("r", "default"))
	r.must(Delete{Ref: Ref{Kind: KindPool, Name: "copies"}})
}

func TestTheNumberOfFaultsIsBounded(t *testing.T) {
	err := Validate(Put{Name: "r", Spec: RouteSpec{Pools: []WeightedPool{{"p", 1}}, Allow: make([]string, 256), Deny: make([]string, 256)}})
	if len(err.Faults) != maxFaults+1 || err.Faults[maxFaults].Message != "there are more faults than the 100 listed" {
		t.Errorf("%d faults, the last is %+v", len(err.Faults), err.Faults[len(err.Faults)-1])
	}
}

func TestMessagesAboutHTTPStayShort(t *testing.T) {
	long := strings.Repeat("a(", 1<<19)
	values := []ValueMatch{{Name: long, Value: long, Regexp: long}}
	edits := []FieldEdit{{long, long, long}}
	for _, spec := range []Spec{
		PoolSpec{Strategy: long, Hash: &HashSpec{On: long, Name: long}, Sticky: &Sticky{Cookie: long, SameSite: long}},
		PoolSpec{Strategy: StrategyMaglev, Hash: &HashSpec{On: HashSource, Name: long}},
		RouteSpec{Match: RouteMatch{Path: long, PathRegexp: long, Methods: []string{long}, Headers: values, Query: values}, Allow: []string{long}, Deny: []string{long},
			Redirect: &Redirect{Scheme: long, Host: long, Path: long, Prefix: &long}, Respond: &Respond{Body: long, ContentType: long}, Mirror: &Mirror{Pool: long},
			Rewrite: &Rewrite{Path: long, Prefix: &long, Regexp: long, Replacement: long, Host: long}, RequestFields: edits, ResponseFields: edits,
			ErrorPages: []ErrorPage{{Body: long, ContentType: long}}},
		RouteSpec{Match: RouteMatch{PathRegexp: strings.Repeat("(", 1024)}},
		RouteSpec{Rewrite: &Rewrite{Regexp: strings.Repeat("a", 1024), Replacement: "$" + strings.Repeat("b", 1023)}},
	} {
		err := Validate(Put{Name: "x", Spec: spec})
		if err == nil {
			t.Errorf("%T with nonsense passed", spec)
			continue
		}
		for _, fault := range err.Faults {
			if text := fault.Pointer + fault.Message; len(text) > 1000 {
				t.Errorf("a fault of %T has %d bytes: %s", spec, len(text), text[:200])
			}
		}
	}
}
