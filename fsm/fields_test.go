package fsm

import (
	"reflect"
	"testing"
	"time"
)

// The specs below have every field set, so that a golden file holds it.

func fullListener() ListenerSpec {
	return ListenerSpec{
		Address: ":80", Protocol: ProtocolHTTP, TrustedProxies: []string{"fd00::/8"},
		Forwarding: &Forwarding{XForwarded: true, Forwarded: true, Via: true},
		Timeouts:   &ListenerTimeouts{ClientHead: Duration(5 * time.Second), ClientIdle: Duration(time.Minute), Body: Duration(90 * time.Second)},
		Limits:     &ListenerLimits{10_000, 32 << 10, 8 << 10, 100},
	}
}

func fullPool() PoolSpec {
	return PoolSpec{
		Strategy: StrategyMaglev, Hash: &HashSpec{HashCookie, "session", 125}, PreferZone: true,
		Sticky: &Sticky{"lb", Duration(time.Hour), true, true, "lax"},
		Check:  &Check{Type: "http", Path: "/healthz", Interval: Duration(2 * time.Second), Timeout: Duration(1500 * time.Millisecond), Rise: 2, Fall: 3, Expect: "200-299"},
		Timeouts: &PoolTimeouts{
			Duration(time.Second), Duration(2 * time.Second), Duration(3 * time.Second), Duration(4 * time.Second),
			Duration(5 * time.Second), Duration(6 * time.Second),
		},
		Retries: &Retries{3, 30, 7},
		Limits:  &PoolLimits{BackendRequests: 100, Queue: 50, QueueTimeout: Duration(500 * time.Millisecond), IdleConnections: 16},
	}
}

// healthPool has what feature level 4 brought to a pool with an HTTP check.
func healthPool() PoolSpec {
	return PoolSpec{
		Strategy: StrategyRandom,
		Check: &Check{
			Type: "http", Path: "/healthz", Interval: Duration(2 * time.Second), Timeout: Duration(500 * time.Millisecond), Rise: 2, Fall: 3,
			FastInterval: Duration(time.Second), Port: 9001, Observers: 5, Method: "POST", Host: "app.internal",
			Fields: []CheckField{{"X-Probe", "1"}}, ExpectText: "ok", ExpectRegexp: "^ok", WeightField: "X-Load",
			TLS: &CheckTLS{ServerName: "app.internal", Insecure: true},
		},
		Ejection: &Ejection{
			Off: true, Failures: 2, Errors: 5, SuccessRate: &SuccessRate{Duration(10 * time.Second), 100, 3, 1900},
			Hold: Duration(time.Second), MaxHold: Duration(time.Minute), MaxPercent: 30,
		},
		Damping:   &Damping{Off: true, Flaps: 2, Hold: Duration(10 * time.Second), MaxHold: Duration(time.Minute), Decay: Duration(2 * time.Minute)},
		SlowStart: Duration(30 * time.Second), PanicPercent: 50,
	}
}

// protocolListener has what level 6 brought to a listener of HTTPS, tcpListener to
// one that forwards.
func protocolListener() ListenerSpec {
	return ListenerSpec{
		Address: ":443", Protocol: ProtocolHTTPS,
		TLS: &ListenerTLS{
			Certificates: []string{"site"}, MinVersion: TLS13, Policy: PolicyModern, UnknownName: UnknownNameRefuse,
			ClientAuth: &ClientAuth{certificate, ClientAuthOptional},
		},
		HTTP2: &ListenerHTTP2{Disabled: true, MaxStreams: 32}, ProxyProtocol: &ListenerProxyProtocol{[]string{"10.0.0.0/8"}},
	}
}

func tcpListener() ListenerSpec {
	return ListenerSpec{Address: ":5432", Protocol: ProtocolTCP, Timeouts: &ListenerTimeouts{Idle: Duration(time.Minute)}}
}

// protocolPool has what level 6 brought to a pool, but for the PROXY header, which
// does not go with HTTP/2.
func protocolPool() PoolSpec {
	return PoolSpec{
		Strategy: StrategyRandom, Protocol: PoolHTTP2, TLS: &PoolTLS{"app.internal", certificate, "site", false},
		Limits: &PoolLimits{BackendConnections: 8},
		Check: &Check{
			Type: CheckGRPC, Interval: Duration(2 * time.Second), Timeout: Duration(time.Second), Rise: 2, Fall: 3, Service: "shop.Orders",
		},
	}
}

