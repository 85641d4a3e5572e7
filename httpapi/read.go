package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gorilla/mux"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

// readQuery are the query parameters of every read.
func readQuery(more ...string) []string {
	return append([]string{"consistency", "min_index", "timeout"}, more...)
}

// Bounds of the parameter timeout.
const (
	defaultTimeout = 5 * time.Second
	maxTimeout     = time.Minute
)

// state returns the state to answer from: the local one, with ?min_index=N once
// it has that revision, or with ?consistency=linearizable one that has everything
// committed before the request.
func (a *API) state(w http.ResponseWriter, r *http.Request) (*fsm.State, error) {
	if err := a.awaitIndex(w, r); err != nil {
		return nil, err
	}
	var query url.Values
	if r.URL.RawQuery != "" {
		query = r.URL.Query()
	}
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
	a.setRevision(w, s.Revision())
	setAge(w, age, known)
	return s, nil
}

// awaitIndex waits until this node has the revision min_index, if that is given.
func (a *API) awaitIndex(w http.ResponseWriter, r *http.Request) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	query := r.URL.Query()
	if !query.Has("min_index") && !query.Has("timeout") {
		return nil
	}
	var wrong []string
	index, err := strconv.ParseUint(query.Get("min_index"), 10, 64)
	switch {
	case !query.Has("min_index"):
		wrong = append(wrong, "timeout: it is of min_index, which is not given")
	case err != nil:
		wrong = append(wrong, fmt.Sprintf("min_index %q: write a revision, a number from 0 on", clip(query.Get("min_index"))))
	}
	timeout := defaultTimeout
	if query.Has("timeout") {
		if timeout, err = readSpan(query, "timeout", maxTimeout); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	if len(wrong) > 0 {
		return queryProblem(wrong)
	}
	if a.config.Cluster.State().Revision() >= index {
		return nil
	}
	if err := allow(w, time.Now().Add(timeout+writeTimeout)); err != nil {
		return err
	}
	_, err = a.reach(r.Context(), index, timeout)
	return err
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
		var fields *selection
		if r.URL.RawQuery != "" {
			var wrong []string
			if fields, wrong = readFields(res, r.URL.Query()); len(wrong) > 0 {
				return queryProblem(wrong)
			}
		}
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
		w.Header()["Etag"] = []string{etag(o)}
		if fields != nil {
			return writeJSON(w, http.StatusOK, res.view(a.readViewer(r, res, fields), o, fields))
		}
		body, err := a.renderedBody(r, res, o)
		if err != nil {
			return err
		}
		return writeBody(w, http.StatusOK, body)
	}
}

// readViewer asks the nodes if the kind's status comes from them and is wanted.
func (a *API) readViewer(r *http.Request, res *resource, fields *selection) *viewer {
	v := a.viewer()
	if res.reports && fields.wants("status") {
		v.reports = a.reports(r.Context())
	}
	return v
}
