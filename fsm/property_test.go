package fsm

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawOperation draws from few names, so that commands meet each other.
func drawOperation(t *rapid.T) Operation {
	name := rapid.SampledFrom([]string{"default", "a", "b", "c"})
	pick := func(label string) string { return name.Draw(t, label) }
	pre := rapid.SampledFrom([]Precondition{{}, {}, {}, {Absent: true}, {Exists: true}, {Revision: 3}, {Revision: 8}}).Draw(t, "if")
	labels := rapid.SampledFrom([]map[string]string{nil, {}, {"k": "v"}}).Draw(t, "labels")
	switch rapid.IntRange(0, 16).Draw(t, "kind") {
	case 10:
		return drawRestore(t)
	case 0:
		return Put{Name: pick("listener"), Labels: labels, If: pre, Spec: drawListener(t)}
	case 1:
		return Put{Name: pick("route"), If: pre, Spec: drawRoute(t, pick)}
	case 2, 3:
		return Put{Name: pick("pool"), Labels: labels, If: pre, Spec: drawPool(t)}
	case 4, 5, 6:
		put := backend(pick("backend"), fmt.Sprintf("10.0.0.%d:80", rapid.IntRange(1, 5).Draw(t, "host")))
		put.Pool, put.If, put.Labels = pick("pool"), pre, labels
		spec := put.Spec.(BackendSpec)
		spec.AdminState = rapid.SampledFrom([]AdminState{AdminReady, AdminReady, AdminReady, AdminDrain, AdminMaint}).Draw(t, "admin state")
		spec.TTL = Duration(rapid.SampledFrom([]time.Duration{0, 0, 0, time.Minute}).Draw(t, "ttl"))
		put.Spec = spec
		return put
	case 7:
		kind := rapid.SampledFrom([]Kind{KindListener, KindRoute, KindPool, KindBackend}).Draw(t, "deleted")
		ref := Ref{Kind: kind, Name: pick("name")}
		if kind == KindBackend {
			ref.Pool = pick("pool")
		}
		return Delete{ref, pre}
	case 8:
		state := rapid.SampledFrom([]NodeState{NodeAlive, NodeDead, NodeLeft}).Draw(t, "state")
		uid := rapid.SampledFrom(someNodes).Draw(t, "uid")
		if rapid.IntRange(0, 4).Draw(t, "forget") == 0 {
			return ForgetNode{uid}
		}
		if level := rapid.Uint64Range(0, FeatureLevel).Draw(t, "raise"); level > 0 {
			return RaiseLevel{level}
		}
		level := rapid.SampledFrom([]uint64{1, 2, FeatureLevel, FeatureLevel, FeatureLevel}).Draw(t, "level")
		return SetNode{Node{UID: uid, Name: uid, State: state, FeatureLevel: level, Witness: rapid.IntRange(0, 9).Draw(t, "witness") == 0}}
	}
	return nil // what needs the state: see drawStatus
}

// someNodes are enough that not all observe.
var someNodes = []string{"n1", "n2", "n3", "n4", "n5", "n6"}

// drawRestore draws a part of a restore. Some follow each other.
func drawRestore(t *rapid.T) Operation {
	part := RestorePart{
		ID: rapid.SampledFrom([]string{"r1", "r2"}).Draw(t, "restore"), Number: rapid.IntRange(0, 2).Draw(t, "number"),
		Last: rapid.Bool().Draw(t, "last"), Abort: rapid.IntRange(0, 9).Draw(t, "abort") == 0,
	}
	for range rapid.IntRange(0, 4).Draw(t, "objects") {
		if put, ok := drawOperation(t).(Put); ok {
			put.If = Precondition{}
			part.Objects = append(part.Objects, put)
		}
	}
	return part
}

func drawListener(t *rapid.T) ListenerSpec {
	spec := ListenerSpec{Protocol: ProtocolHTTP}
	if rapid.Bool().Draw(t, "full") {
		spec = fullListener()
	}
	spec.Address = rapid.SampledFrom([]string{":80", ":81", "bad"}).Draw(t, "address")
	return spec
}

func drawPool(t *rapid.T) PoolSpec {
	spec := rapid.SampledFrom([]PoolSpec{pool("p").Spec.(PoolSpec), {Strategy: StrategyRandom}, fullPool(), dampedPool(), healthPool()}).Draw(t, "pool")
	if rapid.Bool().Draw(t, "queued") {
		spec.Limits = &PoolLimits{BackendRequests: rapid.IntRange(0, 2).Draw(t, "requests"), Queue: rapid.IntRange(0, 2).Draw(t, "queue")}
	}
	return spec
}

