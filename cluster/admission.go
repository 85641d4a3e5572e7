package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"evenkeel/cluster/peer"
	"evenkeel/fsm"
)

const (
	// configTimeout bounds the wait for raft's main loop to take a change of
	// members; raft makes one at a time.
	configTimeout = time.Second
	// caughtUp is how many entries behind the commit index a node may be that
	// gets a vote.
	caughtUp = 64
	// admitPause is between requests that were refused.
	admitPause = 300 * time.Millisecond
)

// askAdmission asks the cluster that this node has met to let it in. Any
// member may be asked; the leader decides.
func (n *Node) askAdmission(ctx context.Context) error {
	members, _ := n.gossip.view()
	reason := errors.New("no node that leads the cluster is there")
	for uid, m := range members {
		if m.State != gossipAlive || m.ClusterID == "" || m.Detached {
			continue
		}
		var response admitResponse
		err := n.callAdmit(ctx, uid, &response)
		switch {
		case err == nil:
			return n.beAdmitted(response.ClusterID)
		case ctx.Err() != nil:
			return err
		case peer.IsRemote(err, codeRefused):
			reason = err // the leader's word; the others only say who that is
		default:
			n.logger.Debug("a node does not admit this one", "uid", uid, "error", err)
		}
	}
	return errors.Join(reason, pause(ctx, admitPause))
}

func (n *Node) callAdmit(ctx context.Context, uid string, response *admitResponse) error {
	ctx, cancel := context.WithTimeout(ctx, formingCall)
	defer cancel()
	return n.port.RPC().Call(ctx, uid, methodAdmit, n.hello(), response)
}

// leads tells whether the leadership has not ended: what was known of level and
// members when it became ready has since changed only by what it does itself.
func (n *Node) leads(own *leadership) bool {
	current, _, _ := n.leaders.current()
	return current == own
}

// admit lets a new node in without a vote. It gets one when it has caught up,
// see promote.
func (n *Node) admit(ctx context.Context, caller string, from hello) (admitResponse, error) {
	own, _, _ := n.leaders.current()
	c := n.consensus.Load()
	state := n.State()
	notLeader := func() error {
		_, leader, _ := n.leaders.current()
		return &peer.RemoteError{Code: codeNotLeader, Message: fmt.Sprintf("node %q does not lead, %q does", n.name, n.nameOf(leader))}
	}
	if own == nil || !own.isReady() || c == nil || state.ClusterID() == "" {
		return admitResponse{}, notLeader()
	}
	refuse := func(format string, args ...any) (admitResponse, error) {
		return admitResponse{}, &peer.RemoteError{Code: codeRefused, Message: fmt.Sprintf(format, args...)}
	}
	if from.ClusterID != "" && from.ClusterID != state.ClusterID() {
		return refuse("it belongs to cluster %q, this is %q", from.ClusterID, state.ClusterID())
	}
	n.level.Lock()
	defer n.level.Unlock()
	if level := max(n.State().FeatureLevel(), n.level.rising); from.FeatureLevel < level {
		return refuse("its build can apply commands up to level %d, the cluster uses %d: start a newer build", from.FeatureLevel, level)
	}
	if _, member := c.server(caller); member {
		if !c.settled() {
			return refuse("whether it is admitted is not decided yet")
		}
		return admitResponse{state.ClusterID()}, nil
	}
	if err := n.dismissFormer(c, own, from); err != nil {
		return refuse("%v", err)
	}
	for _, server := range c.servers() {
		other := state.Node(string(server.ID))
		if other != nil && other.Name == from.Name && !n.isGone(c, own, other) {
			return refuse("the name %q belongs to a node that is not known to be dead (%s): wait, or start with another --name", from.Name, other.UID)
		}
	}
	n.directory.learn(caller, savedPeer{Name: from.Name, Addr: from.Addr})
	err := c.changeServers(ctx, func([]raft.Server) (raft.Future, error) {
		if !n.leads(own) {
			return nil, notLeader() // the wait may have been long
		}
		return c.raft.AddNonvoter(raft.ServerID(caller), raft.ServerAddress(caller), 0, configTimeout), nil
	})
	if err == nil && !n.leads(own) {
		// Another leader may have raised the level in between. Whoever leads now
		// is asked again.
		err = notLeader()
	}
	if err != nil {
		return admitResponse{}, fmt.Errorf("admit node %q: %w", from.Name, err)
	}
	n.logger.Info("a node was admitted", "member", from.Name, "uid", caller)
	return admitResponse{state.ClusterID()}, nil
}

// promote gives a vote to each node that has caught up, and then takes the
// place of its dead predecessor from it. It makes at most one change. Where more
// have caught up than may vote, those that serve traffic come before witnesses.
func (n *Node) promote(ctx context.Context, c *consensus, own *leadership) error {
	return c.changeServers(ctx, func(servers []raft.Server) (raft.Future, error) { return n.promotion(c, own, servers), nil })
}

// promotion returns the change, or nil.
func (n *Node) promotion(c *consensus, own *leadership, servers []raft.Server) raft.Future {
	voters := 0
	for _, server := range servers {
		if server.Suffrage == raft.Voter {
			voters++
		}
	}
	for _, server := range servingFirst(servers, n.isWitness) {
		replaced := n.predecessor(c, own, servers, server)
		if server.Suffrage == raft.Nonvoter && n.deservesVote(c, own, string(server.ID)) &&
			(voters < maxVoters || replaced != nil && replaced.Suffrage == raft.Voter) {
			n.logger.Info("a node gets a vote", "member", n.nameOf(string(server.ID)), "uid", string(server.ID))
			return c.raft.AddVoter(server.ID, server.Address, 0, configTimeout)
		}
		// Raft counts both until the old one is gone, so the new one must be
		// able to vote first.
		if replaced != nil && (server.Suffrage == raft.Voter || replaced.Suffrage != raft.Voter) {
			n.logger.Info("a node is removed: another took its name", "member", n.nameOf(string(replaced.ID)), "uid", string(replaced.ID), "successor", string(server.ID))
			return c.raft.RemoveServer(replaced.ID, 0, configTimeout)
		}
	}
	return nil
}

// predecessor returns the dead server of the same name as a live one.
func (n *Node) predecessor(c *consensus, own *leadership, servers []raft.Server, of raft.Server) *raft.Server {
	state := n.State()
	node := state.Node(string(of.ID))
	if node == nil || n.liveness(c, own, node.UID) != fsm.NodeAlive {
		return nil
	}
	for _, server := range servers {
		other := state.Node(string(server.ID))
		if server.ID == of.ID || other == nil || other.Name != node.Name {
			continue
		}
		if n.isGone(c, own, other) {
			return &server
		}
	}
	return nil
}

// deservesVote tells whether a node is there, has nearly all of the log and stores
// what it is sent. One that has shown nothing yet has none of it, however short the
// log is.
func (n *Node) deservesVote(c *consensus, own *leadership, uid string) bool {
	members, _ := n.gossip.view()
	m, known := members[uid]
	match := c.transport.match(raft.ServerID(uid), own.term)
	return known && !m.Detached && n.liveness(c, own, uid) == fsm.NodeAlive &&
		match > 0 && match+caughtUp >= c.raft.CommitIndex() && c.transport.takes(raft.ServerID(uid)) &&
		time.Since(c.transport.answered(raft.ServerID(uid), own.term)) < time.Second
}
