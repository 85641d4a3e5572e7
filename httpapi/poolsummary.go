package httpapi

import (
	"cmp"
	"net/http"
	"slices"

	"evenkeel/fsm"
)

// poolSummary counts those of a pool's backends that the reader sees.
type poolSummary struct {
	Pool string `json:"pool"`
	// State is ok, degraded if something is not as it should be, down if no
	// backend serves, or empty.
	State    poolState `json:"state"`
	Backends int       `json:"backends"`
	// Serving is how many take new requests as the cluster agreed, without what
	// single nodes do.
	Serving int `json:"serving"`
	// Up, Down and Unknown are by effective health.
	Up      int `json:"up"`
	Down    int `json:"down"`
	Unknown int `json:"unknown"`
	// NotReady are drained or in maintenance; Held, Overridden and Avoided may be
	// any of those before. Avoided are those that some node does without by itself.
	NotReady   int `json:"not_ready"`
	Held       int `json:"held"`
	Overridden int `json:"overridden"`
	Avoided    int `json:"avoided"`
	// Flaps is the sum of what has not decayed, and LastChange the state's version
	// at which a verdict changed last.
	Flaps      int    `json:"flaps"`
	LastChange uint64 `json:"last_change"`
	// Panic tells that too few are healthy, and all that are ready are used.
	Panic bool `json:"panic"`
}

type poolState string

// The states of a pool, the worst first.
const (
	poolDown     poolState = "down"
	poolDegraded poolState = "degraded"
	poolOK       poolState = "ok"
	poolEmpty    poolState = "empty"
)

var poolStates = []poolState{poolDown, poolDegraded, poolOK, poolEmpty}

func (h *healthReader) summary() poolSummary {
	sum := poolSummary{Pool: h.pool.Name, Backends: len(h.shown)}
	agreed := uses(h.pool, h.backends, nodeHealth{}, h.state.FeatureLevel())
	avoided := h.avoided()
	for _, b := range h.shown {
		sum.count(b, agreed[b.Meta.UID])
		if avoided[b.Meta.UID] {
			sum.Avoided++
		}
	}
	switch {
	case sum.Backends == 0:
		sum.State = poolEmpty
	case sum.Serving == 0:
		sum.State = poolDown
	case sum.Down+sum.Held+sum.Avoided > 0 || sum.Panic:
		sum.State = poolDegraded
	default:
		sum.State = poolOK
	}
	return sum
}

func (sum *poolSummary) count(b *fsm.Backend, agreed use) {
	switch b.Status.Effective() {
	case fsm.HealthUp:
		sum.Up++
	case fsm.HealthDown:
		sum.Down++
	default:
		sum.Unknown++
	}
	switch agreed {
	case useYes:
		sum.Serving++
	case usePanic:
		sum.Serving++
		sum.Panic = true
	}
	if b.Spec.AdminState != fsm.AdminReady {
		sum.NotReady++
	}
	if b.Status.Held {
		sum.Held++
	}
	if b.Status.Override != nil {
		sum.Overridden++
	}
	sum.Flaps += b.Status.Flaps
	if b.Status.Health != fsm.HealthUnknown {
		sum.LastChange = max(sum.LastChange, b.Status.Since)
	}
}

// avoided returns the UIDs of backends that some node does without by itself.
func (h *healthReader) avoided() map[string]bool {
	avoided := map[string]bool{}
	for i := range h.nodes {
		for uid, use := range h.uses[i] {
			if use == useVeto || use == useEjected {
				avoided[uid] = true
			}
		}
	}
	return avoided
}

// askedNode is one node, and whether it told its part.
type askedNode struct {
	Node     string `json:"node"`
	UID      string `json:"uid"`
	Answered bool   `json:"answered"`
	CutOff   bool   `json:"cut_off,omitempty"`
	// Error is why it did not answer; LeftOff is how many entries it left out.
	Error   string `json:"error,omitempty"`
	LeftOff int    `json:"left_off,omitempty"`
	// TLSError is why it does not speak TLS to the pool's backends as the pool says.
	TLSError string `json:"tls_error,omitempty"`
}

// askedNodes are the nodes, and what each has to say of one pool; "" for all pools.
func askedNodes(v *viewer, nodes []nodeHealth, pool string) []askedNode {
	views := []askedNode{}
	for _, n := range nodes {
		views = append(views, askedNode{v.name(n.member.UID), n.member.UID, n.err == nil, n.cutOff, n.why(), n.leftOff, n.faults[pool]})
	}
	return views
}

// health sums up all pools, the worst first.
func (a *API) health(w http.ResponseWriter, r *http.Request) (any, error) {
	s, err := a.state(w, r)
	if err != nil {
		return nil, err
	}
	nodes, v := a.ask(r.Context(), healthQuestion{}), a.viewer(principalOf(r))
	view := struct {
		Items    []poolSummary `json:"items"`
		Nodes    []askedNode   `json:"nodes"`
		Revision uint64        `json:"revision"`
	}{[]poolSummary{}, askedNodes(v, nodes, ""), s.Revision()}
	for pool := range s.Pools() {
		if principalOf(r).sees(pool) {
			view.Items = append(view.Items, newHealthReader(v, principalOf(r), s, pool, nodes).summary())
		}
	}
	slices.SortStableFunc(view.Items, func(a, b poolSummary) int {
		return cmp.Compare(slices.Index(poolStates, a.State), slices.Index(poolStates, b.State))
	})
	return view, nil
}
