package fsm

import (
	"testing"
)

func sealedCertificate(name string) Put {
	return Put{Name: name, Spec: CertificateSpec{Chain: certificate, SealedKey: "c2VhbGVk"}}
}

func httpsListener(names ...string) Put {
	spec := ListenerSpec{Address: ":443", Protocol: ProtocolHTTPS, TLS: &ListenerTLS{Certificates: names}}
	spec.TLS.SetDefaults()
	return Put{Name: "web", Spec: spec}
}

func TestACertificateInUseIsKept(t *testing.T) {
	r := newRegistry(t)
	if err := r.refused(CodeInvalid, httpsListener("www")); err.Faults[0].Pointer != "/spec/tls/certificates/0" {
		t.Errorf("a listener of no certificate: %v", err)
	}
	r.must(sealedCertificate("www"))
	r.must(httpsListener("www"))
	gone := Delete{Ref: Ref{Kind: KindCertificate, Name: "www"}}
	if err := r.refused(CodeInUse, gone); err.Other == nil || err.Other.Kind != KindListener || err.Other.Name != "web" {
		t.Errorf("deleted under a listener: %v", err)
	}
	r.must(httpsListener())
	pool := PoolSpec{Strategy: StrategyRandom, TLS: &PoolTLS{Certificate: "www"}}
	r.must(Put{Name: "p", Spec: pool})
	if err := r.refused(CodeInUse, gone); err.Other == nil || err.Other.Kind != KindPool {
		t.Errorf("deleted under a pool: %v", err)
	}
	pool.TLS = nil
	r.must(Put{Name: "p", Spec: pool})
	r.must(gone)
}

func TestACertificateIsShownWithoutItsKey(t *testing.T) {
	r := newRegistry(t)
	r.refused(CodeInvalid, Put{Name: "www", Spec: CertificateSpec{Chain: certificate, Key: "as it is"}})
	r.must(sealedCertificate("www"))
	shown := Shown(r.Certificate("www")).(*Certificate)
	if shown.Spec.SealedKey != "" || shown.Spec.Key != "" || r.Certificate("www").Spec.SealedKey == "" {
		t.Errorf("shown as %+v", shown.Spec)
	}
}

func TestTheRegistrysKeysGoThroughASnapshot(t *testing.T) {
	r := newRegistry(t)
	key := DataKey{"k1", []KeyWrap{{"s1", "d3JhcA=="}}}
	revision := r.Revision()
	if first := r.must(SetDataKey{key}); !first.Changed {
		t.Error("the first key changed nothing")
	}
	if again := r.must(SetDataKey{key}); again.Changed {
		t.Error("the same key changed something")
	}
	r.refused(CodePrecondition, SetDataKey{DataKey{"k2", key.Wraps}})
	r.must(SetDataKey{DataKey{"k1", []KeyWrap{{"s2", "cGFydw=="}}}})
	after := ""
	for _, id := range []string{"t1", "t2", "t3", "t4"} {
		r.must(RotateTickets{Ticket{id, "dGlja2V0"}, after})
		after = id
	}
	if late := r.must(RotateTickets{Ticket{"t5", "dGlja2V0"}, "t3"}); late.Changed || late.Ignored != 1 {
		t.Errorf("a late rotation: %+v", late)
	}
	if ids := r.Tickets(); len(ids) != 3 || ids[0].ID != "t4" || ids[2].ID != "t2" {
		t.Errorf("tickets %v", ids)
	}
	r.must(sealedCertificate("www"))
	if r.Revision() != revision+1 {
		t.Errorf("keys moved the revision to %d", r.Revision())
	}
	restored := throughSnapshot(t, r.State)
	if restored.Digest() != r.Digest() || restored.DataKey().Wraps[0].Secret != "s2" || len(restored.Tickets()) != 3 ||
		restored.Certificate("www") == nil {
		t.Error("the snapshot is of another state")
	}
}

func TestFaultsOfProtocolsTellWhatHasNoUse(t *testing.T) {
	for name, c := range map[string]struct {
		spec    Spec
		pointer string
	}{
		"tls without https":        {ListenerSpec{Address: ":1", Protocol: "http", TLS: &ListenerTLS{Policy: "modern", UnknownName: "default"}}, "/spec/tls"},
		"http2 of tcp":             {ListenerSpec{Address: ":1", Protocol: "tcp", HTTP2: &ListenerHTTP2{}}, "/spec/http2"},
		"idle of http":             {ListenerSpec{Address: ":1", Protocol: "http", Timeouts: &ListenerTimeouts{Idle: Duration(maxWait)}}, "/spec/timeouts/idle"},
		"an unknown protocol":      {ListenerSpec{Address: ":1", Protocol: "udp"}, "/spec/protocol"},
		"PROXY from nobody":        {ListenerSpec{Address: ":1", Protocol: "tcp", ProxyProtocol: &ListenerProxyProtocol{}}, "/spec/proxy_protocol/trusted"},
		"TLS 1.2 and modern":       {ListenerSpec{Address: ":1", Protocol: "https", TLS: &ListenerTLS{Policy: "modern", MinVersion: "1.2", UnknownName: "default"}}, "/spec/tls/min_version"},
		"PROXY over http2":         {PoolSpec{Strategy: "random", Protocol: "http2", ProxyProtocol: "v2"}, "/spec/proxy_protocol"},
		"connections of http1":     {PoolSpec{Strategy: "random", Limits: &PoolLimits{BackendConnections: 1}}, "/spec/limits/backend_connections"},
		"a CA that is never asked": {PoolSpec{Strategy: "random", TLS: &PoolTLS{CA: certificate, Insecure: true}}, "/spec/tls/ca"},
	} {
		var f faults
		c.spec.validate(&f)
		if len(f.list) != 1 || f.list[0].Pointer != c.pointer {
			t.Errorf("%s: %v", name, f.list)
		}
	}
}
