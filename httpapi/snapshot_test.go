package httpapi_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"evenkeel/cluster"
	"evenkeel/fsm"
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