// dampedPool holds and starts slowly what flaps once.
func dampedPool() PoolSpec {
	spec := pool("p").Spec.(PoolSpec)
	spec.SlowStart, spec.Damping = Duration(time.Minute), &Damping{Flaps: 1, Hold: Duration(time.Second), MaxHold: Duration(4 * time.Second), Decay: Duration(time.Second)}
	return spec
}

func drawRoute(t *rapid.T, pick func(string) string) RouteSpec {
	switch rapid.IntRange(0, 3).Draw(t, "action") {
	case 0:
		return RouteSpec{Match: RouteMatch{PathPrefix: "/old"}, Redirect: fullRedirect()}
	case 1:
		return RouteSpec{Respond: &Respond{Status: 404, ContentType: "text/plain"}}
	case 2:
		spec := fullRoute()
		spec.Listeners = []string{pick("listener")}
		spec.Pools[0].Name, spec.Mirror.Pool = pick("pool"), pick("mirror")
		return spec
	}
	return route("r", pick("pool")).Spec.(RouteSpec)
}

// drawStatus draws what is about what the state holds, mostly votes.
func drawStatus(t *rapid.T, s *State) Operation {
	switch rapid.IntRange(0, 9).Draw(t, "status") {
	case 0:
		name := rapid.SampledFrom([]string{"default", "a", "b", "c"})
		return SetOverride{
			Pool: name.Draw(t, "pool"), Name: name.Draw(t, "backend"),
			Health: rapid.SampledFrom([]Health{"", HealthUp, HealthDown}).Draw(t, "health"), For: Duration(rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(t, "for")),
		}
	case 1, 2:
		return drawExpire(t, s, 0)
	case 3:
		report := ReportIdle{Node: rapid.SampledFrom(append(slices.Clone(s.observers), "n1", "n9")).Draw(t, "node")}
		for b := range s.Backends() {
			if b.Status.Drain != nil {
				report.Backends = append(report.Backends, IdleBackend{b.Pool, b.Name, b.Meta.UID, b.Status.Drain.Epoch - uint64(rapid.IntRange(0, 4).Draw(t, "age")/4)})
			}
		}
		return report
	}
	return drawVotes(t, s)
}

// drawExpire draws the ends of what there is, as of that many epochs ago.
func drawExpire(t *rapid.T, s *State, age uint64) Expire {
	var e Expire
	for b := range s.Backends() {
		what := rapid.SampledFrom([]ExpiryKind{ExpireHold, ExpireFlap, ExpireRamp, ExpireOverride, ExpireDrain, ExpireTTL}).Draw(t, "what")
		epoch := b.Status.Epoch
		if what == ExpireHold || what == ExpireFlap {
			epoch = b.Status.FlapEpoch
		}
		if what == ExpireTTL {
			epoch = b.Meta.Revision
		}
		if what == ExpireOverride && b.Status.Override != nil {
			epoch = b.Status.Override.Epoch
		}
		if what == ExpireDrain && b.Status.Drain != nil {
			epoch = b.Status.Drain.Epoch
		}
		e.Items = append(e.Items, Expiry{b.Pool, b.Name, b.Meta.UID, what, epoch - age})
	}
	return e
}

// drawVotes draws votes about what the state holds, mostly current ones of
// observers, who tend to agree.
func drawVotes(t *rapid.T, s *State) Operation {
	op := CastVotes{Observer: rapid.SampledFrom(append(slices.Clone(someNodes), "n9")).Draw(t, "observer"), Votes: []BackendVote{}}
	trend := rapid.SampledFrom([]Health{HealthUp, HealthDown}).Draw(t, "health")
	for b := range s.Backends() {
		if observers := s.Observers(b); len(observers) > 0 && rapid.Bool().Draw(t, "observes") {
			op.Observer = rapid.SampledFrom(observers).Draw(t, "of them")
		}
	}
	for b := range s.Backends() {
		health := trend
		if rapid.IntRange(0, 9).Draw(t, "dissent") == 0 {
			health = rapid.SampledFrom([]Health{HealthUp, HealthDown}).Draw(t, "dissenting")
		}
		generation := s.CheckGeneration(b) - uint64(rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 1}).Draw(t, "age"))
		vote := BackendVote{Pool: b.Pool, Name: b.Name, UID: b.Meta.UID, Generation: generation, Health: health, Reason: "drawn"}
		if s.FeatureLevel() >= 4 {
			vote.Reduction = rapid.SampledFrom([]int{0, 0, 50, 100}).Draw(t, "reduction")
		}
		op.Votes = append(op.Votes, vote)
	}
	return op
}

