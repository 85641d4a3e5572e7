package fsm

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files of encodings that have none yet")

// encodings has one command of each kind with every field set. A released
// encoding is never changed, so an entry here is only ever added.
func encodings() map[string]Command {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	command := func(op Operation) Command {
		return Command{ID: CommandID{"6f1c0b1e-0000-4000-8000-000000000001", 42}, Time: at, Actor: "admin", Op: op}
	}
	check := &Check{Type: "http", Path: "/healthz", Interval: Duration(2 * time.Second), Timeout: Duration(1500 * time.Millisecond), Rise: 2, Fall: 3, Expect: "200-299"}
	return map[string]Command{
		"put_listener_http":  command(Put{Name: "web", Spec: fullListener()}),
		"put_pool_http":      command(Put{Name: "a", Spec: fullPool()}),
		"put_route_http":     command(Put{Name: "api", Spec: fullRoute()}),
		"put_route_redirect": command(Put{Name: "old", Spec: RouteSpec{Match: RouteMatch{PathPrefix: "/old"}, Redirect: fullRedirect()}}),
		"put_route_moved":    command(Put{Name: "moved", Spec: RouteSpec{Redirect: &Redirect{Status: 308, Path: "/here"}}}),
		"put_route_respond":  command(Put{Name: "gone", Spec: RouteSpec{Respond: &Respond{410, "gone\n", "text/plain"}}}),
		"put_route_path":     command(Put{Name: "one", Spec: RouteSpec{Match: RouteMatch{Path: "/a b"}, Pools: []WeightedPool{{"a", 1}}, Rewrite: &Rewrite{Path: "/a%20c"}}}),
		"put_route_regexp":   command(Put{Name: "any", Spec: regexpRoute()}),
		"raise_level":        command(RaiseLevel{2}),
		"init":               command(Init{"c1", 1, DefaultObjects()}),
		"put_listener":       command(Put{Name: "web", Labels: map[string]string{"b": "2", "a": "1"}, Spec: ListenerSpec{Address: ":80", Protocol: "http", TrustedProxies: []string{"10.0.0.0/8"}}}),
		"put_route": command(Put{Name: "api", Spec: RouteSpec{Listeners: []string{"web"}, Match: RouteMatch{Host: "*.example.com", Path: "", PathPrefix: "/api"}, Priority: 7,
			Pools: []WeightedPool{{"a", 9}, {"b", 1}}}, If: Precondition{Absent: true}}),
		"put_pool":    command(Put{Name: "a", Spec: PoolSpec{Strategy: "least_connections", Check: check}, If: Precondition{Exists: true}}),
		"put_backend": command(Put{Pool: "a", Name: "web1", Spec: BackendSpec{Address: "10.0.0.5:9000", Weight: 5, Tier: 1, Zone: "z1", AdminState: "drain"}, If: Precondition{Revision: 12}}),
		"delete":      command(Delete{Ref{KindBackend, "a", "web1"}, Precondition{Revision: 12}}),
		"votes":       command(CastVotes{"n1", []BackendVote{{Pool: "a", Name: "web1", UID: "u1", Generation: 12, Health: "down", Reason: "connection refused"}}}),
		"node":        command(SetNode{Node{"n1", "n1", "alive", "10.0.0.1:7071", "10.0.0.1:7070", "1.0.0", 1, true}}),
		"forget_node": command(ForgetNode{"n1"}),
		"restore": command(RestorePart{ID: "6f1c0b1e-0000-4000-8000-000000000002", Number: 3, Last: true,
			Objects: []Put{{Name: "a", Labels: map[string]string{"k": "v"}, Spec: PoolSpec{Strategy: "random"}}}}),
		"restore_abort": command(RestorePart{ID: "6f1c0b1e-0000-4000-8000-000000000002", Abort: true}),

		"put_pool_health":     command(Put{Name: "a", Spec: healthPool()}),
		"put_pool_health_tcp": command(Put{Name: "a", Spec: PoolSpec{Strategy: "random", Check: tcpCheck()}}),
		"put_pool_reuse":      command(Put{Name: "a", Spec: PoolSpec{Strategy: "random", Check: reusingCheck()}}),
		"put_backend_drain":   command(Put{Pool: "a", Name: "web1", Spec: BackendSpec{Address: "10.0.0.5:9000", Weight: 1, AdminState: "drain", DrainTimeout: Duration(time.Minute)}}),
		"votes_reduction":     command(CastVotes{"n1", []BackendVote{{Pool: "a", Name: "web1", UID: "u1", Generation: 12, Health: "up", Reduction: 25}}}),
		"override":            command(SetOverride{"a", "web1", "down", Duration(time.Hour), "disk is replaced", Precondition{Revision: 12}}),
		"override_back":       command(SetOverride{Pool: "a", Name: "web1"}),
		"expire": command(Expire{[]Expiry{{"a", "web1", "u1", "hold", 4}, {"a", "web2", "u2", "flap", 5}, {"a", "web3", "u3", "ramp", 6},
			{"a", "web4", "u4", "override", 7}, {"a", "web5", "u5", "drain", 8}}}),
		"put_backend_ttl":    command(Put{Pool: "a", Name: "web1", Spec: BackendSpec{Address: "10.0.0.5:9000", Weight: 1, AdminState: "ready", TTL: Duration(time.Minute)}}),
		"put_token":          command(Put{Name: "ci", Spec: TokenSpec{"editor", strings.Repeat("0a", 32), map[string]string{"team": "shop"}, &at}}),
		"delete_token":       command(Delete{Ref: Ref{Kind: KindToken, Name: "ci"}}),
		"put_limited":        command(Put{Name: "a", Spec: PoolSpec{Strategy: "random"}, If: Precondition{Labels: map[string]string{"team": "shop"}}}),
		"txn":                command(txn(put(Put{Name: "a", Spec: PoolSpec{Strategy: "random"}}), deletion(Delete{Ref: Ref{Kind: KindRoute, Name: "r"}, If: Precondition{Revision: 12}}))),
		"put_listener_tls":   command(Put{Name: "web", Spec: protocolListener()}),
		"put_listener_tcp":   command(Put{Name: "db", Spec: tcpListener()}),
		"put_listener_h2":    command(Put{Name: "grpc", Spec: ListenerSpec{Address: ":9000", Protocol: ProtocolHTTP, HTTP2: &ListenerHTTP2{Only: true}}}),
		"put_pool_protocol":  command(Put{Name: "a", Spec: protocolPool()}),
		"put_pool_insecure":  command(Put{Name: "a", Spec: PoolSpec{Strategy: "random", TLS: &PoolTLS{Insecure: true}, ProxyProtocol: ProxyV2}}),
		"put_route_sni":      command(Put{Name: "api", Spec: RouteSpec{Match: RouteMatch{SNI: "*.example.com"}, Pools: []WeightedPool{{"a", 1}}}}),
		"put_certificate":    command(Put{Name: "site", Spec: CertificateSpec{Chain: certificate, SealedKey: "AQID"}}),
		"delete_certificate": command(Delete{Ref: Ref{Kind: KindCertificate, Name: "site"}}),
		"data_key":           command(SetDataKey{DataKey{"k1", []KeyWrap{{"s1", "AQID"}, {"s2", "BAUG"}}}}),
		"tickets":            command(RotateTickets{Ticket{"t2", "AQID"}, "t1"}),
		"rollback":           command(Rollback{To: 12}),
		"rollback_limited":   command(Rollback{To: 12, Labels: map[string]string{"team": "shop"}}),
		"confirm":            command(Confirm{Revision: 12}),
		"undo":               command(Confirm{12, true}),
		"expire_ttl":         command(Expire{[]Expiry{{"a", "web1", "u1", "ttl", 12}}}),
		"delete_framed": {ID: CommandID{"6f1c0b1e-0000-4000-8000-000000000001", 42}, Time: at, Actor: "admin", Reason: "it is gone",
			Key: Key{"k-1", "5f2a"}, ConfirmWithin: Duration(time.Minute), Op: Delete{Ref: Ref{Kind: KindRoute, Name: "r"}}},
		"idle": command(ReportIdle{"n1", []IdleBackend{{"a", "web1", "u1", 9}}}),
	}
}

