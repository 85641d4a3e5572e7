package httpapi

import (
	"errors"
	"maps"
	"testing"
	"time"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

// registry is a state to which commands are applied at once.
type registry struct {
	testing.TB
	state *fsm.State
	next  uint64
}

func newRegistry(t testing.TB) *registry {
	t.Helper()
	r := &registry{TB: t, state: fsm.New()}
	r.apply(fsm.Command{Op: fsm.Init{ClusterID: "c1", FeatureLevel: fsm.FeatureLevel, Objects: fsm.DefaultObjects()}})
	return r
}

func (r *registry) apply(c fsm.Command) fsm.Result {
	r.Helper()
	r.next++
	c.ID, c.Time = fsm.CommandID{Origin: "11111111-1111-4111-8111-111111111111", Seq: r.next}, time.Unix(int64(r.next), 0)
	state, results := fsm.Apply(r.state, []fsm.Command{c})
	if results[0].Err != nil {
		r.Fatal(results[0].Err)
	}
	r.state = state
	return results[0]
}

func (r *registry) putPool(name, team string) fsm.Put {
	spec := fsm.PoolSpec{}
	spec.SetDefaults()
	return fsm.Put{Name: name, Labels: map[string]string{"team": team}, Spec: spec}
}

func (r *registry) narrow(p *principal, c fsm.Command) (fsm.Command, error) {
	narrowed, _, err := p.narrow(r.state, c)
	return narrowed, err
}

var (
	anAdmin   = &principal{name: "a", role: fsm.RoleAdmin}
	anEditor  = &principal{name: "e", role: fsm.RoleEditor}
	ofTeamA   = &principal{name: "l", role: fsm.RoleEditor, labels: map[string]string{"team": "a"}}
	anyTokens = fsm.Put{Name: "ci", Spec: fsm.TokenSpec{Role: fsm.RoleViewer, Hash: unknownHash}}
)

// wantKind asks for an error that is a problem of that kind.
func wantKind(t testing.TB, err error, kind problem.Kind) {
	t.Helper()
	var p *problem.Problem
	if !errors.As(err, &p) || p.Kind != kind {
		t.Errorf("error %v, want a problem %s", err, kind)
	}
}

func TestCommandsAreRefusedWhicheverHandlerTheyComeFrom(t *testing.T) {
	r := newRegistry(t)
	pool := r.putPool("p", "a")
	for name, c := range map[string]struct {
		by   *principal
		op   fsm.Operation
		kind problem.Kind
	}{
		"nobody writes":                     {&principal{}, pool, problem.Forbidden},
		"nobody deletes":                    {&principal{}, fsm.Delete{Ref: pool.Ref()}, problem.Forbidden},
		"nobody overrides":                  {&principal{}, fsm.SetOverride{Pool: "default", Name: "b"}, problem.Forbidden},
		"nobody confirms":                   {&principal{}, fsm.Confirm{Revision: 1}, problem.Forbidden},
		"nobody makes a transaction":        {&principal{}, fsm.Txn{Steps: []fsm.Step{{Put: &pool}}}, problem.Forbidden},
		"nobody rolls back":                 {&principal{}, fsm.Rollback{To: 1}, problem.Forbidden},
		"an editor makes no token":          {anEditor, anyTokens, problem.Forbidden},
		"an editor revokes no token":        {anEditor, fsm.Delete{Ref: anyTokens.Ref()}, problem.Forbidden},
		"an editor restores nothing":        {anEditor, fsm.RestorePart{}, problem.Forbidden},
		"no transaction makes a token":      {anAdmin, fsm.Txn{Steps: []fsm.Step{{Put: &pool}, {Put: &anyTokens}}}, problem.InvalidRequest},
		"no transaction revokes a token":    {anAdmin, fsm.Txn{Steps: []fsm.Step{{Delete: &fsm.Delete{Ref: anyTokens.Ref()}}}}, problem.InvalidRequest},
		"a limited one leaves not its team": {ofTeamA, fsm.Txn{Steps: []fsm.Step{{Put: func() *fsm.Put { p := r.putPool("p", "b"); return &p }()}}}, problem.Forbidden},
		"a limited one confirms not others": {ofTeamA, fsm.Confirm{Revision: 1}, problem.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.narrow(c.by, fsm.Command{Op: c.op})
			wantKind(t, err, c.kind)
		})
	}
}

