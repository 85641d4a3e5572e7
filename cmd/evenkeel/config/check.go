package config

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
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
	l.checkAccess(noSecret)
	l.checkTLS(noSecret)
}

// checkAccess refuses an API that other machines reach and nobody can use, or
// whose callers are both asked for a token and not.
func (l *loader) checkAccess(noSecret bool) {
	c := l.config
	tokenKnown := !l.faulty("admin-token") && !l.faulty(optAdminTokenFile)
	if c.InsecureAPI && c.AdminToken != "" {
		l.fault(optInsecureAPI, "asks for an API without a token, but an admin token is given; drop one of the two")
	}
	if !l.faulty(optAPIAddr) && !l.faulty(optInsecureAPI) && tokenKnown && noSecret &&
		c.APIIsOpen() && !c.InsecureAPI && c.AdminToken == "" {
		l.fault(optAPIAddr, "is open to other machines, where callers need a token; give the cluster a secret, of which "+
			"`evenkeel token bootstrap` derives one, or set an admin token with EVENKEEL_ADMIN_TOKEN or --admin-token-file, "+
			"or say --insecure-api if whoever reaches it may change everything")
	}
}

// checkTLS refuses a certificate that is not whole, and two of them.
func (l *loader) checkTLS(noSecret bool) {
	c := l.config
	if c.APITLS != "" && !l.faulty(optAPITLS) {
		if noSecret {
			l.fault(optAPITLS, "asks for a certificate from the cluster's authority, which follows from the cluster's secret; give that with --secret-file")
		}
		if c.APITLSCert != "" || c.APITLSKey != "" {
			l.fault(optAPITLS, "asks for a certificate from the cluster's authority, but one of your own is given; drop one of the two")
		}
	}
	switch {
	case l.faulty(optAPITLSCert) || l.faulty(optAPITLSKey) || c.APITLSCert == "" && c.APITLSKey == "":
		return
	case c.APITLSKey == "":
		l.fault(optAPITLSCert, "is of no use without its key; give that with --"+optAPITLSKey)
		return
	case c.APITLSCert == "":
		l.fault(optAPITLSKey, "is of no use without its certificate; give that with --"+optAPITLSCert)
		return
	}
	certificate, certRead := l.readPEM(optAPITLSCert, c.APITLSCert)
	key, keyRead := l.readPEM(optAPITLSKey, c.APITLSKey)
	if !certRead || !keyRead {
		return
	}
	l.warnOfRights(optAPITLSKey, c.APITLSKey)
	if _, err := tls.X509KeyPair(certificate, key); err != nil {
		l.fault(optAPITLSCert, fmt.Sprintf("and the key %q make no certificate that can be served: %s", c.APITLSKey, strings.TrimPrefix(err.Error(), "tls: ")))
	}
}

// readPEM reads the file of an option; what keeps it from being read is a fault.
func (l *loader) readPEM(name, path string) (data []byte, ok bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		l.fault(name, fmt.Sprintf("cannot be read: %v", reason(err)))
	}
	return data, err == nil
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
