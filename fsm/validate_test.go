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
		{"an address without a port", Put{Pool: "p", Name: "b", Spec: BackendSpec{Address: "10.0.0.5", Weight: 1, AdminState: "ready"}}, []string{`/spec/address "10.0.0.5" is not an address with a port`}},
		{"port 0", Put{Pool: "p", Name: "b", Spec: BackendSpec{Address: "10.0.0.5:0", Weight: 1, AdminState: "ready"}}, []string{"/spec/address"}},
		{"a port with leading zeros", Put{Pool: "p", Name: "b", Spec: BackendSpec{Address: "10.0.0.5:080", Weight: 1, AdminState: "ready"}}, []string{"/spec/address"}},
		{"a zone that names no interface", Put{Pool: "p", Name: "b", Spec: BackendSpec{Address: "[fe80::1%a\r\nX: y]:80", Weight: 1, AdminState: "ready"}}, []string{`/spec/address "[fe80::1%a\r\nX: y]:80"`}},
		{"a zone that is endless", Put{Pool: "p", Name: "b", Spec: BackendSpec{Address: "[fe80::1%" + strings.Repeat("e", 33) + "]:80", Weight: 1, AdminState: "ready"}}, []string{"/spec/address"}},
		{"a listener's zone that names no interface", Put{Name: "l", Spec: ListenerSpec{Address: "[fe80::1%a b]:80", Protocol: "http"}}, []string{"/spec/address"}},
		{"port 65536", Put{Pool: "p", Name: "b", Spec: BackendSpec{Address: "10.0.0.5:65536", Weight: 1, AdminState: "ready"}}, []string{"/spec/address"}},
		{"an address with a mistyped IP", Put{Pool: "p", Name: "b", Spec: BackendSpec{Address: "10.0.0.256:80", Weight: 1, AdminState: "ready"}}, []string{`/spec/address "10.0.0.256:80": "10.0.0.256" is neither`}},
		{"a v6 address without brackets", Put{Pool: "p", Name: "b", Spec: BackendSpec{Address: "::1:80", Weight: 1, AdminState: "ready"}}, []string{"/spec/address"}},
		{"all faults of a backend at once", Put{Pool: "P", Name: "-b", Spec: BackendSpec{Address: ":80", Weight: 1001, Tier: 16, Zone: "Z!", AdminState: "off"}},
			[]string{"/pool", "/name", "/spec/address", "/spec/weight 1001 is not from 0 to 1000", "/spec/tier", "/spec/zone", `/spec/admin_state "off"`}},
		{"all faults of a listener at once", Put{Name: "l", Spec: ListenerSpec{Address: "example.com:80", Protocol: "quic", TrustedProxies: []string{"10.0.0.0/8", "10.0.0.1"}}},
			[]string{"/spec/address", `/spec/protocol "quic"`, "/spec/trusted_proxies/1"}},
		{"all faults of a route at once", Put{Name: "r", Spec: RouteSpec{Listeners: []string{"a", "a"}, Priority: 2e6, Match: RouteMatch{Host: "a b", Path: "x", PathPrefix: "/y?"}, Pools: []WeightedPool{{"p", -1}, {"p", 1}}}},
			[]string{"/spec/listeners/1", "/spec/match/host", "/spec/match/path_prefix", "/spec/match/path ", "/spec/match/path_prefix", "/spec/priority", "/spec/pools/0/weight", "/spec/pools/1/name"}},
		{"a path that is escaped", Put{Name: "r", Spec: RouteSpec{Match: RouteMatch{PathPrefix: "/a%20b"}, Pools: []WeightedPool{{"p", 1}}}},
			[]string{`/spec/match/path_prefix "/a%20b" is escaped: requests are compared decoded, so write "/a b"`}},
		{"a route without pools", Put{Name: "r", Spec: RouteSpec{}}, []string{"/spec/pools is empty"}},
		{"all faults of a pool at once", Put{Name: "p", Spec: PoolSpec{Strategy: "best", Check: &Check{Type: "http", Path: "x", Interval: Duration(time.Millisecond), Timeout: Duration(time.Second), Rise: 0, Fall: 101, Expect: "999"}}},
			[]string{`/spec/strategy "best"`, "/spec/check/path", "/spec/check/expect", "/spec/check/interval", "/spec/check/timeout", "/spec/check/rise", "/spec/check/fall"}},
		{"a TCP check with HTTP's fields", Put{Name: "p", Spec: PoolSpec{Strategy: "random", Check: &Check{Type: "tcp", Path: "/x", Interval: Duration(time.Second), Timeout: Duration(time.Second), Rise: 1, Fall: 1, Expect: "200"}}},
			[]string{"/spec/check/path", "/spec/check/expect"}},
		{"an unknown check type", Put{Name: "p", Spec: PoolSpec{Strategy: "random", Check: &Check{Type: "icmp", Interval: Duration(time.Second), Timeout: Duration(time.Second), Rise: 1, Fall: 1}}}, []string{`/spec/check/type "icmp"`}},
		{"all faults of a check of an unknown type at once", Put{Name: "p", Spec: PoolSpec{Strategy: "random", Check: &Check{Type: "icmp", Interval: Duration(time.Second), Timeout: Duration(2 * time.Second), Fall: 1,
			Path: "x", Method: "TRACE", ExpectRegexp: "(", Receive: strings.Repeat("x", 1025), Fields: []CheckField{{"host", "x"}}, TLS: &CheckTLS{ServerName: "a:1"}, Port: -1}}},
			[]string{`/spec/check/type "icmp" is not a type of check: use tcp, http or grpc`, "/spec/check/path", "/spec/check/method", "/spec/check/fields/0/name", "/spec/check/expect_regexp", "/spec/check/receive",
				"/spec/check/tls/server_name", "/spec/check/timeout", "/spec/check/rise", "/spec/check/port"}},
		{"a TCP check with all that is HTTP's", Put{Name: "p", Spec: PoolSpec{Strategy: "random", Check: &Check{Type: "tcp", Interval: Duration(time.Second), Timeout: Duration(time.Second), Rise: 1, Fall: 1,
			Method: "GET", Host: "a", Fields: []CheckField{{"A", "b"}}, ExpectText: "x", ExpectRegexp: "x", WeightField: "X", ReuseConnection: true}}},
			[]string{"/spec/check/method", "/spec/check/host", "/spec/check/fields", "/spec/check/expect_text", "/spec/check/expect_regexp", "/spec/check/weight_field", "/spec/check/reuse_connection"}},
		{"an HTTP check with what is TCP's", Put{Name: "p", Spec: PoolSpec{Strategy: "random", Check: &Check{Type: "http", Interval: Duration(time.Second), Timeout: Duration(time.Second), Rise: 1, Fall: 1, Send: "a", Receive: "b"}}},
			[]string{`/spec/check/send "a": a check of type http sends a request of HTTP alone; leave it out or use type tcp`, "/spec/check/receive"}},
		{"all faults of an HTTP check at once", Put{Name: "p", Spec: PoolSpec{Strategy: "random", Check: &Check{Type: "http", Interval: Duration(time.Second), Timeout: Duration(900 * time.Millisecond), Rise: 1, Fall: 1,
			FastInterval: Duration(500 * time.Millisecond), Port: 70000, Observers: 16, Method: "TRACE", Host: "a b", ExpectText: strings.Repeat("x", 1025), ExpectRegexp: "(", WeightField: "a b",
			Fields: []CheckField{{"host", "x"}, {"Content-Length", "1"}, {"transfer-encoding", "chunked"}, {"Connection", "close"}, {"A B", "x"}, {"A", "x\r\ny"}, {"expect", "100-continue"}},
			TLS:    &CheckTLS{ServerName: "a:1", CA: "nonsense", Insecure: true}}}},
			[]string{"/spec/check/method", "/spec/check/host", "/spec/check/fields/0/name", "/spec/check/fields/1/name", "/spec/check/fields/2/name", "/spec/check/fields/3/name",
				"/spec/check/fields/4/name", "/spec/check/fields/5/value", `/spec/check/fields/6/name "expect" cannot be given`, "/spec/check/expect_text", "/spec/check/expect_regexp", "/spec/check/weight_field",
				"/spec/check/tls/server_name", "/spec/check/tls/ca insecure", "/spec/check/tls/ca item 1 is no PEM", "/spec/check/fast_interval \"500ms\" is shorter than the timeout", "/spec/check/port", "/spec/check/observers"}},
		{"a connection that cannot be used again", Put{Name: "p", Spec: PoolSpec{Strategy: "random", Check: &Check{Type: "http", Interval: Duration(31 * time.Second), Timeout: Duration(time.Second), Rise: 1, Fall: 1, Method: "POST", ReuseConnection: true, TLS: &CheckTLS{}}}},
			[]string{"/spec/check/reuse_connection true: a check with tls", "/spec/check/reuse_connection true: a request with POST", `/spec/check/reuse_connection true: with an interval of "31s"`}},
		{"a body of HEAD", Put{Name: "p", Spec: PoolSpec{Strategy: "random", Check: &Check{Type: "http", Interval: Duration(time.Second), Timeout: Duration(time.Second), Rise: 1, Fall: 1, Method: "HEAD", ExpectText: "a", ExpectRegexp: "b"}}},
			[]string{"/spec/check/expect_text", "/spec/check/expect_regexp"}},
		{"a fast interval that is slower", Put{Name: "p", Spec: PoolSpec{Strategy: "random", Check: &Check{Type: "tcp", Interval: Duration(time.Second), Timeout: Duration(time.Second), Rise: 1, Fall: 1, FastInterval: Duration(2 * time.Second)}}},
			[]string{`/spec/check/fast_interval "2s" is not from "100ms" to the interval, "1s"`}},
		{"too many fields of a check", Put{Name: "p", Spec: PoolSpec{Strategy: "random", Check: &Check{Type: "http", Interval: Duration(time.Second), Timeout: Duration(time.Second), Rise: 1, Fall: 1, Fields: make([]CheckField, 33)}}},
			[]string{"/spec/check/fields has 33 fields"}},
		{"all faults of ejection and damping at once", Put{Name: "p", Spec: PoolSpec{Strategy: "random", SlowStart: Duration(time.Millisecond), PanicPercent: 101,
			Ejection: &Ejection{Failures: 0, Errors: -1, Hold: Duration(time.Second), MaxHold: Duration(time.Millisecond), MaxPercent: 101, SuccessRate: &SuccessRate{}},
			Damping:  &Damping{Flaps: 0, Hold: Duration(2 * time.Hour), MaxHold: Duration(25 * time.Hour)}}},
			[]string{"/spec/ejection/failures", "/spec/ejection/errors", "/spec/ejection/success_rate/interval", "/spec/ejection/success_rate/requests", "/spec/ejection/success_rate/backends",
				"/spec/ejection/success_rate/factor", `/spec/ejection/max_hold "1ms" is not from hold, "1s"`, "/spec/ejection/max_percent",
				"/spec/damping/flaps", "/spec/damping/hold", "/spec/damping/max_hold", "/spec/damping/decay", "/spec/slow_start", "/spec/panic_percent 101 is not from 1 to 100"}},
		{"a drain timeout out of bounds", Put{Pool: "p", Name: "b", Spec: BackendSpec{Address: "10.0.0.5:80", AdminState: "ready", DrainTimeout: Duration(time.Millisecond)}}, []string{"/spec/drain_timeout"}},
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
		{Pool: "p", Name: "b", Spec: BackendSpec{Address: long, Weight: 1, Zone: long, AdminState: AdminState(long)}},
		{Pool: "p", Name: "b", Spec: BackendSpec{Address: long + ":80", Weight: 1, AdminState: "ready"}},
		{Pool: "p", Name: "b", Spec: BackendSpec{Address: "[fe80::1%" + long + "]:80", Weight: 1, AdminState: "ready"}},
		{Pool: "p", Name: "b", Spec: BackendSpec{Address: "b:" + strings.Repeat("0", 1<<20) + "80", Weight: 1, AdminState: "ready"}},
		{Name: long, Spec: ListenerSpec{Address: long, Protocol: long, TrustedProxies: []string{long}}},
		{Name: "l", Spec: ListenerSpec{Address: long + ":80", Protocol: "http"}},
		{Name: "r", Spec: RouteSpec{Listeners: []string{long}, Match: RouteMatch{Host: long, Path: long, PathPrefix: long}, Pools: []WeightedPool{{long, 1}}}},
		{Name: "p", Spec: PoolSpec{Strategy: long, Check: &Check{Type: long, Path: long, Interval: 0, Timeout: 0, Rise: 0, Fall: 0, Expect: long}}},
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

