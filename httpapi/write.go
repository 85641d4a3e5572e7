package httpapi

import (
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
	cond   fsm.Precondition
	actor  string
	by     *principal
}

func newWrite(res *resource, r *http.Request) (*write, error) {
	cond, err := precondition(r)
	if err != nil {
		return nil, err
	}
	vars := mux.Vars(r)
	_, pathPool := vars["pool"]
	return &write{
		res: res, ref: fsm.Ref{Kind: res.kind, Pool: vars["pool"], Name: vars["name"]},
		pathPool: pathPool, cond: cond, actor: actor(r), by: principalOf(r),
	}, nil
}

func (w *write) operation() fsm.Put {
	return fsm.Put{Pool: w.ref.Pool, Name: w.ref.Name, Labels: w.labels, Spec: w.spec, If: w.cond}
}

// read takes the body in. The name and pool of the path hold; a document that
// says otherwise is refused, not corrected. name makes one up if there is
// none.
func (w *write) read(rw http.ResponseWriter, r *http.Request, name func() string) error {
	body, err := readBody(rw, r)
	if err != nil {
		return err
	}
	doc, faults := parseDocument(w.res, body)
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
		result, err := a.config.Cluster.Propose(r.Context(), fsm.Command{Actor: w.actor, Op: w.operation()})
		if err != nil {
			return err
		}
		if result.Err != nil {
			return a.refused(w, result.Err)
		}
		return a.written(rw, w, result)
	}
}

func (a *API) create(res *resource) handlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) error {
		w, err := newWrite(res, r)
		if err != nil {
			return err
		}
		if w.cond.Exists || w.cond.Revision != 0 {
			return problem.New(problem.InvalidRequest, "If-Match asks for an object that exists, and POST creates one: use PUT")
		}
		w.create, w.cond = true, fsm.Precondition{Absent: true}
		draw := func() string { return makeName(res, a.config.Cluster.State(), w.ref.Pool, w.spec) }
		if err := w.read(rw, r, draw); err != nil {
			return err
		}
		result, err := a.proposeNew(r, w, draw)
		if err != nil {
			return err
		}
		if result.Err != nil {
			return a.refused(w, result.Err)
		}
		return a.written(rw, w, result)
	}
}

// proposeNew proposes a new object, and draws its name again while that was
// made up and is taken.
func (a *API) proposeNew(r *http.Request, w *write, draw func() string) (fsm.Result, error) {
	for try := 1; ; try++ {
		result, err := a.config.Cluster.Propose(r.Context(), fsm.Command{Actor: w.actor, Op: w.operation()})
		taken := err == nil && result.Err != nil && result.Err.Code == fsm.CodeExists
		if !taken || w.name != nil || try == maxDraws {
			return result, err
		}
		w.ref.Name = draw()
	}
}

// written answers with the object as the write left it.
func (a *API) written(rw http.ResponseWriter, w *write, result fsm.Result) error {
	s := a.config.Cluster.State()
	o := result.Object
	if o == nil { // a repeat under the same command id
		o = s.Object(w.ref)
	}
	if o == nil {
		return problem.New(problem.OutcomeUnknown, "%s was written, and is gone already: somebody deleted it", w.ref)
	}
	status := http.StatusOK
	if result.Created {
		status = http.StatusCreated
		rw.Header().Set("Location", w.res.path(w.ref))
	}
	setRevision(rw, max(s.Revision(), result.Revision))
	rw.Header().Set("ETag", etag(o))
	view := w.res.render(a.viewer(), o)
	view.Token = w.by.issued
	return writeJSON(rw, status, view)
}

func (a *API) remove(res *resource) handlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) error {
		w, err := newWrite(res, r)
		if err != nil {
			return err
		}
		if w.cond.Absent {
			return problem.New(problem.InvalidRequest, "If-None-Match * asks for an object that does not exist, and DELETE removes one: leave it out")
		}
		op := fsm.Delete{Ref: w.ref, If: w.cond}
		if refusal := fsm.Validate(op); refusal != nil {
			return problem.New(problem.InvalidRequest, "%s", messages(refusal.Faults))
		}
		result, err := a.config.Cluster.Propose(r.Context(), fsm.Command{Actor: w.actor, Op: op})
		if err != nil {
			return err
		}
		if result.Err != nil {
			return a.refused(w, result.Err)
		}
		setRevision(rw, max(a.config.Cluster.State().Revision(), result.Revision))
		rw.WriteHeader(http.StatusNoContent)
		return nil
	}
}
