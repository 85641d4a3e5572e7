package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"evenkeel/fsm"
)

const (
	// dutyPause is between two rounds of the leader's duties.
	dutyPause = 250 * time.Millisecond
	// contactFresh is how recent an answer to Raft must be to outweigh gossip.
	contactFresh = time.Second
	// introduction is how long a new leader waits for gossip to tell it of a
	// node before it takes the node for dead.
	introduction = 5 * time.Second
	// dutyActor is who the leader's own commands are by.
	dutyActor = "cluster"
)

// lead does the leader's duties while this node leads: the first objects of a
// new cluster, the members' liveness, votes for new nodes, and the removal of
// those that are gone for long. What it finds out is committed by commands as
// any other, so that what follows from it is the same on every node.
func (n *Node) lead(ctx context.Context) {
	err := n.WhileLeader(ctx, func(ctx context.Context) error {
		t := newTenure(time.Now())
		for ctx.Err() == nil {
			_, changed := n.gossip.view()
			if err := n.duties(ctx, t); err != nil && ctx.Err() == nil {
				n.logger.Debug("a duty of the leader waits for the next round", "error", err)
			}
			timer := time.NewTimer(dutyPause)
			select {
			case <-timer.C:
			case <-changed:
			case <-ctx.Done():
			}
			timer.Stop()
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		n.logger.Warn("the leader's duties ended", "error", err)
	}
}

func (n *Node) duties(ctx context.Context, t *tenure) error {
	c := n.consensus.Load()
	own, _, _ := n.leaders.current()
	if c == nil || own == nil {
		return nil
	}
	if n.State().ClusterID() == "" {
		if err := n.initialize(ctx, c); err != nil {
			return err
		}
	}
	if err := n.recordMembers(ctx, c, own, time.Since(t.begun)); err != nil {
		return err
	}
	if err := n.raiseLevel(ctx, c); err != nil {
		return err
	}
	if err := n.giveUpRestore(ctx); err != nil {
		return err
	}
	return errors.Join(
		bounded(ctx, changeTimeout, func(ctx context.Context) error { return n.promote(ctx, c, own) }),
		bounded(ctx, changeTimeout, func(ctx context.Context) error { return n.removeAbsent(ctx, c, own, t) }))
}

// changeTimeout bounds the wait for a change of the members: other duties go on
// if that does not commit.
const changeTimeout = 2 * time.Second

func bounded(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return do(ctx)
}

// levelGate keeps a node of an older build out while the level rises: it could
// not read the command that raises it, if it were let in behind that.
type levelGate struct {
	sync.Mutex // held while a node is let in, and while a rise is decided
	// rising is the level that was proposed; 0: none was.
	rising uint64
}

// raiseLevel lets the cluster use what its nodes' newer builds can do, once
// the state holds every server of the Raft configuration with that level.
func (n *Node) raiseLevel(ctx context.Context, c *consensus) error {
	level := n.level.next(n.State, func() uint64 { return n.commonLevel(c) })
	if level == 0 {
		return nil
	}
	err := n.duty(ctx, fsm.RaiseLevel{Level: level})
	if refusal := (*fsm.Error)(nil); errors.As(err, &refusal) {
		n.level.refused(level)
	}
	return err
}

// next returns the level to propose, or 0. What was proposed counts until its
// outcome is known: it may be committed late.
func (g *levelGate) next(state func() *fsm.State, common func() uint64) uint64 {
	g.Lock()
	defer g.Unlock()
	level, committed := common(), state().FeatureLevel()
	if g.rising <= committed {
		g.rising = 0
	}
	if level <= committed {
		return 0
	}
	g.rising = max(g.rising, level)
	return level
}

func (g *levelGate) refused(level uint64) {
	g.Lock()
	defer g.Unlock()
	if g.rising == level {
		g.rising = 0
	}
}

// commonLevel is the highest level of all servers, by the record of each and by
// what it says of itself now; 0 if one is not known yet, or is about to be let
// in.
func (n *Node) commonLevel(c *consensus) uint64 {
	if !c.settled() {
		return 0
	}
	state, level := n.State(), uint64(fsm.FeatureLevel)
	members, _ := n.gossip.view()
	for _, server := range c.servers() {
		node := state.Node(string(server.ID))
		if node == nil {
			return 0
		}
		level = min(level, node.FeatureLevel)
		if m, known := members[node.UID]; known && m.State == gossipAlive {
			level = min(level, m.FeatureLevel)
		}
	}
	return level
}

// initialize gives the registry its identity and first objects.
func (n *Node) initialize(ctx context.Context, c *consensus) error {
	return n.duty(ctx, fsm.Init{ClusterID: n.dir.clusterID(), FeatureLevel: n.firstLevel(c), Objects: fsm.DefaultObjects()})
}

// firstLevel is the highest level of all founders. One that this node has not
// heard of since its start may be of any build: the level rises once it is there.
func (n *Node) firstLevel(c *consensus) uint64 {
	level := uint64(fsm.FeatureLevel)
	members, _ := n.gossip.view()
	for _, server := range c.servers() {
		m, known := members[string(server.ID)]
		switch {
		case server.ID == raft.ServerID(n.UID()):
		case known:
			level = min(level, m.FeatureLevel)
		default:
			level = 1
		}
	}
	return level
}

// restorePatience is how long a restore may take: its objects are held in memory
// until it ends.
const restorePatience = 10 * time.Minute

// restoreWatch is the restore that the leader sees, and since when.
type restoreWatch struct {
	id    string
	since time.Time
}

// isLate takes which restore is under way, and tells whether it has been for too
// long.
func (w *restoreWatch) isLate(id string, now time.Time) bool {
	if id != w.id {
		*w = restoreWatch{id, now}
	}
	return id != "" && now.Sub(w.since) > restorePatience
}

// giveUpRestore ends a restore whose proposer has gone.
func (n *Node) giveUpRestore(ctx context.Context) error {
	id := n.State().Restoring()
	if !n.restore.isLate(id, time.Now()) {
		return nil
	}
	n.logger.Warn("a restore has not gone on, and is given up", "restore", id)
	return n.duty(ctx, fsm.RestorePart{ID: id, Abort: true})
}

func (n *Node) duty(ctx context.Context, op fsm.Operation) error {
	result, err := n.propose(ctx, fsm.Command{Actor: dutyActor, Op: op})
	if err != nil {
		return err
	}
	if result.Err != nil && result.Err.Code != fsm.CodeExists {
		return fmt.Errorf("apply %T: %w", op, result.Err)
	}
	return nil
}

// recordMembers commits what changed about the members since the last round.
func (n *Node) recordMembers(ctx context.Context, c *consensus, own *leadership, age time.Duration) error {
	state := n.State()
	servers := map[string]bool{}
	for _, server := range c.servers() {
		uid := string(server.ID)
		servers[uid] = true
		node, ok := n.observed(c, own, uid, state.Node(uid), age)
		if old := state.Node(uid); ok && (old == nil || *old != node) {
			if err := n.duty(ctx, fsm.SetNode{Node: node}); err != nil {
				return err
			}
		}
	}
	for node := range state.Nodes() {
		if !servers[node.UID] {
			if err := n.duty(ctx, fsm.ForgetNode{UID: node.UID}); err != nil {
				return err
			}
		}
	}
	return nil
}

// observed returns the record that a member should have. ok is false if
// nothing is known that could be recorded.
func (n *Node) observed(c *consensus, own *leadership, uid string, old *fsm.Node, age time.Duration) (node fsm.Node, ok bool) {
	if old != nil {
		node = *old
	}
	m, addr := n.meta(), n.advertise.String()
	if uid != n.UID() {
		members, _ := n.gossip.view()
		member, known := members[uid]
		if !known && old == nil {
			return node, false
		}
		if !known {
			member.meta = meta{Name: old.Name, APIAddr: old.APIAddr, Version: old.Version, FeatureLevel: old.FeatureLevel, Witness: old.Witness}
			member.Addr = old.ClusterAddr
		}
		m, addr = member.meta, member.Addr
	}
	live := n.liveness(c, own, uid)
	if live == "" {
		if age < introduction {
			return node, false
		}
		live = fsm.NodeDead
	}
	node.UID, node.Name, node.State = uid, m.Name, live
	if live == fsm.NodeAlive {
		node.ClusterAddr, node.APIAddr, node.Version, node.FeatureLevel, node.Witness = addr, m.APIAddr, m.Version, m.FeatureLevel, m.Witness
	}
	return node, true
}

// liveness is the leader's judgement of a member, or "" if it has no ground
// for one yet. Gossip is a hint: a node that answers Raft is alive, whatever
// became of its packets.
func (n *Node) liveness(c *consensus, own *leadership, uid string) fsm.NodeState {
	if uid == n.UID() {
		return fsm.NodeAlive
	}
	members, _ := n.gossip.view()
	m, known := members[uid]
	answers := false
	for _, server := range c.servers() {
		if string(server.ID) == uid {
			answers = time.Since(c.transport.answered(server.ID, own.term)) < contactFresh
		}
	}
	switch {
	case known && m.State == gossipLeft:
		return fsm.NodeLeft
	case known && m.State == gossipAlive && m.Detached:
		return fsm.NodeDead // it serves, but can neither vote nor observe
	case known && m.State == gossipAlive, answers:
		return fsm.NodeAlive
	case known:
		return fsm.NodeDead
	}
	return ""
}

// isGone tells whether a member is dead or has left, by this leader's
// judgement or, where it has none, that of an earlier one.
func (n *Node) isGone(c *consensus, own *leadership, node *fsm.Node) bool {
	live := n.liveness(c, own, node.UID)
	if live == "" {
		live = node.State
	}
	return live == fsm.NodeDead || live == fsm.NodeLeft
}
