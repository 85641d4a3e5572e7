package fsm

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func site(name, key string) Put {
	return Put{Name: name, Spec: CertificateSpec{Chain: certificate, SealedKey: key}}
}

func TestACertificateStaysAsLongAsSomethingNamesIt(t *testing.T) {
	r := newRegistryAt(t, FeatureLevel)
	remove := Delete{Ref: Ref{Kind: KindCertificate, Name: "site"}}
	web := Put{Name: "web", Spec: protocolListener()}
	if err := r.refused(CodeInvalid, web); err.Faults[0].Pointer != "/spec/tls/certificates/0" || !strings.Contains(err.Error(), `certificate "site" does not exist`) {
		t.Errorf("%v", err)
	}
	if err := r.refused(CodeInvalid, Put{Name: "a", Spec: protocolPool()}); err.Faults[0].Pointer != "/spec/tls/certificate" {
		t.Errorf("%v", err)
	}
	r.must(site("site", "AQID"))
	r.must(web)
	r.must(Put{Name: "a", Spec: protocolPool()})
	for _, user := range []Ref{{Kind: KindListener, Name: "web"}, {Kind: KindPool, Name: "a"}} {
		if err := r.refused(CodeInUse, remove); *err.Other != user || !strings.Contains(err.Error(), "change or delete the "+string(user.Kind)+" first") {
			t.Errorf("%v, in use by %v", err, err.Other)
		}
		r.must(Delete{Ref: user})
	}
	r.must(remove)
	r.must(txn(put(web), put(site("site", "AQID"))))
	r.must(txn(deletion(remove), deletion(Delete{Ref: web.Ref()})))
	r.must(Rollback{To: r.Revision() - 1})
	if r.Listener("web") == nil || r.Certificate("site") == nil {
		t.Error("the rollback left something out")
	}
	same := throughSnapshot(t, r.State)
	if same.Digest() != r.Digest() || same.Certificate("site").Spec != r.Certificate("site").Spec {
		t.Error("a snapshot holds another certificate")
	}
}

func TestWhatUndoingNeedsOfCertificatesIsKept(t *testing.T) {
	r := newRegistryAt(t, FeatureLevel)
	r.must(site("site", "AQID"))
	web := Put{Name: "web", Spec: protocolListener()}
	r.must(web)
	plain := Put{Name: "web", Spec: ListenerSpec{Address: ":443", Protocol: ProtocolHTTP}}
	r.command(Command{ConfirmWithin: minConfirmDuration, Op: plain})
	r.refused(CodeUnconfirmed, Delete{Ref: Ref{Kind: KindCertificate, Name: "site"}})
	r.must(Confirm{Revision: r.Revision(), Undo: true})
	if r.Listener("web").Spec.Protocol != ProtocolHTTPS {
		t.Error("it was not undone")
	}
}

const minConfirmDuration = Duration(minConfirm)

func TestNoKeyIsShown(t *testing.T) {
	r := newRegistryAt(t, FeatureLevel)
	made := r.must(site("site", "U0VDUkVU")).Object
	if shown := fmt.Sprintf("%+v", Shown(made)); strings.Contains(shown, "U0VDUkVU") || !strings.Contains(shown, "BEGIN CERTIFICATE") {
		t.Errorf("it is shown as %s", shown)
	}
	if r.Certificate("site").Spec.SealedKey != "U0VDUkVU" {
		t.Error("the state has lost its key")
	}
	open := Put{Name: "site", Spec: CertificateSpec{Chain: certificate, Key: "-----BEGIN PRIVATE KEY-----"}}
	wantFaults(t, open, "/spec/chain", "/spec/key is not sealed")
	r.refused(CodeInvalid, open)
}

