package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"

	"evenkeel/fsm"
)

// openOrSucceed opens the store of a directory that nobody uses yet. A member
// whose store is damaged gets a new one and becomes its own successor. An error
// is why the node has no part in the cluster, with the remedy.
func openOrSucceed(dir *dataDir, logger *slog.Logger) (*store, error) {
	var err error
	if r := dir.id.Rejoin; r == nil || r.Moved {
		var s *store
		if s, err = openStore(dir, logger); err == nil {
			return s, nil
		}
		switch {
		case !isDamage(err):
			return nil, fmt.Errorf("%w: "+remedyMend, err)
		case dir.clusterID() == "":
			// There is no cluster that it could be let into, and what it promised
			// to other founders it cannot keep.
			return nil, fmt.Errorf("%w: "+remedy, err, dir.path)
		}
	}
	if err := dir.succeedItself(err); err != nil {
		return nil, fmt.Errorf("%w: "+remedyMend, err)
	}
	logger.Error("the store is damaged: it is moved aside, and this node joins again as its own successor",
		"damage", dir.id.Rejoin.Damage, "moved_to", dir.file(dir.id.Rejoin.Aside), "uid", dir.uid(), "was", dir.id.Rejoin.Was)
	if err := dir.forgetOldAsides(); err != nil {
		logger.Warn("older damaged stores are not removed", "error", err)
	}
	s, err := openStore(dir, logger)
	if err != nil {
		return nil, fmt.Errorf("%w: "+remedyMend, err)
	}
	return s, nil
}

// apart is why the node has no part in the cluster, nil if it has.
func (n *Node) apart() error {
	if _, reason := n.detachment.current(); reason != nil {
		return reason
	}
	r := n.rejoin.Load()
	if r == nil {
		return nil
	}
	waits := "it has not asked yet"
	if said := n.waits.Load(); said != nil {
		waits = *said
	}
	return fmt.Errorf("its store was damaged (%s) and is in %q now: it waits to be let in again as its own successor, with an empty log, by a leader that a majority of the others follows (%s): "+
		"start those that do not run; if there will never be a majority, run evenkeel recover on one whose store is sound, or, if none is, stop this one and run: evenkeel recover --data-dir %q --from-image",
		r.Damage, n.dir.file(r.Aside), waits, n.dir.path)
}

// beAdmitted makes the node a member of the cluster that let it in.
func (n *Node) beAdmitted(clusterID string) error {
	if err := n.dir.setClusterID(clusterID); err != nil {
		return err
	}
	if n.rejoin.Load() != nil {
		if err := n.dir.admitted(); err != nil {
			return err
		}
		n.rejoin.Store(nil)
	}
	n.logger.Info("this node was admitted", "cluster", clusterID)
	return nil
}

// former lists what this node was before its store was damaged.
func (n *Node) former() []string {
	if r := n.rejoin.Load(); r != nil {
		return r.Was
	}
	return nil
}

// dismissFormer is the leader's part when a node asks to be let in as its own
// successor. It returns why that cannot be, or takes for left what the node was:
// nobody else would say so soon, since gossip may never have met that one.
func (n *Node) dismissFormer(c *consensus, own *leadership, from hello) error {
	member := len(from.Was) == 0
	for _, uid := range from.Was {
		if _, is := c.server(uid); !is {
			continue
		}
		member = true
		if uid == n.UID() || time.Since(c.transport.answered(raft.ServerID(uid), own.term)) < contactFresh {
			addr, _ := n.directory.lookup(uid)
			if uid == n.UID() {
				addr = n.advertise.String()
			}
			return fmt.Errorf("the node that it was (%s) answers still, at %s: wait if that is about to end; if it runs on another machine, one of the two has a copy of its data directory: "+
				"stop this one, move its data directory aside and start it with an empty one and a --name of its own", uid, cmp.Or(addr, "an unknown address"))
		}
	}
	if !member {
		return errors.New("the node that it was is no member any more: move its whole data directory aside and start it again to join as a new one")
	}
	for _, uid := range from.Was {
		if node := n.State().Node(uid); node != nil {
			n.gossip.succeeded(node)
		}
	}
	return nil
}

// succeeded records that a node says of itself that it was another one before.
func (g *gossip) succeeded(was *fsm.Node) {
	g.mu.Lock()
	if g.members[was.UID] == nil {
		g.members[was.UID] = &gossipMember{UID: was.UID, Addr: was.ClusterAddr, Since: time.Now(),
			meta: meta{Name: was.Name, APIAddr: was.APIAddr, Version: was.Version, FeatureLevel: was.FeatureLevel}}
	}
	g.mu.Unlock()
	g.gone(was.UID, gossipLeft)
}

// hideFormer takes what this node was from the members that it knows of.
func (n *Node) hideFormer(roles map[string]string) {
	for _, uid := range n.former() {
		delete(roles, uid)
	}
}

// awaitAdmission is becomeMember's attempt of a node that is its own successor. It
// never forms a cluster, and asks only the one that it knows.
func (n *Node) awaitAdmission(ctx context.Context) (waiting string, err error) {
	err = n.askAdmission(ctx)
	if err != nil && ctx.Err() == nil {
		said := err.Error()
		n.waits.Store(&said)
	}
	return "admission to cluster " + n.dir.clusterID(), err
}
