package exchange

import (
	"net/netip"
	"sync/atomic"
	"time"

	"evenkeel/balancer/http1"
)

// Settings are how a listener treats its clients. They are never changed, only
// replaced.
type Settings struct {
	// Scheme is how clients speak to the listener: "https", or "http", which "" means
	// too.
	Scheme string
	// Protocol is what the clients speak.
	Protocol Protocol
	// Trusted are the networks of trusted proxies.
	Trusted []netip.Prefix
	// NoXForwarded, NoForwarded and Via say which fields are written.
	NoXForwarded, NoForwarded, Via bool
	// Limits bound a request's head.
	Limits http1.Limits
	// ClientHead, ClientIdle and Body are as in [fsm.ListenerTimeouts].
	ClientHead, ClientIdle, Body time.Duration
	// HTTP2 is how clients may use HTTP/2.
	HTTP2 HTTP2
	// Idle is how long a forwarded connection may be silent in both directions.
	Idle time.Duration
	// ProxyHeader tells that each connection has to begin with a PROXY header, and
	// ProxyTrusted from which networks connections are taken at all then.
	ProxyHeader  bool
	ProxyTrusted []netip.Prefix
	// Connections bounds the client connections; 0: no bound.
	Connections int
}

// HTTP2 is what a listener grants clients of HTTP/2.
type HTTP2 struct {
	Disabled bool
	// Only has the engine serve every connection as one of HTTP/2.
	Only bool
	// Streams is how many a client may have open at once on a connection; 0: the
	// default of package http2.
	Streams int
}

func (s *Settings) scheme() string {
	if s.Scheme == "" {
		return "http"
	}
	return s.Scheme
}

// Protocol is what the clients of a listener speak.
type Protocol uint8

const (
	// ProtocolHTTP is HTTP, whatever it comes over.
	ProtocolHTTP Protocol = iota
	// ProtocolTCP is anything: connections are forwarded as they are.
	ProtocolTCP
	// ProtocolTLSPassthrough is TLS that a backend ends: connections are forwarded
	// by the name that they are for.
	ProtocolTLSPassthrough
)

// Announces tells whether a peer is believed what its PROXY header says.
func (s *Settings) Announces(peer netip.Addr) bool {
	for _, network := range s.ProxyTrusted {
		if network.Contains(peer.Unmap()) {
			return true
		}
	}
	return false
}

// isTrusted tells whether a client is believed what it says of others.
func (s *Settings) isTrusted(client netip.Addr) bool {
	for _, network := range s.Trusted {
		if network.Contains(client) {
			return true
		}
	}
	return false
}

// Listener is what the clients of one listening address have in common.
type Listener struct {
	Name     string
	Settings atomic.Pointer[Settings]
	// Counters and Live have an entry for each loop. Counters may be shared with
	// other addresses of the same name.
	Counters []Counters
	Live     []Live
	// Closing makes each response ask for the connection to be closed.
	Closing atomic.Bool
	// Closed is called on the loop of a client's connection when that has ended;
	// nil if nobody cares.
	Closed func()
}
