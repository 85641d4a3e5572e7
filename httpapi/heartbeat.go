package httpapi

import (
	"errors"
	"net/http"

	"github.com/gorilla/mux"

	"evenkeel/cluster"
	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

// heartbeat renews a backend that has a ttl. It writes nothing: the node passes
// the renewals that come to it on to the leader, many in one call.
func (a *API) heartbeat(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	if len(body) > 0 {
		return problem.New(problem.InvalidRequest, "a heartbeat has no body: send the backend's document with PUT to change it")
	}
	vars, uid := mux.Vars(r), r.URL.Query().Get("uid")
	ref := fsm.Ref{Kind: fsm.KindBackend, Pool: vars["pool"], Name: vars["name"]}
	b := a.config.Cluster.State().Backend(ref.Pool, ref.Name)
	switch {
	case b == nil, !principalOf(r).sees(b), uid != "" && b.Meta.UID != uid:
		return notRegistered(ref)
	case b.Spec.TTL == 0:
		return problem.New(problem.InvalidRequest, "%s has no ttl, so it stays without heartbeats: set spec.ttl, or send none", clip(ref.String()))
	}
	if err := a.renew(r, b); err != nil {
		return err
	}
	setRevision(w, a.config.Cluster.State().Revision())
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// renewUnchanged renews a backend that was put as it is: a service may register
// itself again and again. One that was changed has its ttl before it anyway.
func (a *API) renewUnchanged(r *http.Request, p performed) error {
	b, ok := p.Object.(*fsm.Backend)
	if !ok || b == nil || b.Spec.TTL == 0 || p.Changed || p.trial != nil {
		return nil
	}
	return a.renew(r, b)
}

func (a *API) renew(r *http.Request, b *fsm.Backend) error {
	err := a.config.Cluster.Renew(r.Context(), cluster.Renewal{Pool: b.Pool, Name: b.Name, UID: b.Meta.UID})
	if errors.Is(err, cluster.ErrNotRegistered) {
		return notRegistered(b.Ref())
	}
	return err
}

func notRegistered(ref fsm.Ref) error {
	return problem.New(problem.NotFound, "%s is not registered, or not any more: register it again with PUT", clip(ref.String()))
}
