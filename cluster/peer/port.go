package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/raft"
	"golang.org/x/sync/errgroup"

	"evenkeel/cluster/secret"
)

// The ALPN protocols of the port. A later version of one gets another number
// and is offered beside the former.
const (
	protocolGossip = "evenkeel-gossip/1"
	protocolRaft   = "evenkeel-raft/1"
	protocolRPC    = "evenkeel-rpc/1"
)

// protocols are all that this build speaks.
var protocols = [...]string{protocolGossip, protocolRaft, protocolRPC}

// Config says how a node's cluster port is opened.
type Config struct {
	// Bind is HOST:PORT for TCP and UDP alike. An empty host means all
	// addresses; port 0 takes a port that is free for both.
	Bind string
	// UID is this node's own: 1 to 64 letters, digits and hyphens.
	UID string
	// Secrets decides who is let in; nil is [secret.Loopback].
	Secrets *secret.Ring
	// MaxBody bounds the body of an RPC's request and of its answer in bytes;
	// 0 means 4 MiB.
	MaxBody int64
	// Logger gets a line when something is refused; nil means none.
	Logger *slog.Logger
}

const (
	defaultMaxBody = 4 << 20
	// handshakeTimeout bounds a handshake from either side.
	handshakeTimeout = 5 * time.Second
)

// Port is an open cluster port. Its methods may be called concurrently; those
// that say "before Run" configure it.
type Port struct {
	uid      string
	logger   *slog.Logger
	identity *secret.Identity
	tcp      *net.TCPListener
	udp      *net.UDPConn

	// life ends with Close. The interfaces of raft and memberlist carry no
	// context for what they dial, so the port has to hold theirs.
	life context.Context
	end  context.CancelFunc

	directory atomic.Pointer[func(uid string) (string, bool)]
	started   atomic.Bool

	refusals *refusals
	conns    *connSet
	lobby    *lobby
	turns    chan struct{}     // how many handshakes may compute at one time
	inboxes  map[string]*inbox // by ALPN protocol, without Raft's
	gossip   *gossip
	raft     atomic.Pointer[raftLayer]
	server   *rpcServer
	client   *Client
}

// Listen binds the port and starts nothing. A ring without a secret is refused
// on any address but a loopback one. Whoever does not call Run calls Close.
func Listen(config Config) (*Port, error) {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.MaxBody <= 0 {
		config.MaxBody = defaultMaxBody
	}
	if config.Secrets == nil {
		config.Secrets = secret.Loopback()
	}
	identity, err := config.Secrets.Identity(config.UID)
	if err != nil {
		return nil, fmt.Errorf("open cluster port %q: %w", config.Bind, err)
	}
	seal, err := newSealer(config.Secrets.GossipKeys())
	if err != nil {
		return nil, fmt.Errorf("open cluster port %q: %w", config.Bind, err)
	}
	tcp, udp, err := bind(config.Bind, config.Secrets.LoopbackOnly())
	if err != nil {
		return nil, fmt.Errorf("open cluster port %q: %w", config.Bind, err)
	}
	p := &Port{
		uid:      config.UID,
		logger:   config.Logger,
		identity: identity,
		tcp:      tcp,
		udp:      udp,
		refusals: newRefusals(config.Logger),
		conns:    newConnSet(),
		lobby:    newLobby(maxHandshakes),
		turns:    make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		inboxes:  map[string]*inbox{},
	}
	for _, protocol := range protocols {
		if protocol != protocolRaft {
			p.inboxes[protocol] = newInbox(p.tcp.Addr())
		}
	}
	p.life, p.end = context.WithCancel(context.Background())
	p.gossip = newGossip(p, seal)
	p.ReopenRaft()
	p.server = newRPCServer(p.inboxes[protocolRPC], config.MaxBody, config.Logger)
	p.client = newClient(p, config.MaxBody)
	p.SetDirectory(func(string) (string, bool) { return "", false })
	return p, nil
}

// Run serves the port until ctx ends, gives calls in progress a second more,
// closes the port and every connection, and returns nil after its last
// goroutine has ended. It can run once. A Close meanwhile is an error of Run.
func (p *Port) Run(ctx context.Context) error {
	if p.started.Swap(true) {
		return errors.New("run cluster port: it ran before")
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.acceptLoop(ctx) })
	group.Go(func() error { return p.gossip.readLoop(ctx) })
	group.Go(func() error {
		// Calls in progress may end before their connections do.
		return errors.Join(p.server.run(ctx), p.Close())
	})
	err := group.Wait()
	p.lobby.wait()
	if err != nil {
		return fmt.Errorf("run cluster port %q: %w", p.Addr(), err)
	}
	return nil
}

// Close closes the port and every connection. It does not wait for Run and may
// be called again.
func (p *Port) Close() error {
	errs := []error{ignoreClosed(p.tcp.Close()), ignoreClosed(p.udp.Close())}
	p.end()
	p.lobby.close()
	for _, inbox := range p.inboxes {
		inbox.Close()
	}
	p.raft.Load().inbox.Close()
	p.gossip.close()
	p.conns.close()
	p.client.close()
	return errors.Join(errs...)
}

// ignoreClosed keeps a second Close from being an error.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Addr returns the address that is bound, with the port that was taken if the
// configuration said 0.
func (p *Port) Addr() netip.AddrPort {
	addr := p.tcp.Addr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
}

// SetDirectory sets how the address of a node is found: HOST:PORT, or false if
// it is not known. The function is called from any goroutine, for each dial
// and each call, and must not block.
func (p *Port) SetDirectory(lookup func(uid string) (addr string, ok bool)) {
	p.directory.Store(&lookup)
}

// lookup asks the directory.
func (p *Port) lookup(uid string) (string, error) {
	addr, ok := (*p.directory.Load())(uid)
	if !ok {
		return "", fmt.Errorf("find node %q: %w: no address is known", uid, ErrUnreachable)
	}
	return addr, nil
}

// Gossip returns the transport for memberlist. Packets (of at most 8 KiB) and
// streams that come out of it are from a node that has the secret: memberlist
// needs no keyring.
func (p *Port) Gossip() memberlist.NodeAwareTransport { return p.gossip }

// Raft returns the stream layer for raft. Its addresses are UIDs.
func (p *Port) Raft() raft.StreamLayer { return p.raft.Load() }

// ReopenRaft returns a new stream layer in place of one that was closed, or the
// one that there is.
func (p *Port) ReopenRaft() raft.StreamLayer {
	if before := p.raft.Load(); before != nil && !before.closed() {
		return before
	}
	layer := &raftLayer{port: p, inbox: newInbox(p.tcp.Addr())}
	p.raft.Store(layer)
	return layer
}

// inbox is where accepted connections of a protocol go.
func (p *Port) inbox(protocol string) *inbox {
	if protocol == protocolRaft {
		return p.raft.Load().inbox
	}
	return p.inboxes[protocol]
}

// HandleRPC sets what answers calls of peers, at the path "/" and the method's
// name; see [Method] and [UIDFromContext]. An answer must be under way within a
// minute. It is called before Run.
func (p *Port) HandleRPC(handler http.Handler) { p.server.handler = handler }

// RPC returns the client for calls to peers.
func (p *Port) RPC() *Client { return p.client }

// Counters returns what the port let in and refused since it was opened.
func (p *Port) Counters() Counters {
	counters := p.refusals.counters()
	counters.Handshaking = p.lobby.size()
	counters.Connections = p.conns.size()
	return counters
}
