package httpapi

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/gorilla/mux"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

// backendHealthView is all that is known about whether a backend is used.
type backendHealthView struct {
	Pool       string         `json:"pool"`
	Name       string         `json:"name"`
	UID        string         `json:"uid"`
	Address    string         `json:"address"`
	AdminState fsm.AdminState `json:"admin_state"`
	Weight     int            `json:"weight"`
	Tier       int            `json:"tier"`
	// Checked is false where no verdict can be: the pool has no check, or the
	// backend is in maintenance.
	Checked bool       `json:"checked"`
	Verdict fsm.Health `json:"verdict"`
	// Since is the state's version at which the verdict took its value, Revision
	// the backend's own.
	Since    uint64 `json:"since"`
	Revision uint64 `json:"revision"`
	agreedHealth
	Witnesses []witnessView `json:"witnesses"`
	Nodes     []useView     `json:"nodes"`
}

// witnessView is one observer: how it voted, and what it thinks now.
type witnessView struct {
	Node     string `json:"node"`
	Observer string `json:"observer"`
	// Current is false of one that observes the backend no longer, whose vote
	// stays until its successor has voted.
	Current bool         `json:"current"`
	Vote    *voteOf      `json:"vote,omitempty"`
	Opinion *opinionView `json:"opinion,omitempty"`
}

