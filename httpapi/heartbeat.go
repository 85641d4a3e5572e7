package httpapi

import (
	"errors"
	"net/http"
	"time"

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
	a.setRevision(w, a.config.Cluster.State().Revision())
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// lapsing bounds how long a put waits for the end of what is being withdrawn; that
// is one command, which is under way.
const lapsing = 5 * time.Second

// lapsePoll is how long that waits for another state before it renews once more.
const lapsePoll = 50 * time.Millisecond

// register puts a backend. One that was put as it is is renewed, as a service may
// register itself again and again; if that comes too late, it is put again once the
// old registration is gone. So what is answered to have been put is there. One that
// was changed has its ttl before it anyway, as a lapse is of the revision before.
//
// Under a key the first put is the one that is remembered, as it was accepted; the one
// after the lapse is made without, or else it would be answered by the first.
func (a *API) register(r *http.Request, w *write) (performed, error) {
	until := time.Now().Add(lapsing)
	for {
		p, err := a.carryOut(r, w, w.operation())
		if err != nil {
			return p, err
		}
		b := p.left()
		if b == nil {
			return p, nil
		}
		again, err := a.renewOrAwaitEnd(r, b, until)
		if !again || time.Now().After(until) {
			return p, err
		}
		w.want = w.want.unkeyed()
	}
}

// left is the backend that a write found as it wanted it, and that lapses unless it is
// renewed; else nil.
func (p performed) left() *fsm.Backend {
	b, ok := p.Object.(*fsm.Backend)
	if !ok || b == nil || b.Spec.TTL == 0 || p.Changed || p.trial != nil {
		return nil
	}
	return b
}

// renewPatched renews a backend that a patch left as it was, so that a patch counts
// as a sign of life whether or not it changes something, as a put does. It has not
// all of a document, so it registers nothing anew.
func (a *API) renewPatched(r *http.Request, p performed) error {
	if b := p.left(); b != nil {
		return a.renew(r, b)
	}
	return nil
}

// renewOrAwaitEnd renews a registration, or waits until it is withdrawn, for which
// again is true: then err is what is to be said if it is not put again.
func (a *API) renewOrAwaitEnd(r *http.Request, b *fsm.Backend, until time.Time) (again bool, err error) {
	for {
		s, replaced := a.config.Cluster.Watch()
		if now := s.Backend(b.Pool, b.Name); now == nil || now.Meta.UID != b.Meta.UID {
			return true, notRegistered(b.Ref())
		}
		err := a.config.Cluster.Renew(r.Context(), cluster.Renewal{Pool: b.Pool, Name: b.Name, UID: b.Meta.UID})
		if !errors.Is(err, cluster.ErrNotRegistered) {
			return false, err
		}
		if time.Now().After(until) {
			return false, notRegistered(b.Ref())
		}
		select {
		case <-replaced:
		case <-time.After(lapsePoll): // the command may have failed
		case <-r.Context().Done():
			return false, notRegistered(b.Ref())
		}
	}
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