func TestALimitedSenderRollsBackWhatIsItsOwn(t *testing.T) {
	r := newRegistry(t)
	for _, by := range []*principal{ofTeamA, anEditor} {
		c, err := r.narrow(by, fsm.Command{Op: fsm.Rollback{To: 1}})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Op.(fsm.Rollback); got.To != 1 || !maps.Equal(got.Labels, by.labels) {
			t.Errorf("as %s: %+v", by.name, got)
		}
	}
}

func TestATokenIsNotMadeUnderAKeyThatCouldNotAnswerTwice(t *testing.T) {
	r := newRegistry(t)
	c := fsm.Command{Key: fsm.Key{Name: "k"}, Op: anyTokens}
	_, err := r.narrow(anAdmin, c)
	wantKind(t, err, problem.InvalidRequest)
	made, err := r.narrow(anAdmin, fsm.Command{Op: anyTokens})
	if err != nil {
		t.Fatal(err)
	}
	r.apply(made)
	if changed, err := r.narrow(anAdmin, c); err != nil || changed.Op.(fsm.Put).Spec.(fsm.TokenSpec).Hash != r.state.Token("ci").Spec.Hash {
		t.Errorf("a change of one that is there: %v", err)
	}
}

func TestTheLimitOfATokenIsInEveryStepOfItsCommand(t *testing.T) {
	r := newRegistry(t)
	pool := r.putPool("p", "a")
	txn := fsm.Txn{Steps: []fsm.Step{{Put: &pool}, {Delete: &fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindRoute, Name: "default"}}}}}
	c, err := r.narrow(ofTeamA, fsm.Command{Op: txn})
	if err != nil {
		t.Fatal(err)
	}
	steps := c.Op.(fsm.Txn).Steps
	if steps[0].Put.If.Labels["team"] != "a" || steps[1].Delete.If.Labels["team"] != "a" {
		t.Errorf("the steps are %+v, %+v", steps[0].Put.If, steps[1].Delete.If)
	}
	if pool.If.Labels != nil || txn.Steps[1].Delete.If.Labels != nil {
		t.Error("the command that was given is changed")
	}
	_, results := fsm.Apply(r.state, []fsm.Command{{ID: fsm.CommandID{Origin: "11111111-1111-4111-8111-111111111111", Seq: 99}, Op: c.Op}})
	if results[0].Err == nil {
		t.Fatal("the route of others is deleted")
	}
	if err := ofTeamA.judge(r.state, c.Op, &results[0]); err != nil {
		t.Error(err)
	}
	if refusal := results[0].Err; refusal.Code != fsm.CodeNotFound || len(refusal.Faults) != 1 || refusal.Faults[0].Pointer != "/steps/1" {
		t.Errorf("the refusal is %+v", refusal)
	}
}

func TestALimitedTokenConfirmsWhatIsWhollyItsOwn(t *testing.T) {
	r := newRegistry(t)
	one, two, other := r.putPool("p1", "a"), r.putPool("p2", "a"), r.putPool("p3", "b")
	own := r.apply(fsm.Command{ConfirmWithin: fsm.Duration(time.Minute), Op: fsm.Txn{Steps: []fsm.Step{{Put: &one}, {Put: &two}}}}).Revision
	moved := r.apply(fsm.Command{ConfirmWithin: fsm.Duration(time.Minute), Op: other}).Revision
	if _, err := r.narrow(ofTeamA, fsm.Command{Op: fsm.Confirm{Revision: own}}); err != nil {
		t.Error(err)
	}
	for _, revision := range []uint64{moved, 1000} {
		_, err := r.narrow(ofTeamA, fsm.Command{Op: fsm.Confirm{Revision: revision}})
		wantKind(t, err, problem.NotFound)
	}
	if _, err := r.narrow(anEditor, fsm.Command{Op: fsm.Confirm{Revision: moved}}); err != nil {
		t.Error(err)
	}
}

func TestTokensAreSeenByAdminsAlone(t *testing.T) {
	token := &fsm.Token{Name: "ci", Labels: map[string]string{"team": "a"}, Spec: fsm.TokenSpec{Role: fsm.RoleViewer}}
	change := fsm.Change{Ref: token.Ref(), After: token}
	for name, c := range map[string]struct {
		by   *principal
		sees bool
	}{"an admin": {anAdmin, true}, "an editor": {anEditor, false}, "a limited one": {ofTeamA, false}, "nobody": {&principal{}, false}} {
		if c.by.sees(token) != c.sees || c.by.seesChange(change) != c.sees {
			t.Errorf("%s sees it: %t, want %t", name, c.by.sees(token), c.sees)
		}
	}
	if anAdmin.sees(nil) {
		t.Error("what does not exist is seen")
	}
}