// reusingCheck has what healthPool's check cannot have as well.
func reusingCheck() *Check {
	return &Check{
		Type: "http", Interval: Duration(2 * time.Second), Timeout: Duration(time.Second), Rise: 2, Fall: 3, ReuseConnection: true,
	}
}

// tcpCheck has what only TCP checks have.
func tcpCheck() *Check {
	return &Check{
		Type: "tcp", Interval: Duration(2 * time.Second), Timeout: Duration(time.Second), Rise: 2, Fall: 3,
		TLS: &CheckTLS{CA: certificate}, Send: "PING\r\n", Receive: "+PONG",
	}
}

// certificate has the outer form of one, which is all that is looked at.
const certificate = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n"

func fullRoute() RouteSpec {
	stripped := ""
	return RouteSpec{
		Listeners: []string{"web"}, Priority: -3,
		Match: RouteMatch{
			Host: "example.com", PathPrefix: "/api", Methods: []string{"GET", "POST"},
			Headers: []ValueMatch{{Name: "X-Env", Value: "a"}, {Name: "X-Id", Regexp: "[0-9]+", Absent: true}},
			Query:   []ValueMatch{{Name: "debug", Absent: true}, {Name: "v", Value: "2"}, {Name: "w", Regexp: "a|b"}},
		},
		Allow: []string{"10.0.0.0/8"}, Deny: []string{"10.1.0.0/16"},
		Pools:          []WeightedPool{{"a", 1}},
		Rewrite:        &Rewrite{Prefix: &stripped, Host: "backend.internal:8080"},
		RequestFields:  []FieldEdit{{EditSet, "X-A", "1"}, {EditRemove, "Cookie", ""}},
		ResponseFields: []FieldEdit{{EditAdd, "X-B", "2"}},
		Mirror:         &Mirror{"b", 5},
		ErrorPages:     []ErrorPage{{503, "<p>later</p>", "text/html"}},
		Timeouts:       &RouteTimeouts{Duration(time.Minute), Duration(10 * time.Second)},
		Retries:        &RouteRetries{1},
	}
}

func fullRedirect() *Redirect {
	prefix := "/new"
	return &Redirect{Status: 301, Scheme: "https", Host: "www.example.com", Port: 8443, Prefix: &prefix, DropQuery: true}
}

func regexpRoute() RouteSpec {
	return RouteSpec{
		Match:   RouteMatch{PathRegexp: "/u/(?P<id>[0-9]+)"},
		Pools:   []WeightedPool{{"a", 1}},
		Rewrite: &Rewrite{Regexp: "^/u/([0-9]+)$", Replacement: "/users/${1}"},
	}
}

// TestTheGoldenFilesHoldEveryField fails when a spec has a field that no
// command of encodings sets: nothing would notice a change of its encoding.
func TestTheGoldenFilesHoldEveryField(t *testing.T) {
	set, all := map[string]bool{}, map[string]bool{}
	for _, command := range encodings() {
		if put, ok := command.Op.(Put); ok {
			walkFields(reflect.ValueOf(put.Spec), string(put.Spec.Kind()), func(name string, v reflect.Value) {
				all[name] = true
				set[name] = set[name] || !v.IsZero()
			})
		}
	}
	for name := range all {
		if !set[name] && name != "certificate.Key" { // no command has it
			t.Errorf("no command of encodings sets %s", name)
		}
	}
	if len(all) < 80 {
		t.Errorf("only %d fields were looked at", len(all))
	}
}

// walkFields calls visit for every field of a struct and of the structs that it
// leads to.
func walkFields(v reflect.Value, at string, visit func(name string, v reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v = reflect.New(v.Type().Elem())
		}
		walkFields(v.Elem(), at, visit)
	case reflect.Slice:
		if v.Len() == 0 {
			v = reflect.MakeSlice(v.Type(), 1, 1)
		}
		for i := range v.Len() {
			walkFields(v.Index(i), at, visit)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return // what it is made of is not its encoding
		}
		for i := range v.NumField() {
			name := at + "." + v.Type().Field(i).Name
			visit(name, v.Field(i))
			walkFields(v.Field(i), name, visit)
		}
	}
}
