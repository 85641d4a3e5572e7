package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"evenkeel/fsm"
)

// Protocol of gossip metadata and RPC. A peer that needs a newer one than this
// build speaks is refused.
const protocolVersion = 1

const (
	// reclaim lets a node that died come back under another address at once.
	// memberlist's names are UIDs, which are proven by certificate before an
	// address counts for anything but gossip, so nothing can be stolen.
	reclaim = time.Millisecond
	// deadGossip is how long memberlist tells a dead node of its own death,
	// and remembers it.
	deadGossip = 30 * time.Second
	// pushPull is how often all that gossip knows is exchanged with one peer.
	pushPull = 15 * time.Second
	// leaveTimeout bounds the wait for the news that this node leaves.
	leaveTimeout = time.Second
	// forgetAfter is how long this node's gossip remembers who is gone.
	forgetAfter = 10 * time.Minute
	// suspectAfter is how many rounds of probes a node may miss before it is
	// shown as suspect.
	suspectAfter = 2
	// returnedAfter is how long after its goodbye a node that answers probes is
	// there again. It is more than a stop takes from there on.
	returnedAfter = stopPatience + 5*time.Second
)

// meta is what a node says of itself in gossip; the encoding is at most 512
// bytes (memberlist's limit), so the keys are short.
type meta struct {
	Protocol     int    `json:"p"`
	ClusterID    string `json:"c,omitempty"`
	Name         string `json:"n"`
	APIAddr      string `json:"a,omitempty"`
	Version      string `json:"v,omitempty"`
	FeatureLevel uint64 `json:"f"`
	Detached     bool   `json:"d,omitempty"`
	// Witness tells the leader, which commits it; an earlier build does not read
	// it and takes the node for one that observes.
	Witness bool `json:"w,omitempty"`
}

// gossipState is what gossip says of a node.
type gossipState int

const (
	gossipAlive gossipState = iota
	gossipDead
	gossipLeft
)

// gossipMember is one node as gossip sees it.
type gossipMember struct {
	meta
	UID   string
	Addr  string
	State gossipState
	// Since is when State was seen first; heard is the last answered probe.
	Since time.Time
	heard time.Time
	// takes and wrote are what a write to its log takes, 0 if that is unknown,
	// and the last entry that it wrote, as of that probe.
	takes time.Duration
	wrote uint64
}

// pulse is what a node says of itself in its answers to probes.
type pulse struct {
	// WriteMicros is what a write to its log takes; 0 is unknown.
	WriteMicros int64 `json:"w,omitempty"`
	// Written is the index of the last entry that it wrote.
	Written uint64 `json:"i,omitempty"`
}

// gossip is the node's view of who is there. memberlist calls it from its own
// goroutines, partly with its locks held, so it never calls back.
type gossip struct {
	node *Node

	mu      sync.Mutex // guards what follows
	list    *memberlist.Memberlist
	members map[string]*gossipMember // without this node
	changed chan struct{}            // closed and replaced at each change
	// adopted is the cluster that a node without one has met first.
	adopted string
	// foreign are clusters that were refused, to log each once.
	foreign map[string]bool
}

func newGossip(n *Node) *gossip {
	return &gossip{node: n, members: map[string]*gossipMember{}, changed: make(chan struct{}), foreign: map[string]bool{}}
}

