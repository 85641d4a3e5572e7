package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"evenkeel/fsm"
	"evenkeel/httpapi/diff"
	"evenkeel/httpapi/problem"
)

const (
	// defaultRevisions and maxRevisions are how many entries a list has.
	defaultRevisions = 50
	maxRevisions     = 500
	// maxTouched is how many objects are named with an entry of a list.
	maxTouched = 10
)

// serveHistory adds the paths of what was changed when, and of taking it back.
func (a *API) serveHistory(router *paths) {
	a.serve(router, http.MethodGet, "/v1/revisions", a.revisions, revisionParameters...)
	a.serve(router, http.MethodGet, "/v1/revisions/{revision}", a.revision, "consistency")
	a.serve(router, http.MethodGet, "/v1/revisions/{from}/diff/{to}", a.compareRevisions, "consistency")
	a.serve(router, http.MethodPost, "/v1/rollback", a.rollback, confirmable()...)
	a.serve(router, http.MethodGet, "/v1/pending", a.pending, "consistency")
	a.serve(router, http.MethodPost, "/v1/revisions/{revision}/confirm", a.decide(false), writeQuery()...)
	a.serve(router, http.MethodPost, "/v1/revisions/{revision}/undo", a.decide(true), writeQuery()...)
}

// current is how a comparison names the newest revision.
const current = "current"

// revisionView is one entry of the journal.
type revisionView struct {
	Revision uint64    `json:"revision"`
	Time     time.Time `json:"time"`
	Actor    string    `json:"actor"`
	Reason   string    `json:"reason,omitempty"`
	Kind     fsm.Done  `json:"kind"`
	// Undoes is, for the kind undo, which revision was undone.
	Undoes uint64 `json:"undoes,omitempty"`
	// Unconfirmed is set while the cluster is about to undo the revision.
	Unconfirmed bool `json:"unconfirmed,omitempty"`
	// Count is how many objects changed.
	Count int `json:"count"`
}

// listedRevision is an entry in a list, with the first of the objects.
type listedRevision struct {
	revisionView
	Objects []touched `json:"objects"`
}

// touched is one object of a revision.
type touched struct {
	Kind   fsm.Kind    `json:"kind"`
	Pool   string      `json:"pool,omitempty"`
	Name   string      `json:"name"`
	Action diff.Action `json:"action"`
}

// fullRevision is an entry with all that changed.
type fullRevision struct {
	revisionView
	Changes []json.RawMessage `json:"changes"`
	changesLeftOut
}

func viewRevision(s *fsm.State, entry *fsm.Revision, count int) revisionView {
	waits := func(p *fsm.Pending) bool { return p.Revision == entry.Revision }
	return revisionView{
		Revision: entry.Revision, Time: entry.Time, Actor: entry.Actor, Reason: entry.Reason, Kind: entry.Kind,
		Undoes: entry.Undoes, Count: count, Unconfirmed: slices.ContainsFunc(s.Pending(), waits),
	}
}

func firstTouched(changes []fsm.Change) []touched {
	list := []touched{}
	for _, c := range changes[:min(len(changes), maxTouched)] {
		list = append(list, touched{c.Ref.Kind, c.Ref.Pool, c.Ref.Name, actionOf(c)})
	}
	return list
}

// revisionList is the answer to a list of revisions.
type revisionList struct {
	Items    []listedRevision `json:"items"`
	Revision uint64           `json:"revision"`
	// Oldest is the oldest revision whose registry is known: what is before it is
	// forgotten.
	Oldest uint64 `json:"oldest"`
	// Next is what before is to be for the entries that follow; 0: none do.
	Next uint64 `json:"next,omitempty"`
}

// revisionQuery is which entries are asked for.
type revisionQuery struct {
	limit         int
	before, after uint64 // 0: not said
	kind          fsm.Kind
	pool, name    string
	actor         string
}

var revisionParameters = []string{"consistency", "limit", "before", "after", "kind", "pool", "name", "actor"}

// revisions lists the journal, the newest first.
func (a *API) revisions(w http.ResponseWriter, r *http.Request) error {
	query, err := parseRevisionQuery(r.URL.Query())
	if err != nil {
		return err
	}
	s, err := a.state(w, r)
	if err != nil {
		return err
	}
	list := revisionList{Items: []listedRevision{}, Revision: s.Revision(), Oldest: s.OldestRevision()}
	by := principalOf(r)
	for entry := range s.RevisionsBefore(query.before) {
		if entry.Revision <= query.after {
			break
		}
		seen, count, ok := by.seenEntry(entry)
		if !ok || !query.takes(entry, seen) {
			continue
		}
		if len(list.Items) == query.limit {
			list.Next = list.Items[len(list.Items)-1].Revision
			break
		}
		list.Items = append(list.Items, listedRevision{viewRevision(s, entry, count), firstTouched(seen)})
	}
	return writeJSON(w, http.StatusOK, list)
}