func TestEncodingsAreThoseOfTheGoldenFiles(t *testing.T) {
	for name, command := range encodings() {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", "commands", name+".v1.json")
			data, err := EncodeCommand(command)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(file)
			if os.IsNotExist(err) && *update {
				want, err = data, os.WriteFile(file, append(data, '\n'), 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := string(data); got != strings.TrimSpace(string(want)) {
				t.Errorf("the encoding is\n%s\nand the golden file has\n%s", got, want)
			}
			decoded, err := DecodeCommand(want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(command, decoded); diff != "" {
				t.Errorf("decoded differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeRefusesWhatItDoesNotKnow(t *testing.T) {
	cases := map[string]string{
		"a newer version":           `{"v":2,"id":{"origin":"n","seq":1},"time":"2026-01-02T03:04:05Z","kind":"forget_node","data":{"uid":"x"}}`,
		"an unknown kind":           `{"v":1,"id":{"origin":"n","seq":1},"time":"2026-01-02T03:04:05Z","kind":"merge","data":{}}`,
		"an unknown kind of thing":  `{"v":1,"id":{"origin":"n","seq":1},"time":"2026-01-02T03:04:05Z","kind":"put","data":{"kind":"vip","name":"a","spec":{}}}`,
		"an unknown field":          `{"v":1,"id":{"origin":"n","seq":1},"time":"2026-01-02T03:04:05Z","kind":"forget_node","data":{"uid":"x","why":"y"}}`,
		"an unknown field in spec":  `{"v":1,"id":{"origin":"n","seq":1},"time":"2026-01-02T03:04:05Z","kind":"put","data":{"kind":"pool","name":"a","spec":{"strategy":"random","x":1}}}`,
		"a level beyond this one":   `{"v":1,"id":{"origin":"n","seq":1},"time":"2026-01-02T03:04:05Z","kind":"raise_level","data":{"level":99}}`,
		"a cluster beyond this one": `{"v":1,"id":{"origin":"n","seq":1},"time":"2026-01-02T03:04:05Z","kind":"init","data":{"cluster_id":"c","feature_level":99,"objects":[]}}`,
		"something behind it":       `{"v":1,"id":{"origin":"n","seq":1},"time":"2026-01-02T03:04:05Z","kind":"forget_node","data":{"uid":"x"}} 1`,
		"nothing":                   ``,
		"no data":                   `{"v":1,"kind":"put"}`,
		"a time after year 9999":    `{"v":1,"id":{"origin":"n","seq":1},"time":"9999-12-31T23:59:59-01:00","kind":"forget_node","data":{"uid":"x"}}`,
		"a time before year 0":      `{"v":1,"id":{"origin":"n","seq":1},"time":"0000-01-01T00:00:00+01:00","kind":"forget_node","data":{"uid":"x"}}`,
	}
	for name, text := range cases {
		if command, err := DecodeCommand([]byte(text)); err == nil {
			t.Errorf("%s: decoded as %+v", name, command)
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	for _, command := range encodings() {
		data, err := EncodeCommand(command)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(EncodeEntry([][]byte{data}))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		commands, err := DecodeEntry(data)
		if err != nil {
			return
		}
		encoded := make([][]byte, len(commands))
		for i, command := range commands {
			if encoded[i], err = EncodeCommand(command); err != nil {
				t.Fatalf("encode what was decoded: %v", err)
			}
		}
		again, err := DecodeEntry(EncodeEntry(encoded))
		if err != nil {
			t.Fatalf("decode what was encoded: %v", err)
		}
		// Whatever decodes can be applied, and both readings come out alike.
		seed := newRegistry(t)
		first, _ := Apply(seed.State, commands)
		second, _ := Apply(seed.State, again)
		if first.Digest() != second.Digest() {
			t.Fatal("two readings of one entry give different states")
		}
	})
}

func FuzzReadSnapshot(f *testing.F) {
	var b bytes.Buffer
	r := newRegistry(f)
	r.must(backend("web1", "10.0.0.5:9000"))
	r.vote("n1", HealthUp)
	if err := r.WriteSnapshot(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ReadSnapshot(bytes.NewReader(data))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := s.WriteSnapshot(&out); err != nil {
			t.Fatal(err)
		}
	})
}
