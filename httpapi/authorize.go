package httpapi

import (
	"context"
	"encoding/hex"
	"maps"
	"reflect"
	"strings"
	"time"

	"evenkeel/cluster/secret"
	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
	"evenkeel/httpapi/strictjson"
)

// authorized is the cluster as the handlers have it: every command passes what
// its sender may do, whichever handler it comes from. What a route asks of its
// caller was decided before; this is about what is in the command.
type authorized struct {
	Cluster
	sealer KeySealer // nil: certificates cannot be written here
}

// maxTries bounds how often a command is made again that was made from an
// object which then changed.
const maxTries = 8

// Propose implements [Registry]. The refusals of what the sender may not do are
// errors, each a problem.
func (a authorized) Propose(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	p := senderOf(ctx)
	for try := 1; ; try++ {
		s := a.State()
		narrowed, own, err := p.narrow(s, c)
		if err != nil {
			return fsm.Result{}, err
		}
		var kept bool
		if narrowed.Op, kept, err = a.seal(p, s, narrowed.Op, try > 1); err != nil {
			return fsm.Result{}, err
		}
		own = own || kept
		result, err := a.Cluster.Propose(ctx, narrowed)
		if err != nil {
			return result, err
		}
		if own && outdated(result.Err) && try < maxTries {
			continue
		}
		err = p.judge(a.State(), narrowed.Op, &result)
		return result, err
	}
}

func outdated(err *fsm.Error) bool {
	return err != nil && (err.Code == fsm.CodePrecondition || err.Code == fsm.CodeExists)
}

// narrow returns the command as its sender may make it, or why not. It is called
// again if the command did not apply to what it was made from, which own tells.
//
// What depends on the object decides the same for one that is there and one
// that is not, as far as the sender may not know which it is.
func (p *principal) narrow(s *fsm.State, c fsm.Command) (narrowed fsm.Command, own bool, err error) {
	switch op := c.Op.(type) {
	case fsm.Put:
		op, own, err = p.narrowPut(s, c, op)
		c.Op = op
	case fsm.Delete:
		if err = p.mayWrite(op.Kind); err == nil && p.limited() {
			op.If.Labels = p.labels
			op.If.Exists = op.If.Exists || op.If.Revision == 0
		}
		c.Op = op
	case fsm.SetOverride:
		if !p.role.Allows(fsm.RoleOperator) {
			err = p.lacks(fsm.RoleOperator, "")
		}
		if p.limited() {
			op.If.Labels = p.labels
		}
		c.Op = op
	case fsm.Txn:
		op, err = p.narrowTxn(op)
		c.Op = op
	case fsm.Rollback:
		if !p.role.Allows(fsm.RoleEditor) {
			err = p.lacks(fsm.RoleEditor, "")
		}
		if p.limited() {
			op.Labels = p.labels
		}
		c.Op = op
	case fsm.Confirm:
		err = p.mayConfirm(s, op)
	default: // restores, and what only the cluster itself does
		err = permit(p, need{role: fsm.RoleAdmin, whole: true})
	}
	return c, own, err
}

// mayWrite tells whether objects of the kind are the sender's to write.
func (p *principal) mayWrite(kind fsm.Kind) error {
	if kind == fsm.KindToken {
		return permit(p, need{role: fsm.RoleAdmin, whole: true})
	}
	if !p.role.Allows(fsm.RoleEditor) {
		return p.lacks(fsm.RoleEditor, "")
	}
	return nil
}

// mayLeave refuses what would leave the labels that the sender is limited to.
func (p *principal) mayLeave(put fsm.Put) *problem.Problem {
	if !p.limited() || visible(p, put.Labels) {
		return nil
	}
	return problem.New(problem.Forbidden, "%s has to bear the labels %s, to which the token %q is limited", clip(put.Ref().String()), p.describeLimit(), p.name)
}

func (p *principal) narrowPut(s *fsm.State, c fsm.Command, put fsm.Put) (narrowed fsm.Put, own bool, err error) {
	if refusal := p.mayLeave(put); refusal != nil {
		return put, false, refusal
	}
	if p.limited() {
		put.If.Labels = p.labels
	}
	if spec, is := put.Spec.(fsm.BackendSpec); is && !p.role.Allows(fsm.RoleEditor) {
		own = put.If.Revision == 0
		put.If.Revision, err = p.operate(s, put, spec)
		return put, own, err
	}
	if err := p.mayWrite(put.Ref().Kind); err != nil {
		return put, false, err
	}
	if spec, is := put.Spec.(fsm.TokenSpec); is {
		return p.narrowToken(s, c, put, spec)
	}
	return put, false, nil
}

// operate returns the revision on which an operator's put holds: it may set what
// takes a backend out of service and puts it back, of one that is there, and
// nothing else.
func (p *principal) operate(s *fsm.State, put fsm.Put, spec fsm.BackendSpec) (revision uint64, err error) {
	const why = "an operator sets the weight, admin_state and drain_timeout of a backend that is there, and changes nothing else"
	if !p.role.Allows(fsm.RoleOperator) {
		return 0, p.lacks(fsm.RoleOperator, "")
	}
	old := s.Backend(put.Pool, put.Name)
	if old == nil || !p.sees(old) {
		return 0, p.lacks(fsm.RoleEditor, why)
	}
	same := old.Spec
	same.Weight, same.AdminState, same.DrainTimeout = spec.Weight, spec.AdminState, spec.DrainTimeout
	if !reflect.DeepEqual(same, spec) || !maps.Equal(old.Labels, put.Labels) {
		return 0, p.lacks(fsm.RoleEditor, why)
	}
	if put.If.Revision != 0 {
		return put.If.Revision, nil
	}
	return old.Meta.Revision, nil
}

