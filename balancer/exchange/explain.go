package exchange

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"evenkeel/balancer/http1"
	"evenkeel/balancer/table"
	"evenkeel/fsm"
)

// Kinds of an [Outcome].
const (
	OutcomeBackend   = "backend"    // a backend answers
	OutcomeRedirect  = "redirect"   // another address is the answer
	OutcomeResponse  = "response"   // the route's fixed response is
	OutcomeNoRoute   = "no_route"   // no route matches: 404
	OutcomeNoBackend = "no_backend" // there is no backend to send it to: 503
	OutcomeForbidden = "forbidden"  // the client may not use the route: 403
	OutcomeLastHop   = "last_hop"   // Max-Forwards allows no further hop
	OutcomeRefused   = "refused"    // the request itself is at fault
)

// Question is a request of which is asked what would become of it.
type Question struct {
	Table    *table.Table
	Listener string
	Settings *Settings
	Head     []byte // the request's, whole
	Peer     netip.Addr
}

// Explanation is what would become of a request.
type Explanation struct {
	Request Normalised    `json:"request"`
	Outcome Outcome       `json:"outcome"`
	Search  *table.Search `json:"search,omitempty"` // nil if no route was looked for
	Route   *RouteTaken   `json:"route,omitempty"`
	// Pools are those of the route, each with what it would do if it was drawn.
	Pools []PoolTaken `json:"pools,omitempty"`
}

// Normalised is a request as routes and pools look at it.
type Normalised struct {
	Method string `json:"method"`
	// Host is in lower case, without port and final dot, and Path decoded and
	// without dot segments; Query is as it was sent. Host and Path are "" of a
	// request that is refused before.
	Host  string `json:"host"`
	Path  string `json:"path"`
	Query string `json:"query,omitempty"`
	// Client is who sends it, as trusted proxies name it: "" if it is not known.
	Client string `json:"client"`
}

// Outcome is how a request would be answered, if its backend answers.
type Outcome struct {
	Kind string `json:"kind"`
	// Status is of an answer without a backend, 0 with one.
	Status int    `json:"status,omitempty"`
	Text   string `json:"text"`
	// Location is of a redirect. ErrorPage tells that the body is the route's.
	Location  string `json:"location,omitempty"`
	ErrorPage bool   `json:"error_page,omitempty"`
	// Unavailable is the share of the requests that draw a pool without a backend,
	// and get 503, 0 to 1.
	Unavailable float64 `json:"unavailable,omitempty"`
}

// RouteTaken is what a route does with a request.
type RouteTaken struct {
	Name  string         `json:"name"`
	Match fsm.RouteMatch `json:"match"`
	// Action is what the route is for: pools, redirect or respond.
	Action string `json:"action"`
	// Sent is the head as a backend gets it, line by line. It is absent where none
	// does. The edits are made in it already.
	Sent           []string        `json:"sent,omitempty"`
	Rewrite        *fsm.Rewrite    `json:"rewrite,omitempty"`
	RequestFields  []fsm.FieldEdit `json:"request_fields,omitempty"`
	ResponseFields []fsm.FieldEdit `json:"response_fields,omitempty"`
	Mirror         *fsm.Mirror     `json:"mirror,omitempty"`
	Allow          []string        `json:"allow,omitempty"`
	Deny           []string        `json:"deny,omitempty"`
}

// PoolTaken is what a route's pool does with a request.
type PoolTaken struct {
	// Weight is the pool's in the route, and RouteShare which part of the requests
	// draws it, 0 to 1.
	Weight     int     `json:"weight"`
	RouteShare float64 `json:"route_share"`
	table.PoolExplained
	Bounds Bounded `json:"bounds"`
}

