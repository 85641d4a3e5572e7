package httpapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"evenkeel/cluster"
	"evenkeel/fsm"
)

// registry is labels and spec of every object but tokens, as JSON by name.
func registry(t testing.TB, s *fsm.State) map[string]string {
	t.Helper()
	all := map[string]string{}
	for put := range s.Objects() {
		if put.Ref().Kind == fsm.KindToken {
			continue
		}
		text, err := json.Marshal(put)
		if err != nil {
			t.Fatal(err)
		}
		all[put.Ref().String()] = string(text)
	}
	return all
}

// atLevel is newClient of a cluster at that feature level.
func atLevel(t testing.TB, level uint64) *client {
	t.Helper()
	c := newClient(t)
	c.cluster.state = fsm.New()
	c.cluster.apply(t, fsm.Init{ClusterID: "c1", FeatureLevel: level, Objects: fsm.DefaultObjects()})
	c.cluster.apply(t, fsm.SetNode{Node: fsm.Node{UID: fakeUID, Name: "n1", State: fsm.NodeAlive, FeatureLevel: level}})
	return c
}

// planned is the level below that which has rollbacks of the state machine.
const planned = 5

// atBothLevels runs the test with rollbacks that a node plans, as long as a node of
// an older build is in the cluster, and with those of the state machine.
func atBothLevels(t *testing.T, test func(t *testing.T, level uint64)) {
	for _, level := range []uint64{planned, fsm.FeatureLevel} {
		t.Run(fmt.Sprintf("at level %d", level), func(t *testing.T) { test(t, level) })
	}
}

func TestARollbackMakesTheRegistryWhatItWas(t *testing.T) {
	atBothLevels(t, rollsBack)
}

func rollsBack(t *testing.T, level uint64) {
	c := atLevel(t, level)
	then := c.write("/v1/pools/web", `{}`)
	want := registry(t, c.cluster.State())
	c.write("/v1/pools/web/backends/a", `{"address":"h:1"}`)
	c.write("/v1/routes/r", `{"pools":[{"name":"web"}]}`)
	c.write("/v1/pools/default", `{"strategy":"random"}`)
	c.send("DELETE", "/v1/routes/default", "").want(204)
	last := c.cluster.State().Revision()
	request := fmt.Sprintf(`{"to":%d}`, then)

	const changes = "delete backend web/a, update pool default /spec/strategy random weighted_round_robin"
	tried := c.send("POST", "/v1/rollback?dry_run=true", request).want(200).wantAt(float64(last), "revision")
	if c.cluster.State().Revision() != last {
		t.Fatal("a rollback was made that was only to be tried")
	}
	done := c.send("POST", "/v1/rollback", request).want(200).wantAt(float64(last+1), "revision")
	if tried.changes() != done.changes() || !strings.HasPrefix(done.changes(), changes[:24]) {
		t.Errorf("tried: %s\ndone: %s", tried.changes(), done.changes())
	}
	if diff := cmp.Diff(want, registry(t, c.cluster.State())); diff != "" {
		t.Error("(-then +now):\n" + diff)
	}
	kind := "rollback"
	if level == planned {
		kind = "txn"
	}
	c.send("GET", fmt.Sprintf("/v1/revisions/%d", last+1), "").wantAt(fmt.Sprintf("rollback to revision %d", then), "reason").wantAt(kind, "kind").wantAt(4.0, "count")

	again := c.send("POST", "/v1/rollback", request).want(200).wantAt(float64(last+1), "revision")
	if again.changes() != "" || c.cluster.State().Revision() != last+1 {
		t.Errorf("it was rolled back again: %s", again.body)
	}
	c.send("POST", "/v1/rollback", fmt.Sprintf(`{"to":%d}`, last), "X-Evenkeel-Reason", "it was better").want(200)
	c.send("GET", "/v1/revisions?limit=1", "").want(200)
	if got := c.send("GET", "/v1/revisions?limit=1", "").items()[0]["reason"]; got != "it was better" {
		t.Errorf("its reason is %v", got)
	}
	if c.cluster.State().Backend("web", "a") == nil {
		t.Error("the rollback was not rolled back")
	}
}

func TestARevokedTokenDoesNotComeBack(t *testing.T) {
	atBothLevels(t, keepsTokens)
}

func keepsTokens(t *testing.T, level uint64) {
	c := atLevel(t, level)
	token := fsm.Put{Name: "ci", Spec: fsm.TokenSpec{Role: fsm.RoleAdmin, Hash: strings.Repeat("0a", 32)}}
	c.cluster.apply(t, token)
	then := c.cluster.State().Revision()
	c.cluster.apply(t, fsm.Delete{Ref: token.Ref()})
	token.Name, token.Spec = "new", fsm.TokenSpec{Role: fsm.RoleAdmin, Hash: strings.Repeat("0b", 32)}
	c.cluster.apply(t, token)
	c.write("/v1/pools/web", `{}`)
	if got := c.send("POST", "/v1/rollback", fmt.Sprintf(`{"to":%d}`, then)).want(200).changes(); got != "delete pool web" {
		t.Errorf("changes: %s", got)
	}
	if s := c.cluster.State(); s.Token("ci") != nil || s.Token("new") == nil {
		t.Error("tokens were rolled back")
	}
}

