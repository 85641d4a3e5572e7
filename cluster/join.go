package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"evenkeel/cluster/peer"
	"evenkeel/cluster/secret"
)

const (
	// joinSoon and joinSeldom bound the pause between rounds of looking for
	// nodes that are not there. Rounds never end: so a partition heals, and a
	// node with a new address is found.
	joinSoon   = 200 * time.Millisecond
	joinSeldom = 2 * time.Second
	// greetTimeout bounds one greeting, maxGreetings how many run at once.
	greetTimeout = time.Second
	maxGreetings = 8
	// removedAfter is how long all who know must say that this node is no
	// member before it believes it: their view may be a moment old.
	removedAfter = 3 * time.Second
)

// The codes with which a greeting is refused.
const (
	codeOtherCluster = "other-cluster"
	codeProtocol     = "protocol"
	codeTwin         = "twin"
)

// joiner looks for the nodes that are not there.
type joiner struct {
	mu sync.Mutex // guards what follows
	// seen is who answered at an address.
	seen map[netip.AddrPort]string
	// resolved is what each join address stood for at the last look; nil if it
	// was not resolvable.
	resolved map[string][]netip.AddrPort
	// begun is when this node began to look.
	begun time.Time
	// rounds counts the rounds of greetings that are over.
	rounds int
	// removedSince is when a member first said that this node is none.
	removedSince time.Time
}

func newJoiner() *joiner {
	return &joiner{seen: map[netip.AddrPort]string{}, resolved: map[string][]netip.AddrPort{}}
}

// keepJoining greets and joins whoever is missing, until ctx ends.
func (n *Node) keepJoining(ctx context.Context) {
	wait := joinSoon
	for {
		_, changed := n.gossip.view()
		n.resolveJoin(ctx)
		targets := n.missing()
		if found := n.greetAll(ctx, targets); found {
			wait = joinSoon
		}
		n.joiner.mu.Lock()
		n.joiner.rounds++
		n.joiner.mu.Unlock()
		n.askMembership(ctx)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
			wait = min(2*wait, joinSeldom)
		case <-changed:
			wait = joinSoon
			if pause(ctx, joinSoon) != nil { // news come in swarms
				return
			}
		case <-ctx.Done():
			return
		}
		timer.Stop()
	}
}

// resolveJoin looks up the join addresses anew.
func (n *Node) resolveJoin(ctx context.Context) {
	for _, join := range n.config.Join {
		host, port, err := splitHostPort(join)
		if err != nil {
			continue // checked by Open
		}
		addrs, err := n.network.resolve(ctx, host)
		if ctx.Err() != nil {
			return
		}
		var found []netip.AddrPort
		for _, addr := range addrs {
			found = append(found, netip.AddrPortFrom(addr, port))
		}
		if err != nil {
			n.logger.Debug("a join address is not resolvable yet", "address", join, "error", err)
		}
		n.joiner.mu.Lock()
		n.joiner.resolved[join] = found
		n.joiner.mu.Unlock()
	}
}

// missing returns the addresses where somebody should be who is not in gossip.
func (n *Node) missing() []netip.AddrPort {
	there := map[netip.AddrPort]bool{n.advertise: true, n.Addr(): true}
	members, _ := n.gossip.view()
	for _, m := range members {
		if addr, err := netip.ParseAddrPort(m.Addr); err == nil && m.State == gossipAlive {
			there[addr] = true
		}
	}
	var targets []netip.AddrPort
	add := func(addr netip.AddrPort) {
		if !there[addr] {
			there[addr] = true
			targets = append(targets, addr)
		}
	}
	n.joiner.mu.Lock()
	for _, addrs := range n.joiner.resolved {
		for _, addr := range addrs {
			uid := n.joiner.seen[addr]
			m, known := members[uid]
			if uid != n.UID() && !(known && m.State == gossipAlive) {
				add(addr)
			}
		}
	}
	n.joiner.mu.Unlock()
	for uid, saved := range n.directory.all() {
		m, known := members[uid]
		if addr, err := netip.ParseAddrPort(saved.Addr); err == nil && !(known && m.State == gossipAlive) {
			add(addr)
		}
	}
	return targets
}

