package fsm

import (
	"strings"
	"testing"
	"time"
)

func TestValidateNamesEveryFault(t *testing.T) {
	cases := []struct {
		name string
		put  Put
		want []string // a pointer and a part of the message each
	}{
		{"a backend without an address", Put{Pool: "p", Name: "b", Spec: BackendSpec{Weight: 1, AdminState: "ready"}}, []string{"/spec/address is missing"}},
		{"an address without a port", Put{Pool: "p", Name: "b", Spec: BackendSpec{"10.0.0.5", 1, 0, "", "ready"}}, []string{`/spec/address "10.0.0.5" is not an address with a port`}},
		{"port 0", Put{Pool: "p", Name: "b", Spec: BackendSpec{"10.0.0.5:0", 1, 0, "", "ready"}}, []string{"/spec/address"}},
		{"a port with leading zeros", Put{Pool: "p", Name: "b", Spec: BackendSpec{"10.0.0.5:080", 1, 0, "", "ready"}}, []string{"/spec/address"}},
		{"a zone that names no interface", Put{Pool: "p", Name: "b", Spec: BackendSpec{"[fe80::1%a\r\nX: y]:80", 1, 0, "", "ready"}}, []string{`/spec/address "[fe80::1%a\r\nX: y]:80"`}},
		{"a zone that is endless", Put{Pool: "p", Name: "b", Spec: BackendSpec{"[fe80::1%" + strings.Repeat("e", 33) + "]:80", 1, 0, "", "ready"}}, []string{"/spec/address"}},
		{"a listener's zone that names no interface", Put{Name: "l", Spec: ListenerSpec{Address: "[fe80::1%a b]:80", Protocol: "http"}}, []string{"/spec/address"}},
		{"port 65536", Put{Pool: "p", Name: "b", Spec: BackendSpec{"10.0.0.5:65536", 1, 0, "", "ready"}}, []string{"/spec/address"}},
		{"an address with a mistyped IP", Put{Pool: "p", Name: "b", Spec: BackendSpec{"10.0.0.256:80", 1, 0, "", "ready"}}, []string{`/spec/address "10.0.0.256:80": "10.0.0.256" is neither`}},
		{"a v6 address without brackets", Put{Pool: "p", Name: "b", Spec: BackendSpec{"::1:80", 1, 0, "", "ready"}}, []string{"/spec/address"}},
		{"all faults of a backend at once", Put{Pool: "P", Name: "-b", Spec: BackendSpec{":80", 1001, 16, "Z!", "off"}},
			[]string{"/pool", "/name", "/spec/address", "/spec/weight 1001 is not from 0 to 1000", "/spec/tier", "/spec/zone", `/spec/admin_state "off"`}},
		{"all faults of a listener at once", Put{Name: "l", Spec: ListenerSpec{Address: "example.com:80", Protocol: "quic", TrustedProxies: []string{"10.0.0.0/8", "10.0.0.1"}}},
			[]string{"/spec/address", `/spec/protocol "quic"`, "/spec/trusted_proxies/1"}},
		{"all faults of a route at once", Put{Name: "r", Spec: RouteSpec{Listeners: []string{"a", "a"}, Priority: 2e6, Match: RouteMatch{Host: "a b", Path: "x", PathPrefix: "/y?"}, Pools: []WeightedPool{{"p", -1}, {"p", 1}}}},
			[]string{"/spec/listeners/1", "/spec/match/host", "/spec/match/path_prefix", "/spec/match/path ", "/spec/match/path_prefix", "/spec/priority", "/spec/pools/0/weight", "/spec/pools/1/name"}},
		{"a path that is escaped", Put{Name: "r", Spec: RouteSpec{Match: RouteMatch{PathPrefix: "/a%20b"}, Pools: []WeightedPool{{"p", 1}}}},
			[]string{`/spec/match/path_prefix "/a%20b" is escaped: requests are compared decoded, so write "/a b"`}},
		{"a route without pools", Put{Name: "r", Spec: RouteSpec{}}, []string{"/spec/pools is empty"}},
		{"all faults of a pool at once", Put{Name: "p", Spec: PoolSpec{Strategy: "best", Check: &Check{"http", "x", Duration(time.Millisecond), Duration(time.Second), 0, 101, "999"}}},
			[]string{`/spec/strategy "best"`, "/spec/check/path", "/spec/check/expect", "/spec/check/interval", "/spec/check/timeout", "/spec/check/rise", "/spec/check/fall"}},
		{"a TCP check with HTTP's fields", Put{Name: "p", Spec: PoolSpec{Strategy: "random", Check: &Check{"tcp", "/x", Duration(time.Second), Duration(time.Second), 1, 1, "200"}}},
			[]string{"/spec/check/path", "/spec/check/expect"}},
		{"an unknown check type", Put{Name: "p", Spec: PoolSpec{Strategy: "random", Check: &Check{"icmp", "", Duration(time.Second), Duration(time.Second), 1, 1, ""}}}, []string{`/spec/check/type "icmp"`}},
		{"labels out of bounds", Put{Name: "p", Labels: map[string]string{"": "x", "a/b": strings.Repeat("v", 257)}, Spec: PoolSpec{Strategy: "random"}}, []string{"/labels the key", "/labels/a~1b"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := Validate(c.put)
			if err == nil {
				t.Fatal("it passed")
			}
			if len(err.Faults) != len(c.want) {
				t.Fatalf("got %d faults, want %d: %v", len(err.Faults), len(c.want), err)
			}
			for i, fault := range err.Faults {
				if text := fault.Pointer + " " + fault.Message; !strings.HasPrefix(text, c.want[i]) {
					t.Errorf("fault %d is %q, want it to begin with %q", i, text, c.want[i])
				}
			}
		})
	}
}

