package httpapi_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"evenkeel/cluster"
	"evenkeel/fsm"
	"evenkeel/httpapi"
)

func snapshotOf(t *testing.T, s *fsm.State) string {
	t.Helper()
	var text bytes.Buffer
	if err := s.WriteSnapshot(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func refs(s *fsm.State) map[fsm.Ref]bool {
	all := map[fsm.Ref]bool{}
	for put := range s.Objects() {
		all[put.Ref()] = true
	}
	return all
}

// many adds that many backends.
func many(t *testing.T, f *fakeCluster, count int) {
	t.Helper()
	for i := range count {
		spec := fsm.BackendSpec{Address: fmt.Sprintf("10.0.%d.%d:80", i>>8, i&255)}
		spec.SetDefaults()
		f.apply(t, fsm.Put{Pool: "default", Name: fmt.Sprintf("b%d", i), Labels: map[string]string{"text": strings.Repeat("x", 250)}, Spec: spec})
	}
}

func TestASnapshotIsRestoredIntoAnotherCluster(t *testing.T) {
	from, into := newClient(t), newClient(t)
	many(t, from.cluster, 3000) // more than one part
	saved := from.send("GET", "/v1/snapshot", "").want(200)
	if saved.body != snapshotOf(t, from.cluster.State()) {
		t.Error("the snapshot is not the state")
	}
	into.apply(t, "/v1/pools/old")
	revision := into.cluster.State().Revision()
	parts := 0
	into.cluster.propose = func(op fsm.Operation) (fsm.Result, error) {
		part := op.(fsm.RestorePart)
		if part.Number != parts {
			t.Errorf("part %d comes at place %d", part.Number, parts)
		}
		if parts++; parts == 2 {
			if s := into.cluster.State(); s.Revision() != revision || s.Restoring() == "" {
				t.Error("a part shows before the last one has come")
			}
		}
		return into.cluster.perform(fsm.Command{Actor: "test", Op: op}), nil
	}
	into.send("PUT", "/v1/snapshot", saved.body, "Content-Type", "application/vnd.evenkeel.snapshot").want(200).
		wantAt(float64(revision+1), "revision").wantAt(float64(3003), "objects")
	if got, want := refs(into.cluster.State()), refs(from.cluster.State()); len(got) != len(want) || parts < 2 {
		t.Errorf("%d objects in %d parts, want %d", len(got), parts, len(want))
	}
	if s := into.cluster.State(); s.Restoring() != "" || s.Node(fakeUID) == nil {
		t.Error("the restore is not over, or the node is gone")
	}
}

// apply creates an object through the API.
func (c *client) apply(t *testing.T, path string) {
	t.Helper()
	c.send("PUT", path, `{"spec":{}}`).want(201)
}

func TestARestoreThatCannotBeChangesNothing(t *testing.T) {
	whole := snapshotOf(t, newClient(t).cluster.State())
	refusal := func(code fsm.Code) func(fsm.Operation) (fsm.Result, error) {
		return func(fsm.Operation) (fsm.Result, error) {
			return fsm.Result{Err: &fsm.Error{Code: code, Faults: []fsm.Fault{{Message: "planted"}}}}, nil
		}
	}
	for name, c := range map[string]struct {
		body    string
		propose func(fsm.Operation) (fsm.Result, error)
		status  int
		text    string
	}{
		"nothing":                 {"", nil, 400, "no snapshot"},
		"something else":          {"hello\n", nil, 400, "no snapshot"},
		"one that is cut":         {whole[:len(whole)/2], nil, 400, "truncated"},
		"one that is altered":     {strings.Replace(whole, "default", "defaulT", 1), nil, 400, "no snapshot"},
		"another restore":         {whole, refusal(fsm.CodePrecondition), 409, "interrupted"},
		"more than there is room": {whole, refusal(fsm.CodeLimit), 409, "registry-full"},
		"a newer level":           {whole, refusal(fsm.CodeInvalid), 400, "planted"},
		"a detached node":         {whole, func(fsm.Operation) (fsm.Result, error) { return fsm.Result{}, cluster.ErrDetached }, 503, "detached"},
		"an unknown outcome":      {whole, func(fsm.Operation) (fsm.Result, error) { return fsm.Result{}, cluster.ErrOutcomeUnknown }, 504, "outcome-unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t)
			aborted := false
			if c.propose != nil {
				client.cluster.propose = func(op fsm.Operation) (fsm.Result, error) {
					aborted = op.(fsm.RestorePart).Abort
					return c.propose(op)
				}
			}
			before := client.cluster.State()
			got := client.send("PUT", "/v1/snapshot", c.body, "Content-Type", "application/vnd.evenkeel.snapshot").want(c.status)
			if !strings.Contains(got.body, c.text) || client.cluster.State() != before || aborted != (c.propose != nil) {
				t.Errorf("the answer is %s; given up: %v", got.body, aborted)
			}
		})
	}
}

func TestARestoreWaitsOutAChangeOfTheLeader(t *testing.T) {
	c := newClient(t)
	body := snapshotOf(t, c.cluster.State())
	attempts := 0
	c.cluster.propose = func(op fsm.Operation) (fsm.Result, error) {
		if attempts++; attempts < 3 {
			return fsm.Result{}, cluster.ErrNoQuorum
		}
		return c.cluster.perform(fsm.Command{Actor: "test", Op: op}), nil
	}
	c.send("PUT", "/v1/snapshot", body, "Content-Type", "application/vnd.evenkeel.snapshot").want(200)
	if attempts != 3 {
		t.Errorf("%d attempts", attempts)
	}
}

func TestOneSnapshotIsRestoredAtATime(t *testing.T) {
	c := newClient(t)
	body := snapshotOf(t, c.cluster.State())
	other := 0
	c.cluster.propose = func(op fsm.Operation) (fsm.Result, error) {
		if other == 0 {
			other = 1
			other = c.send("PUT", "/v1/snapshot", body, "Content-Type", "application/vnd.evenkeel.snapshot").StatusCode
		}
		return c.cluster.perform(fsm.Command{Actor: "test", Op: op}), nil
	}
	c.send("PUT", "/v1/snapshot", body, "Content-Type", "application/vnd.evenkeel.snapshot").want(200)
	if other != 503 {
		t.Errorf("another one meanwhile: %d", other)
	}
	c.send("PUT", "/v1/snapshot", body, "Content-Type", "application/vnd.evenkeel.snapshot").want(200)
}

func TestCertificatesOfASnapshotAreSealedAnewOrNothingIsRestored(t *testing.T) {
	from := newClient(t)
	from.certificate(t, "site", "site.example", time.Hour).want(201)
	from.send("PUT", "/v1/listeners/web", `{"address":":443","protocol":"https","tls":{"certificates":["site"]}}`).want(201)
	saved := snapshotOf(t, from.cluster.State())

	sealer := new(testSealer)
	into := newClient(t, func(config *httpapi.Config) { config.Sealer = sealer })
	before := into.cluster.State().Version()
	refused := func(what string, status int, want ...string) {
		t.Helper()
		got := into.send("PUT", "/v1/snapshot", saved).want(status)
		for _, text := range append(want, "nothing was changed") {
			if !strings.Contains(got.body, text) {
				t.Errorf("%s: no word of %q: %s", what, text, got.body)
			}
		}
		if into.cluster.State().Version() != before {
			t.Fatalf("%s: something was changed", what)
		}
	}
	sealer.foreign = errors.New("wrapped under the secrets ab")
	refused("another secret", 400, "(site)", "wrapped under the secrets ab", "--old-secret-file", "--keep-certificates")
	sealer.foreign = fmt.Errorf("%w: no data key yet", cluster.ErrCannotSeal)
	refused("without an own key", 503, "no data key yet")

	// Its own certificates may stay, but only if the snapshot finds what it names.
	sealer.foreign = errors.New("wrapped under the secrets ab")
	into.send("PUT", "/v1/snapshot?certificates=drop", saved).wantProblem(400, "invalid-request")
	into.send("PUT", "/v1/snapshot?certificates=keep", saved).want(400)
	if into.cluster.State().Listener("web") != nil {
		t.Fatal("a listener without its certificate was restored")
	}
	into.certificate(t, "site", "site.example", time.Hour).want(201)
	into.certificate(t, "own", "own.example", time.Hour).want(201)
	own := into.cluster.State().Certificate("site")
	into.send("PUT", "/v1/snapshot?certificates=keep", saved).want(200)
	if s := into.cluster.State(); s.Certificate("site") != own || s.Certificate("own") == nil || s.Listener("web") == nil {
		t.Error("its certificates did not stay, or the rest was not restored")
	}

	sealer.foreign = nil
	into.send("PUT", "/v1/snapshot", saved).want(200)
	s := into.cluster.State()
	if want := base64.StdEncoding.EncodeToString([]byte("anew site")); s.Certificate("site").Spec.SealedKey != want || s.Certificate("own") != nil {
		t.Errorf("the certificates are %v", refs(s))
	}
	from.certificate(t, "broken", "broken.example", time.Hour).want(201)
	saved, before = snapshotOf(t, from.cluster.State()), s.Version()
	refused("one that cannot be opened", 400, "(broken)", "it was altered")
}

func TestCertificatesThatStayInARestoreAreThoseThatWereCommitted(t *testing.T) {
	from, into := newClient(t), newClient(t)
	saved := snapshotOf(t, from.cluster.State())
	into.certificate(t, "site", "site.example", time.Hour).want(201)
	old := into.cluster.State().Certificate("site")
	renewed := fsm.Put{Name: "site", Spec: fsm.CertificateSpec{Chain: old.Spec.Chain, SealedKey: "cmVuZXdlZA=="}}
	into.cluster.readIndex = func() error { // which this node, behind until now, learns of
		into.cluster.apply(t, renewed)
		return nil
	}
	into.send("PUT", "/v1/snapshot?certificates=keep", saved).want(200)
	if got := into.cluster.State().Certificate("site"); got == nil || got.Spec.SealedKey != "cmVuZXdlZA==" {
		t.Errorf("what stayed is %+v", got)
	}
	into.cluster.readIndex = func() error { return cluster.ErrNoQuorum }
	version := into.cluster.State().Version()
	into.send("PUT", "/v1/snapshot?certificates=keep", saved).wantProblem(503, "no-quorum")
	if into.cluster.State().Version() != version {
		t.Error("something was changed without a leader")
	}
}
