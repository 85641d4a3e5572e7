package httpapi

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gorilla/mux"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

// state returns the state to answer from: the local one, or with
// ?consistency=linearizable one that has everything committed before the
// request.
func (a *API) state(w http.ResponseWriter, r *http.Request) (*fsm.State, error) {
	query := r.URL.Query()
	age, known := a.config.Cluster.Age() // first, since what is read next can only be newer
	if query.Has("consistency") {
		switch consistency := query.Get("consistency"); consistency {
		case "local":
		case "linearizable":
			if err := a.config.Cluster.ReadIndex(r.Context()); err != nil {
				return nil, readProblem(err)
			}
			age, known = 0, true
		default:
			return nil, problem.New(problem.InvalidRequest, "consistency %q: use local (the default) or linearizable", clip(consistency))
		}
	}
	s := a.config.Cluster.State()
	setRevision(w, s.Revision())
	setAge(w, age, known)
	return s, nil
}

// readProblem tells a read that did not get its confirmation: unlike a write,
// it has no outcome that could be unknown.
func readProblem(err error) error {
	if p := asProblem(err); p.Kind != problem.NoQuorum && p.Kind != problem.OutcomeUnknown {
		return err
	}
	return problem.New(problem.NoQuorum, "no leader confirmed in time that this node is up to date; a read without consistency=linearizable is answered all the same").
		With("Retry-After", "1")
}

func (a *API) read(res *resource) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		s, err := a.state(w, r)
		if err != nil {
			return err
		}
		vars := mux.Vars(r)
		ref := fsm.Ref{Kind: res.kind, Pool: vars["pool"], Name: vars["name"]}
		o := principalOf(r).find(s, ref)
		if o == nil {
			return problem.New(problem.NotFound, "%s does not exist", clip(ref.String()))
		}
		w.Header().Set("ETag", etag(o))
		return writeJSON(w, http.StatusOK, res.render(a.readViewer(r, res), o))
	}
}

// list streams, so that a large registry is not held twice.
func (a *API) list(res *resource) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		s, err := a.state(w, r)
		if err != nil {
			return err
		}
		pool, inPath := mux.Vars(r)["pool"]
		by := principalOf(r)
		if inPath && by.find(s, fsm.Ref{Kind: fsm.KindPool, Name: pool}) == nil && !by.seesAny(s.PoolBackends(pool)) {
			return problem.New(problem.NotFound, "pool %q does not exist", clip(pool))
		}
		query := r.URL.Query()
		if query.Has("pool") {
			if pool = query.Get("pool"); pool == "" {
				return problem.New(problem.InvalidRequest, "query parameter pool is empty: name a pool, or leave it out for the backends of all pools")
			}
		}
		v := a.readViewer(r, res)
		w.Header().Set("Content-Type", "application/json")
		return gone(a.writeList(w, s.Revision(), func(yield func(any) bool) {
			for o := range res.objects(s, pool) {
				if by.sees(o) && !yield(res.render(v, o)) {
					return
				}
			}
		}))
	}
}

// readViewer asks the nodes if the kind's status comes from them.
func (a *API) readViewer(r *http.Request, res *resource) *viewer {
	v := a.viewer()
	if res.reports {
		v.reports = a.reports(r.Context())
	}
	return v
}

// listBuffer is how many bytes of a list are written at once.
const listBuffer = 32 << 10

// writeList writes {"items":[…],"revision":N}. Its buffers are used again: most
// lists are far shorter, and what a flood of them leaves to the garbage collector
// all else in the node would wait for.
func (a *API) writeList(w http.ResponseWriter, revision uint64, items func(yield func(any) bool)) error {
	out, _ := a.listBuffers.Get().(*bufio.Writer)
	if out == nil {
		out = bufio.NewWriterSize(nil, listBuffer)
	}
	out.Reset(w)
	defer func() {
		out.Reset(nil) // it holds no request
		a.listBuffers.Put(out)
	}()
	encoder := json.NewEncoder(out)
	separator := `{"items":[`
	for item := range items {
		out.WriteString(separator) // bufio keeps its first error for Flush
		if err := encoder.Encode(item); err != nil {
			return fmt.Errorf("write list: %w", err)
		}
		separator = ","
	}
	if separator != "," {
		out.WriteString(separator)
	}
	fmt.Fprintf(out, `],"revision":%d}`+"\n", revision)
	return out.Flush()
}
