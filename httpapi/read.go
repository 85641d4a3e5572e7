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

// freshness is how new what is read has to be.
type freshness struct {
	linearizable bool
	// index is the revision that the node must have, waiting for it for timeout at most;
	// 0: any.
	index   uint64
	timeout time.Duration
}

// readFreshness returns all that is wrong with it.
func readFreshness(query url.Values) (freshness, []string) {
	f := freshness{timeout: defaultTimeout}
	var wrong []string
	var err error
	if query.Has("min_index") {
		if f.index, err = strconv.ParseUint(query.Get("min_index"), 10, 64); err != nil {
			wrong = append(wrong, fmt.Sprintf("min_index %q: write a revision, a number from 0 on", clip(query.Get("min_index"))))
		}
	}
	if query.Has("timeout") {
		if !query.Has("min_index") {
			wrong = append(wrong, "timeout: it is of min_index, which is not given")
		}
		if f.timeout, err = readSpan(query, "timeout", maxTimeout); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	if query.Has("consistency") {
		switch consistency := query.Get("consistency"); consistency {
		case "local":
		case "linearizable":
			f.linearizable = true
		default:
			wrong = append(wrong, fmt.Sprintf("consistency %q: use local (the default) or linearizable", clip(consistency)))
		}
	}
	return f, wrong
}

// state returns the state to answer from: the local one, with ?min_index=N once
// it has that revision, or with ?consistency=linearizable one that has everything
// committed before the request.
func (a *API) state(w http.ResponseWriter, r *http.Request) (*fsm.State, error) {
	wanted, err := a.awaitIndex(w, r)
	if err != nil {
		return nil, err
	}
	age, known := a.config.Cluster.Age() // first, since what is read next can only be newer
	if wanted.linearizable {
		if err := a.config.Cluster.ReadIndex(r.Context()); err != nil {
			return nil, readProblem(err)
		}
		age, known = 0, true
	}
	s := a.config.Cluster.State()
	a.setRevision(w, s.Revision())
	setAge(w, age, known)
	return s, nil
}

// awaitIndex waits until this node has the revision that a read asks for, if it does,
// and returns what else it asks for.
func (a *API) awaitIndex(w http.ResponseWriter, r *http.Request) (freshness, error) {
	if r.URL.RawQuery == "" {
		return freshness{}, nil
	}
	wanted, wrong := readFreshness(r.URL.Query())
	if len(wrong) > 0 {
		return wanted, queryProblem(wrong)
	}
	if a.config.Cluster.State().Revision() >= wanted.index {
		return wanted, nil
	}
	if err := allow(w, time.Now().Add(wanted.timeout+writeTimeout)); err != nil {
		return wanted, err
	}
	_, err := a.reach(r.Context(), wanted.index, wanted.timeout)
	return wanted, err
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
			query := r.URL.Query()
			var wrong []string
			fields, wrong = readFields(res, query)
			if _, more := readFreshness(query); len(wrong)+len(more) > 0 {
				return queryProblem(append(wrong, more...))
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
	v := a.viewer(principalOf(r))
	if res.reports && fields.wants("status") {
		v.reports = a.reports(r.Context())
	}
	return v
}
