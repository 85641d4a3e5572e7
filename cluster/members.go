package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"evenkeel/fsm"
)

// Roles of a member.
const (
	RoleLeader   = "leader"
	RoleFollower = "follower"
	RoleNonvoter = "nonvoter"
	RoleWitness  = "witness" // has a vote and does not lead
)

// States of a member, as one node sees it.
const (
	StateAlive    = "alive"
	StateSuspect  = "suspect" // does not answer this node's probes, or was not met yet and nobody leads
	StateDead     = "dead"
	StateLeft     = "left"
	StateDetached = "detached" // runs, but has no part in the cluster
)

// Member is one node of the cluster.
type Member struct {
	Name        string
	UID         string
	Role        string // one of the Role constants
	State       string // one of the State constants
	ClusterAddr string
	APIAddr     string
	Version     string
	// FeatureLevel is up to which level its build can apply commands, 0 if that
	// is not known.
	FeatureLevel uint64
	// Witness is set for a node that takes no traffic, whatever its role.
	Witness bool
}

// Status is what a node knows of the cluster and of its own part in it.
type Status struct {
	// ID is the cluster's identity, or "" while the node is not part of one.
	ID string
	// LeaderUID and LeaderName are "" when there is no leader.
	LeaderUID  string
	LeaderName string
	// Quorum tells whether this node follows, or is, a leader that a majority
	// of the voters follows.
	Quorum bool
	// Term is Raft's as this node knows it, which grows with each election; 0
	// while the node takes no part in Raft.
	Term uint64
	// Confirmed tells whether since this node's start a leader has confirmed
	// that State is current; until then it is what the node last knew.
	Confirmed bool
	// Detached is why this node has no part in the cluster, with what to do
	// about it or that it passes by itself, or "".
	Detached string
	// VotesIgnored is how many votes did not count that this node's replica has
	// applied since its start: of a node that does not observe the backend, or
	// about what is registered or checked otherwise by now. VotesRefused is how
	// many commands with votes it refused other nodes while it led, since those
	// sent too many, or in the name of others.
	VotesIgnored, VotesRefused uint64
}

// Status never blocks and may be called at any time.
func (n *Node) Status() Status {
	_, leader, _ := n.leaders.current()
	s := Status{ID: n.dir.clusterID(), LeaderUID: leader, LeaderName: n.nameOf(leader), Quorum: leader != "", Confirmed: n.views.confirmed.Load()}
	s.VotesIgnored, s.VotesRefused = n.votes.ignored.Load(), n.votes.refused.Load()
	if c := n.consensus.Load(); c != nil {
		s.Term = c.raft.CurrentTerm()
	}
	if reason := n.apart(); reason != nil {
		s.Detached = reason.Error()
	}
	return s
}

// nameOf returns the name of a node, or "" if it is not known.
func (n *Node) nameOf(uid string) string {
	if uid == n.UID() {
		return n.name
	}
	if node := n.State().Node(uid); node != nil {
		return node.Name
	}
	return n.directory.name(uid)
}

// Refused returns how many connections and packets the cluster port did not
// let in, by reason.
func (n *Node) Refused() map[string]uint64 { return n.port.Counters().Refused }

// Members returns the nodes of the cluster in the order of their names, as
// this node sees them: what the registry holds, with what gossip says by now.
// It never blocks. On a node that is not part of a cluster yet it returns that
// node alone.
func (n *Node) Members() []Member {
	roles := n.roles()
	gossiped, _ := n.gossip.view()
	state := n.State()
	members := make([]Member, 0, len(roles))
	for uid, role := range roles {
		members = append(members, n.member(uid, role, state.Node(uid), gossiped))
	}
	slices.SortFunc(members, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
	})
	return members
}

