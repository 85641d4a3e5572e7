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
	// Rewrite, RequestEdits and Mirror are for requests, ResponseEdits for
	// responses.
	Rewrite                     *Rewrite
	RequestEdits, ResponseEdits []http1.Edit
	Mirror                      *Mirror
	// FirstByte, Request and Attempts replace the pool's, unless they are 0.
	FirstByte, Request time.Duration
	Attempts           int

	priority   int
	conditions *conditions
	pattern    *regexp.Regexp // the path has to match it; nil without one
	pages      map[int]*Page
	pools      [][]byte // keys of the pools with a weight above 0
	shares     *picker.WeightedRandom
}

func compileRoute(object *fsm.Route, random picker.Random) *Route {
	spec := &object.Spec
	r := &Route{
		Name: object.Name, Access: compileAccess(spec),
		RequestEdits: compileEdits(spec.RequestFields), ResponseEdits: compileEdits(spec.ResponseFields),
		priority: spec.Priority, conditions: compileConditions(spec.Match),
	}
	if spec.Match.PathRegexp != "" {
		r.pattern = compileWhole(spec.Match.PathRegexp)
	}
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

// compileAnswers compiles what is answered without a backend.
func (r *Route) compileAnswers(spec *fsm.RouteSpec) {
	if to := spec.Redirect; to != nil {
		r.Redirect = &Redirect{Status: to.Status, spec: *to, prefix: spec.Match.PathPrefix}
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
		r.Rewrite = &Rewrite{Host: w.Host, spec: *w, prefix: spec.Match.PathPrefix}
		if w.Regexp != "" {
			// The registry validated it; one that does not compile changes nothing.
			r.Rewrite.pattern, _ = regexp.Compile(w.Regexp)
		}
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
	return (r.pattern == nil || r.pattern.MatchString(q.Path)) && r.conditions.hold(q)
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

// keepBetter replaces m by other if that takes precedence.
func (m *match) keepBetter(other match) {
	if other.route != nil && (m.route == nil || precedence(other, *m) < 0) {
		*m = other
	}
}

// precedence is negative if a goes before b.
func precedence(a, b match) int {
	return cmp.Or(
		cmp.Compare(b.route.priority, a.route.priority),
		cmp.Compare(b.hostRank, a.hostRank),
		cmp.Compare(b.pathRank, a.pathRank),
		cmp.Compare(b.route.conditions.count(), a.route.conditions.count()),
		cmp.Compare(a.route.Name, b.route.Name),
	)
}
