package config

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
)

// complete fills in the defaults that depend on the host or other options.
func (l *loader) complete() {
	c := l.config
	if c.Name == "" {
		hostname, err := os.Hostname()
		if err != nil {
			l.faults = append(l.faults, Fault{"name", "", "", fmt.Sprintf("the host's name cannot be found out (%v); give --name", err)})
		}
		c.Name = labelOf(hostname)
	}
	if c.DataDir == "" {
		c.DataDir = filepath.Join("evenkeel-data", c.Name)
	}
	if c.ClusterAddr == "" && !c.Secrets.LoopbackOnly() {
		c.ClusterAddr = ":" + DefaultClusterPort
	}
	if c.ClusterAddr == "" {
		c.ClusterAddr = "127.0.0.1:" + DefaultClusterPort
	}
}

// check looks for options that do not go together.
func (l *loader) check() {
	c := l.config
	noSecret := c.Secrets.LoopbackOnly() && !l.faulty("secret") && !l.faulty(optSecretFile)
	if !l.faulty(optClusterAddr) && noSecret && !isLoopback(c.ClusterAddr) {
		l.fault(optClusterAddr, "is open to other machines, and without a secret anyone there could join; "+
			"write one with `evenkeel secret > FILE` and give --secret-file FILE, or use a loopback address")
	}
	if !l.faulty(optJoin) && noSecret {
		if far := firstFar(c.Join); far != "" {
			l.fault(optJoin, far+" is on another machine, and without a secret the cluster port is on loopback only; "+
				"give every node the same secret with --secret-file")
		}
	}
	l.checkWitness()
	tokenKnown := !l.faulty("admin-token") && !l.faulty(optAdminTokenFile)
	if c.InsecureAPI && c.AdminToken != "" {
		l.fault(optInsecureAPI, "asks for an API without a token, but an admin token is given; drop one of the two")
	}
	if !l.faulty(optAPIAddr) && !l.faulty(optInsecureAPI) && tokenKnown &&
		!isLoopback(c.APIAddr) && !c.InsecureAPI && c.AdminToken == "" {
		l.fault(optAPIAddr, "is open to other machines; set an admin token with EVENKEEL_ADMIN_TOKEN or "+
			"--admin-token-file, or say --insecure-api if whoever reaches it may change everything")
	}
}

// checkWitness refuses what a witness would ignore, and one that is alone.
func (l *loader) checkWitness() {
	c := l.config
	if !c.Witness || l.faulty(optWitness) {
		return
	}
	for _, name := range trafficOptions() {
		if _, given := l.settings[name]; given && !l.faulty(name) {
			l.fault(name, "means nothing to a witness, which takes no traffic; leave it out")
		}
	}
	if len(c.Join) == 0 && c.BootstrapExpect <= 1 && !l.faulty(optJoin) && !l.faulty(optExpect) {
		l.fault(optWitness, "is for a node with others, since it takes no traffic; name them with --join")
	}
}

// firstFar returns the first address whose host is an IP address of another
// machine. What a host name stands for is not known here.
func firstFar(addresses []string) string {
	for _, address := range addresses {
		host, _, _ := net.SplitHostPort(address)
		if ip, err := netip.ParseAddr(host); err == nil && !ip.Unmap().IsLoopback() {
			return address
		}
	}
	return ""
}
