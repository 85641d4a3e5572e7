package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"evenkeel/fsm"
)

// reportTimeout is how long a read waits for the other nodes' part of it.
const reportTimeout = 300 * time.Millisecond

// Report is what a node tells the others' API about itself.
type Report struct {
	Revision  uint64                    `json:"revision"`
	Version   uint64                    `json:"version"`
	Digest    string                    `json:"digest"`
	Detached  string                    `json:"detached,omitempty"`
	Listeners map[string]ListenerStatus `json:"listeners,omitempty"`
}

// Report returns what this node tells the others. It does not block.
func (a *API) Report() any {
	s := a.config.Cluster.State()
	report := Report{Revision: s.Revision(), Version: s.Version(), Digest: digest(s), Detached: a.config.Cluster.Status().Detached}
	if a.config.Listeners != nil {
		report.Listeners = a.config.Listeners()
	}
	return report
}

func digest(s *fsm.State) string { return fmt.Sprintf("%016x", s.Digest()) }

// reports asks all nodes. Each node that is not known to have left has an
// entry, answered or not.
func (a *API) reports(ctx context.Context) map[string]nodeReport {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	reports := map[string]nodeReport{}
	for _, member := range a.config.Cluster.Members() {
		if member.State != string(fsm.NodeLeft) {
			reports[member.UID] = nodeReport{}
		}
	}
	for uid, raw := range a.config.Cluster.Reports(ctx) {
		report := nodeReport{answered: true}
		if err := json.Unmarshal(raw, &report.Report); err != nil {
			// A node of another release may answer in a way this one cannot
			// read; that is as good as no answer.
			a.config.Logger.Debug("report of a node not understood", "uid", uid, "error", err)
			report = nodeReport{}
		}
		reports[uid] = report
	}
	return reports
}

// nodeView is one member of the cluster.
type nodeView struct {
	Name        string `json:"name"`
	UID         string `json:"uid"`
	Role        string `json:"role"`
	State       string `json:"state"`
	ClusterAddr string `json:"cluster_addr"`
	APIAddr     string `json:"api_addr"`
	Version     string `json:"version"`
	// FeatureLevel is up to which level the node's build can apply commands; nil
	// when that is not known.
	FeatureLevel *uint64 `json:"feature_level"`
	// Witness is set for a node that takes no traffic, whatever its role.
	Witness bool `json:"witness,omitempty"`
	// AppliedRevision is nil when the node did not answer in time.
	AppliedRevision *uint64 `json:"applied_revision"`
	AppliedVersion  *uint64 `json:"applied_version"`
	// Digest is of the state at AppliedVersion: nodes at the same version that
	// have different digests have diverged.
	Digest string `json:"digest,omitempty"`
	// Detached is why the node takes no part in the cluster any more.
	Detached string `json:"detached,omitempty"`
}

func (a *API) nodes(w http.ResponseWriter, r *http.Request) error {
	s, err := a.state(w, r)
	if err != nil {
		return err
	}
	reports := a.reports(r.Context())
	w.Header().Set("Content-Type", "application/json")
	return gone(a.writeList(w, (&paging{revision: s.Revision()}).tail, func(yield func(any) bool) {
		for _, member := range a.config.Cluster.Members() {
			view := nodeView{
				Name: member.Name, UID: member.UID, Role: member.Role, State: member.State,
				ClusterAddr: member.ClusterAddr, APIAddr: member.APIAddr, Version: member.Version, Witness: member.Witness,
			}
			if level := member.FeatureLevel; level > 0 {
				view.FeatureLevel = &level
			}
			if report := reports[member.UID]; report.answered {
				view.AppliedRevision, view.AppliedVersion = &report.Revision, &report.Report.Version
				view.Digest, view.Detached = report.Digest, report.Detached
			}
			if !yield(view) {
				return
			}
		}
	}))
}

// clusterView is the cluster as this node sees it.
type clusterView struct {
	ID string `json:"id"`
	// Leader is the leader's name, "" when there is none.
	Leader string `json:"leader"`
	Quorum bool   `json:"quorum"`
	// Term is Raft's, 0 on a node without a part in it.
	Term     uint64 `json:"term"`
	Revision uint64 `json:"revision"`
	Version  uint64 `json:"version"`
	Digest   string `json:"digest"`
	// FeatureLevel is what the cluster uses: 0 before it is formed.
	FeatureLevel uint64 `json:"feature_level"`
	// Confirmed is false while the node serves what it had on its disk and no
	// leader has told it yet that this was committed.
	Confirmed bool `json:"confirmed"`
	// AgeSeconds is how old the state may be; nil if there is none yet.
	AgeSeconds *float64 `json:"age_seconds,omitempty"`
	Detached   string   `json:"detached,omitempty"`
}

func (a *API) clusterStatus(w http.ResponseWriter, r *http.Request) error {
	s, err := a.state(w, r)
	if err != nil {
		return err
	}
	status := a.config.Cluster.Status()
	view := clusterView{
		ID: s.ClusterID(), Leader: status.LeaderName, Quorum: status.Quorum, Term: status.Term,
		Revision: s.Revision(), Version: s.Version(), Digest: digest(s), FeatureLevel: s.FeatureLevel(),
		Confirmed: status.Confirmed, Detached: status.Detached,
	}
	if age, known := a.config.Cluster.Age(); known {
		seconds := age.Seconds()
		view.AgeSeconds = &seconds
	}
	return writeJSON(w, http.StatusOK, view)
}