func TestARollbackThatCannotBeIsRefused(t *testing.T) {
	atBothLevels(t, refusesRollbacks)
}

func refusesRollbacks(t *testing.T, level uint64) {
	c := atLevel(t, level)
	c.write("/v1/pools/web", `{}`)
	for body, pointer := range map[string]string{
		`{}`: "/to", `{"to":0}`: "/to", `{"to":"1"}`: "/to", `{"to":-1}`: "/to", `{"to":1,"from":2}`: "/from", `[]`: "", ``: "", `{"to":1`: "",
	} {
		if got := c.send("POST", "/v1/rollback", body).wantProblem(400, "invalid-object").faults(); got[pointer] == "" {
			t.Errorf("%s: %v", body, got)
		}
	}
	c.send("POST", "/v1/rollback", `{"to":3}`).wantProblem(404, "not-found")
	c.send("POST", "/v1/rollback", `{"to":1}`, "If-Match", `"2"`).wantProblem(400, "invalid-request")
	c.send("POST", "/v1/rollback?to=1", `{"to":1}`).wantProblem(400, "invalid-request")
	c.cluster.readIndex = func() error { return cluster.ErrNoQuorum }
	c.cluster.propose = func(fsm.Operation) (fsm.Result, error) { return fsm.Result{}, cluster.ErrNoQuorum }
	for _, query := range []string{"", "?dry_run=true"} {
		c.send("POST", "/v1/rollback"+query, `{"to":1}`).wantProblem(503, "no-quorum").wantHeader("Retry-After", "1")
	}
}

// While a node of an older build is in the cluster, what others write while it is
// planned makes it be planned anew.
func TestAWriteInBetweenHasARollbackPlannedAnew(t *testing.T) {
	c := atLevel(t, planned)
	c.write("/v1/pools/default/backends/a", `{"address":"h:1"}`)
	attempts, others := 0, 2
	c.cluster.propose = func(op fsm.Operation) (fsm.Result, error) {
		if attempts++; attempts <= others {
			c.cluster.apply(t, weighted("a", attempts+1))
			c.cluster.apply(t, weighted(fmt.Sprintf("b%d", attempts), 1))
		}
		return c.cluster.perform(fsm.Command{Actor: "test", Op: op}), nil
	}
	got := c.send("POST", "/v1/rollback", `{"to":1}`).want(200)
	if attempts != 3 || got.changes() != "delete backend default/a, delete backend default/b1, delete backend default/b2" {
		t.Errorf("%d attempts: %s", attempts, got.body)
	}
	c.cluster.apply(t, weighted("a", 1))
	attempts, others = 0, 1000
	before := c.cluster.State().Revision()
	c.send("POST", "/v1/rollback", `{"to":1}`).wantProblem(503, "outrun").wantHeader("Retry-After", "1")
	if by := c.cluster.State().Revision() - before; by != uint64(2*attempts) {
		t.Errorf("%d revisions by others in %d attempts", by, attempts)
	}
}

// Others write at full speed, and before each rollback is applied too: every one
// is accepted, undoes that as well, and tells so.
func TestNoWriteOfOthersRefusesARollback(t *testing.T) {
	c := newClient(t)
	var others sync.WaitGroup
	var asked atomic.Uint64 // the revision of the latest rollback
	var done atomic.Bool
	for of := range 4 {
		others.Go(func() {
			for n := 0; !done.Load(); n++ {
				if c.cluster.State().Revision() > asked.Load()+2000 { // it is to stay in the journal
					runtime.Gosched()
					continue
				}
				c.cluster.perform(fsm.Command{Actor: "other", Op: weighted(fmt.Sprintf("b%d", of), n%100)})
			}
		})
	}
	defer others.Wait()
	defer done.Store(true)
	n := 0
	c.cluster.propose = func(op fsm.Operation) (fsm.Result, error) {
		n++
		c.cluster.apply(t, weighted("mine", n))
		c.cluster.apply(t, weighted(fmt.Sprintf("new%d", n), 1))
		return c.cluster.perform(fsm.Command{Actor: "test", Op: op}), nil
	}
	for range 40 {
		to := c.cluster.State().Revision()
		asked.Store(to)
		got := c.send("POST", "/v1/rollback", fmt.Sprintf(`{"to":%d}`, to)).want(200)
		made, s := uint64(got.at("revision").(float64)), c.cluster.State()
		if left, known := s.Between(to, made); !known || len(left) > 0 || made <= to {
			t.Fatalf("revision %d differs from %d, which is known: %t, by %+v", made, to, known, left)
		}
		if want := fmt.Sprintf("delete backend default/new%d", n); !strings.Contains(got.changes(), want) {
			t.Errorf("it tells %s, and lacks %s", got.changes(), want)
		}
	}
}

func TestARollbackIsMadeOnceUnderItsKey(t *testing.T) {
	atBothLevels(t, rollsBackOnce)
}