func (p *principal) narrowTxn(txn fsm.Txn) (fsm.Txn, error) {
	if !p.role.Allows(fsm.RoleEditor) {
		return txn, p.lacks(fsm.RoleEditor, "")
	}
	steps := make([]fsm.Step, len(txn.Steps))
	var leaving []fsm.Fault
	for i, step := range txn.Steps {
		switch {
		case step.Ref().Kind == fsm.KindToken:
			return txn, problem.New(problem.InvalidRequest, "%s: tokens are written one by one, at /v1/tokens", clip(step.Ref().String()))
		case !p.limited():
		case step.Put != nil:
			put := *step.Put
			if err := p.mayLeave(put); err != nil && len(leaving) < strictjson.MaxFaults {
				leaving = append(leaving, fsm.Fault{Pointer: stepAt(i) + "/labels", Message: err.Detail, Code: fsm.CodeForbidden})
			}
			put.If.Labels = p.labels
			step.Put = &put
		case step.Delete != nil:
			remove := *step.Delete
			remove.If.Labels = p.labels
			remove.If.Exists = remove.If.Exists || remove.If.Revision == 0
			step.Delete = &remove
		}
		steps[i] = step
	}
	if len(leaving) > 0 {
		refusal := problem.New(problem.Forbidden, "%s", detailOf(leaving))
		refusal.Faults = leaving
		return txn, refusal
	}
	return fsm.Txn{Steps: steps}, nil
}

// mayConfirm refuses a limited sender what is not wholly of its objects, with
// the words for what does not wait at all.
func (p *principal) mayConfirm(s *fsm.State, op fsm.Confirm) error {
	if !p.role.Allows(fsm.RoleEditor) {
		return p.lacks(fsm.RoleEditor, "")
	}
	if !p.limited() || p.seesRevision(s.RevisionAt(op.Revision)) {
		return nil
	}
	return problem.New(problem.NotFound, "revision %d does not wait for a confirmation: it was confirmed or undone already, or never had to be", op.Revision)
}

// seesRevision tells whether all that a revision changed is the principal's to
// see; nothing is known of one whose changes are not kept.
func (p *principal) seesRevision(r *fsm.Revision) bool {
	if r == nil || len(r.Changes) != r.Count {
		return false
	}
	for _, change := range r.Changes {
		if !p.seesChange(change) {
			return false
		}
	}
	return true
}

// seesChange tells whether an object is the principal's to see both before and
// after a change, or where it is not there.
func (p *principal) seesChange(change fsm.Change) bool {
	return (change.Before == nil || p.sees(change.Before)) && (change.After == nil || p.sees(change.After))
}

// unknownHash stands in a token's spec until [principal.narrowToken] knows the
// hash. It is the hash of nothing that anybody could send.
var unknownHash = strings.Repeat("0", 64)

// narrowToken gives a token its hash: a new one to a new token, and to one that
// is there its own, so that what changes its role does not change what its
// holder sends.
func (p *principal) narrowToken(s *fsm.State, c fsm.Command, put fsm.Put, spec fsm.TokenSpec) (narrowed fsm.Put, own bool, err error) {
	switch {
	case put.Name == nameAdmin || put.Name == nameAnonymous || put.Name == nameBootstrap:
		return put, false, problem.Invalid([]fsm.Fault{{Pointer: "/name", Message: `"` + put.Name + `" is what the registry calls those without a token of it: choose another name`}})
	case spec.Role == fsm.RoleAdmin && len(spec.Labels) > 0:
		return put, false, problem.New(problem.InvalidRequest, "an admin's token is about the whole cluster and cannot be limited by labels: give the role editor, or no labels")
	}
	p.issued = ""
	old := s.Token(put.Name)
	if end := spec.Expires; end != nil && !time.Now().Before(*end) && (old == nil || old.Spec.Expires == nil || !old.Spec.Expires.Equal(*end)) {
		return put, false, problem.Invalid([]fsm.Fault{{Pointer: "/spec/expires", Message: end.UTC().Format(time.RFC3339) + " has passed: name a time to come, or delete the token to end it now"}})
	}
	own = put.If.IsZero()
	if old != nil && !put.If.Absent {
		spec.Hash = old.Spec.Hash
		if put.If.Revision == 0 {
			put.If.Revision = old.Meta.Revision // else the hash of a token that was revoked meanwhile would be valid again
		}
	} else {
		if c.Key.Name != "" {
			return put, false, problem.New(problem.InvalidRequest, "Idempotency-Key is not taken where a token is made, because it is told once and never again: leave it out, and if you did not get the answer, delete the token and make another")
		}
		p.issued = secret.NewToken()
		hash := secret.HashToken(p.issued)
		spec.Hash = hex.EncodeToString(hash[:])
		put.If.Absent = put.If.Absent || own
	}
	put.Spec = spec
	return put, own, nil
}
