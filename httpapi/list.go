package httpapi

import (
	"bufio"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gorilla/mux"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

// maxLimit bounds how many objects a client can ask for in a page. Without a
// limit a list is whole: it streams.
const maxLimit = 10_000

// listQuery is what of a list is asked for.
type listQuery struct {
	pool   string
	labels selector
	// fields are what of each object, nil for all.
	fields *selection
	limit  int // 0: none
	page   *page
	// sum tells this list with these filters from others, for its next page.
	sum uint32
}

// readListQuery returns all that is wrong with the query as one problem, also with
// how new the list has to be.
func readListQuery(res *resource, r *http.Request) (*listQuery, error) {
	query := r.URL.Query()
	q := &listQuery{pool: mux.Vars(r)["pool"]}
	var wrong []string
	if query.Has("pool") {
		if q.pool = query.Get("pool"); q.pool == "" {
			wrong = append(wrong, "query parameter pool is empty: name a pool, or leave it out for the backends of all pools")
		}
	}
	var err error
	if q.labels, err = labelsOf(query); err != nil {
		wrong = append(wrong, err.Error())
	}
	fields, faults := readFields(res, query)
	q.fields, wrong = fields, append(wrong, faults...)
	if query.Has("limit") {
		text := query.Get("limit")
		if q.limit, err = strconv.Atoi(text); err != nil || q.limit < 1 || q.limit > maxLimit {
			wrong = append(wrong, fmt.Sprintf("limit %q: write a number from 1 to %d, or leave it out for the whole list", clip(text), maxLimit))
		}
	}
	q.sum = listSum(string(res.kind), q.pool, query.Get("label"))
	if query.Has("page") {
		if q.page, err = parsePage(query.Get("page"), q.sum); err != nil {
			wrong = append(wrong, fmt.Sprintf("page %q: %s", clip(query.Get("page")), err))
		}
	}
	if _, more := readFreshness(query); len(wrong)+len(more) > 0 {
		return nil, queryProblem(append(wrong, more...))
	}
	return q, nil
}

// readFields reads the query parameter fields.
func readFields(res *resource, query url.Values) (*selection, []string) {
	if !query.Has("fields") {
		return nil, nil
	}
	return res.shape.selectFields(query.Get("fields"))
}

// list streams, so that a large registry is not held twice.
func (a *API) list(res *resource) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		q, err := readListQuery(res, r)
		if err != nil {
			return err
		}
		s, err := a.state(w, r)
		if err != nil {
			return err
		}
		revision := s.Revision()
		if q.page != nil {
			revision = q.page.Revision
			if s, err = a.stateOfPage(w, r, s, revision); err != nil {
				return err
			}
		} else if _, inPath := mux.Vars(r)["pool"]; inPath && !poolIsSeen(principalOf(r), s, q.pool) {
			return problem.New(problem.NotFound, "pool %q does not exist", clip(q.pool))
		}
		v := a.readViewer(r, res, q.fields)
		w.Header().Set("Content-Type", "application/json")
		p := &paging{query: q, revision: revision}
		return gone(a.writeList(w, p.tail, func(yield func(any) bool) {
			for o := range p.objects(res.objectsOf(s, q), principalOf(r)) {
				if !yield(res.view(v, o, q.fields)) {
					return
				}
			}
		}))
	}
}

// poolIsSeen tells whether the principal sees the pool or any backend in it.
func poolIsSeen(p *principal, s *fsm.State, pool string) bool {
	return p.find(s, fsm.Ref{Kind: fsm.KindPool, Name: pool}) != nil || p.seesAny(s.PoolBackends(pool))
}

// stateOfPage returns a state that knows the registry as of a page's revision.
func (a *API) stateOfPage(w http.ResponseWriter, r *http.Request, s *fsm.State, revision uint64) (*fsm.State, error) {
	if s.Revision() < revision { // another node gave it
		var err error
		if s, err = a.reach(r.Context(), revision, maxBehind); err != nil {
			return nil, err
		}
	}
	if revision < s.OldestRevision() {
		return nil, problem.New(problem.Compacted, "the registry as of revision %d, which this page is of, is no longer known: begin with the first page anew", revision)
	}
	a.setRevision(w, revision)
	return s, nil
}

// objectsOf returns what a list is cut from.
func (res *resource) objectsOf(s *fsm.State, q *listQuery) iter.Seq[fsm.AnyObject] {
	if q.page == nil {
		return res.objects(s, q.pool)
	}
	return res.at(s, q.page.Revision, q.pool, fsm.Ref{Pool: q.page.Pool, Name: q.page.Name})
}

// paging cuts one page off a list.
type paging struct {
	query    *listQuery
	revision uint64
	// next is where the next page begins; nil if this one is the last.
	next *page
}

// objects yields those of the page, of those that are shown.
func (p *paging) objects(all iter.Seq[fsm.AnyObject], by *principal) iter.Seq[fsm.AnyObject] {
	return func(yield func(fsm.AnyObject) bool) {
		var last fsm.Ref
		count := 0
		for o := range all {
			if !p.query.labels.matches(o.GetLabels()) || !by.sees(o) {
				continue
			}
			if p.query.limit > 0 && count == p.query.limit {
				p.next = &page{Revision: p.revision, Pool: last.Pool, Name: last.Name, List: p.query.sum}
				return
			}
			if !yield(o) {
				return
			}
			if count++; count == p.query.limit {
				last = o.Ref()
			}
		}
	}
}

// tail is what follows the items.
func (p *paging) tail() string {
	if p.next == nil {
		return fmt.Sprintf(`"revision":%d}`, p.revision)
	}
	return fmt.Sprintf(`"next":%q,"revision":%d}`, p.next, p.revision)
}

// view returns what is sent of an object: all, or the fields that are wanted.
func (res *resource) view(v *viewer, o fsm.AnyObject, fields *selection) any {
	switch {
	case fields == nil:
		return res.render(v, o)
	case fields.wants("status"):
		return selected{fields, res.render(v, o)}
	}
	ref := o.Ref()
	return selected{fields, object{Pool: ref.Pool, Name: ref.Name, Labels: o.GetLabels(), Spec: fsm.Shown(o).GetSpec(), Meta: o.GetMeta()}}
}

// selected is a value of which some is sent.
type selected struct {
	fields *selection
	value  object
}

// MarshalJSON implements [json.Marshaler].
func (s selected) MarshalJSON() ([]byte, error) { return s.fields.of(s.value) }

// listBuffer is how many bytes of a list are written at once.
const listBuffer = 32 << 10

// writeList writes {"items":[…],…} with the tail behind the items. Its buffers are
// used again: most lists are far shorter, and what a flood of them leaves to the
// garbage collector all else in the node would wait for.
func (a *API) writeList(w http.ResponseWriter, tail func() string, items func(yield func(any) bool)) error {
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
	out.WriteString("]," + tail() + "\n")
	return out.Flush()
}