func TestTheRegistryKeepsOneDataKeyAndThreeTicketKeys(t *testing.T) {
	r := newRegistryAt(t, FeatureLevel)
	first := SetDataKey{DataKey{"k1", []KeyWrap{{"s1", "AQID"}}}}
	version, revision := r.Version(), r.Revision()
	if !r.must(first).Changed || r.must(first).Changed || r.Version() != version+1 || r.Revision() != revision {
		t.Errorf("version %d after %d, revision %d after %d", r.Version(), version, r.Revision(), revision)
	}
	r.refused(CodePrecondition, SetDataKey{DataKey{"k2", []KeyWrap{{"s1", "AQID"}}}})
	before := r.Digest()
	r.must(SetDataKey{DataKey{"k1", []KeyWrap{{"s1", "AQID"}, {"s2", "BAUG"}}}})
	if len(r.DataKey().Wraps) != 2 || r.Digest() == before {
		t.Errorf("wrapped as %+v", r.DataKey())
	}

	after := ""
	for _, id := range []string{"t1", "t2", "t3", "t4"} {
		r.must(RotateTickets{Ticket{id, "AQID"}, after})
		if late := r.must(RotateTickets{Ticket{"late", "AQID"}, after}); late.Changed || late.Ignored != 1 {
			t.Errorf("a leader of before has rotated: %+v", late)
		}
		after = id
	}
	var ids []string
	for _, ticket := range r.Tickets() {
		ids = append(ids, ticket.ID)
	}
	if got := strings.Join(ids, " "); got != "t4 t3 t2" {
		t.Errorf("it keeps %s", got)
	}
	same := throughSnapshot(t, r.State)
	var one, other bytes.Buffer
	if err := r.WriteSnapshot(&one); err != nil {
		t.Fatal(err)
	}
	if err := same.WriteSnapshot(&other); err != nil {
		t.Fatal(err)
	}
	if same.Digest() != r.Digest() || !bytes.Equal(one.Bytes(), other.Bytes()) {
		t.Error("a snapshot holds other keys")
	}
}

func TestFaultsOfProtocols(t *testing.T) {
	wantFaults(t, Put{Name: "l", Spec: ListenerSpec{Address: ":80", Protocol: ProtocolTCP, TLS: &ListenerTLS{Policy: PolicyModern, MinVersion: TLS12, UnknownName: "x"},
		HTTP2: &ListenerHTTP2{Disabled: true, Only: true, MaxStreams: 1001}, Timeouts: &ListenerTimeouts{Body: 1}, ProxyProtocol: &ListenerProxyProtocol{}}},
		"/spec/tls the listener is of protocol tcp, and only https speaks TLS itself", "/spec/http2 the listener is of protocol tcp", "/spec/timeouts/body the listener",
		"/spec/timeouts/body", "/spec/tls/min_version", "/spec/tls/unknown_name", "/spec/http2/max_streams", "/spec/http2/only", "/spec/proxy_protocol/trusted is empty")
	wantFaults(t, Put{Name: "l", Spec: ListenerSpec{Address: ":80", Protocol: ProtocolHTTPS, Timeouts: &ListenerTimeouts{Idle: Duration(minClientWait)},
		TLS: &ListenerTLS{Certificates: []string{"a", "a", "B"}, Policy: "old", UnknownName: UnknownNameDefault, ClientAuth: &ClientAuth{CA: "x", Mode: "maybe"}}}},
		"/spec/timeouts/idle the listener is of protocol https", "/spec/tls/certificates/1", "/spec/tls/certificates/2", "/spec/tls/policy", "/spec/tls/client_auth/ca", "/spec/tls/client_auth/mode")
	wantFaults(t, Put{Name: "p", Spec: PoolSpec{Strategy: StrategyRandom, Protocol: "h3", ProxyProtocol: "v3", Limits: &PoolLimits{BackendConnections: 1001},
		TLS: &PoolTLS{ServerName: "a b", Certificate: "A", CA: "x", Insecure: true}}},
		"/spec/protocol", "/spec/proxy_protocol", "/spec/limits/backend_connections 1001: it bounds", "/spec/tls/server_name", "/spec/tls/certificate", "/spec/tls/ca insecure", "/spec/tls/ca item 1",
		"/spec/limits/backend_connections 1001 is not from 1 to 1000")
	wantFaults(t, Put{Name: "p", Spec: PoolSpec{Strategy: StrategyRandom, Protocol: PoolHTTP2, ProxyProtocol: ProxyV1}}, "/spec/proxy_protocol")
	wantFaults(t, Put{Name: "r", Spec: RouteSpec{Match: RouteMatch{SNI: "a b"}, Pools: []WeightedPool{{"p", 1}}}}, "/spec/match/sni")
	wantFaults(t, Put{Name: "c", Spec: CertificateSpec{SealedKey: "*"}}, "/spec/chain", "/spec/sealed_key")
	wantFaults(t, Put{Name: "c", Spec: CertificateSpec{Chain: certificate}}, "/spec/chain item 1 is not a certificate that can be used", "/spec/key is missing")
}
