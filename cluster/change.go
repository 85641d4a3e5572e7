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
	if err := n.callers.enter(); err != nil {
		return err
	}
	defer n.callers.leave()
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
	if change.Kind == changeLead && change.UID == "" {
		return n.yield(ctx, c, own)
	}
	m := membership{Node: n, consensus: c, own: own}
	var yields bool
	err := c.changeServers(ctx, func(servers []raft.Server) (raft.Future, error) {
		at := slices.IndexFunc(servers, func(s raft.Server) bool { return string(s.ID) == change.UID })
		if at < 0 {
			return nil, ErrNoMember
		}
		m.servers = servers
		switch server := servers[at]; change.Kind {
		case changeRemove:
			yields = change.UID == n.UID()
			return m.remove(ctx, server, "a node is removed, as an operator asked")
		case changePromote:
			return m.giveVote(server)
		case changeLead:
			return nil, m.transfer(ctx, server)
		}
		return nil, unsafe("the leader does not know the change %q: upgrade it", change.Kind)
	})
	if err != nil || !yields {
		return err
	}
	if err := n.yield(ctx, c, own); err != nil {
		return err
	}
	return errNotLeader // the next one removes this
}

// unsafe is a refusal; what it wraps is [ErrUnsafe].
func unsafe(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUnsafe}, args...)...)
}

// membership is a committed configuration while this node leads.
type membership struct {
	*Node
	*consensus
	own     *leadership
	servers []raft.Server
}

// remove returns nil for this node itself, which has to yield first. why is
// for the log.
func (m *membership) remove(ctx context.Context, server raft.Server, why string) (raft.Future, error) {
	if server.Suffrage == raft.Voter {
		if err := m.remain(ctx, server.ID); err != nil {
			return nil, err
		}
	}
	if string(server.ID) == m.UID() {
		return nil, nil
	}
	m.logger.Info(why, "member", m.nameOf(string(server.ID)), "uid", string(server.ID))
	return m.raft.RemoveServer(server.ID, 0, configTimeout), nil
}

const (
	// storePatience is how long voters may take to store an entry that shows that
	// they can, and storePoll is between looks.
	storePatience = time.Second
	storePoll     = 5 * time.Millisecond
)

// remain refuses to go on unless most of the other voters have stored what the
// leader appended just now: a node that is there may still have a full disk.
func (m *membership) remain(ctx context.Context, without raft.ServerID) error {
	var voters []raft.ServerID
	for _, other := range m.servers {
		if other.Suffrage == raft.Voter && other.ID != without {
			voters = append(voters, other.ID)
		}
	}
	if len(voters) == 0 {
		return unsafe("node %q is the only one with a vote", m.nameOf(string(without)))
	}
	// First those who have not even stored what was written already: an attempt that
	// is refused for the same reason as the one before costs the log nothing.
	if err := m.storedByMost(ctx, voters, m.raft.LastIndex()); err != nil {
		return err
	}
	if err := decided(m.awaitWithin(ctx, m.raft.Barrier(enqueueTimeout))); err != nil {
		return err
	}
	return m.storedByMost(ctx, voters, m.raft.CommitIndex())
}

// storedByMost returns nil once most of the voters have an entry, which they may
// take storePatience for.
func (m *membership) storedByMost(ctx context.Context, voters []raft.ServerID, index uint64) error {
	for until := time.Now().Add(storePatience); ; {
		live := 0
		for _, id := range voters {
			if string(id) == m.UID() || m.transport.match(id, m.own.term) >= index {
				live++
			}
		}
		switch {
		case live > len(voters)/2:
			return nil
		case time.Now().After(until):
			return unsafe("of the %d voters that would remain only %d are alive and store what is written, which is no majority: bring one back, or remove a dead one first",
				len(voters), live)
		}
		if err := pause(ctx, storePoll); err != nil {
			return fmt.Errorf("%w: %w", errNotLeader, err)
		}
	}
}

func (m *membership) giveVote(server raft.Server) (raft.Future, error) {
	if server.Suffrage == raft.Voter {
		return nil, nil
	}
	voters := 0
	for _, other := range m.servers {
		if other.Suffrage == raft.Voter {
			voters++
		}
	}
	switch {
	case voters >= maxVoters:
		return nil, unsafe("%d nodes have a vote, and more would make each write wait for more of them: remove one first", voters)
	case !m.deservesVote(m.consensus, m.own, string(server.ID)):
		return nil, unsafe("node %q does not answer, or has not caught up with the leader yet", m.nameOf(string(server.ID)))
	}
	m.logger.Info("a node gets a vote, as an operator asked", "member", m.nameOf(string(server.ID)), "uid", string(server.ID))
	return m.raft.AddVoter(server.ID, server.Address, 0, configTimeout), nil
}

// yield gives the leadership to any other.
func (n *Node) yield(ctx context.Context, c *consensus, own *leadership) error {
	successors := n.successors(c, own.term)
	if len(successors) == 0 {
		return unsafe("no other voter answers and stores what it is sent")
	}
	if err := n.transferTo(ctx, c, successors); err != nil {
		return fmt.Errorf("%w: %w", errUnknown, err)
	}
	if c.raft.State() == raft.Leader {
		return unsafe("no other voter took the leadership")
	}
	return nil
}

// transfer returns nil once that node leads: raft is content when this one does
// not any more.
func (m *membership) transfer(ctx context.Context, to raft.Server) error {
	name := m.nameOf(string(to.ID))
	switch {
	case string(to.ID) == m.UID():
		return nil
	case to.Suffrage != raft.Voter:
		return unsafe("node %q has no vote", name)
	case m.isWitness(string(to.ID)):
		return unsafe("node %q is a witness, which hands the leadership on: name a node that serves", name)
	case !slices.Contains(m.successors(m.consensus, m.own.term), to.ID):
		return unsafe("node %q does not answer, or does not store what it is sent", name)
	}
	err := m.awaitWithin(ctx, m.raft.LeadershipTransferToServer(to.ID, to.Address))
	switch {
	case err != nil && ctx.Err() == nil && m.raft.State() == raft.Leader:
		return unsafe("node %q did not take the leadership within %s: %w", name, m.profile.heartbeat, err)
	case err != nil:
		return fmt.Errorf("%w: %w", errUnknown, err)
	}
	leader, err := m.awaitLeader(ctx, leaderPatience)
	for err == nil && leader == m.UID() { // what it says of itself is late
		if err = pause(ctx, storePoll); err == nil {
			leader, err = m.awaitLeader(ctx, leaderPatience)
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errUnknown, err)
	case leader != string(to.ID):
		return unsafe("this node gave the leadership up, but %q won the election", m.nameOf(leader))
	}
	return nil
}
