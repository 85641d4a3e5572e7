// Package config turns the command line, the environment and a YAML file into
// the options of one node.
//
// It owns the names, defaults and meaning of those options and reports all
// that is wrong with them at once. It refuses to own anything that the cluster
// agrees on: listeners, routes, pools and backends live in the registry.
package config

import (
	"log/slog"
	"time"

	"evenkeel/cluster/secret"
)

// The defaults that are not computed. With them `evenkeel serve` is a working
// single node that only its own machine can administer.
const (
	DefaultAPIAddr     = "127.0.0.1:7070"
	DefaultClusterPort = "7071"
	DefaultProfile     = "default"
	// DefaultDrainTimeout leaves a node time to leave the cluster within the
	// 10 s that `docker stop` grants.
	DefaultDrainTimeout = 8 * time.Second
	// DefaultBackgroundNice gives a loop nine times the share of a core that
	// another thread has, of which there may be several: on a busy machine they
	// are to be slowed, but not starved.
	DefaultBackgroundNice = 10

	// DefaultRemoveDeadAfter is long enough for a machine that fails on a Friday
	// to be repaired on the Monday.
	DefaultRemoveDeadAfter = 72 * time.Hour

	// minRemoveDeadAfter is more than a restart of a machine takes.
	minRemoveDeadAfter = time.Minute

	minDrainTimeout = 10 * time.Millisecond
	maxDrainTimeout = time.Hour
	maxExpect       = 64
	maxLoops        = 256
	maxNice         = 19
)

// APITLSCluster is what --api-tls takes.
const APITLSCluster = "cluster"

// Prefix starts the name of every environment variable of Evenkeel.
const Prefix = "EVENKEEL_"

// Config is what one node needs to know. [Load] returns only valid ones.
type Config struct {
	Name    string
	DataDir string
	// APIAddr is HOST:PORT; ClusterAddr too, with an empty host for all.
	APIAddr     string
	ClusterAddr string
	Advertise   string   // HOST, HOST:PORT or ""
	Join        []string // each HOST:PORT
	// BootstrapExpect is 0 for the cluster's own rule.
	BootstrapExpect int
	// Witness is set for a node that votes and takes no traffic. What is about
	// traffic has its default then.
	Witness bool
	// RemoveDeadAfter is for how long a member may be dead until the leader
	// removes it, a minute or more; 0 is for ever.
	RemoveDeadAfter time.Duration
	// Secrets is never nil; without a secret it is [secret.Loopback].
	Secrets *secret.Ring

	Bind          string            // host of listeners whose address names none
	ListenerAddrs map[string]string // HOST:PORT by listener

	// Loops is how many event loops carry traffic, 1 to 256, or 0 for one per
	// core.
	Loops int
	// BackgroundNice is by how much the threads that carry no traffic are nicer
	// than those that do, 0 to 19.
	BackgroundNice int
	// Zone is where the node stands, a DNS label, or "" for nowhere.
	Zone string

	AdminToken  Hidden // "" for none
	InsecureAPI bool
	// APITLS is [APITLSCluster] for an API over TLS with a certificate from the
	// cluster's authority, else "". APITLSCert and APITLSKey are the files of a
	// certificate of the user's own, or both "".
	APITLS     string
	APITLSCert string
	APITLSKey  string

	Profile      string
	DrainTimeout time.Duration
	LogLevel     slog.Level
	LogFormat    string

	// Warnings are what is allowed but likely a mistake, one sentence each.
	Warnings []string
}

// APIIsOpen tells whether other machines reach the API.
func (c *Config) APIIsOpen() bool { return !isLoopback(c.APIAddr) }

// APIOverTLS tells whether the API speaks TLS.
func (c *Config) APIOverTLS() bool { return c.APITLS != "" || c.APITLSCert != "" }

// Hidden is a text that no log, print or encoding shows. Convert it to a
// string where it is used.
type Hidden string

const hidden = "[hidden]"

// String implements [fmt.Stringer].
func (Hidden) String() string { return hidden }

// GoString implements [fmt.GoStringer].
func (Hidden) GoString() string { return hidden }

// MarshalText implements [encoding.TextMarshaler].
func (Hidden) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue implements [slog.LogValuer].
func (Hidden) LogValue() slog.Value { return slog.StringValue(hidden) }