// Bounded is what a request may cost in a pool, the route's word before the pool's.
type Bounded struct {
	Connect   fsm.Duration `json:"connect"`
	FirstByte fsm.Duration `json:"first_byte"`
	Body      fsm.Duration `json:"body"`
	Request   fsm.Duration `json:"request"` // 0: no bound
	// Attempts is how many backends are tried, as far as there are so many. A
	// request that was sent is sent again only if it may be repeated, and within the
	// budget.
	Attempts      int `json:"attempts"`
	BudgetPercent int `json:"budget_percent"`
	BudgetMin     int `json:"budget_min"`
	// BackendRequests is how many requests each backend gets at a time, 0: no bound.
	BackendRequests int          `json:"backend_requests"`
	Queue           int          `json:"queue"`
	QueueTimeout    fsm.Duration `json:"queue_timeout"`
}

// Explain returns what would become of a request, by the same steps that requests
// take. It sends nothing, counts nothing and moves no rotation. The head has to be
// complete.
func Explain(q *Question) *Explanation {
	e := &Explanation{}
	request, wanted, refused := q.read()
	if request != nil {
		e.Request = Normalised{Method: string(request.MethodText), Query: string(request.Query)}
		if client := clientOf(request, q.Settings, q.Peer); client.IsValid() {
			e.Request.Client = client.String()
		}
	}
	if refused != nil {
		e.Outcome = outcomeOf(OutcomeRefused, refused, nil)
		return e
	}
	e.Request.Host, e.Request.Path = table.RoutingHost(string(request.Host)), wanted.Path
	route, search := q.Table.Explain(&wanted)
	e.Search = &search
	if route == nil {
		e.Outcome = outcomeOf(OutcomeNoRoute, noRoute, nil)
		return e
	}
	e.routed(q, request, route)
	return e
}

// RouteOf returns the name of the route that a request takes, "" if none.
func RouteOf(q *Question) string {
	_, wanted, refused := q.read()
	if refused != nil {
		return ""
	}
	route := q.Table.Route(&wanted)
	if route == nil {
		return ""
	}
	return route.Name
}

// read returns the request, nil if it cannot be read, and what is looked up for it,
// or the answer to one that no route can take.
func (q *Question) read() (request *http1.Request, looked table.Request, refused *answer) {
	request = new(http1.Request)
	if n, err := request.Parse(q.Head, new(http1.Progress), &q.Settings.Limits); n == 0 {
		if fault := (*http1.Fault)(nil); errors.As(err, &fault) {
			return nil, looked, refusal(fault.Status, fault.Reason)
		}
		return nil, looked, badHead
	}
	path, _, refused := routable(nil, request)
	if refused != nil {
		return request, looked, refused
	}
	serverName := ""
	if q.Settings.scheme() == "https" { // whoever asks for a host has its TLS ask for the same
		serverName = table.RoutingHost(string(request.Host))
	}
	return request, wanted(q.Listener, serverName, request, path), nil
}

// outcomeOf is an answer of Evenkeel's own.
func outcomeOf(kind string, a *answer, route *table.Route) Outcome {
	return Outcome{Kind: kind, Status: a.status, Text: a.text, ErrorPage: route.ErrorPage(a.status) != nil}
}

// routed explains what the route makes of the request.
func (e *Explanation) routed(q *Question, request *http1.Request, route *table.Route) {
	e.Route = &RouteTaken{Name: route.Name}
	var weights []fsm.WeightedPool
	if object := q.Table.State().Route(route.Name); object != nil { // the table was made from it
		weights = object.Spec.Pools
		e.Route.describe(&object.Spec)
	}
	switch endingOf(route, request, q.Settings, q.Peer) {
	case endForbidden:
		e.Outcome = outcomeOf(OutcomeForbidden, forbidden, route)
	case endRedirect:
		location := string(route.Redirect.AppendLocation(nil, redirected(request, q.Settings)))
		e.Outcome = Outcome{Kind: OutcomeRedirect, Status: route.Redirect.Status, Text: "the route redirects to " + location, Location: location}
	case endRespond:
		e.Outcome = Outcome{Kind: OutcomeResponse, Status: route.Respond.Status, Text: "the route has a fixed response"}
	case endLast:
		e.Outcome = Outcome{Kind: OutcomeLastHop, Status: http.StatusNoContent, Text: "Max-Forwards allows no further hop"}
		if request.Method == http1.TRACE {
			e.Outcome = outcomeOf(OutcomeLastHop, noTrace, route)
		}
	default:
		e.forwarded(q, request, route, weights)
	}
}

