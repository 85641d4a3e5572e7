package table

import (
	"cmp"
	"math"
	"regexp"
	"time"

	"evenkeel/balancer/http1"
	"evenkeel/balancer/picker"
	"evenkeel/fsm"
)

// Route is a route as tables see it. It is immutable.
type Route struct {
	Name string
	// Access is who may use the route; nil for everybody.
	Access *Access
	// Redirect and Respond answer without a backend; at most one is set, and
	// neither if the route has pools.
	Redirect *Redirect
	Respond  *Respond
	// Rewrite, RequestEdits and Mirror are for requests that go to a backend.
	Rewrite      *Rewrite
	RequestEdits []http1.Edit
	Mirror       *Mirror
	// ResponseEdits are for every response to a request that took the route,
	// Evenkeel's own included, but for interim ones and 101.
	ResponseEdits []http1.Edit
	// FirstByte, Request and Attempts replace the pool's, unless they are 0.
	FirstByte, Request time.Duration
	Attempts           int

	priority   int
	conditions *conditions
	narrow     int            // how many conditions there are
	pattern    *regexp.Regexp // the path has to match it; nil without one
	unreadable bool           // an expression is, so the route takes no request
	pages      map[int]*Page
	pools      [][]byte // keys of the pools with a weight above 0
	shares     *picker.WeightedRandom
}

func compileRoute(object *fsm.Route, random picker.Random) *Route {
	spec := &object.Spec
	r := &Route{
		Name: object.Name, Access: compileAccess(spec),
		RequestEdits: compileEdits(spec.RequestFields), ResponseEdits: compileEdits(spec.ResponseFields),
		priority: spec.Priority,
	}
	r.compileMatch(spec.Match)
	r.compileAnswers(spec)
	r.compileForwarding(spec)
	var candidates []picker.Candidate
	for _, pool := range spec.Pools {
		if pool.Weight > 0 {
			r.pools = append(r.pools, []byte(pool.Name))
			candidates = append(candidates, picker.Candidate{Weight: pool.Weight})
		}
	}
	r.shares = picker.NewWeightedRandom(candidates, random)
	return r
}

// compileMatch compiles what is left to check at the place where the router
// finds the route. The registry validated the expressions. Should one be
// unreadable all the same, to this build, the route takes no request: one that
// took more than was asked for might let in whom it is to keep out.
func (r *Route) compileMatch(m fsm.RouteMatch) {
	conditions, err := compileConditions(m)
	r.conditions, r.narrow, r.unreadable = conditions, conditions.count(), err != nil
	if m.PathRegexp != "" {
		pattern, err := compileWhole(m.PathRegexp)
		r.pattern, r.unreadable = pattern, r.unreadable || err != nil
	}
}

// compileAnswers compiles what is answered without a backend.
func (r *Route) compileAnswers(spec *fsm.RouteSpec) {
	if to := spec.Redirect; to != nil {
		r.Redirect = compileRedirect(to, spec.Match.PathPrefix)
	}
	if with := spec.Respond; with != nil {
		r.Respond = &Respond{Status: with.Status, Page: Page{Body: []byte(with.Body), ContentType: with.ContentType}}
	}
	for _, page := range spec.ErrorPages {
		if r.pages == nil {
			r.pages = map[int]*Page{}
		}
		r.pages[page.Status] = &Page{Body: []byte(page.Body), ContentType: page.ContentType}
	}
}

// compileForwarding compiles what happens to requests on their way.
func (r *Route) compileForwarding(spec *fsm.RouteSpec) {
	if w := spec.Rewrite; w != nil {
		rewrite, err := compileRewrite(w, spec.Match.PathPrefix)
		r.Rewrite, r.unreadable = rewrite, r.unreadable || err != nil
	}
	if m := spec.Mirror; m != nil {
		r.Mirror = &Mirror{Pool: m.Pool, Percent: m.Percent}
	}
	if t := spec.Timeouts; t != nil {
		r.FirstByte, r.Request = time.Duration(t.FirstByte), time.Duration(t.Request)
	}
	if retries := spec.Retries; retries != nil {
		r.Attempts = retries.Attempts
	}
}

func compileEdits(specs []fsm.FieldEdit) []http1.Edit {
	var all []http1.Edit
	for _, edit := range specs {
		op := http1.EditSet
		switch edit.Op {
		case fsm.EditAdd:
			op = http1.EditAdd
		case fsm.EditRemove:
			op = http1.EditRemove
		}
		all = append(all, http1.Edit{Op: op, Name: edit.Name, Value: edit.Value})
	}
	return all
}

// ErrorPage returns the body of Evenkeel's own responses of that status, or
// nil for the usual one. r may be nil.
func (r *Route) ErrorPage(status int) *Page {
	if r == nil {
		return nil
	}
	return r.pages[status]
}

// accepts tells whether a request whose host and path fit meets the rest.
func (r *Route) accepts(q *Request) bool {
	kind, _ := r.miss(q)
	return kind == missNone
}

// miss is what keeps a request from a route.
type miss uint8

const (
	missNone miss = iota
	missUnreadable
	missServerName
	missMethod
	missHeader
	missQuery
	missPath
	missHost
	missListener
)

// miss returns why a request whose host and path fit does not take the route, as
// [conditions.unmet] does.
func (r *Route) miss(q *Request) (kind miss, at int) {
	switch {
	case r.unreadable:
		return missUnreadable, 0
	case r.pattern != nil && !r.pattern.MatchString(q.Path):
		return missPath, 0
	}
	return r.conditions.unmet(q)
}

func (r *Route) draw() []byte {
	switch len(r.pools) {
	case 0:
		return nil
	case 1:
		return r.pools[0]
	default:
		return r.pools[r.shares.Pick(nil)]
	}
}

// match is a route that matches a request, and how closely: the larger the
// rank of host and path, the closer.
type match struct {
	route    *Route
	hostRank int
	pathRank int
}

// Ranks besides those of wildcards and prefixes, which grow with their length.
const (
	rankNone   = 0
	rankRegexp = math.MaxInt - 1
	rankExact  = math.MaxInt
)

// consider replaces m by the first route of a list that accepts the request, if
// that takes precedence. The routes were found at one place, so that they are in
// their order; those that come too late are not even tried.
func (m *match) consider(list routes, hostRank, pathRank int, q *Request) {
	if q.search != nil {
		q.search.place(list)
		return
	}
	for _, route := range list {
		other := match{route, hostRank, pathRank}
		if m.route != nil && precedence(&other, m) > 0 {
			return
		}
		if route.accepts(q) {
			*m = other
			return
		}
	}
}

// precedence is negative if a goes before b.
func precedence(a, b *match) int {
	switch {
	case a.route.priority != b.route.priority:
		return cmp.Compare(b.route.priority, a.route.priority)
	case a.hostRank != b.hostRank:
		return cmp.Compare(b.hostRank, a.hostRank)
	case a.pathRank != b.pathRank:
		return cmp.Compare(b.pathRank, a.pathRank)
	case a.route.narrow != b.route.narrow:
		return cmp.Compare(b.route.narrow, a.route.narrow)
	}
	return cmp.Compare(a.route.Name, b.route.Name)
}