// greetAll greets every target and joins the gossip of those that answer. It
// reports whether any did.
func (n *Node) greetAll(ctx context.Context, targets []netip.AddrPort) (found bool) {
	slots := make(chan struct{}, maxGreetings)
	answered := make(chan bool, len(targets))
	var tasks sync.WaitGroup
	for _, addr := range targets {
		slots <- struct{}{}
		tasks.Go(func() {
			answered <- n.greet(ctx, addr)
			<-slots
		})
	}
	tasks.Wait()
	close(answered)
	for one := range answered {
		found = found || one
	}
	return found
}

func (n *Node) greet(ctx context.Context, addr netip.AddrPort) bool {
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	var response helloResponse
	uid, err := n.port.RPC().CallAddr(ctx, addr.String(), methodHello, n.hello(), &response)
	n.joiner.mu.Lock()
	if uid != "" {
		n.joiner.seen[addr] = uid
	} else {
		delete(n.joiner.seen, addr)
	}
	n.joiner.mu.Unlock()
	if errors.Is(err, secret.ErrSameUID) || peer.IsRemote(err, codeTwin) {
		n.metTwin(err)
		return false
	}
	if uid == n.UID() {
		return false
	}
	if err == nil {
		err = n.gossip.compatible(response.meta)
	}
	if err != nil {
		n.greetingFailed(addr, err)
		return false
	}
	n.directory.learn(uid, savedPeer{Name: response.Name, Addr: addr.String()})
	n.hearOfRemoval(response)
	if list := n.gossip.memberlist(); list != nil {
		if _, err := list.Join([]string{addr.String()}); err != nil {
			n.logger.Debug("gossip did not join", "addr", addr, "error", err)
		}
	}
	return true
}

func (n *Node) greetingFailed(addr netip.AddrPort, err error) {
	if peer.IsRemote(err, codeOtherCluster) || peer.IsRemote(err, codeProtocol) ||
		errors.Is(err, errOtherCluster) || errors.Is(err, errNewerProtocol) || errors.Is(err, secret.ErrWrongSecret) {
		if ok, _ := n.notices.allow("greeting "+addr.String(), time.Now()); ok {
			n.logger.Warn("a node refuses this one or is refused", "addr", addr, "error", err)
		}
		return
	}
	n.logger.Debug("nobody answers", "addr", addr, "error", err)
}

func (n *Node) hello() hello {
	return hello{meta: n.meta(), Addr: n.advertise.String(), Was: n.former()}
}

// greeted is the other end of a greeting.
func (n *Node) greeted(ctx context.Context, caller string, from hello) (helloResponse, error) {
	if caller == n.UID() {
		return helloResponse{hello: n.hello()}, nil
	}
	if err := n.gossip.compatible(from.meta); err != nil {
		code := codeProtocol
		if errors.Is(err, errOtherCluster) {
			code = codeOtherCluster
		}
		return helloResponse{}, &peer.RemoteError{Code: code, Message: fmt.Sprintf("node %q is refused: %v", from.Name, err)}
	}
	if _, err := netip.ParseAddrPort(from.Addr); err != nil {
		return helloResponse{}, &peer.RemoteError{Code: peer.CodeBadRequest, Message: fmt.Sprintf("address %.64q is not IP:PORT", from.Addr)}
	}
	if addr := n.twinOf(ctx, caller, from.Addr); addr != "" {
		return helloResponse{}, &peer.RemoteError{Code: codeTwin, Message: fmt.Sprintf("node %q knows another process with uid %s, which runs at %s", n.name, caller, addr)}
	}
	n.directory.learn(caller, savedPeer{Name: from.Name, Addr: from.Addr})
	response := helloResponse{hello: n.hello()}
	if c := n.consensus.Load(); c != nil {
		_, leader, _ := n.leaders.current()
		_, response.Member = c.server(caller)
		response.Knows = leader != ""
	}
	return response, nil
}