func (r *RouteTaken) describe(spec *fsm.RouteSpec) {
	switch {
	case spec.Redirect != nil:
		r.Action = "redirect"
	case spec.Respond != nil:
		r.Action = "respond"
	default:
		r.Action = "pools"
	}
	r.Match, r.Rewrite, r.Mirror = spec.Match, spec.Rewrite, spec.Mirror
	r.RequestFields, r.ResponseFields = spec.RequestFields, spec.ResponseFields
	r.Allow, r.Deny = spec.Allow, spec.Deny
}

// forwarded explains what becomes of a request that goes to a backend.
func (e *Explanation) forwarded(q *Question, request *http1.Request, route *table.Route, weights []fsm.WeightedPool) {
	if total := totalOf(weights); total == 0 {
		e.Outcome = outcomeOf(OutcomeNoBackend, noBackend, route)
		e.Outcome.Text = "no pool of the route has a weight above 0"
		return
	} else if w := new(composer).rewriting(request, q.Settings, route, q.Peer); w == nil {
		e.Outcome = outcomeOf(OutcomeRefused, longTarget, route)
		return
	} else {
		head := strings.TrimSuffix(string(request.AppendTo(nil, w)), "\r\n\r\n")
		e.Route.Sent = strings.Split(head, "\r\n")
		e.drawn(q, request, route, weights, total)
	}
	switch {
	case e.Outcome.Unavailable == 0:
		e.Outcome.Kind, e.Outcome.Text = OutcomeBackend, "a backend answers"
	case slices.ContainsFunc(e.Pools, func(p PoolTaken) bool { return p.RouteShare > 0 && p.serves() }):
		e.Outcome.Kind, e.Outcome.Text = OutcomeBackend, "a backend answers, unless a pool is drawn that has none"
	default:
		e.Outcome = outcomeOf(OutcomeNoBackend, noBackend, route)
		e.Outcome.Unavailable = 1
	}
}

// totalOf is the sum of the weights.
func totalOf(weights []fsm.WeightedPool) (total int) {
	for _, w := range weights {
		total += w.Weight
	}
	return total
}

// serves tells whether the pool has a backend for the request.
func (p *PoolTaken) serves() bool { return p.Choice.How != table.ChosenNone }

// drawn explains each pool that the route may draw.
func (e *Explanation) drawn(q *Question, request *http1.Request, route *table.Route, weights []fsm.WeightedPool, total int) {
	for _, weighted := range weights {
		pool := q.Table.PoolNamed(weighted.Name)
		taken := PoolTaken{Weight: weighted.Weight, RouteShare: float64(weighted.Weight) / float64(total)}
		if pool == nil { // the registry lets no route name one that is not there
			taken.Name, taken.Choice = weighted.Name, table.ChoiceExplained{How: table.ChosenNone, Why: "there is no such pool"}
			taken.Backends = []table.BackendExplained{}
		} else {
			taken.PoolExplained = pool.Explain(&table.Choice{
				Client: clientOf(request, q.Settings, q.Peer),
				Path:   text(request.Path), Query: text(request.Query), Fields: fields{request},
			})
			taken.bound(route, pool)
		}
		if !taken.serves() {
			e.Outcome.Unavailable += taken.RouteShare
		}
		e.Pools = append(e.Pools, taken)
	}
}

func (p *PoolTaken) bound(route *table.Route, pool *table.Pool) {
	limits, attempts := boundsOf(route, pool)
	p.Bounds = Bounded{
		Connect: fsm.Duration(limits.Connect), FirstByte: fsm.Duration(limits.FirstByte),
		Body: fsm.Duration(limits.Body), Request: fsm.Duration(limits.Request),
		Attempts: attempts, BudgetPercent: pool.Budget.Percent, BudgetMin: pool.Budget.Min,
		BackendRequests: pool.Limits.BackendRequests, Queue: pool.Limits.Queue, QueueTimeout: fsm.Duration(pool.Limits.QueueTimeout),
	}
}