// seenEntry returns what the principal may see of an entry, and how many objects it changed; ok is
// false if that is nothing.
func (p *principal) seenEntry(entry *fsm.Revision) (seen []fsm.Change, count int, ok bool) {
	if entry.Changes == nil && entry.Count > 0 { // they were too many to keep
		return nil, entry.Count, !p.limited()
	}
	seen = p.seenChanges(entry.Changes)
	return seen, len(seen), len(seen) > 0
}

// takes tells whether an entry with those changes is asked for.
func (q *revisionQuery) takes(entry *fsm.Revision, changes []fsm.Change) bool {
	if q.actor != "" && entry.Actor != q.actor && !strings.HasPrefix(entry.Actor, q.actor+"@") {
		return false
	}
	if q.kind == "" && q.pool == "" && q.name == "" {
		return true
	}
	return slices.ContainsFunc(changes, func(c fsm.Change) bool {
		return (q.kind == "" || c.Ref.Kind == q.kind) && (q.pool == "" || c.Ref.Pool == q.pool) && (q.name == "" || c.Ref.Name == q.name)
	})
}

func parseRevisionQuery(values url.Values) (*revisionQuery, error) {
	var faults []string
	number := func(name string, low, high, absent uint64) uint64 {
		if !values.Has(name) {
			return absent
		}
		n, err := strconv.ParseUint(values.Get(name), 10, 64)
		if err != nil || n < low || n > high {
			faults = append(faults, fmt.Sprintf("%s %q is not a number from %d to %d", name, clip(values.Get(name)), low, high))
		}
		return n
	}
	text := func(name string) string {
		if values.Has(name) && values.Get(name) == "" {
			faults = append(faults, name+" is empty: name one, or leave it out")
		}
		return values.Get(name)
	}
	q := &revisionQuery{
		limit: int(number("limit", 1, maxRevisions, defaultRevisions)), before: number("before", 1, 1<<63, 0), after: number("after", 0, 1<<63, 0),
		kind: fsm.Kind(text("kind")), pool: text("pool"), name: text("name"), actor: text("actor"),
	}
	kinds := []fsm.Kind{fsm.KindListener, fsm.KindRoute, fsm.KindPool, fsm.KindBackend, fsm.KindCertificate, fsm.KindToken}
	if q.kind != "" && !slices.Contains(kinds, q.kind) {
		faults = append(faults, fmt.Sprintf("kind %q is not one of listener, route, pool, backend, certificate, token", clip(string(q.kind))))
	}
	if len(faults) > 0 {
		return nil, problem.New(problem.InvalidRequest, "query parameter %s", strings.Join(faults, "; "))
	}
	return q, nil
}

// revision tells one entry with what it changed.
func (a *API) revision(w http.ResponseWriter, r *http.Request) error {
	s, err := a.state(w, r)
	if err != nil {
		return err
	}
	n, err := parseRevision(mux.Vars(r)["revision"])
	if err != nil {
		return err
	}
	entry := s.RevisionAt(n)
	if entry == nil {
		return unknownRevision(s, n)
	}
	seen, count, ok := principalOf(r).seenEntry(entry)
	if !ok {
		return problem.New(problem.NotFound, "revision %d changed nothing that the token may see", n)
	}
	list, err := listChanges(seen)
	if err != nil {
		return err
	}
	if seen == nil {
		list.LeftOff = count
	}
	return writeJSON(w, http.StatusOK, fullRevision{viewRevision(s, entry, count), list.view(n).Changes, list.changesLeftOut})
}

// compareRevisions tells what changed from one revision to another.
func (a *API) compareRevisions(w http.ResponseWriter, r *http.Request) error {
	s, err := a.state(w, r)
	if err != nil {
		return err
	}
	vars := mux.Vars(r)
	from, err := parseRevision(vars["from"])
	if err != nil {
		return err
	}
	to := s.Revision()
	if vars["to"] != current {
		if to, err = parseRevision(vars["to"]); err != nil {
			return err
		}
	}
	changes, ok := s.Between(from, to)
	if !ok {
		return unknownRevision(s, min(from, to), max(from, to))
	}
	list, err := listChanges(principalOf(r).seenChanges(changes))
	if err != nil {
		return err
	}
	view := list.view(to)
	view.From = &from
	return writeJSON(w, http.StatusOK, view)
}

func parseRevision(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 || n > 1<<63 {
		return 0, problem.New(problem.InvalidRequest, "revision %q is not a number from 1 on: GET /v1/revisions lists those that there are", clip(text))
	}
	return n, nil
}

// unknownRevision tells why the registry as of one of the revisions, or what one of
// them changed, is not known.
func unknownRevision(s *fsm.State, revisions ...uint64) error {
	for _, n := range revisions {
		if n > s.Revision() {
			return problem.New(problem.NotFound, "there is no revision %d yet: the newest is %d", n, s.Revision())
		}
	}
	return problem.New(problem.Compacted, "revision %d is forgotten: the registry is known from revision %d on, and what each one behind that changed",
		revisions[0], s.OldestRevision())
}