func TestMessagesStayShort(t *testing.T) {
	long := strings.Repeat("a", 1<<20)
	for _, put := range []Put{
		{Pool: "p", Name: "b", Spec: BackendSpec{long, 1, 0, long, AdminState(long)}},
		{Pool: "p", Name: "b", Spec: BackendSpec{long + ":80", 1, 0, "", "ready"}},
		{Pool: "p", Name: "b", Spec: BackendSpec{"[fe80::1%" + long + "]:80", 1, 0, "", "ready"}},
		{Pool: "p", Name: "b", Spec: BackendSpec{"b:" + strings.Repeat("0", 1<<20) + "80", 1, 0, "", "ready"}},
		{Name: long, Spec: ListenerSpec{Address: long, Protocol: long, TrustedProxies: []string{long}}},
		{Name: "l", Spec: ListenerSpec{Address: long + ":80", Protocol: "http"}},
		{Name: "r", Spec: RouteSpec{Listeners: []string{long}, Match: RouteMatch{Host: long, Path: long, PathPrefix: long}, Pools: []WeightedPool{{long, 1}}}},
		{Name: "p", Spec: PoolSpec{Strategy: long, Check: &Check{long, long, 0, 0, 0, 0, long}}},
		{Name: "p", Labels: map[string]string{long: "", "a": long}, Spec: PoolSpec{Strategy: "random"}},
	} {
		err := Validate(put)
		if err == nil {
			t.Errorf("%T with %d bytes of nonsense passed", put.Spec, len(long))
			continue
		}
		for _, fault := range err.Faults {
			if text := fault.Pointer + fault.Message; len(text) > 1000 {
				t.Errorf("a fault of %T has %d bytes: %s", put.Spec, len(text), text[:200])
			}
		}
	}
}

func TestValidatePassesWhatIsGood(t *testing.T) {
	for _, address := range []string{"10.0.0.5:9000", "[2001:db8::1]:80", "web.internal:8080", "web_1:80", "localhost:1", "[fe80::1%eth0]:80"} {
		if err := Validate(backend("b", address)); err != nil {
			t.Errorf("address %q: %v", address, err)
		}
	}
	for _, address := range []string{":8080", "127.0.0.1:80", "[::]:443", "0.0.0.0:80"} {
		if err := Validate(Put{Name: "l", Spec: ListenerSpec{Address: address, Protocol: "http"}}); err != nil {
			t.Errorf("listener %q: %v", address, err)
		}
	}
	for _, host := range []string{"", "example.com", "*.example.com", "localhost"} {
		put := route("r", "p")
		spec := put.Spec.(RouteSpec)
		spec.Match = RouteMatch{Host: host, PathPrefix: "/api x%"}
		put.Spec = spec
		if err := Validate(put); err != nil {
			t.Errorf("host %q: %v", host, err)
		}
	}
}

func TestParseExpect(t *testing.T) {
	set, err := ParseExpect("200-299, 304")
	if err != nil || !set.Has(200) || !set.Has(299) || !set.Has(304) || set.Has(300) {
		t.Errorf("got %v, %v", set, err)
	}
	if set, _ := ParseExpect(""); !set.Has(399) || set.Has(400) {
		t.Errorf("the default is %v", set)
	}
	for _, bad := range []string{"x", "99", "600", "300-200", "200-", "-200", "200,,201", "+200", strings.Repeat("200,", 40) + "200"} {
		if set, err := ParseExpect(bad); err == nil {
			t.Errorf("%q gave %v", bad, set)
		}
	}
}

func TestDurationIsAString(t *testing.T) {
	var d Duration
	if err := d.UnmarshalJSON([]byte(`"1m30s"`)); err != nil || d.String() != "1m30s" {
		t.Errorf("got %v, %v", d, err)
	}
	for _, bad := range []string{`2`, `"2"`, `null`, `""`, `"2 s"`} {
		if err := d.UnmarshalJSON([]byte(bad)); err == nil {
			t.Errorf("%s gave %v", bad, d)
		}
	}
}
