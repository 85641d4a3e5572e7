package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

const (
	// maxBulkBody is the most bytes of the body of a write of many objects.
	maxBulkBody = 16 << 20
	// maxBulk is how many bodies of over 1 MiB are taken at a time.
	maxBulk = 2
)

// readBulk returns the body of a write of many objects, and what ends its turn:
// large ones wait for each other, since each costs many times its size.
func (a *API) readBulk(w http.ResponseWriter, r *http.Request) (body []byte, done func(), err error) {
	done = func() {}
	if err := checkLength(r, maxBulkBody); err != nil {
		return nil, done, err
	}
	if r.ContentLength < 0 || r.ContentLength > maxBody {
		select {
		case a.bulk <- struct{}{}:
			done = sync.OnceFunc(func() { <-a.bulk })
		case <-r.Context().Done():
			discard(r, maxBulkBody)
			return nil, done, problem.New(problem.Overloaded, "this node takes %d large bodies already, and was done with none in time: nothing was changed", maxBulk).With("Retry-After", "1")
		}
	}
	if body, err = readBodyUpTo(w, r, maxBulkBody); err != nil {
		done()
		done = func() {}
	}
	return body, done, err
}

// txn applies several writes, all or none, as one revision.
func (a *API) txn(rw http.ResponseWriter, r *http.Request) error {
	want, err := wantedOf(r)
	if err != nil {
		return err
	}
	if err := want.ofNone("give each operation its if_match or if_none_match"); err != nil {
		return err
	}
	body, done, err := a.readBulk(rw, r)
	if err != nil {
		return err
	}
	defer done()
	operations, faults := a.parseOperations(body)
	if len(faults) > 0 {
		return problem.Invalid(faults)
	}
	p, err := a.performOperations(r.Context(), want, operations, body)
	if err != nil {
		return err
	}
	refs := make([]fsm.Ref, len(operations))
	for n, o := range operations {
		refs[n] = o.ref
	}
	if p.trial != nil {
		return a.answerTrial(rw, p, refs)
	}
	done() // what is waited for now costs nothing
	a.finish(rw, r, want, p)
	return a.answerSteps(rw, want, p, refs)
}

// performOperations performs them as one command; patches are made again when
// another write came between.
func (a *API) performOperations(ctx context.Context, want *wanted, operations []operation, body []byte) (performed, error) {
	for begun := time.Now(); ; {
		p, err := a.tryOperations(ctx, want, operations, body)
		switch {
		case !errors.Is(err, errOutrun):
			return p, err
		case time.Since(begun) > patchPatience:
			return p, problem.New(problem.Outrun, "what the patches change is changed by others again and again, faster than they could be made on it").With("Retry-After", "1")
		}
	}
}

func (a *API) tryOperations(ctx context.Context, want *wanted, operations []operation, body []byte) (performed, error) {
	if p, known := a.recall(want, body); known {
		return p, a.refusedOperations(want, p, nil, nil)
	}
	steps, faults, err := a.steps(ctx, want, operations)
	if err != nil {
		return performed{}, err
	}
	if len(faults) > 0 {
		if p, known := a.recall(want, body); known { // this node was behind
			return p, a.refusedOperations(want, p, nil, nil)
		}
		return performed{}, problem.Invalid(faults)
	}
	p, err := a.perform(ctx, want, fsm.Txn{Steps: steps}, body)
	if err != nil {
		if refusal, ok := errors.AsType[*problem.Problem](err); ok {
			refusal.Faults = renamed(refusal.Faults, operationAt)
		}
		return p, err
	}
	return p, a.refusedOperations(want, p, operations, steps)
}

// refusedOperations returns the refusal of what was performed as an error, or nil.
func (a *API) refusedOperations(want *wanted, p performed, operations []operation, steps []fsm.Step) error {
	if p.Err == nil {
		return nil
	}
	for _, fault := range p.Err.Faults {
		n, _, ok := splitStep(fault.Pointer)
		if ok && n < len(operations) && operations[n].outrun(fault.Code) {
			return errOutrun
		}
	}
	return a.refusedSteps(want, p.Err, steps, operationAt)
}

// outrun tells whether an operation was refused because of what it was compiled on,
// and not for what it asks.
func (o *operation) outrun(code fsm.Code) bool {
	return o.op == opPatch && o.cond.Revision == 0 && code == fsm.CodePrecondition
}

// steps compiles the operations. This node may be behind what the client has seen,
// which is asked for before a patch is refused.
func (a *API) steps(ctx context.Context, want *wanted, operations []operation) ([]fsm.Step, []fsm.Fault, error) {
	for asked := false; ; asked = true {
		s := a.config.Cluster.State()
		steps := make([]fsm.Step, len(operations))
		var faults []fsm.Fault
		behind := false
		for n := range operations {
			o := &operations[n]
			there := want.by.find(s, o.ref)
			behind = behind || o.op == opPatch && (there == nil || there.GetMeta().Revision < o.cond.Revision)
			step, own, err := o.step(there)
			if err != nil {
				return nil, nil, fmt.Errorf("operation %d: %w", n, err)
			}
			steps[n], faults = step, append(faults, prefixed(own, operationAt(n))...)
		}
		if !behind || asked {
			return steps, faults, nil
		}
		if err := a.config.Cluster.ReadIndex(ctx); err != nil {
			return nil, nil, readProblem(err)
		}
	}
}

// stepView is what became of one operation.
type stepView struct {
	Kind fsm.Kind `json:"kind"`
	Pool string   `json:"pool,omitempty"`
	Name string   `json:"name"`
	// Created and Changed are nil in the answer to a repeat, which does not know.
	Created *bool   `json:"created,omitempty"`
	Changed *bool   `json:"changed,omitempty"`
	Object  *object `json:"object,omitempty"` // nil: it does not exist
}

// answerSteps answers with what became of each object. It streams, since they may
// be many.
func (a *API) answerSteps(rw http.ResponseWriter, want *wanted, p performed, refs []fsm.Ref) error {
	rw.Header().Set("Content-Type", "application/json")
	out := bufio.NewWriterSize(rw, listBuffer)
	encoder, v, s := json.NewEncoder(out), a.viewer(want.by), a.config.Cluster.State()
	fmt.Fprintf(out, `{"revision":%d,"results":[`, p.Revision) // bufio keeps its first error for Flush
	for n, ref := range refs {
		if n > 0 {
			out.WriteByte(',')
		}
		if err := encoder.Encode(a.stepView(want, v, s, p, n, ref)); err != nil {
			return gone(err)
		}
	}
	out.WriteString("]}\n")
	return gone(out.Flush())
}

func (a *API) stepView(want *wanted, v *viewer, s *fsm.State, p performed, n int, ref fsm.Ref) stepView {
	view := stepView{Kind: ref.Kind, Pool: ref.Pool, Name: ref.Name}
	var o fsm.AnyObject
	if p.Repeat {
		o = want.by.find(s, ref)
	} else {
		o, view.Created, view.Changed = p.Steps[n].Object, &p.Steps[n].Created, &p.Steps[n].Changed
	}
	if o != nil {
		shown := a.resource(ref.Kind).render(v, o)
		view.Object = &shown
	}
	return view
}
