package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// option is one option of a node: its names, its help and how its text
// becomes a value. parse returns what is wrong and what to do.
type option struct {
	name  string // of the flag and the file's key
	arg   string // what the help calls the value; "" for a boolean
	usage string
	list  bool // may be repeated, separated by commas, a sequence in the file
	parse func(c *Config, values []string) error
}

// env returns the name of the option's environment variable.
func (o *option) env() string {
	return Prefix + strings.ToUpper(strings.ReplaceAll(o.name, "-", "_"))
}

// Options that are looked up outside of their own parse functions.
const (
	optSecretFile     = "secret-file"
	optAdminTokenFile = "admin-token-file"
	optAPIAddr        = "api-addr"
	optClusterAddr    = "cluster-addr"
	optAPITLS         = "api-tls"
	optAPITLSCert     = "api-tls-cert"
	optAPITLSKey      = "api-tls-key"
	optInsecureAPI    = "insecure-api"
	optJoin           = "join"
	optDataDir        = "data-dir"
	optExpect         = "bootstrap-expect"
	optWitness        = "witness"
)

// options returns the table of all options, in the order of the help.
func options() []*option {
	return []*option{
		{name: "name", arg: "LABEL", usage: "name of this node, a DNS label (default: the host's name)",
			parse: one(func(c *Config, v string) error { c.Name = v; return checkLabel(v) })},
		{name: optDataDir, arg: "DIR", usage: "folder of this node's state (default: ./evenkeel-data/NAME)",
			parse: one(func(c *Config, v string) error { c.DataDir = v; return nil })},
		{name: optAPIAddr, arg: "HOST:PORT", usage: "address of the API; beyond loopback callers need a token, unless --insecure-api is said (default: " + DefaultAPIAddr + ")",
			parse: one(func(c *Config, v string) (err error) { c.APIAddr, err = hostPort(v); return err })},
		{name: optClusterAddr, arg: "HOST:PORT", usage: "address of the cluster port, TCP and UDP (default: :" + DefaultClusterPort + " with a secret, 127.0.0.1:" + DefaultClusterPort + " without)",
			parse: one(func(c *Config, v string) (err error) { c.ClusterAddr, err = hostPort(v); return err })},
		{name: "advertise", arg: "HOST[:PORT]", usage: "cluster address that other nodes are told (default: found out)",
			parse: one(parseAdvertise)},
		{name: optJoin, arg: "HOST[:PORT],...", list: true, usage: "nodes to join, this one may be among them",
			parse: parseJoin},
		{name: optExpect, arg: "N", usage: "form a new cluster once N nodes without state see each other (default: 1 without --join, else the number of addresses in it)",
			parse: one(parseExpect)},
		{name: optWitness, usage: "vote and keep the registry, but take no traffic and probe no backends: the third vote of two nodes",
			parse: one(func(c *Config, v string) (err error) { c.Witness, err = boolean(v); return err })},
		{name: "remove-dead-after", arg: "DURATION", usage: "remove a node that was dead or away for so long, if the others are safe without it; never keeps it (default: " + shortSpan(DefaultRemoveDeadAfter) + ")",
			parse: one(parseRemoveDead)},
		{name: optSecretFile, arg: "FILE", usage: "file with the cluster's secret, see evenkeel secret (or EVENKEEL_SECRET; default: none, loopback only)",
			parse: one(ignoreText)},
		{name: "bind", arg: "HOST", usage: "host of listeners whose address names none (default: all)",
			parse: one(parseBind)},
		{name: "listener-addr", arg: "NAME=HOST:PORT", list: true, usage: "address of one listener on this node alone",
			parse: parseListenerAddrs},
		{name: "loops", arg: "N", usage: "event loops that carry traffic, 1 to 256; 0 means one per core (default: 0)",
			parse: one(parseLoops)},
		{name: "background-nice", arg: "N", usage: "how much nicer all else in this node is than its event loops, 0 to 19; Linux only (default: " + strconv.Itoa(DefaultBackgroundNice) + ")",
			parse: one(parseBackgroundNice)},
		{name: "zone", arg: "LABEL", usage: "where this node stands, a DNS label; pools with prefer_zone use the backends of the same zone first (default: none)",
			parse: one(func(c *Config, v string) error { c.Zone = v; return checkLabel(v) })},
		{name: optAPITLS, arg: "cluster", usage: "serve the API over TLS with a certificate from the cluster's own authority, see evenkeel secret ca (default: without TLS)",
			parse: one(func(c *Config, v string) error { c.APITLS = v; return oneOf(v, APITLSCluster) })},
		{name: optAPITLSCert, arg: "FILE", usage: "serve the API over TLS with this certificate, PEM; read again when it changes",
			parse: one(func(c *Config, v string) error { c.APITLSCert = v; return nil })},
		{name: optAPITLSKey, arg: "FILE", usage: "the key of that certificate, PEM",
			parse: one(func(c *Config, v string) error { c.APITLSKey = v; return nil })},
		{name: optInsecureAPI, usage: "serve the API beyond loopback without a token",
			parse: one(func(c *Config, v string) (err error) { c.InsecureAPI, err = boolean(v); return err })},
		{name: optAdminTokenFile, arg: "FILE", usage: "file with the bearer token that has every right (or EVENKEEL_ADMIN_TOKEN)",
			parse: one(ignoreText)},
		{name: "profile", arg: "NAME", usage: "timing of the cluster: default, safe or fast (default: " + DefaultProfile + ")",
			parse: one(func(c *Config, v string) error { c.Profile = v; return oneOf(v, "default", "safe", "fast") })},
		{name: "drain-timeout", arg: "DURATION", usage: "how long a stopping node lets requests finish (default: " + DefaultDrainTimeout.String() + ")",
			parse: one(parseDrain)},
		{name: "log-level", arg: "LEVEL", usage: "debug, info, warn or error (default: info)",
			parse: one(parseLevel)},
		{name: "log-format", arg: "FORMAT", usage: "text or json (default: text)",
			parse: one(func(c *Config, v string) error { c.LogFormat = v; return oneOf(v, "text", "json") })},
	}
}

