package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"evenkeel/cluster/peer"
)

const (
	// maxVoters keeps a majority small; further nodes follow without a vote.
	maxVoters = 7
	// formingPause is between looks at who is there.
	formingPause = 100 * time.Millisecond
	formingCall  = 2 * time.Second
	// settle is how long a node waits that would form a cluster alone because
	// a name stands for nobody else yet.
	settle = 3 * time.Second
)

// forming is this node's part in founding a cluster.
//
// The node with the lowest UID proposes a list of founders. Each node accepts
// one list for ever and syncs that before it answers, and a list is
// bootstrapped only after all who are on it accepted it. Two lists that share
// a node can thus never both be, and all nodes on a list bootstrap the same
// configuration, whoever of them crashes when.
type forming struct {
	mu   sync.Mutex // guards list and its file
	list []string   // nil until one is accepted
}

// clusterIDOf is the identity of the cluster that a list founds.
func clusterIDOf(list []string) string {
	sum := sha256.Sum256([]byte("evenkeel cluster\n" + strings.Join(list, "\n")))
	return hex.EncodeToString(sum[:12])
}

// founding returns the configuration that a list stands for.
func founding(list []string) raft.Configuration {
	var c raft.Configuration
	for i, uid := range list {
		suffrage := raft.Voter
		if i >= maxVoters {
			suffrage = raft.Nonvoter
		}
		c.Servers = append(c.Servers, raft.Server{Suffrage: suffrage, ID: raft.ServerID(uid), Address: raft.ServerAddress(uid)})
	}
	return c
}

func (n *Node) loadForming() error {
	var f founders
	known, err := readJSON(n.dir.file(fileForming), &f)
	switch {
	case err != nil && n.dir.clusterID() != "":
		// The id of the cluster says the same to who asks.
		n.logger.Warn("the list of founders is not readable, and not needed any more", "error", err)
		return nil
	case err != nil:
		return fmt.Errorf("%w: without it the node does not know what it promised: move %q aside and start with an empty one", err, n.dir.path)
	case known:
		n.forming.list = f.List
	}
	return nil
}

// becomeMember returns once the node is part of a cluster, or ctx ends. It
// forms a cluster with others that are new like itself, or asks one that it
// meets to be admitted.
func (n *Node) becomeMember(ctx context.Context, c *consensus) {
	begun, told := time.Now(), ""
	for n.dir.clusterID() == "" || n.rejoin.Load() != nil {
		_, changed := n.gossip.view()
		waiting, err := n.formOrJoin(ctx, c, time.Since(begun))
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			waiting = err.Error()
		}
		if waiting != told && waiting != "" && (n.dir.clusterID() == "" || n.rejoin.Load() != nil) {
			told = waiting
			n.logger.Info("this node is not part of a cluster yet", "waiting", waiting)
		}
		timer := time.NewTimer(formingPause)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	n.gossip.announce()
}

// formOrJoin makes one attempt and says what it waits for.
func (n *Node) formOrJoin(ctx context.Context, c *consensus, age time.Duration) (waiting string, err error) {
	if n.rejoin.Load() != nil {
		return n.awaitAdmission(ctx)
	}
	if list := n.acceptedList(); list != nil {
		if has, err := c.store.hasState(); has || err != nil {
			// Raft has state only after the list was bootstrapped, here or by
			// another founder; this node died before it wrote down the id.
			return "", errors.Join(err, n.dir.setClusterID(clusterIDOf(list)))
		}
		dead, err := n.complete(ctx, c, list)
		if !dead {
			return "", err
		}
		if n.gossip.formed() == "" {
			return "", err
		}
	}
	if id := n.gossip.formed(); id != "" {
		return "admission to cluster " + id, n.askAdmission(ctx)
	}
	if !n.looked() {
		// A cluster that is there already is joined, also by a node that would
		// form one alone.
		return "the first answers from the addresses of --join", nil
	}
	expect, certain := n.expected()
	if !certain && age < settle {
		return "other nodes behind the names of --join", nil
	}
	candidates, err := n.candidates()
	if err != nil {
		return "", err
	}
	if len(candidates) < expect {
		return fmt.Sprintf("%d more of %d nodes", expect-len(candidates), expect), nil
	}
	list := candidates[:expect]
	if list[0] != n.UID() {
		return fmt.Sprintf("node %q (%s) to propose the founders", n.nameOf(list[0]), list[0]), nil
	}
	return "", n.proposeFounders(ctx, c, list)
}