// drawAny draws any operation.
func drawAny(t *rapid.T, s *State) Operation {
	switch rapid.IntRange(0, 9).Draw(t, "new kind") {
	case 0, 1:
		return drawTxn(t)
	case 2:
		confirm := Confirm{Revision: rapid.Uint64Range(1, 20).Draw(t, "revision"), Undo: rapid.Bool().Draw(t, "undo")}
		if len(s.pending) > 0 {
			confirm.Revision = rapid.SampledFrom(s.pending).Draw(t, "pending").Revision
		}
		return confirm
	case 3:
		hash := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "hash")
		return tokenPut(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "token"), hash)
	case 4:
		if rapid.Bool().Draw(t, "back") {
			return drawRollback(t, s)
		}
	}
	if op := drawOperation(t); op != nil {
		return op
	}
	return drawStatus(t, s)
}

// drawRollback draws the way back to a revision, mostly one that is known.
func drawRollback(t *rapid.T, s *State) Rollback {
	back := Rollback{To: rapid.Uint64Range(max(1, s.OldestRevision()), s.Revision()+1).Draw(t, "to")}
	if rapid.IntRange(0, 3).Draw(t, "limited") == 0 {
		back.Labels = map[string]string{"k": "v"}
	}
	return back
}

func drawTxn(t *rapid.T) Txn {
	var op Txn
	for range rapid.IntRange(1, 6).Draw(t, "steps") {
		switch one := drawOperation(t).(type) {
		case Put:
			op.Steps = append(op.Steps, Step{Put: &one})
		case Delete:
			op.Steps = append(op.Steps, Step{Delete: &one})
		}
	}
	return op
}

// drawFrame draws what goes with an operation.
func drawFrame(t *rapid.T, c *Command) {
	if rapid.IntRange(0, 4).Draw(t, "keyed") == 0 {
		c.Key = Key{Name: rapid.SampledFrom([]string{"k1", "k2", "k3"}).Draw(t, "key"), Request: rapid.SampledFrom([]string{"", "r"}).Draw(t, "request")}
	}
	if isWrite(c.Op) && rapid.IntRange(0, 3).Draw(t, "waits") == 0 {
		c.ConfirmWithin = Duration(time.Minute)
	}
	c.Reason = rapid.SampledFrom([]string{"", "", "why"}).Draw(t, "reason")
}

// drawEntries draws a history of entries and returns it with the state that
// it leads to from an initialised registry.
func drawEntries(t *rapid.T, from *State) ([][]Command, *State) {
	var entries [][]Command
	state, seq := from, uint64(0)
	for range rapid.IntRange(1, 40).Draw(t, "entries") {
		var entry []Command
		for range rapid.IntRange(1, 3).Draw(t, "commands") {
			seq++
			c := Command{ID: CommandID{"n1", seq}, Time: time.Unix(int64(seq), 0).UTC(), Actor: "a", Op: drawAny(t, state)}
			if rapid.IntRange(0, 9).Draw(t, "repeat") == 0 {
				c.ID.Seq = max(1, seq/2)
			}
			drawFrame(t, &c)
			entry = append(entry, c)
		}
		entries = append(entries, entry)
		state, _ = Apply(state, entry)
	}
	return entries, state
}

func replay(s *State, entries [][]Command) *State {
	for _, entry := range entries {
		s, _ = Apply(s, entry)
	}
	return s
}

func throughSnapshot(t interface{ Fatal(...any) }, s *State) *State {
	var b bytes.Buffer
	if err := s.WriteSnapshot(&b); err != nil {
		t.Fatal(err)
	}
	restored, err := ReadSnapshot(&b)
	if err != nil {
		t.Fatal(err)
	}
	return restored
}

