package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"evenkeel/cluster"
	"evenkeel/httpapi/problem"
)

// removeNode removes a member. As with every DELETE, one that is not there is
// no error, but for those who say that it must be.
func (a *API) removeNode(w http.ResponseWriter, r *http.Request) error {
	node, match := mux.Vars(r)["node"], r.Header.Get("If-Match")
	if match != "" && match != "*" {
		return problem.New(problem.InvalidRequest, "If-Match %s: a node has no revision, so only * is understood", clip(match))
	}
	uid, err := a.memberUID(r.Context(), node)
	switch {
	case err != nil:
		return err
	case uid == "" && match != "":
		return problem.New(problem.PreconditionFailed, "the cluster has no node %q", clip(node))
	case uid != "":
		err = a.config.Cluster.RemoveMember(r.Context(), uid)
	}
	if err != nil && !errors.Is(err, cluster.ErrNoMember) {
		return err
	}
	return a.changed(w)
}

func (a *API) promoteNode(w http.ResponseWriter, r *http.Request) error {
	uid, err := a.existingUID(r.Context(), mux.Vars(r)["node"])
	if err != nil {
		return err
	}
	if err := a.config.Cluster.PromoteMember(r.Context(), uid); err != nil {
		return err
	}
	return a.changed(w)
}

func (a *API) transferLeader(w http.ResponseWriter, r *http.Request) error {
	uid := ""
	if to := r.URL.Query().Get("to"); to != "" {
		var err error
		if uid, err = a.existingUID(r.Context(), to); err != nil {
			return err
		}
	}
	if err := a.config.Cluster.TransferLeadership(r.Context(), uid); err != nil {
		return err
	}
	return a.changed(w)
}

func (a *API) changed(w http.ResponseWriter) error {
	a.setRevision(w, a.config.Cluster.State().Revision())
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// memberUID finds a member by its name or UID. It returns "" if there is none,
// and asks the leader before, because this node may lag behind.
func (a *API) memberUID(ctx context.Context, node string) (string, error) {
	if uid, err := a.localUID(node); err != nil || uid != "" {
		return uid, err
	}
	if err := a.config.Cluster.ReadIndex(ctx); err != nil {
		return "", readProblem(err)
	}
	return a.localUID(node)
}

func (a *API) localUID(node string) (string, error) {
	var found []string
	for _, member := range a.config.Cluster.Members() {
		if member.UID == node {
			return node, nil
		}
		if member.Name == node {
			found = append(found, member.UID)
		}
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	return "", problem.New(problem.InvalidRequest, "the name %q is that of several nodes: give the UID of one, %s", node, strings.Join(found, " or "))
}

func (a *API) existingUID(ctx context.Context, node string) (string, error) {
	uid, err := a.memberUID(ctx, node)
	if err == nil && uid == "" {
		err = problem.New(problem.NotFound, "the cluster has no node %q", clip(node))
	}
	return uid, err
}