// candidates returns the UIDs, sorted, of all nodes here that belong to no
// cluster, this one included.
func (n *Node) candidates() ([]string, error) {
	uids, names := []string{n.UID()}, map[string]string{n.name: n.UID()}
	members, _ := n.gossip.view()
	for uid, m := range members {
		if m.State != gossipAlive || m.ClusterID != "" || m.Detached {
			continue
		}
		if other, taken := names[m.Name]; taken {
			return nil, fmt.Errorf("two nodes call themselves %q (%s and %s): start one of them with another --name", m.Name, other, uid)
		}
		names[m.Name] = uid
		uids = append(uids, uid)
	}
	slices.Sort(uids)
	return uids, nil
}

func (n *Node) acceptedList() []string {
	n.forming.mu.Lock()
	defer n.forming.mu.Unlock()
	return n.forming.list
}

// proposeFounders is the lowest UID's part. To accept is for ever, so it makes sure
// first that all see the same founders.
func (n *Node) proposeFounders(ctx context.Context, c *consensus, list []string) error {
	for _, uid := range list[1:] {
		if err := n.callFounder(ctx, uid, methodConsider, founders{List: list}, nil); err != nil {
			return err
		}
	}
	if _, err := n.accept(ctx, n.UID(), founders{List: list}); err != nil {
		return err
	}
	_, err := n.complete(ctx, c, list)
	return err
}

// complete works on a list that this node accepted: it asks all who are on it,
// the proposer asks them to accept, and when all did the cluster is there.
// dead reports that the list can never be accepted by all.
func (n *Node) complete(ctx context.Context, c *consensus, list []string) (dead bool, err error) {
	id := clusterIDOf(list)
	for _, uid := range list {
		if uid == n.UID() {
			continue
		}
		var answer founders
		method, request := methodAccepted, founders{}
		if list[0] == n.UID() {
			method, request = methodAccept, founders{List: list}
		}
		if err := n.callFounder(ctx, uid, method, request, &answer); err != nil {
			return false, err
		}
		switch {
		case slices.Equal(answer.List, list), answer.ClusterID == id:
		case answer.List != nil || answer.ClusterID != "" && answer.ClusterID != id:
			return true, fmt.Errorf("node %s is bound elsewhere, so the founders that this node accepted can never come together: "+remedy, uid, n.dir.path)
		default:
			return false, fmt.Errorf("node %s has not accepted the list of founders yet", uid)
		}
	}
	return false, n.bootstrap(c, list)
}

func (n *Node) bootstrap(c *consensus, list []string) error {
	err := c.await(c.raft.BootstrapCluster(founding(list)))
	// A leader may have been faster, and those without a vote take what it
	// sends.
	if err != nil && !errors.Is(err, raft.ErrCantBootstrap) && !errors.Is(err, raft.ErrNotVoter) {
		return fmt.Errorf("form cluster: %w", err)
	}
	id := clusterIDOf(list)
	if err := n.dir.setClusterID(id); err != nil {
		return err
	}
	n.logger.Info("the cluster is formed", "cluster", id, "founders", len(list))
	return nil
}

func (n *Node) callFounder(ctx context.Context, uid, method string, request founders, answer *founders) error {
	ctx, cancel := context.WithTimeout(ctx, formingCall)
	defer cancel()
	if answer == nil {
		answer = &founders{}
	}
	if err := n.port.RPC().Call(ctx, uid, method, request, answer); err != nil {
		return fmt.Errorf("ask founder %s: %w", uid, err)
	}
	return nil
}