type voteOf struct {
	Health fsm.Health `json:"health"`
	// Outdated tells that it is about an address or check before the present one.
	Outdated  bool      `json:"outdated,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	At        time.Time `json:"at"`
	Reduction int       `json:"reduction,omitempty"`
}

type opinionView struct {
	Health         fsm.Health `json:"health"`
	Run            int        `json:"run"`
	Error          string     `json:"error,omitempty"`
	Void           string     `json:"void,omitempty"`
	LastError      string     `json:"last_error,omitempty"`
	Evidence       bool       `json:"evidence,omitempty"`
	WeightError    string     `json:"weight_error,omitempty"`
	AgeSeconds     *float64   `json:"age_seconds,omitempty"`
	LatencySeconds float64    `json:"latency_seconds"`
}

// useView is what one node does with the backend.
type useView struct {
	Node string `json:"node"`
	UID  string `json:"uid"`
	Use  use    `json:"use"`
	// CutOff tells that the node follows no leader.
	CutOff   bool          `json:"cut_off,omitempty"`
	Veto     *vetoView     `json:"veto,omitempty"`
	Ejection *ejectionView `json:"ejection,omitempty"`
	// Error is why nothing is known of the node.
	Error string `json:"error,omitempty"`
}

type vetoView struct {
	Health     fsm.Health `json:"health"`
	Reason     string     `json:"reason,omitempty"`
	AgeSeconds float64    `json:"age_seconds,omitempty"`
}

type ejectionView struct {
	Reason      string  `json:"reason"`
	AgeSeconds  float64 `json:"age_seconds"`
	LeftSeconds float64 `json:"left_seconds"`
}

// healthReader makes the views of one pool out of one state and the nodes'
// answers.
type healthReader struct {
	*viewer
	state    *fsm.State
	pool     *fsm.Pool
	backends []*fsm.Backend
	shown    []*fsm.Backend // those that the reader sees
	nodes    []nodeHealth
	uses     []map[string]use // of each node, by the backend's UID
}

func newHealthReader(v *viewer, by *principal, s *fsm.State, pool *fsm.Pool, nodes []nodeHealth) *healthReader {
	h := &healthReader{viewer: v, state: s, pool: pool, backends: slices.Collect(s.PoolBackends(pool.Name)), nodes: nodes}
	for _, b := range h.backends {
		if by.sees(b) {
			h.shown = append(h.shown, b)
		}
	}
	for _, node := range nodes {
		does := uses(pool, h.backends, node, s.FeatureLevel())
		maps.Copy(does, node.uses) // it knows best
		h.uses = append(h.uses, does)
	}
	return h
}

func (h *healthReader) view(b *fsm.Backend) backendHealthView {
	return backendHealthView{
		Pool: b.Pool, Name: b.Name, UID: b.Meta.UID, Address: b.Spec.Address,
		AdminState: b.Spec.AdminState, Weight: b.Spec.Weight, Tier: b.Spec.Tier,
		Checked: h.pool.Spec.Check != nil && b.Spec.AdminState != fsm.AdminMaint,
		Verdict: b.Status.Health, Since: b.Status.Since, Revision: b.Meta.Revision,
		agreedHealth: h.agreed(&b.Status), Witnesses: h.witnessesOf(b), Nodes: h.usesOf(b),
	}
}

// witnessesOf returns who observes the backend and who else has a vote.
func (h *healthReader) witnessesOf(b *fsm.Backend) []witnessView {
	views := []witnessView{}
	if h.pool.Spec.Check == nil || b.Spec.AdminState == fsm.AdminMaint {
		return views
	}
	current := h.state.Observers(b)
	uids := slices.Clone(current)
	votes := map[string]fsm.Vote{}
	for _, vote := range b.Status.Votes {
		votes[vote.Observer] = vote
		if !slices.Contains(uids, vote.Observer) {
			uids = append(uids, vote.Observer)
		}
	}
	generation := h.state.CheckGeneration(b)
	for _, uid := range uids {
		view := witnessView{Node: h.name(uid), Observer: uid, Current: slices.Contains(current, uid), Opinion: h.opinion(uid, b.Meta.UID)}
		if vote, voted := votes[uid]; voted {
			view.Vote = &voteOf{vote.Health, vote.Generation != generation, vote.Reason, vote.At, vote.Reduction}
		}
		views = append(views, view)
	}
	slices.SortStableFunc(views, func(a, b witnessView) int { return cmp.Compare(a.Node, b.Node) })
	return views
}

// opinion is what a node said by now, or nil.
func (h *healthReader) opinion(node, backend string) *opinionView {
	for _, n := range h.nodes {
		if n.member.UID != node {
			continue
		}
		if o, found := n.opinions[backend]; found {
			return &opinionView{o.Health, o.Run, o.Error, o.Void, o.LastError, o.Evidence, o.WeightError, o.AgeSeconds, o.LatencySeconds}
		}
	}
	return nil
}

func (h *healthReader) usesOf(b *fsm.Backend) []useView {
	views := []useView{}
	for i, n := range h.nodes {
		view := useView{Node: h.name(n.member.UID), UID: n.member.UID, Use: h.uses[i][b.Meta.UID], CutOff: n.cutOff, Error: n.why()}
		if n.err != nil {
			view.Use = useUnanswered
		}
		if v, found := n.vetoes[b.Meta.UID]; found {
			view.Veto = &vetoView{v.Health, v.Reason, v.AgeSeconds}
		}
		if e, found := n.ejections[b.Meta.UID]; found {
			view.Ejection = &ejectionView{e.Reason, e.AgeSeconds, e.LeftSeconds}
		}
		views = append(views, view)
	}
	return views
}

// healthOf reads the pool of the path as the request wants it, after which it
// asks the nodes. backend is the only one whose opinions are asked for, or "".
func (a *API) healthOf(w http.ResponseWriter, r *http.Request, backend string) (*healthReader, *fsm.Backend, error) {
	s, err := a.state(w, r)
	if err != nil {
		return nil, nil, err
	}
	name := mux.Vars(r)["pool"]
	pool, by := s.Pool(name), principalOf(r)
	if pool == nil || backend == "" && !by.sees(pool) {
		return nil, nil, problem.New(problem.NotFound, "pool %q does not exist", clip(name))
	}
	question := healthQuestion{Pool: name}
	var b *fsm.Backend
	if backend != "" {
		if b = s.Backend(name, backend); b == nil || !by.sees(b) {
			return nil, nil, problem.New(problem.NotFound, "%s does not exist", clip(fsm.Ref{Kind: fsm.KindBackend, Pool: name, Name: backend}.String()))
		}
		question.Backend = b.Meta.UID
	}
	return newHealthReader(a.viewer(by), by, s, pool, a.ask(r.Context(), question)), b, nil
}

func (a *API) backendHealth(w http.ResponseWriter, r *http.Request) (any, error) {
	h, b, err := a.healthOf(w, r, mux.Vars(r)["name"])
	if err != nil {
		return nil, err
	}
	return h.view(b), nil
}

// poolHealthView is a pool with its backends, those in trouble first.
type poolHealthView struct {
	poolSummary
	Items    []backendHealthView `json:"items"`
	Nodes    []askedNode         `json:"nodes"`
	Revision uint64              `json:"revision"`
}

func (a *API) poolHealth(w http.ResponseWriter, r *http.Request) (any, error) {
	h, _, err := a.healthOf(w, r, "")
	if err != nil {
		return nil, err
	}
	view := poolHealthView{poolSummary: h.summary(), Items: []backendHealthView{}, Nodes: askedNodes(h.viewer, h.nodes, h.pool.Name), Revision: h.state.Revision()}
	for _, b := range h.shown {
		view.Items = append(view.Items, h.view(b))
	}
	slices.SortStableFunc(view.Items, func(a, b backendHealthView) int { return cmp.Compare(b.trouble(), a.trouble()) })
	return view, nil
}

// trouble orders backends: those that more nodes do without come first.
func (v *backendHealthView) trouble() int {
	trouble := 0
	for _, node := range v.Nodes {
		switch node.Use {
		case useYes, useTier, useZone:
		case useUnanswered:
		default:
			trouble += 2
		}
	}
	if v.Verdict == fsm.HealthDown || v.Held {
		trouble++
	}
	return trouble
}
