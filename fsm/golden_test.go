package fsm

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newerThanTheFirst has the level of each golden command that level 1 lacks.
var newerThanTheFirst = map[string]uint64{
	"put_listener_http": 2, "put_pool_http": 2,
	"put_route_http": 2, "put_route_redirect": 2, "put_route_moved": 2, "put_route_respond": 2, "put_route_path": 2, "put_route_regexp": 2,
	"restore": 3, "restore_abort": 3,
	"put_pool_health": 4, "put_pool_health_tcp": 4, "put_pool_reuse": 4, "put_backend_drain": 4, "votes_reduction": 4,
	"put_backend_ttl": 5, "put_token": 5, "delete_token": 5, "put_limited": 5, "txn": 5, "confirm": 5, "undo": 5, "expire_ttl": 5, "delete_framed": 5,
	"put_listener_tls": 6, "put_listener_tcp": 6, "put_listener_h2": 6, "put_pool_protocol": 6, "put_pool_insecure": 6, "put_route_sni": 6,
	"put_certificate": 6, "delete_certificate": 6, "data_key": 6, "tickets": 6,
	"rollback": 6, "rollback_limited": 6,
	"override": 4, "override_back": 4, "expire": 4, "idle": 4,
}

// TestEveryGoldenCommandIsReadAndWrittenAlike reads what is there, so that a
// released command stays readable that no test writes any more.
func TestEveryGoldenCommandIsReadAndWrittenAlike(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "commands", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	written := encodings()
	if len(files) < len(written) {
		t.Errorf("%d files of %d commands", len(files), len(written))
	}
	for _, file := range files {
		name, _, _ := strings.Cut(filepath.Base(file), ".")
		golden, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		command, err := DecodeCommand(golden)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		again, err := EncodeCommand(command)
		if err != nil || string(again) != strings.TrimSpace(string(golden)) {
			t.Errorf("%s was read and is written as\n%s: %v", file, again, err)
		}
		if _, known := written[name]; !known {
			t.Errorf("%s is in no list of encodings", file)
		}
		checkGoldenLevel(t, name, command)
	}
}

// checkGoldenLevel makes sure that a command waits for its level, and for no
// higher one.
func checkGoldenLevel(t *testing.T, name string, c Command) {
	t.Helper()
	needs := max(newerThanTheFirst[name], 1)
	for level := uint64(1); level <= FeatureLevel; level++ {
		s := &State{clusterID: "c1", featureLevel: level}
		if init, ok := c.Op.(Init); ok {
			init.FeatureLevel, s = level, New()
			c.Op = init
		}
		if refusal := s.CheckLevel(c); (refusal == nil) != (level >= needs) {
			t.Errorf("%s needs level %d; at level %d: %v", name, needs, level, refusal)
		}
	}
}

// goldenState has one of everything that a snapshot holds.
func goldenState(t *testing.T) *State {
	t.Helper()
	r := &registry{State: New(), t: t}
	r.must(Init{"c1", 1, DefaultObjects()})
	r.must(SetNode{Node{"n1", "n1", "alive", "10.0.0.1:7071", "10.0.0.1:7070", "1.0.0", 3, true}})
	r.must(RaiseLevel{3})
	r.must(Put{Name: "web", Labels: map[string]string{"b": "2", "a": "1"}, Spec: fullListener()})
	for _, name := range []string{"a", "b", "c"} {
		r.must(pool(name))
	}
	r.must(Put{Name: "full", Spec: fullPool()})
	r.must(Put{Name: "one", Spec: RouteSpec{Match: RouteMatch{Path: "/a b"}, Pools: []WeightedPool{{"a", 1}}, Rewrite: &Rewrite{Path: "/a%20c"}}})
	web1 := r.must(Put{Pool: "a", Name: "web1", Spec: BackendSpec{Address: "10.0.0.5:9000", Weight: 5, Tier: 1, Zone: "z1", AdminState: "drain"}}).Object.(*Backend)
	r.must(CastVotes{"n1", []BackendVote{{Pool: "a", Name: "web1", UID: web1.Meta.UID, Generation: web1.Status.Generation, Health: "down", Reason: "connection refused"}}})
	r.must(Delete{Ref: Ref{Kind: KindPool, Name: "c"}})
	r.must(RestorePart{ID: "6f1c0b1e-0000-4000-8000-000000000002", Objects: []Put{{Name: "a", Labels: map[string]string{"k": "v"}, Spec: PoolSpec{Strategy: "random"}}}})
	return r.State
}

