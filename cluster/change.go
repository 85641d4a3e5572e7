package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"evenkeel/cluster/peer"
	"evenkeel/fsm"
)

var (
	// ErrNoMember means that no member of the cluster has the UID.
	ErrNoMember = errors.New("the cluster has no such member")
	// ErrUnsafe means that a change of the members was refused, because it
	// would cost the cluster its quorum or is not possible now. The error says
	// why.
	ErrUnsafe = errors.New("the members were not changed")
)

// changePause is between two attempts of a change.
const changePause = 20 * time.Millisecond

// The kinds of memberChange.
const (
	changeRemove  = "remove"
	changePromote = "promote"
	changeLead    = "lead"
)

// memberChange is what an operator asks of the leader. Each kind may be asked
// for again.
type memberChange struct {
	Kind string `json:"kind"`
	UID  string `json:"uid,omitempty"`
}

// RemoveMember removes a node from the cluster for good. The node itself is not
// needed; if it runs, or runs again, it detaches. A leader that is to go hands
// its leadership over first. The error is [ErrNoMember], [ErrUnsafe] when the
// voters that would remain have no live majority, or one of [Node.Propose]'s.
func (n *Node) RemoveMember(ctx context.Context, uid string) error {
	return n.change(ctx, memberChange{changeRemove, uid})
}

// PromoteMember gives a vote to a node that has caught up. The leader does so by
// itself as long as there are fewer than 7; this tells why it does not. Errors
// are those of [Node.RemoveMember].
func (n *Node) PromoteMember(ctx context.Context, uid string) error {
	return n.change(ctx, memberChange{changePromote, uid})
}

// TransferLeadership makes a voter the leader, or whichever has most of the log
// if uid is empty. Errors are those of [Node.RemoveMember].
func (n *Node) TransferLeadership(ctx context.Context, uid string) error {
	return n.change(ctx, memberChange{changeLead, uid})
}

// change asks whoever leads until it is done.
func (n *Node) change(ctx context.Context, change memberChange) error {
	ctx, cancel := context.WithTimeoutCause(ctx, repeatPatience, errSlow)
	defer cancel()
	sent := false
	for {
		if err := n.detachedError(); err != nil {
			return err
		}
		leader, err := n.awaitLeader(ctx, leaderPatience)
		if err == nil {
			err = n.untilLeaderChanges(ctx, leader, func(ctx context.Context) error {
				if leader == n.UID() {
					return n.changeAsLeader(ctx, change)
				}
				return changeOutcome(n.port.RPC().Call(ctx, leader, methodChange, change, nil))
			})
		}
		switch {
		case err == nil, errors.Is(err, ErrNoMember), errors.Is(err, ErrUnsafe):
			return err
		case errors.Is(err, errUnknown):
			sent = true
		}
		if errors.Is(err, errNoLeader) || pause(ctx, changePause) != nil {
			if sent {
				return fmt.Errorf("change the members: %w: %w", ErrOutcomeUnknown, err)
			}
			return fmt.Errorf("change the members: %w: %w", ErrNoQuorum, err)
		}
	}
}

// The codes of a change that the leader refuses.
const (
	codeNoMember = "no-member"
	codeUnsafe   = "unsafe"
)

// changeAnswer and changeOutcome are the leader's and the caller's side.
func changeAnswer(err error) error {
	switch {
	case errors.Is(err, ErrNoMember):
		return &peer.RemoteError{Code: codeNoMember, Message: err.Error()}
	case errors.Is(err, ErrUnsafe):
		return &peer.RemoteError{Code: codeUnsafe, Message: strings.TrimPrefix(err.Error(), ErrUnsafe.Error()+": ")}
	}
	return answerOutcome(err)
}

func changeOutcome(err error) error {
	var remote *peer.RemoteError
	switch {
	case peer.IsRemote(err, codeNoMember):
		return ErrNoMember
	case peer.IsRemote(err, codeUnsafe) && errors.As(err, &remote):
		return unsafe("%s", remote.Message)
	case peer.IsRemote(err, peer.CodeUnknownMethod):
		return unsafe("the build of the leader cannot do that: upgrade it")
	}
	return callOutcome(err)
}

