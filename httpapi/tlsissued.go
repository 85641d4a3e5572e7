package httpapi

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// renewAfter is the age at which an issued certificate is replaced, well before
// it ends.
const renewAfter = 30 * 24 * time.Hour

// IssuedCertificate is a certificate of the API that the node issues for
// itself, and again before it ends. It needs no goroutine: the handshake that
// finds it old makes the new one, which takes less than the handshake does.
type IssuedCertificate struct {
	// Issue returns a certificate for these hosts, valid from now.
	Issue func(hosts []string, now time.Time) (*tls.Certificate, error)
	// Hosts returns the names and addresses under which clients are told of the
	// node. What the machine itself knows need not be among them.
	Hosts func() []string

	mu      sync.Mutex // guards current and issued
	current *tls.Certificate
	issued  time.Time
}

// Certificate is what [tls.Config] asks at each handshake. The certificate
// names the address at which the client reached the node.
func (c *IssuedCertificate) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	local := localIP(hello)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.current != nil && c.covers(local) {
		// A clock that was set back makes what was issued before of the future.
		if age := now.Round(0).Sub(c.issued); age >= 0 && age < renewAfter {
			return c.current, nil
		}
	}
	certificate, err := c.Issue(c.hosts(local), now)
	if err != nil {
		return nil, fmt.Errorf("issue certificate of the api: %w", err)
	}
	c.current, c.issued = certificate, now.Round(0) // by the wall clock, which clients judge by
	return certificate, nil
}

func (c *IssuedCertificate) covers(ip net.IP) bool {
	return ip == nil || slices.ContainsFunc(c.current.Leaf.IPAddresses, ip.Equal)
}

// hosts are those of the configuration, and what the machine is called and has.
func (c *IssuedCertificate) hosts(local net.IP) []string {
	hosts := append([]string{"localhost", "127.0.0.1", "::1"}, c.Hosts()...)
	if local != nil {
		hosts = append(hosts, local.String())
	}
	if name, err := os.Hostname(); err == nil { // else it has no name to be reached by
		hosts = append(hosts, strings.ToLower(name))
	}
	if addresses, err := net.InterfaceAddrs(); err == nil { // else local is the one that counts
		for _, address := range addresses {
			if network, ok := address.(*net.IPNet); ok && !network.IP.IsLinkLocalUnicast() {
				hosts = append(hosts, network.IP.String())
			}
		}
	}
	return slices.DeleteFunc(hosts, func(host string) bool { return !certifiable(host) })
}

// certifiable tells whether a host can stand in a certificate: an address
// without a zone, or a name of letters, digits, dots, hyphens and underscores.
func certifiable(host string) bool {
	if net.ParseIP(host) != nil {
		return true
	}
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '-' || r == '_'
	}
	return host != "" && len(host) <= 253 && !strings.ContainsFunc(host, func(r rune) bool { return !plain(r) })
}

func localIP(hello *tls.ClientHelloInfo) net.IP {
	if hello == nil || hello.Conn == nil {
		return nil
	}
	if address, ok := hello.Conn.LocalAddr().(*net.TCPAddr); ok {
		return address.IP
	}
	return nil
}
