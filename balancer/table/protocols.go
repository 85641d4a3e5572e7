package table

import (
	"evenkeel/balancer/certificates"
	"evenkeel/balancer/proxyproto"
	"evenkeel/fsm"
)

// serverNameOf returns the server name that a route is for, "" for all.
func serverNameOf(m *fsm.RouteMatch) string { return m.SNI }

// proxyProtocolOf returns the version of the PROXY header that a pool's
// connections begin with, 0 for none.
func proxyProtocolOf(spec *fsm.PoolSpec) proxyproto.Version {
	switch spec.ProxyProtocol {
	case fsm.ProxyV1:
		return proxyproto.V1
	case fsm.ProxyV2:
		return proxyproto.V2
	}
	return 0
}

// Manner is how a pool's backends are spoken to. A connection that was made in one
// manner is of no use in another.
type Manner struct {
	tls           *certificates.Upstream
	http2         bool
	proxyProtocol proxyproto.Version
}

// Manner returns how the pool's backends are spoken to.
func (p *Pool) Manner() Manner { return Manner{p.TLS, p.HTTP2, p.ProxyProtocol} }