func TestLabelsWithControlCharactersAreRefusedWhereTheyAreWritten(t *testing.T) {
	put := Put{Name: "p", Labels: map[string]string{"a\x1b": "", "b": "x\x00y", "é ü": "日本"}, Spec: PoolSpec{Strategy: StrategyRandom}}
	wantFaults(t, put, "/labels/a\x1b", "/labels/b")
	if err := Validate(RestorePart{ID: "r", Objects: []Put{put}, Last: true}); err != nil {
		t.Errorf("a snapshot of then is refused: %v", err)
	}
	_, results := Apply(New(), []Command{
		{ID: CommandID{Origin: "n", Seq: 1}, Op: Init{ClusterID: "c", FeatureLevel: FeatureLevel, Objects: DefaultObjects()}},
		{ID: CommandID{Origin: "n", Seq: 2}, Op: put},
	})
	if results[1].Err != nil {
		t.Errorf("a log that has it is refused: %v", results[1].Err)
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

func TestValidateNamesEveryFaultOfWhatIsSaidAboutHealth(t *testing.T) {
	for _, c := range []struct {
		op   Operation
		want []string
	}{
		{SetOverride{Pool: "P", Name: "-", Health: "sick", For: Duration(time.Millisecond), Reason: strings.Repeat("x", 257)}, []string{"/pool", "/name", "/health", "/for", "/reason"}},
		{SetOverride{Pool: "p", Name: "b", For: Duration(time.Second), Reason: "x"}, []string{"/for", "/reason"}},
		{Expire{[]Expiry{{What: ExpireHold}, {What: "lease"}}}, []string{"/items/1/what"}},
		{Expire{make([]Expiry, maxItems+1)}, []string{"/items"}},
		{ReportIdle{"", make([]IdleBackend, maxItems+1)}, []string{"/node", "/backends"}},
	} {
		err := Validate(c.op)
		if err == nil || len(err.Faults) != len(c.want) {
			t.Errorf("%T: %v", c.op, err)
			continue
		}
		for i, fault := range err.Faults {
			if fault.Pointer != c.want[i] {
				t.Errorf("%T: fault %d is of %s, want %s", c.op, i, fault.Pointer, c.want[i])
			}
		}
	}
}

func TestACheckTakesCertificatesAlone(t *testing.T) {
	block := func(kind, content string) string {
		return "-----BEGIN " + kind + "-----\n" + content + "\n-----END " + kind + "-----\n"
	}
	for name, c := range map[string]struct{ text, want string }{
		"one":                 {certificate, ""},
		"two":                 {certificate + "\n" + certificate, ""},
		"text around":         {"issued by us\n" + certificate, ""},
		"a key":               {block("PRIVATE KEY", "MAMCAQE="), "not a CERTIFICATE"},
		"an integer":          {block("CERTIFICATE", "AgEB"), "holds no certificate"},
		"a cut one":           {block("CERTIFICATE", "MAUCAQE="), "holds no certificate"},
		"more than one value": {block("CERTIFICATE", "MAMCAQEA"), "holds no certificate"},
		"nothing":             {" ", "no PEM"},
		"text behind":         {certificate + "x", "item 2 is no PEM"},
		"too long":            {strings.Repeat(certificate, 2000), "bytes"},
	} {
		var f faults
		(&CheckTLS{CA: c.text}).validate(&f)
		err := f.err()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What probers refuse is refused where it is written, and still applied where an
// earlier build wrote it: a replica that refused its log would diverge.
func TestWhatNoProberTakesIsRefusedWhereItIsWritten(t *testing.T) {
	for name, c := range map[string]struct {
		check Check
		want  string // of the fault
	}{
		"a path with a damaged escape":    {Check{Path: "/%zz"}, `/spec/check/path "/%zz" is not escaped`},
		"what only looks like PEM's":      {Check{TLS: &CheckTLS{CA: "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n"}}, "/spec/check/tls/ca item 1 is not a certificate that can be used"},
		"a certificate with header lines": {Check{TLS: &CheckTLS{CA: "-----BEGIN CERTIFICATE-----\nA: b\n\nMAMCAQE=\n-----END CERTIFICATE-----\n"}}, `/spec/check/tls/ca item 1 has lines such as "A"`},
	} {
		t.Run(name, func(t *testing.T) {
			c.check.Type, c.check.Interval, c.check.Timeout, c.check.Rise, c.check.Fall = CheckHTTP, Duration(time.Second), Duration(time.Second), 1, 1
			put := Put{Name: "p", Spec: PoolSpec{Strategy: StrategyRandom, Check: &c.check}}
			wantFaults(t, put, c.want)
			if err := Validate(RestorePart{ID: "r", Objects: []Put{put}, Last: true}); err != nil {
				t.Errorf("a snapshot of then is refused: %v", err)
			}
			_, results := Apply(New(), []Command{
				{ID: CommandID{Origin: "n", Seq: 1}, Op: Init{ClusterID: "c", FeatureLevel: FeatureLevel, Objects: DefaultObjects()}},
				{ID: CommandID{Origin: "n", Seq: 2}, Op: put},
			})
			for _, result := range results {
				if result.Err != nil {
					t.Errorf("a log that has it is refused: %v", result.Err)
				}
			}
		})
	}
}
