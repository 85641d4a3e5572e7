package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"evenkeel/cluster/peer"
	"evenkeel/fsm"
)

// Node is this process's part in the cluster. Its methods may be called
// concurrently, before and during Run; after Run only State, Watch and Status
// are of use.
type Node struct {
	config    Config
	profile   profile
	logger    *slog.Logger
	notices   *limiter
	network   network
	dir       *dataDir
	name      string
	port      *peer.Port
	advertise netip.AddrPort

	directory *directory
	gossip    *gossip
	talk      *talk
	questions *questions
	joiner    *joiner
	forming   forming

	views      *views
	waiters    *waiters
	leaders    *leaders
	writes     *writeTimes
	hangAfter  time.Duration // a constant but for tests
	level      levelGate
	votes      *voteGate
	restore    restoreWatch // of the leader's duties
	reads      *coalescer   // to the leader
	renewer    *renewer     // to the leader
	renewals   *renewals    // as the leader
	forwarder  *forwarder   // likewise
	callers    *callers
	stops      atomic.Bool // set at the beginning of a clean stop
	detachment *detachment

	store   *store                 // nil if it could not be opened
	rejoin  atomic.Pointer[rejoin] // nil unless the node waits to be let in again
	waits   atomic.Pointer[string] // why that has not been yet
	applied *appliedRecord
	heard   atomic.Pointer[time.Time] // see keepHeard
	// imageIndex is of the image on the disk at the start.
	imageIndex uint64
	consensus  atomic.Pointer[consensus] // nil while the node has no part in Raft
	twins      chan error                // holds why a twin makes this node end
	ran        atomic.Bool

	keys         *Keys
	ticketsEvery time.Duration // a constant but for tests
}

// Open reads the data directory and binds the cluster port. It starts nothing:
// the node serves its image until Run. Whoever does not call Run calls Close.
//
// A store that is damaged is no error: it is moved aside, and the node joins again
// as its own successor (aside.go). Nor is one that cannot be read: the node opens
// detached. Status names the file and the remedy. On a disk that is full it opens
// detached for now, and has its part once there is room. Errors are faults of the
// configuration, a directory or port that another process uses, and a damaged
// identity.
func Open(config Config) (*Node, error) {
	config, profile, err := config.prepare()
	if err != nil {
		return nil, fmt.Errorf("open cluster node: %w", err)
	}
	return open(config, profile, systemNetwork())
}

func open(config Config, p profile, net network) (_ *Node, err error) {
	dir, err := openDataDir(config.DataDir)
	if err != nil {
		return nil, err
	}
	n := &Node{
		config: config, profile: p, network: net, dir: dir, name: config.Name, logger: config.Logger, notices: newLimiter(),
		joiner: newJoiner(), views: newViews(), leaders: newLeaders(), writes: newWriteTimes(), hangAfter: hangAfter, keys: newKeys(config.Secrets), ticketsEvery: ticketsEvery,
		reads: newCoalescer(), renewer: newRenewer(), renewals: newRenewals(), callers: newCallers(), votes: newVoteGate(), detachment: newDetachment(), twins: make(chan error, 1),
	}
	if n.name == "" {
		n.name = dir.defaultName()
	}
	// First, since the node may be another one afterwards.
	var broken error
	if n.store, broken = openOrSucceed(dir, n.logger); broken != nil {
		n.detach(broken)
	}
	if err := dir.countStart(); err != nil && broken == nil {
		n.suspend(fmt.Errorf("this start cannot be written down: %w: this node takes part again by itself once that works", err))
	}
	n.rejoin.Store(dir.id.Rejoin)
	n.waiters = newWaiters(dir.uid(), dir.firstSequence())
	n.directory = openDirectory(dir.path, n.logger)
	n.forwarder = newForwarder(n.callLeader)
	n.gossip, n.talk, n.questions = newGossip(n), newTalk(n), newQuestions()
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	n.port, err = peer.Listen(peer.Config{Bind: config.Bind, UID: dir.uid(), Secrets: config.Secrets, Logger: n.logger})
	if err != nil {
		return nil, err
	}
	if n.advertise, err = net.advertised(context.Background(), config, n.port.Addr()); err != nil {
		return nil, err
	}
	n.config.APIAddr = withHost(config.APIAddr, n.advertise.Addr())
	n.port.SetDirectory(n.directory.lookup)
	n.directory.moved = n.port.PeerMoved
	n.port.HandleRPC(n.handler())
	return n, n.readDisk()
}

// readDisk loads what the node serves before there is a leader.
func (n *Node) readDisk() error {
	if err := n.loadForming(); err != nil {
		return err
	}
	image, boot := n.readBoot(func(what string, err error) { n.logger.Warn(what, "error", err) })
	n.imageIndex = image.index
	if boot.state != nil {
		n.views.boot(boot.state, boot.index)
		n.hearFiles(n.dir.file(fileImage), n.dir.file(fileApplied))
		if err := beyondBuild(boot.state); err != nil {
			n.detach(err) // the next command may be one that it cannot read
		}
	}
	return nil
}

// Close releases what Open took, for a node that never runs.
func (n *Node) Close() error {
	if n.ran.Swap(true) {
		return nil
	}
	return n.closeFiles()
}

func (n *Node) closeFiles() error {
	var errs []error
	if n.port != nil {
		errs = append(errs, n.port.Close())
	}
	switch {
	case n.store == nil:
	case !n.writes.allEnd(shutdownTimeout):
		errs = append(errs, fmt.Errorf("log store %q was not closed: a write to it hangs", n.dir.file(fileStore)))
	default:
		errs = append(errs, n.store.close())
	}
	return errors.Join(append(errs, n.dir.close())...)
}

