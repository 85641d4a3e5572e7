package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"evenkeel/cluster/secret"
	"evenkeel/fsm"
)

// Config says how a node takes part in a cluster. It is not changed after
// [Open].
type Config struct {
	// Name is what people call the node, a DNS label; empty means "node-" and
	// the beginning of its UID. No two live nodes of a cluster share one.
	Name string
	// DataDir is the node's own directory; it is made if it does not exist.
	DataDir string
	// Bind is the cluster port's HOST:PORT, TCP and UDP; port 0 takes a free
	// one.
	Bind string
	// Advertise is the HOST[:PORT] that others are told. Empty: the bind
	// address, else the source address of the route to the first join address,
	// else the only global one.
	Advertise string
	// APIAddr is the API's address as others see it, for display. Without a
	// host (":7070") it gets the one that this node advertises.
	APIAddr string
	// Join are HOST:PORT of other nodes, its own allowed; names may resolve to
	// several addresses and are resolved again at every attempt.
	Join []string
	// BootstrapExpect is how many new nodes form a cluster; 0 is 1 without
	// Join, else the number of distinct join addresses, its own included.
	BootstrapExpect int
	// Witness is set for a node that votes and holds the registry, but neither
	// serves traffic nor observes backends, which is up to its caller.
	Witness bool
	// RemoveDeadAfter is for how long a member may be dead, or have left, until
	// the leader removes it, if the others are safe without it; 0 is for ever. The
	// leader's counts, from when it began to lead.
	RemoveDeadAfter time.Duration
	// Secrets protects the cluster port; nil is [secret.Loopback].
	Secrets *secret.Ring
	// Profile is "default", "safe" or "fast", see the type profile; empty is
	// "default".
	Profile string
	// Version is the program's version, for display.
	Version string
	// Report returns the JSON-able soft facts that this node answers to the
	// Reports call of its peers. It may be nil; it is called concurrently and
	// must not block.
	Report func() any
	// Logger is where the node logs; nil discards.
	Logger *slog.Logger
}

// prepare fills in defaults and reports every fault at once.
func (c Config) prepare() (Config, profile, error) {
	var faults []error
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Secrets == nil {
		c.Secrets = secret.Loopback()
	}
	if c.Report == nil {
		c.Report = func() any { return nil }
	}
	if c.Name != "" && !fsm.IsLabel(c.Name) {
		faults = append(faults, fmt.Errorf("name %q: must be a DNS label of at most 63 letters, digits and hyphens, such as \"n1\"", c.Name))
	}
	if _, _, err := splitHostPort(c.Bind); err != nil {
		faults = append(faults, fmt.Errorf("cluster address %q: %w: write HOST:PORT, such as \"10.0.0.1:7071\"", c.Bind, err))
	}
	if c.BootstrapExpect < 0 {
		faults = append(faults, fmt.Errorf("bootstrap-expect %d: must be 0 or more", c.BootstrapExpect))
	}
	if c.RemoveDeadAfter < 0 {
		faults = append(faults, fmt.Errorf("remove-dead-after %s: must be 0, for never, or more", c.RemoveDeadAfter))
	}
	for _, join := range c.Join {
		if host, port, err := splitHostPort(join); err != nil || host == "" || port == 0 {
			faults = append(faults, fmt.Errorf("join address %q: write HOST:PORT, such as \"n2:7071\"", join))
		}
	}
	p, err := profileByName(c.Profile)
	if err != nil {
		faults = append(faults, err)
	}
	return c, p, errors.Join(faults...)
}

// splitHostPort parses HOST:PORT with a numeric port.
func splitHostPort(address string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, errors.New("it is not HOST:PORT")
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("port %q is not a number from 0 to 65535", text)
	}
	return host, uint16(number), nil
}

// profile is one set of the timings that belong together.
type profile struct {
	name string
	// heartbeat is Raft's heartbeat, election and lease timeout alike. With
	// 200 ms a killed leader costs 0.4 s at the median; no read relies on the
	// lease, so it needs no margin of its own.
	heartbeat time.Duration
	// commit is Raft's CommitTimeout, by which raft itself would tell followers
	// of a commit. They are told by pushes (transport.go), which are repeated
	// with the next heartbeat, so this need not cost anything.
	commit time.Duration
	// probe, probeTimeout and gossip pace memberlist: with 200 ms a death is
	// known everywhere in about a second.
	probe        time.Duration
	probeTimeout time.Duration
	gossip       time.Duration
}

func profileByName(name string) (profile, error) {
	switch name {
	case "", "default":
		return profile{"default", 200 * time.Millisecond, 250 * time.Millisecond, 200 * time.Millisecond, 100 * time.Millisecond, 50 * time.Millisecond}, nil
	case "safe": // for slow disks, busy machines and links between sites
		return profile{"safe", time.Second, 250 * time.Millisecond, time.Second, 500 * time.Millisecond, 200 * time.Millisecond}, nil
	case "fast": // for idle machines on one switch
		return profile{"fast", 100 * time.Millisecond, 250 * time.Millisecond, 200 * time.Millisecond, 100 * time.Millisecond, 50 * time.Millisecond}, nil
	}
	return profile{}, fmt.Errorf("profile %q: choose default, safe or fast", name)
}