// consider says whether this node would propose the same list now.
func (n *Node) consider(_ context.Context, caller string, f founders) (founders, error) {
	n.forming.mu.Lock()
	defer n.forming.mu.Unlock()
	return founders{}, n.agreed(caller, f.List)
}

// accept binds this node to a list for ever. The answer is the list that it is
// bound to, whichever that is.
//
// The proposer binds itself first, and only to a list that it would propose
// this very moment. From then on its list is the only one that can be, so the
// others take it even if they have met a node since that comes before one of
// the list: else that one's list and this would each wait for the other for
// ever.
func (n *Node) accept(_ context.Context, caller string, f founders) (founders, error) {
	n.forming.mu.Lock()
	defer n.forming.mu.Unlock()
	if n.forming.list == nil {
		check := n.acceptable
		if caller == n.UID() {
			check = n.agreed
		}
		if err := check(caller, f.List); err != nil {
			return founders{}, err
		}
		if err := replaceJSON(n.dir.file(fileForming), f); err != nil {
			return founders{}, err
		}
		n.forming.list = f.List
		n.logger.Info("this node accepted the list of founders", "founders", f.List)
	}
	return founders{List: n.forming.list, ClusterID: n.dir.clusterID()}, nil
}

// accepted tells which list this node is bound to.
func (n *Node) accepted(context.Context, string, founders) (founders, error) {
	return founders{List: n.acceptedList(), ClusterID: n.dir.clusterID()}, nil
}

// agreed reports why this node would not propose that list if it were the one
// to propose. It is called with the lock held.
func (n *Node) agreed(proposer string, list []string) error {
	if err := n.acceptable(proposer, list); err != nil || n.forming.list != nil {
		return err
	}
	expect, _ := n.expected()
	if len(list) != expect {
		return n.refuse("it expects %d founders and node %q expects %d: give all nodes the same --bootstrap-expect, or the same --join", expect, n.nameOf(proposer), len(list))
	}
	candidates, err := n.candidates()
	if err != nil {
		return n.refuse("%v", err)
	}
	if len(candidates) < expect || !slices.Equal(candidates[:expect], list) {
		return n.refuse("it does not see the same new nodes as node %q yet", n.nameOf(proposer))
	}
	return nil
}

// acceptable reports why this node can never, or not yet, be bound to that
// list. It is called with the lock held.
func (n *Node) acceptable(proposer string, list []string) error {
	c := n.consensus.Load()
	switch {
	case n.forming.list != nil && !slices.Equal(n.forming.list, list):
		return n.refuse("it has accepted other founders, for ever")
	case n.forming.list != nil:
		return nil
	case n.dir.clusterID() != "":
		return n.refuse("it belongs to cluster %q", n.dir.clusterID())
	case n.gossip.formed() != "":
		return n.refuse("it has met cluster %q", n.gossip.formed())
	case c == nil || n.isDetached():
		return n.refuse("its part in Raft has not begun, or has ended")
	case len(list) == 0 || !slices.IsSorted(list) || list[0] != proposer || !slices.Contains(list, n.UID()):
		return n.refuse("the list is not one that node %q may propose to it", proposer)
	}
	if has, err := c.store.hasState(); has || err != nil {
		return errors.Join(n.refuse("it has state"), err)
	}
	candidates, err := n.candidates()
	if err != nil {
		return n.refuse("%v", err)
	}
	for _, uid := range list {
		if !slices.Contains(candidates, uid) {
			return n.refuse("it does not see node %q (%s) yet", n.nameOf(uid), uid)
		}
	}
	return nil
}

func (n *Node) refuse(format string, args ...any) error {
	return &peer.RemoteError{Code: codeRefused, Message: fmt.Sprintf("node %q: ", n.name) + fmt.Sprintf(format, args...)}
}