// takeChange is the leader's end of a change that was forwarded.
func (n *Node) takeChange(ctx context.Context, _ string, change memberChange) (empty, error) {
	return empty{}, changeAnswer(n.changeAsLeader(ctx, change))
}

func (n *Node) changeAsLeader(ctx context.Context, change memberChange) error {
	own, _, _ := n.leaders.current()
	c := n.consensus.Load()
	if own == nil || c == nil || !own.isReady() {
		return errNotLeader
	}
	server, member := c.server(change.UID)
	switch {
	case change.Kind == changeLead && change.UID == "":
		return n.yield(ctx, c, own)
	case !member:
		return ErrNoMember
	}
	switch change.Kind {
	case changeRemove:
		return n.remove(ctx, c, own, server)
	case changePromote:
		return n.giveVote(c, own, server)
	case changeLead:
		return n.transfer(c, own, server)
	}
	return unsafe("the leader does not know the change %q: upgrade it", change.Kind)
}

// unsafe is a refusal; what it wraps is [ErrUnsafe].
func unsafe(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUnsafe}, args...)...)
}

func (n *Node) remove(ctx context.Context, c *consensus, own *leadership, server raft.Server) error {
	if server.Suffrage == raft.Voter {
		voters, live := 0, 0
		for _, other := range c.servers() {
			if other.Suffrage != raft.Voter || other.ID == server.ID {
				continue
			}
			voters++
			if n.liveness(c, own, string(other.ID)) == fsm.NodeAlive {
				live++
			}
		}
		switch {
		case voters == 0:
			return unsafe("node %q is the only one with a vote", n.nameOf(string(server.ID)))
		case live <= voters/2:
			return unsafe("of the %d voters that would remain only %d are alive, which is no majority: bring one back, or remove a dead one first", voters, live)
		}
	}
	if string(server.ID) == n.UID() {
		if err := n.yield(ctx, c, own); err != nil {
			return err
		}
		return errNotLeader // the next one removes this
	}
	if err := decided(c.await(c.raft.RemoveServer(server.ID, 0, configTimeout))); err != nil {
		return err
	}
	n.logger.Info("a node is removed, as an operator asked", "member", n.nameOf(string(server.ID)), "uid", string(server.ID))
	return nil
}

func (n *Node) giveVote(c *consensus, own *leadership, server raft.Server) error {
	if server.Suffrage == raft.Voter {
		return nil
	}
	voters := 0
	for _, other := range c.servers() {
		if other.Suffrage == raft.Voter {
			voters++
		}
	}
	switch {
	case voters >= maxVoters:
		return unsafe("%d nodes have a vote, and more would make each write wait for more of them: remove one first", voters)
	case !n.deservesVote(c, own, string(server.ID)):
		return unsafe("node %q does not answer, or has not caught up with the leader yet", n.nameOf(string(server.ID)))
	}
	if err := decided(c.await(c.raft.AddVoter(server.ID, server.Address, 0, configTimeout))); err != nil {
		return err
	}
	n.logger.Info("a node gets a vote, as an operator asked", "member", n.nameOf(string(server.ID)), "uid", string(server.ID))
	return nil
}

// yield gives the leadership to any other.
func (n *Node) yield(ctx context.Context, c *consensus, own *leadership) error {
	successors := n.successors(c, own.term)
	if len(successors) == 0 {
		return unsafe("no other voter answers")
	}
	if err := n.transferTo(ctx, c, successors); err != nil {
		return err
	}
	if c.raft.State() == raft.Leader {
		return unsafe("no other voter took the leadership")
	}
	return nil
}

func (n *Node) transfer(c *consensus, own *leadership, to raft.Server) error {
	switch {
	case string(to.ID) == n.UID():
		return nil
	case to.Suffrage != raft.Voter:
		return unsafe("node %q has no vote", n.nameOf(string(to.ID)))
	case !slices.Contains(n.successors(c, own.term), to.ID):
		return unsafe("node %q does not answer", n.nameOf(string(to.ID)))
	}
	err := c.await(c.raft.LeadershipTransferToServer(to.ID, to.Address))
	if err != nil && c.raft.State() == raft.Leader {
		return unsafe("node %q did not take the leadership within %s: %w", n.nameOf(string(to.ID)), n.profile.heartbeat, err)
	}
	return nil
}
