package certificates

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
)

// UpstreamSettings are how a pool's backends are spoken to by TLS.
type UpstreamSettings struct {
	// Pool is its name.
	Pool string
	// ServerName is the name that is asked for and that a backend's certificate has
	// to be for; "" means the host of its address.
	ServerName string
	// CA is who issues the backends' certificates, PEM; "" means whom the system
	// believes.
	CA string
	// Certificate is what is shown to backends that ask; nil means none.
	Certificate *Certificate
	// Insecure has every certificate believed.
	Insecure bool
	// Protocols are the ALPN names that are offered. Where that is [HTTP2] alone, a
	// backend that does not choose it is not spoken to.
	Protocols []string
}

var errNoHTTP2 = errors.New("the backend does not choose HTTP/2: have it offer h2, or set the pool's protocol to http1")

// maxSessions is how many sessions are kept for a pool, the newest.
const maxSessions = 256

// Upstream is how a pool's backends are spoken to. It is immutable, but for the
// sessions that it keeps for later connections.
type Upstream struct {
	config *tls.Config
}

// NewUpstream returns how a pool's backends are spoken to.
func NewUpstream(s UpstreamSettings) (*Upstream, error) {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: s.ServerName, NextProtos: s.Protocols,
		InsecureSkipVerify: s.Insecure, ClientSessionCache: tls.NewLRUClientSessionCache(maxSessions),
	}
	if s.CA != "" {
		pool, err := poolOf(s.CA)
		if err != nil {
			return nil, fmt.Errorf("pool %q: authority of backends: %w", s.Pool, err)
		}
		config.RootCAs = pool
	}
	if len(s.Protocols) == 1 && s.Protocols[0] == HTTP2 { // RFC 9113 section 3.2
		config.VerifyConnection = func(state tls.ConnectionState) error {
			if state.NegotiatedProtocol != HTTP2 {
				return errNoHTTP2
			}
			return nil
		}
	}
	if shown := s.Certificate; shown != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return shown.shown.Load(), nil
		}
	}
	return &Upstream{config: config}, nil
}

// NoUpstream believes nobody: it stands in where what a pool says cannot be used,
// so that its backends are not spoken to in another way.
func NoUpstream() *Upstream {
	return &Upstream{config: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}}
}

// Equal tells whether two settings say the same.
func (s UpstreamSettings) Equal(other UpstreamSettings) bool {
	return s.Pool == other.Pool && s.ServerName == other.ServerName && s.CA == other.CA && s.Certificate == other.Certificate &&
		s.Insecure == other.Insecure && slices.Equal(s.Protocols, other.Protocols)
}

// For returns the configuration of a connection to a backend with that address,
// "host:port", which is the connection's own.
func (u *Upstream) For(address string) *tls.Config {
	config := u.config.Clone()
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			host = address
		}
		config.ServerName = strings.TrimSuffix(host, ".")
	}
	if config.ClientSessionCache == nil {
		return config
	}
	config.ClientSessionCache = sessions{cache: config.ClientSessionCache, of: address}
	return config
}

// sessions are those with one backend: another one of the same name would know
// nothing of them.
type sessions struct {
	cache tls.ClientSessionCache
	of    string
}

// Get implements [tls.ClientSessionCache].
func (s sessions) Get(key string) (*tls.ClientSessionState, bool) {
	return s.cache.Get(s.of + " " + key)
}

// Put implements [tls.ClientSessionCache].
func (s sessions) Put(key string, session *tls.ClientSessionState) {
	s.cache.Put(s.of+" "+key, session)
}