// UID returns the node's identity.
func (n *Node) UID() string { return n.dir.uid() }

// Name returns the node's name.
func (n *Node) Name() string { return n.name }

// Addr returns the bound address of the cluster port.
func (n *Node) Addr() netip.AddrPort { return n.port.Addr() }

// State returns the registry as this node knows it, never nil. It never
// blocks.
func (n *Node) State() *fsm.State { return n.views.published.Load().state }

// Watch returns the state and a channel that is closed when another takes its
// place. It never blocks.
func (n *Node) Watch() (*fsm.State, <-chan struct{}) {
	v := n.views.published.Load()
	return v.state, v.replaced
}

// Run takes part in the cluster until ctx ends. Then it hands leadership over
// if another can take it, tells the others that it leaves, and returns nil
// after its last goroutine, in bounded time. Another error means that the
// cluster port cannot be served, that another process has this node's identity,
// or that the disk hangs, and what waits for it was left behind. It can run
// once.
func (n *Node) Run(ctx context.Context) error {
	if n.ran.Swap(true) {
		return errors.New("run cluster node: it ran before")
	}
	// What serves others outlives ctx until the others know of the leave.
	base, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	var port sync.WaitGroup
	var portErr error
	port.Go(func() {
		portErr = n.port.Run(base)
		stop(portErr)
	})
	err := n.take(ctx, base)
	stop(nil)
	port.Wait()
	err = errors.Join(err, portErr, n.closeFiles())
	n.forwarder.calls.Wait() // the port has ended them
	return err
}

// take runs everything above the port until ctx or base ends.
func (n *Node) take(ctx, base context.Context) error {
	if err := n.gossip.start(); err != nil {
		return err
	}
	n.joiner.begin()
	work, cancel := context.WithCancelCause(base)
	defer cancel(nil)
	var tasks sync.WaitGroup
	tasks.Go(func() { n.keepJoining(work) })
	tasks.Go(func() { n.keepImage(work) })
	tasks.Go(func() { n.applied.run(work, n.appliedFailed) })
	tasks.Go(func() { n.keepPeers(work) })
	tasks.Go(func() { n.talk.run(work) })
	tasks.Go(func() { n.reads.run(work, n.askReadIndex) })
	tasks.Go(func() { n.renewer.run(work, n.askRenew) })
	tasks.Go(func() { n.takePart(work) })
	var twin error
	select {
	case <-ctx.Done():
	case <-base.Done():
	case twin = <-n.twins:
	}
	if twin == nil { // else a goodbye would be taken for the twin's
		n.leave(context.WithoutCancel(ctx))
	}
	cancel(errStopping)
	err := waitAtMost(&tasks, stopPatience)
	return errors.Join(twin, err, n.gossip.stop(twin == nil))
}

var errStopping = errors.New("this node stops")

// stopPatience is how long a stop waits for what may wait for the disk. It is
// more than all else takes.
const stopPatience = 15 * time.Second

func waitAtMost(tasks *sync.WaitGroup, most time.Duration) error {
	ended := make(chan struct{})
	go func() { tasks.Wait(); close(ended) }()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-ended:
		return nil
	case <-timer.C:
		return fmt.Errorf("stop cluster node: not all of it ended within %s: most likely its disk hangs", most)
	}
}

// leave is the part of a stop that others should see before anything fails. This
// node follows the next leader until it has told its callers what that made of
// their writes.
func (n *Node) leave(ctx context.Context) {
	n.stops.Store(true)
	if c := n.consensus.Load(); c != nil {
		c.transport.leaving.Store(true)
		within, cancel := context.WithTimeout(ctx, leaveTimeout)
		if err := n.handOver(within, c); err != nil {
			n.logger.Info("the leadership was not handed over", "error", err)
		}
		cancel()
	}
	timer := time.NewTimer(decidePatience)
	defer timer.Stop()
	select {
	case <-n.callers.end():
	case <-timer.C:
		n.logger.Info("writes and reads are left behind whose outcome is not known")
	}
	n.sayGoodbye(ctx)
}

// forgetStrangers drops from the directory who is neither a member nor there,
// so that nobody looks for a removed node for ever.
func (n *Node) forgetStrangers() {
	c := n.consensus.Load()
	_, leader, _ := n.leaders.current()
	if c == nil || leader == "" || !n.views.confirmed.Load() {
		return // what this node holds for the members may be old
	}
	gossiped, _ := n.gossip.view()
	for uid := range n.directory.all() {
		_, member := c.server(uid)
		if m, known := gossiped[uid]; !member && !(known && m.State == gossipAlive) {
			n.directory.forget(uid)
		}
	}
}

func (n *Node) appliedFailed(err error) {
	if ok, _ := n.notices.allow("applied", time.Now()); ok {
		n.logger.Warn("the record of what is applied is behind: the next start serves less of the log before there is a leader", "error", err)
	}
}

// keepPeers writes down where the others are.
func (n *Node) keepPeers(ctx context.Context) {
	for {
		n.forgetStrangers()
		if err := n.directory.save(); err != nil {
			if ok, _ := n.notices.allow("peers", time.Now()); ok {
				n.logger.Warn("the list of peers is behind", "error", err)
			}
		}
		if pause(ctx, time.Second) != nil {
			break
		}
	}
	if err := n.directory.save(); err != nil {
		n.logger.Warn("the list of peers is behind", "error", err)
	}
}
