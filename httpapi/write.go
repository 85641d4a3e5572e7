package httpapi

import (
	"errors"
	"net/http"

	"github.com/gorilla/mux"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

// maxDraws bounds how often a made-up name that was taken is drawn again.
const maxDraws = 8

// write is one POST, PUT or DELETE of an object on its way.
type write struct {
	document
	res *resource
	ref fsm.Ref
	// pathPool tells that the pool stands in the path, not in the document.
	pathPool bool
	// create tells that the write must not replace.
	create bool
	want   *wanted
	body   []byte
}

func newWrite(res *resource, r *http.Request) (*write, error) {
	want, err := wantedOf(r)
	if err != nil {
		return nil, err
	}
	vars := mux.Vars(r)
	_, pathPool := vars["pool"]
	return &write{
		res: res, ref: fsm.Ref{Kind: res.kind, Pool: vars["pool"], Name: vars["name"]},
		pathPool: pathPool, want: want,
	}, nil
}

func (w *write) operation() fsm.Put {
	return fsm.Put{Pool: w.ref.Pool, Name: w.ref.Name, Labels: w.labels, Spec: w.spec, If: w.want.cond}
}

// read takes the body in. The name and pool of the path hold; a document that
// says otherwise is refused, not corrected. name makes one up if there is
// none.
func (w *write) read(rw http.ResponseWriter, r *http.Request, name func() string) error {
	body, err := readBody(rw, r)
	if err != nil {
		return err
	}
	w.body = body
	doc, faults := parseDocument(w.res, body)
	return w.take(doc, faults, name)
}

// take takes a document in that has these faults so far.
func (w *write) take(doc document, faults []fsm.Fault, name func() string) error {
	if doc.spec == nil {
		return problem.Invalid(faults)
	}
	w.document = doc
	if w.res.inPool && !w.pathPool {
		w.ref.Pool = defaultPool
		if doc.pool != nil {
			w.ref.Pool = *doc.pool
		}
	}
	if w.pathPool && doc.pool != nil && *doc.pool != w.ref.Pool {
		faults = append(faults, mismatch("/pool", *doc.pool, w.ref.Pool))
	}
	switch {
	case w.ref.Name != "":
		if doc.name != nil && *doc.name != w.ref.Name {
			faults = append(faults, mismatch("/name", *doc.name, w.ref.Name))
		}
	case doc.name != nil:
		w.ref.Name = *doc.name
	default:
		w.ref.Name = name()
	}
	if faults = doc.validated(faults, w.operation()); len(faults) > 0 {
		return problem.Invalid(faults)
	}
	return nil
}

func mismatch(pointer, got, want string) fsm.Fault {
	return fsm.Fault{Pointer: pointer, Message: `"` + clip(got) + `" is not what the path says, "` + want + `": correct it or leave it out`}
}

func (a *API) put(res *resource) handlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) error {
		w, err := newWrite(res, r)
		if err != nil {
			return err
		}
		if err := w.read(rw, r, nil); err != nil {
			return err
		}
		p, err := a.register(r, w)
		if err != nil {
			return w.located(err)
		}
		return a.written(rw, r, w, p)
	}
}

// located has the pointers of a refusal be those of what the client sent.
func (w *write) located(err error) error {
	if refusal, ok := errors.AsType[*problem.Problem](err); ok && len(refusal.Faults) > 0 {
		there := *refusal
		there.Faults = w.document.pointers(refusal.Faults)
		return &there
	}
	return err
}

// carryOut performs an operation on one object. A refusal is an error too.
func (a *API) carryOut(r *http.Request, w *write, op fsm.Operation) (performed, error) {
	p, err := a.perform(r.Context(), w.want, op, w.body)
	if err == nil && p.Err != nil {
		err = a.refused(w, p.Err)
	}
	return p, err
}

func (a *API) create(res *resource) handlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) error {
		w, err := newWrite(res, r)
		if err != nil {
			return err
		}
		if w.want.cond.Exists || w.want.cond.Revision != 0 {
			return problem.New(problem.InvalidRequest, "If-Match asks for an object that exists, and POST creates one: use PUT")
		}
		w.create, w.want.cond.Absent = true, true
		draw := func() string { return makeName(res, a.config.Cluster.State(), w.ref.Pool, w.spec) }
		if err := w.read(rw, r, draw); err != nil {
			return err
		}
		p, err := a.performNew(r, w, draw)
		if err != nil {
			return w.located(err)
		}
		if p.Err != nil {
			return a.refused(w, p.Err)
		}
		return a.written(rw, r, w, p)
	}
}

// performNew creates an object, and draws its name again while that was made up
// and is taken.
func (a *API) performNew(r *http.Request, w *write, draw func() string) (performed, error) {
	for try := 1; ; try++ {
		p, err := a.perform(r.Context(), w.want, w.operation(), w.body)
		taken := err == nil && p.Err != nil && p.Err.Code == fsm.CodeExists
		if !taken || w.name != nil || try == maxDraws {
			return p, err
		}
		w.ref.Name = draw()
	}
}

// written answers with the object as the write left it; a request that was made
// before under its key, with the object that it wrote then as it is now.
func (a *API) written(rw http.ResponseWriter, r *http.Request, w *write, p performed) error {
	if p.trial != nil {
		return a.answerTrial(rw, p, []fsm.Ref{w.ref})
	}
	if p.replayed() && len(p.Refs) > 0 {
		w.ref = p.Refs[0]
	}
	a.finish(rw, r, w.want, p)
	o := p.Object
	if o == nil { // a repeat
		o = w.want.by.find(a.config.Cluster.State(), w.ref)
	}
	if o == nil {
		return gonePresently(w.ref, p)
	}
	status := http.StatusOK
	if p.Created {
		status = http.StatusCreated
		rw.Header().Set("Location", w.res.path(w.ref))
	}
	rw.Header().Set("ETag", etag(o))
	view := w.res.render(a.viewer(w.want.by), o)
	view.Token = w.want.by.issued
	return writeJSON(rw, status, view)
}

// gonePresently is the answer to a write whose object is not there to be shown.
func gonePresently(ref fsm.Ref, p performed) error {
	if p.replayed() {
		return problem.New(problem.NotFound, "%s was written under this key by revision %d, and is gone since: somebody deleted it", ref, p.Revision)
	}
	return problem.New(problem.OutcomeUnknown, "%s was written, and is gone already: somebody deleted it", ref)
}

func (a *API) remove(res *resource) handlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) error {
		w, err := newWrite(res, r)
		if err != nil {
			return err
		}
		if w.want.cond.Absent {
			return problem.New(problem.InvalidRequest, "If-None-Match * asks for an object that does not exist, and DELETE removes one: leave it out")
		}
		op := fsm.Delete{Ref: w.ref, If: w.want.cond}
		if refusal := fsm.Validate(op); refusal != nil {
			return problem.New(problem.InvalidRequest, "%s", messages(refusal.Faults))
		}
		p, err := a.carryOut(r, w, op)
		if err != nil {
			return err
		}
		return a.removed(rw, r, w, p)
	}
}

// removed answers that what was to be taken away is not there any more.
func (a *API) removed(rw http.ResponseWriter, r *http.Request, w *write, p performed) error {
	if p.trial != nil {
		return a.answerTrial(rw, p, []fsm.Ref{w.ref})
	}
	a.finish(rw, r, w.want, p)
	rw.WriteHeader(http.StatusNoContent)
	return nil
}