func rollsBackOnce(t *testing.T, level uint64) {
	c := atLevel(t, level)
	c.write("/v1/pools/web", `{}`)
	c.write("/v1/pools/shop", `{}`)
	first := c.send("POST", "/v1/rollback", `{"to":1}`, "Idempotency-Key", "k1").want(200)
	c.write("/v1/pools/web", `{}`)
	again := c.send("POST", "/v1/rollback", `{"to":1}`, "Idempotency-Key", "k1").want(200).wantHeader("Idempotency-Replayed", "true")
	if again.changes() != first.changes() || again.at("revision") != first.at("revision") || c.cluster.State().Pool("web") == nil {
		t.Errorf("first %s, then %s", first.body, again.body)
	}
	c.send("POST", "/v1/rollback?dry_run=true", `{"to":1}`, "Idempotency-Key", "k1").want(200).wantHeader("Idempotency-Replayed", "true")
	c.send("POST", "/v1/rollback", `{"to":3}`, "Idempotency-Key", "k1").wantProblem(422, "key-reused")
}

// One that had nothing to change is not made later under its key either, and does
// not tell of the revision of another that it found.
func TestARollbackThatChangedNothingIsToldAsThat(t *testing.T) {
	c := newClient(t)
	c.write("/v1/pools/web", `{}`)
	c.send("POST", "/v1/rollback", `{"to":2}`, "Idempotency-Key", "k1").want(200).wantAt(2.0, "revision")
	c.write("/v1/pools/shop", `{}`)
	again := c.send("POST", "/v1/rollback", `{"to":2}`, "Idempotency-Key", "k1").want(200).wantAt(2.0, "revision").wantHeader("Idempotency-Replayed", "true")
	if again.changes() != "" || c.cluster.State().Pool("shop") == nil {
		t.Errorf("again: %s", again.body)
	}
}

// What came with a snapshot of the registry knows of a command no more than its
// revision.
func TestARollbackWhoseOutcomeIsOfASnapshotTellsItsChanges(t *testing.T) {
	c := newClient(t)
	c.write("/v1/pools/web", `{}`)
	c.cluster.propose = func(op fsm.Operation) (fsm.Result, error) {
		first := c.cluster.perform(fsm.Command{Actor: "test", Op: op})
		return fsm.Result{Version: first.Version, Revision: first.Revision, Repeat: true}, nil
	}
	if got := c.send("POST", "/v1/rollback", `{"to":1}`).want(200).wantAt(3.0, "revision"); got.changes() != "delete pool web" {
		t.Errorf("it tells %s", got.body)
	}
}

// Whatever was written, every registry that is known can be had again, backwards
// and forwards.
func TestAnyKnownRegistryCanBeHadAgain(t *testing.T) {
	atBothLevels(t, hasAnyAgain)
}

func hasAnyAgain(outer *testing.T, level uint64) {
	rapid.Check(outer, func(t *rapid.T) {
		c := atLevel(outer, level)
		c.checked = false
		pools := rapid.SampledFrom([]string{"p0", "p1", "p2"})
		names := rapid.SampledFrom([]string{"a", "b", "c"})
		known := map[uint64]map[string]string{1: registry(c, c.cluster.State())}
		for range rapid.IntRange(1, 25).Draw(t, "writes") {
			pool, name := pools.Draw(t, "pool"), names.Draw(t, "name")
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				c.send("PUT", "/v1/pools/"+pool, fmt.Sprintf(`{"max_fails":%d}`, rapid.IntRange(1, 3).Draw(t, "fails")))
			case 1:
				c.send("PUT", "/v1/pools/"+pool+"/backends/"+name, fmt.Sprintf(`{"address":"h:%d","labels":{"l":"%s"}}`, rapid.IntRange(1, 3).Draw(t, "port"), name))
			case 2:
				c.send("PUT", "/v1/routes/"+name, fmt.Sprintf(`{"pools":[{"name":%q}]}`, pool))
			case 3:
				c.send("DELETE", "/v1/pools/"+pool, "")
			case 4:
				c.send("DELETE", "/v1/pools/"+pool+"/backends/"+name, "")
			case 5:
				c.send("DELETE", "/v1/routes/"+name, "")
			}
			known[c.cluster.State().Revision()] = registry(c, c.cluster.State())
		}
		for range 3 {
			to := rapid.SampledFrom(slices.Sorted(maps.Keys(known))).Draw(t, "to")
			now := registry(c, c.cluster.State())
			before := c.cluster.State().Revision()
			got := c.send("POST", "/v1/rollback", fmt.Sprintf(`{"to":%d}`, to))
			if made := c.cluster.State().Revision() - before; got.StatusCode != 200 || made > 1 || (made == 0) != maps.Equal(now, known[to]) {
				t.Fatalf("to %d: %d revisions were made: %s", to, made, got.body)
			}
			if diff := cmp.Diff(known[to], registry(c, c.cluster.State())); diff != "" {
				t.Fatalf("to %d (-then +now):\n%s", to, diff)
			}
			known[c.cluster.State().Revision()] = known[to]
		}
	})
}