// Flags adds the options of a node to a command, and --config.
func Flags(fs *pflag.FlagSet) {
	for _, o := range options() {
		fs.VarPF(&rawFlag{arg: o.arg, list: o.list}, o.name, "", o.usage).NoOptDefVal = noOptDefault(o)
	}
	fs.VarP(&rawFlag{arg: "FILE"}, "config", "", "YAML file with any of these options; flags and EVENKEEL_ variables come first")
}

func noOptDefault(o *option) string {
	if o.arg == "" {
		return "true"
	}
	return ""
}

// rawFlag keeps the text of a flag, so that a faulty one is reported together
// with all other faults and not by the flag parser alone.
type rawFlag struct {
	arg    string
	list   bool
	values []string
}

func (f *rawFlag) String() string { return strings.Join(f.values, ",") }
func (f *rawFlag) Type() string   { return f.arg }

func (f *rawFlag) Set(text string) error {
	if !f.list {
		f.values = nil
	}
	f.values = append(f.values, text)
	return nil
}

// one adapts a parser of a single text.
func one(parse func(c *Config, v string) error) func(*Config, []string) error {
	return func(c *Config, values []string) error {
		if len(values) != 1 || values[0] == "" {
			return errors.New("is empty; give one value or leave the option out")
		}
		return parse(c, values[0])
	}
}

// ignoreText is for the names of files, which are read once all sources are
// known.
func ignoreText(*Config, string) error { return nil }

func parseAdvertise(c *Config, v string) error {
	c.Advertise = v
	if host, port, err := net.SplitHostPort(v); err == nil {
		if host == "" || portFault(port) != nil || port == "0" {
			return errors.New("is not HOST or HOST:PORT; name the address at which other nodes reach this one")
		}
		v = host
	}
	if !isHost(v) {
		return errors.New("is not HOST or HOST:PORT; name the address at which other nodes reach this one")
	}
	if ip, err := netip.ParseAddr(strings.Trim(v, "[]")); err == nil && ip.IsUnspecified() {
		return errors.New("is no address that others can reach; name one of this machine's own")
	}
	return nil
}