func snapshotText(t interface{ Fatal(...any) }, s *State) string {
	var b bytes.Buffer
	if err := s.WriteSnapshot(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestReplayEqualsSnapshotPlusTailOnAnyCut(t *testing.T) {
	start := newRegistry(t).State
	rapid.Check(t, func(t *rapid.T) {
		entries, want := drawEntries(t, start)
		for cut := range len(entries) + 1 {
			got := replay(throughSnapshot(t, replay(start, entries[:cut])), entries[cut:])
			if got.Digest() != want.Digest() || snapshotText(t, got) != snapshotText(t, want) {
				t.Fatalf("cut after %d of %d entries:\n%s\nwant\n%s", cut, len(entries), snapshotText(t, got), snapshotText(t, want))
			}
		}
	})
}

func TestTheIncrementalDigestIsThatOfTheContent(t *testing.T) {
	start := newRegistry(t).State
	rapid.Check(t, func(t *rapid.T) {
		_, s := drawEntries(t, start)
		// Reading a snapshot sums all hashes anew and compares.
		throughSnapshot(t, s)
	})
}

func TestOldStatesStayAsTheyWere(t *testing.T) {
	start := newRegistry(t).State
	before := snapshotText(t, start)
	rapid.Check(t, func(t *rapid.T) {
		entries, middle := drawEntries(t, start)
		text := snapshotText(t, middle)
		replay(middle, entries)
		if snapshotText(t, middle) != text || snapshotText(t, start) != before {
			t.Fatal("applying commands changed a state that was there before")
		}
	})
}

func TestInvariantsHoldAfterAnyHistory(t *testing.T) {
	for name, start := range map[string]*State{"at the newest level": newRegistry(t).State, "at level 1": oldRegistry(t).State, "at level 3": atLevel(t, 3, 6).State} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				_, s := drawEntries(t, start)
				checkInvariants(t, s)
				checkLevels(t, s)
			})
		})
	}
}

// checkLevels holds every object to what the state's level has.
func checkLevels(t *rapid.T, s *State) {
	var f faults
	for l := range s.Listeners() {
		checkLevel(&f, s.FeatureLevel(), l.Ref().String(), l.Spec)
	}
	for p := range s.Pools() {
		checkLevel(&f, s.FeatureLevel(), p.Ref().String(), p.Spec)
	}
	for r := range s.Routes() {
		checkLevel(&f, s.FeatureLevel(), r.Ref().String(), r.Spec)
	}
	for b := range s.Backends() {
		checkLevel(&f, s.FeatureLevel(), b.Ref().String(), b.Spec)
		if status := b.Status; s.FeatureLevel() < 4 && (status.Epoch != 0 || status.FlapEpoch != 0 || status.Ramp != 0 || status.Flaps != 0 || status.Held || status.Reduction != 0 ||
			status.Override != nil || status.Drain != nil) {
			f.add(b.Ref().String(), "its status is %+v", status)
		}
	}
	if err := f.err(); err != nil {
		t.Fatalf("at level %d: %v", s.FeatureLevel(), err)
	}
}

func checkInvariants(t *rapid.T, s *State) {
	backends := 0
	addresses := map[string]string{}
	for b := range s.Backends() {
		backends++
		key := addressKey(b.Pool, b.Spec.Address)
		if other, twice := addresses[key]; twice {
			t.Fatalf("%s has the address of %s", b.Ref(), other)
		}
		addresses[key] = b.Name
		if s.Pool(b.Pool) == nil {
			t.Fatalf("%s is in no pool", b.Ref())
		}
		if s.BackendByAddress(b.Pool, b.Spec.Address) != b {
			t.Fatalf("%s is not found by its address", b.Ref())
		}
		if s.Pool(b.Pool).Spec.Check == nil && b.Status.Health != HealthUnknown {
			t.Fatalf("%s is not checked and yet %s", b.Ref(), b.Status.Health)
		}
		if b.Meta.Revision > s.Revision() || b.Status.Since > s.Version() {
			t.Fatalf("%s is of the future", b.Ref())
		}
	}
	if backends != s.Count(KindBackend) || s.addresses.Len() != backends {
		t.Fatalf("%d backends, counted as %d, with %d addresses", backends, s.Count(KindBackend), s.addresses.Len())
	}
	uses := map[string]bool{}
	check := func(o AnyObject) {
		for _, named := range namedBy(o.GetSpec()) {
			key := string(useKey(named, o.Ref()))
			uses[key] = true
			if _, indexed := s.uses.Get([]byte(key)); !indexed {
				t.Fatalf("%s is not in the index of what it names: %q", o.Ref(), key)
			}
			if s.Object(named) == nil {
				t.Fatalf("%s names %s, which does not exist", o.Ref(), named)
			}
		}
	}
	for o := range s.Routes() {
		check(o)
	}
	for o := range s.Listeners() {
		check(o)
	}
	for o := range s.Pools() {
		check(o)
	}
	if s.uses.Len() != len(uses) {
		t.Fatalf("the index of what is named has %d entries, want %d", s.uses.Len(), len(uses))
	}
}