// roles returns the UIDs of all members. Raft's configuration decides who is
// one; a node without it goes by the registry.
func (n *Node) roles() map[string]string {
	roles := map[string]string{n.UID(): RoleFollower}
	var servers []raft.Server
	if c := n.consensus.Load(); c != nil {
		servers = c.servers()
	}
	for _, server := range servers {
		roles[string(server.ID)] = RoleFollower
		if server.Suffrage != raft.Voter {
			roles[string(server.ID)] = RoleNonvoter
		}
	}
	for node := range n.State().Nodes() {
		if len(servers) == 0 {
			roles[node.UID] = RoleFollower
		}
	}
	for uid, role := range roles {
		if role == RoleFollower && n.isWitness(uid) {
			roles[uid] = RoleWitness
		}
	}
	n.hideFormer(roles)
	if _, leader, _ := n.leaders.current(); roles[leader] != "" {
		roles[leader] = RoleLeader
	}
	return roles
}

func (n *Node) member(uid, role string, recorded *fsm.Node, gossiped map[string]gossipMember) Member {
	m := Member{UID: uid, Role: role, Name: n.nameOf(uid), State: StateDead, Witness: n.isWitness(uid)}
	m.ClusterAddr, _ = n.directory.lookup(uid)
	if recorded != nil {
		m.State = string(recorded.State)
		m.ClusterAddr, m.APIAddr, m.Version, m.FeatureLevel = recorded.ClusterAddr, recorded.APIAddr, recorded.Version, recorded.FeatureLevel
	}
	if uid == n.UID() {
		m.FeatureLevel = fsm.FeatureLevel
		m.Name, m.State, m.ClusterAddr, m.APIAddr, m.Version = n.name, StateAlive, n.advertise.String(), n.config.APIAddr, n.config.Version
		if n.apart() != nil {
			m.State = StateDetached
		}
		return m
	}
	seen, known := gossiped[uid]
	if !known {
		if _, leader, _ := n.leaders.current(); leader == "" && m.State == StateAlive {
			m.State = StateSuspect // the record may be old, and this node has not met it
		}
		return m
	}
	m.Name, m.ClusterAddr, m.APIAddr, m.Version, m.FeatureLevel = seen.Name, seen.Addr, seen.APIAddr, seen.Version, seen.FeatureLevel
	switch {
	case seen.State == gossipLeft:
		m.State = StateLeft
	case seen.State == gossipDead:
		m.State = StateDead
	case seen.Detached:
		m.State = StateDetached
	case seen.suspicious(len(gossiped), n.profile.probe, time.Now()):
		m.State = StateSuspect
	default:
		m.State = StateAlive
	}
	return m
}

// reportTimeout bounds the wait for one node's report.
const reportTimeout = time.Second

// Reports asks every live node for its soft facts (see Config.Report) and
// returns those that answered within a second, or before ctx ended, by UID.
// This node's own are among them.
func (n *Node) Reports(ctx context.Context) map[string]json.RawMessage {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	var (
		mu      sync.Mutex // guards reports
		reports = map[string]json.RawMessage{}
		tasks   sync.WaitGroup
	)
	if own, err := n.answerReport(ctx, n.UID(), empty{}); err == nil {
		reports[n.UID()] = own.Report
	}
	members, _ := n.gossip.view()
	for uid, m := range members {
		if m.State != gossipAlive {
			continue
		}
		tasks.Go(func() {
			var response reportResponse
			if err := n.port.RPC().Call(ctx, uid, methodReport, empty{}, &response); err != nil {
				n.logger.Debug("a node did not report", "uid", uid, "error", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			reports[uid] = response.Report
		})
	}
	tasks.Wait()
	return reports
}

func (n *Node) answerReport(context.Context, string, empty) (reportResponse, error) {
	report, err := json.Marshal(n.config.Report())
	return reportResponse{report}, err
}

// answerReadIndex is the leader's end of a forwarded read.
func (n *Node) answerReadIndex(ctx context.Context, _ string, _ empty) (readResponse, error) {
	if own, _, _ := n.leaders.current(); own == nil {
		return readResponse{}, answerOutcome(errNotLeader)
	}
	index, err := n.readAsLeader(ctx)
	return readResponse{index}, err
}