func parseJoin(c *Config, values []string) error {
	seen := map[string]bool{}
	for _, v := range values {
		if v == "" {
			continue // a comma too many
		}
		address := v
		if _, _, err := net.SplitHostPort(v); err != nil {
			if !isHost(v) {
				return fmt.Errorf("%q is not HOST or HOST:PORT; name the cluster address of another node", v)
			}
			address = net.JoinHostPort(strings.Trim(v, "[]"), DefaultClusterPort)
		}
		host, port, _ := net.SplitHostPort(address)
		if !isHost(host) || portFault(port) != nil || port == "0" {
			return fmt.Errorf("%q is not HOST or HOST:PORT; name the cluster address of another node", v)
		}
		if !seen[address] {
			seen[address] = true
			c.Join = append(c.Join, address)
		}
	}
	return nil
}

func parseExpect(c *Config, v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > maxExpect {
		return fmt.Errorf("is not a whole number from 1 to %d; give the number of nodes that form the cluster, the same on each", maxExpect)
	}
	c.BootstrapExpect = n
	return nil
}

func parseRemoveDead(c *Config, v string) error {
	if v == "never" {
		c.RemoveDeadAfter = 0
		return nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d != 0 && d < minRemoveDeadAfter {
		return fmt.Errorf("is not a time span of %s or more; write one such as 72h or 90m, or never", shortSpan(minRemoveDeadAfter))
	}
	c.RemoveDeadAfter = d
	return nil
}

// shortSpan leaves out the units that are 0.
func shortSpan(d time.Duration) string {
	text := d.String()
	if d%time.Minute == 0 {
		text = strings.TrimSuffix(text, "0s")
	}
	if d%time.Hour == 0 {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func parseLoops(c *Config, v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 || n > maxLoops {
		return fmt.Errorf("is not a whole number from 0 to %d; give the number of event loops, or 0 for one per core", maxLoops)
	}
	c.Loops = n
	return nil
}

func parseBackgroundNice(c *Config, v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 || n > maxNice {
		return fmt.Errorf("is not a whole number from 0 to %d; give by how much traffic goes first, or 0 if it is not to", maxNice)
	}
	c.BackgroundNice = n
	return nil
}

func parseBind(c *Config, v string) error {
	c.Bind = strings.Trim(v, "[]")
	if !isHost(v) {
		return errors.New("is not a host; give an IP address or a host name without a port")
	}
	return nil
}

func parseListenerAddrs(c *Config, values []string) error {
	c.ListenerAddrs = map[string]string{}
	for _, v := range values {
		name, address, found := strings.Cut(v, "=")
		if !found {
			return fmt.Errorf("%q is not NAME=HOST:PORT, such as default=127.0.0.1:8081", v)
		}
		if err := checkLabel(name); err != nil {
			return fmt.Errorf("listener's name %q %w", name, err)
		}
		address, err := hostPort(address)
		if err != nil {
			return fmt.Errorf("address in %q %w", v, err)
		}
		if _, twice := c.ListenerAddrs[name]; twice {
			return fmt.Errorf("listener %q is given twice; keep one address", name)
		}
		c.ListenerAddrs[name] = address
	}
	return nil
}

func boolean(v string) (bool, error) {
	is, err := strconv.ParseBool(v)
	if err != nil {
		return false, errors.New("is neither true nor false")
	}
	return is, nil
}

// trafficOptions mean nothing to a node that takes no traffic.
func trafficOptions() []string {
	return []string{"bind", "listener-addr", "loops", "background-nice", "zone", "drain-timeout"}
}

func parseDrain(c *Config, v string) error {
	d, err := time.ParseDuration(v)
	if err != nil || d < minDrainTimeout || d > maxDrainTimeout {
		return fmt.Errorf("is not a time span from %s to %s; write one such as 10s or 1m30s", minDrainTimeout, maxDrainTimeout)
	}
	c.DrainTimeout = d
	return nil
}

func parseLevel(c *Config, v string) error {
	if err := oneOf(v, "debug", "info", "warn", "error"); err != nil {
		return err
	}
	return c.LogLevel.UnmarshalText([]byte(v))
}