// askMembership asks those who are there, while this node is a member of a
// cluster whose leader it does not hear of.
func (n *Node) askMembership(ctx context.Context) {
	if _, leader, _ := n.leaders.current(); leader != "" || n.dir.clusterID() == "" || n.apart() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	members, _ := n.gossip.view()
	for uid, m := range members {
		var response helloResponse
		if m.State != gossipAlive || n.port.RPC().Call(ctx, uid, methodHello, n.hello(), &response) != nil {
			continue // whoever cannot be asked is missing, or will be soon
		}
		n.hearOfRemoval(response)
	}
}

// hearOfRemoval detaches a node that was removed, for instance because another
// took its name while it was away. raft tells a removed node nothing.
func (n *Node) hearOfRemoval(from helloResponse) {
	id := n.dir.clusterID()
	if id == "" || from.ClusterID != id || !from.Knows || n.rejoin.Load() != nil {
		return
	}
	_, leader, _ := n.leaders.current()
	n.joiner.mu.Lock()
	defer n.joiner.mu.Unlock()
	switch {
	case from.Member || leader != "":
		n.joiner.removedSince = time.Time{}
	case n.joiner.removedSince.IsZero():
		n.joiner.removedSince = time.Now()
	case time.Since(n.joiner.removedSince) > removedAfter:
		n.detach(fmt.Errorf("%q, which follows the leader, says that this node is no member of cluster %q any more: "+remedy, from.Name, id, n.dir.path))
	}
}

// sayGoodbye tells everyone that this node leaves on purpose.
func (n *Node) sayGoodbye(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout/2)
	defer cancel()
	members, _ := n.gossip.view()
	var tasks sync.WaitGroup
	for uid, m := range members {
		if m.State == gossipAlive {
			tasks.Go(func() {
				if err := n.port.RPC().Call(ctx, uid, methodGoodbye, empty{}, nil); err != nil {
					n.logger.Debug("a node may take this one for dead", "uid", uid, "error", err)
				}
			})
		}
	}
	tasks.Wait()
}

func (n *Node) dismissed(_ context.Context, caller string, _ empty) (empty, error) {
	n.gossip.gone(caller, gossipLeft)
	return empty{}, nil
}

// expected returns how many new nodes form a cluster: the configured number,
// else the number of distinct join addresses, this node's own included. What
// is known to be one node counts once. certain is false while the number rests
// on a name that so far stands for this node alone: others may not have been
// entered into DNS yet.
func (n *Node) expected() (count int, certain bool) {
	if n.config.BootstrapExpect > 0 {
		return n.config.BootstrapExpect, true
	}
	n.joiner.mu.Lock()
	defer n.joiner.mu.Unlock()
	nodes := map[string]bool{n.UID(): true}
	certain = true
	for _, join := range n.config.Join {
		host, _, err := splitHostPort(join)
		if err == nil && net.ParseIP(host) == nil {
			certain = false
		}
		addrs := n.joiner.resolved[join]
		if len(addrs) == 0 {
			nodes[join] = true
		}
		for _, addr := range addrs {
			nodes[n.whoIsAt(addr)] = true
		}
	}
	return len(nodes), certain || len(nodes) > 1
}

// looked tells whether all join addresses were tried since the start.
func (n *Node) looked() bool {
	n.joiner.mu.Lock()
	defer n.joiner.mu.Unlock()
	return n.joiner.rounds > 0 || len(n.config.Join) == 0
}

// whoIsAt is called with the joiner's lock held.
func (n *Node) whoIsAt(addr netip.AddrPort) string {
	if addr == n.advertise || addr == n.Addr() {
		return n.UID()
	}
	if uid := n.joiner.seen[addr]; uid != "" {
		return uid
	}
	return net.JoinHostPort(addr.Addr().String(), strconv.Itoa(int(addr.Port())))
}