// start begins to gossip.
func (g *gossip) start() error {
	n := g.node
	c := memberlist.DefaultLANConfig()
	c.Name = n.UID()
	c.Transport = n.port.Gossip() // seals packets and streams by itself
	c.AdvertiseAddr = n.advertise.Addr().String()
	c.AdvertisePort = int(n.advertise.Port())
	c.ProbeInterval = n.profile.probe
	c.ProbeTimeout = n.profile.probeTimeout
	c.GossipInterval = n.profile.gossip
	c.PushPullInterval = pushPull
	c.GossipToTheDeadTime = deadGossip
	c.DeadNodeReclaimTime = reclaim
	c.TCPTimeout = transportTimeout
	c.Delegate, c.Events, c.Alive, c.Merge, c.Ping = g, g, g, g, g
	c.Logger = newRaftLogger(n.logger, "memberlist").StandardLogger(nil)
	list, err := memberlist.Create(c)
	if err != nil {
		return fmt.Errorf("start gossip: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.list = list
	return nil
}

func (g *gossip) memberlist() *memberlist.Memberlist {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.list
}

// announce tells everyone what this node says of itself by now.
func (g *gossip) announce() {
	if list := g.memberlist(); list != nil {
		// Without anyone to hear it in time it travels with the next exchange.
		if err := list.UpdateNode(leaveTimeout); err != nil {
			g.node.logger.Debug("the node's news travel slowly", "error", err)
		}
	}
}

// stop ends gossip. With leave it says so before, so that others need not find
// out.
func (g *gossip) stop(leave bool) error {
	list := g.memberlist()
	if list == nil {
		return nil
	}
	if leave {
		if err := list.Leave(leaveTimeout); err != nil {
			g.node.logger.Debug("the others may take this node for dead, not left", "error", err)
		}
	}
	return list.Shutdown()
}

// view returns all members known to gossip, by UID, and a channel that is
// closed when that changes.
func (g *gossip) view() (map[string]gossipMember, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	members := make(map[string]gossipMember, len(g.members))
	for uid, m := range g.members {
		members[uid] = *m
	}
	return members, g.changed
}

func (g *gossip) member(uid string) (gossipMember, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.members[uid]
	if m == nil {
		return gossipMember{}, false
	}
	return *m, true
}

// hasLeft tells whether a node said goodbye and has not come back.
func (g *gossip) hasLeft(uid string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	member := g.members[uid]
	return member != nil && member.State == gossipLeft
}

// formed returns the id of the cluster that this node has met, or "".
func (g *gossip) formed() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.adopted
}

// suspicious tells whether a member that counts as alive misses probes.
// memberlist keeps its own suspicion to itself.
func (m gossipMember) suspicious(members int, probe time.Duration, now time.Time) bool {
	// A round takes one probe interval per member.
	return m.State == gossipAlive && now.Sub(m.heard) > time.Duration(suspectAfter*max(members, 1)+1)*probe
}

// compatible reports why a node with that metadata is refused, or nil. It
// takes the first cluster that a node without one meets for its own.
func (g *gossip) compatible(m meta) error {
	if m.Protocol > protocolVersion {
		return fmt.Errorf("%w %d, this build up to %d: upgrade this node", errNewerProtocol, m.Protocol, protocolVersion)
	}
	own := g.node.dir.clusterID()
	g.mu.Lock()
	defer g.mu.Unlock()
	if own == "" {
		own = g.adopted
	}
	if m.ClusterID == "" || m.ClusterID == own {
		return nil
	}
	if own == "" {
		g.adopted = m.ClusterID
		g.wake()
		return nil
	}
	if !g.foreign[m.ClusterID] && len(g.foreign) < 16 {
		g.foreign[m.ClusterID] = true
		g.node.logger.Warn("a node of another cluster is refused: the two share a secret, but were formed apart",
			"member", m.Name, "its_cluster", m.ClusterID, "our_cluster", own)
	}
	return fmt.Errorf("%w %q, this node to %q", errOtherCluster, m.ClusterID, own)
}

// Why a node is refused by what it says of itself.
var (
	errOtherCluster  = errors.New("it belongs to cluster")
	errNewerProtocol = errors.New("it speaks protocol")
)

// wake is called with the lock held.
func (g *gossip) wake() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// NodeMeta implements [memberlist.Delegate].
func (g *gossip) NodeMeta(limit int) []byte {
	m := g.node.meta()
	for {
		data, err := json.Marshal(m)
		if err == nil && len(data) <= limit {
			return data
		}
		if m.APIAddr == "" && m.Version == "" { // cannot be: names and ids are bounded
			return nil
		}
		// What is only for display goes first.
		m.APIAddr, m.Version = "", ""
	}
}

// NotifyMsg implements [memberlist.Delegate]: a message of [Node.Tell].
func (g *gossip) NotifyMsg(packet []byte) { g.node.talk.receive(packet) }

// GetBroadcasts implements [memberlist.Delegate].
func (g *gossip) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState implements [memberlist.Delegate].
func (g *gossip) LocalState(bool) []byte { return nil }

// MergeRemoteState implements [memberlist.Delegate].
func (g *gossip) MergeRemoteState([]byte, bool) {}

// NotifyAlive implements [memberlist.AliveDelegate].
func (g *gossip) NotifyAlive(node *memberlist.Node) error {
	if node.Name == g.node.UID() {
		return nil
	}
	m, err := parseMeta(node)
	if err != nil {
		return err
	}
	return g.compatible(m)
}

// NotifyMerge implements [memberlist.MergeDelegate]: a join that meets another
// cluster is refused as a whole.
func (g *gossip) NotifyMerge(nodes []*memberlist.Node) error {
	for _, node := range nodes {
		if node.Name == g.node.UID() || node.State != memberlist.StateAlive {
			continue
		}
		m, err := parseMeta(node)
		if err == nil {
			err = g.compatible(m)
		}
		if err != nil {
			return fmt.Errorf("join with node %q: %w", node.Name, err)
		}
	}
	return nil
}

// NotifyJoin implements [memberlist.EventDelegate].
func (g *gossip) NotifyJoin(node *memberlist.Node) { g.note(node, true) }

// NotifyUpdate implements [memberlist.EventDelegate].
func (g *gossip) NotifyUpdate(node *memberlist.Node) { g.note(node, false) }

func (g *gossip) note(node *memberlist.Node, joined bool) {
	m, err := parseMeta(node)
	if node.Name == g.node.UID() || err != nil {
		return
	}
	now := time.Now()
	g.mu.Lock()
	old := g.members[node.Name]
	member := &gossipMember{meta: m, UID: node.Name, Addr: addressOf(node), Since: now, heard: now}
	if old != nil && !joined {
		// Late news of a node that said goodbye do not bring it back.
		member.State, member.Since, member.heard, member.takes, member.wrote = old.State, old.Since, old.heard, old.takes, old.wrote
	}
	g.members[node.Name] = member
	g.wake()
	g.mu.Unlock()
	g.node.directory.learn(node.Name, savedPeer{Name: m.Name, Addr: member.Addr})
	if joined {
		g.node.logger.Info("a node is there", "member", m.Name, "uid", node.Name, "addr", member.Addr)
	}
}

// NotifyLeave implements [memberlist.EventDelegate]. memberlist does not say
// whether the node died or left; who leaves says goodbye before.
func (g *gossip) NotifyLeave(node *memberlist.Node) { g.gone(node.Name, gossipDead) }

// gone records that a node is not there any more.
func (g *gossip) gone(uid string, state gossipState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	member := g.members[uid]
	if member == nil || member.State != gossipAlive {
		return
	}
	gone := *member
	gone.State, gone.Since = state, time.Now()
	g.members[uid] = &gone
	g.prune()
	g.wake()
	g.node.logger.Info("a node is gone", "member", gone.Name, "uid", uid, "left", state == gossipLeft)
}

// prune forgets the long dead, whom the registry remembers if they matter. It
// is called with the lock held.
func (g *gossip) prune() {
	for uid, member := range g.members {
		if member.State != gossipAlive && time.Since(member.Since) > forgetAfter {
			delete(g.members, uid)
		}
	}
}

// AckPayload implements [memberlist.PingDelegate].
func (g *gossip) AckPayload() []byte {
	takes, wrote := g.node.writes.written(time.Now())
	payload, err := json.Marshal(pulse{takes.Microseconds(), wrote})
	if err != nil {
		return nil // cannot be
	}
	return payload
}

// NotifyPingComplete implements [memberlist.PingDelegate].
func (g *gossip) NotifyPingComplete(node *memberlist.Node, _ time.Duration, payload []byte) {
	takes, wrote := writesOf(payload)
	g.mu.Lock()
	defer g.mu.Unlock()
	member := g.members[node.Name]
	if member == nil {
		return
	}
	now := time.Now()
	member.heard, member.takes, member.wrote = now, takes, wrote
	if member.State == gossipLeft && now.Sub(member.Since) > returnedAfter {
		// It was started anew before memberlist missed it, or its goodbye came late:
		// memberlist has no news of that, and it would count as gone for ever.
		member.State, member.Since = gossipAlive, now
		g.wake()
		g.node.logger.Info("a node is there", "member", member.Name, "uid", node.Name, "addr", member.Addr)
	}
}

// writesOf returns what a write takes on the node that answered, and the last
// entry that it wrote; both are 0 if it does not say so, as earlier builds.
func writesOf(payload []byte) (takes time.Duration, wrote uint64) {
	var p pulse
	if json.Unmarshal(payload, &p) != nil || p.WriteMicros < 0 || p.WriteMicros > time.Hour.Microseconds() {
		return 0, 0
	}
	return time.Duration(p.WriteMicros) * time.Microsecond, p.Written
}

func parseMeta(node *memberlist.Node) (meta, error) {
	var m meta
	if !validUID(node.Name) {
		return m, fmt.Errorf("the name %.64q is not the UID of a node", node.Name)
	}
	if err := json.Unmarshal(node.Meta, &m); err != nil {
		return m, fmt.Errorf("read metadata of node %q: %w", node.Name, err)
	}
	return m, nil
}

func addressOf(node *memberlist.Node) string {
	addr, _ := netip.AddrFromSlice(node.Addr)
	return netip.AddrPortFrom(addr.Unmap(), node.Port).String()
}

// meta is what this node says of itself.
func (n *Node) meta() meta {
	return meta{
		Protocol:     protocolVersion,
		ClusterID:    n.dir.clusterID(),
		Name:         n.name,
		APIAddr:      n.config.APIAddr,
		Version:      n.config.Version,
		FeatureLevel: fsm.FeatureLevel,
		Detached:     n.isDetached(),
		Witness:      n.config.Witness,
	}
}

// pause waits for d, or returns the cause of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