// goldenHealthState has one of everything that level 4 brought.
func goldenHealthState(t *testing.T) *State {
	t.Helper()
	r := newRegistryAt(t, 4)
	spec := pool("default").Spec.(PoolSpec)
	spec.SlowStart, spec.Damping = Duration(time.Minute), &Damping{Flaps: 1, Hold: Duration(time.Second), MaxHold: Duration(time.Minute), Decay: Duration(time.Second)}
	r.must(Put{Name: "default", Spec: spec})
	r.must(backend("web1", "10.0.0.5:9000"))
	for _, health := range []Health{HealthUp, HealthDown, HealthUp, HealthDown, HealthUp} {
		r.vote("n1", health)
		r.vote("n2", health)
	}
	r.must(Put{Name: "ratio", Spec: healthPool()})
	r.must(Put{Pool: "ratio", Name: "loaded", Spec: BackendSpec{Address: "10.0.0.6:9000", Weight: 1, AdminState: AdminReady, DrainTimeout: Duration(time.Minute)}})
	b := r.Backend("ratio", "loaded")
	r.must(CastVotes{"n3", []BackendVote{{Pool: "ratio", Name: "loaded", UID: b.Meta.UID, Generation: r.CheckGeneration(b), Health: HealthUp, Reduction: 40}}})
	r.must(SetOverride{Pool: "ratio", Name: "loaded", Health: HealthDown, For: Duration(time.Hour), Reason: "replaced"})
	draining := Put{Pool: "ratio", Name: "drained", Spec: BackendSpec{Address: "10.0.0.7:9000", Weight: 1, AdminState: AdminDrain}}
	drain := r.must(draining).Object.(*Backend)
	r.must(ReportIdle{"n2", []IdleBackend{{"ratio", "drained", drain.Meta.UID, drain.Status.Drain.Epoch}}})
	return r.State
}

// goldenHistoryState has one of everything that level 5 brought.
func goldenHistoryState(t *testing.T) *State {
	t.Helper()
	r := newRegistryAt(t, 5)
	r.must(backend("web1", "10.0.0.5:9000"))
	r.vote("n1", HealthUp)
	r.vote("n2", HealthUp)
	r.command(Command{Actor: "ann", Reason: "moved", Key: Key{"k-1", "5f2a"}, Op: backend("web1", "10.0.0.6:9000")})
	r.must(tokenPut("ci", "a"))
	r.must(tokenPut("ci", "b"))
	r.command(Command{Actor: "ann", Reason: "a try", ConfirmWithin: Duration(time.Minute), Op: txn(put(backend("web2", "10.0.0.7:9000")), put(backend("web1", "10.0.0.8:9000")))})
	if len(r.Pending()) != 1 || r.keys.Len() != 1 {
		t.Fatalf("%d wait, %d keys", len(r.Pending()), r.keys.Len())
	}
	return r.State
}

// goldenProtocolsState has one of everything that level 6 brought.
func goldenProtocolsState(t *testing.T) *State {
	t.Helper()
	r := newRegistryAt(t, 6)
	r.must(SetDataKey{DataKey{"k1", []KeyWrap{{"s1", "AQID"}, {"s2", "BAUG"}}}})
	for _, ticket := range []RotateTickets{{Ticket{"t1", "AQID"}, ""}, {Ticket{"t2", "BAUG"}, "t1"}} {
		r.must(ticket)
	}
	r.must(Put{Name: "site", Spec: CertificateSpec{Chain: certificate, SealedKey: "AQID"}})
	r.must(Put{Name: "site", Spec: CertificateSpec{Chain: certificate, SealedKey: "BAUG"}})
	r.must(Put{Name: "web", Spec: protocolListener()})
	r.must(Put{Name: "db", Spec: tcpListener()})
	r.must(Put{Name: "a", Spec: protocolPool()})
	r.must(Put{Name: "named", Spec: RouteSpec{Match: RouteMatch{SNI: "*.example.com"}, Pools: []WeightedPool{{"a", 1}}}})
	return r.State
}

func TestTheGoldenSnapshotsAreReadAndWrittenAlike(t *testing.T) {
	for file, state := range map[string]*State{"snapshot.v1": goldenState(t), "snapshot_health.v1": goldenHealthState(t), "snapshot_history.v1": goldenHistoryState(t),
		"snapshot_protocols.v1": goldenProtocolsState(t)} {
		t.Run(file, func(t *testing.T) { checkGoldenSnapshot(t, filepath.Join("testdata", file), state) })
	}
}

func checkGoldenSnapshot(t *testing.T, file string, state *State) {
	var text bytes.Buffer
	if err := state.WriteSnapshot(&text); err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile(file)
	if os.IsNotExist(err) && *update {
		golden, err = text.Bytes(), os.WriteFile(file, text.Bytes(), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(golden, text.Bytes()) {
		t.Errorf("the snapshot is\n%sand the golden file has\n%s", &text, golden)
	}
	read, err := ReadSnapshot(bytes.NewReader(golden))
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := read.WriteSnapshot(&again); err != nil || !bytes.Equal(again.Bytes(), golden) {
		t.Errorf("it was read and is written as\n%s: %v", &again, err)
	}
	if read.Digest() != state.Digest() || read.Restoring() != state.Restoring() {
		t.Errorf("it was read as another state: restoring %q", read.Restoring())
	}
}
