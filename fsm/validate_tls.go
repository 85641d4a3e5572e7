package fsm

import (
	"fmt"
	"slices"
)

// Bounds of TLS and of what else speaks other protocols, part of the feature level.
const (
	maxCertificateNames   = 1000
	maxStreams            = 1000
	maxBackendConnections = 1000
	maxService            = 256
)

// validateProtocol reports the parts that the listener's protocol has no use for.
func (s ListenerSpec) validateProtocol(f *faults) {
	if !slices.Contains(listenerProtocols(), s.Protocol) {
		f.add("/spec/protocol", "%q is not a protocol of a listener: use http, https, tcp or tls-passthrough", clip(s.Protocol))
		return
	}
	const requests = "and that one forwards connections whole: leave it out, or use http or https"
	http := s.Protocol == ProtocolHTTP || s.Protocol == ProtocolHTTPS
	t, l := s.EffectiveTimeouts(), ListenerLimits{}
	if s.Timeouts != nil {
		t = *s.Timeouts
	}
	if s.Limits != nil {
		l = *s.Limits
	}
	for _, part := range []struct {
		pointer string
		used    bool
		misused bool
		why     string
	}{
		{"/spec/tls", s.TLS != nil, s.Protocol != ProtocolHTTPS, "and only https speaks TLS itself: leave it out, or use https"},
		{"/spec/http2", s.HTTP2 != nil, !http, requests},
		{"/spec/trusted_proxies", len(s.TrustedProxies) > 0, !http, requests},
		{"/spec/forwarding", s.Forwarding != nil, !http, requests},
		{"/spec/timeouts/client_idle", s.Timeouts != nil && t.ClientIdle != 0, !http, requests + ", or set idle"},
		{"/spec/timeouts/body", s.Timeouts != nil && t.Body != 0, !http, requests + ", or set idle"},
		{"/spec/timeouts/idle", s.Timeouts != nil && t.Idle != 0, http, "and idle is of connections that are forwarded whole: leave it out, or set client_idle"},
		{"/spec/limits/head_bytes", l.HeadBytes != 0, !http, requests},
		{"/spec/limits/line_bytes", l.LineBytes != 0, !http, requests},
		{"/spec/limits/fields", l.Fields != 0, !http, requests},
	} {
		if part.used && part.misused {
			f.add(part.pointer, "the listener is of protocol %s, %s", s.Protocol, part.why)
		}
	}
}

func listenerProtocols() []string {
	return []string{ProtocolHTTP, ProtocolHTTPS, ProtocolTCP, ProtocolTLSPassthrough}
}

func (t *ListenerTLS) validate(f *faults) {
	if len(t.Certificates) > maxCertificateNames {
		f.add("/spec/tls/certificates", "has %d names, at most %d are taken", len(t.Certificates), maxCertificateNames)
	} else {
		seen := make(map[string]bool, len(t.Certificates))
		for i, name := range t.Certificates {
			pointer := fmt.Sprintf("/spec/tls/certificates/%d", i)
			CheckName(name, pointer, f.add)
			if seen[name] {
				f.add(pointer, "%q is listed twice: name each certificate once", clip(name))
			}
			seen[name] = true
		}
	}
	if t.Policy != PolicyIntermediate && t.Policy != PolicyModern {
		f.add("/spec/tls/policy", "%q is not one of intermediate, modern", clip(t.Policy))
	}
	switch {
	case t.MinVersion == "" || t.MinVersion == TLS13:
	case t.MinVersion != TLS12:
		f.add("/spec/tls/min_version", `%q is not one of "1.2", "1.3": leave it out for what the policy has`, clip(t.MinVersion))
	case t.Policy == PolicyModern:
		f.add("/spec/tls/min_version", `"1.2": the policy modern is TLS 1.3 alone: leave it out, or use the policy intermediate`)
	}
	if t.UnknownName != UnknownNameDefault && t.UnknownName != UnknownNameRefuse {
		f.add("/spec/tls/unknown_name", "%q is not one of default, refuse", clip(t.UnknownName))
	}
	if a := t.ClientAuth; a != nil {
		checkCA(f, "/spec/tls/client_auth/ca", a.CA)
		if a.Mode != ClientAuthRequired && a.Mode != ClientAuthOptional {
			f.add("/spec/tls/client_auth/mode", "%q is not one of required, optional", clip(a.Mode))
		}
	}
}

// checkCA reports what is not certificates in PEM, and of what is written what this
// build cannot use.
func checkCA(f *faults, pointer, text string) {
	checkCertificates(f, pointer, text)
	if f.writing && len(text) <= maxCheckCA {
		checkUsable(f, pointer, text)
	}
}

// validateTransport is about how backends are spoken to.
func (s PoolSpec) validateTransport(f *faults) {
	if s.Protocol != "" && s.Protocol != PoolHTTP1 && s.Protocol != PoolHTTP2 {
		f.add("/spec/protocol", "%q is not a protocol to backends: use http1 or http2", clip(s.Protocol))
	}
	switch {
	case s.ProxyProtocol != "" && s.ProxyProtocol != ProxyV1 && s.ProxyProtocol != ProxyV2:
		f.add("/spec/proxy_protocol", "%q is not a version of the PROXY header: use v1 or v2, or leave it out for none", clip(s.ProxyProtocol))
	case s.ProxyProtocol != "" && s.Protocol == PoolHTTP2:
		f.add("/spec/proxy_protocol", "%q: a connection of http2 carries requests of many clients, and its header could name but one: leave it out, or use http1", s.ProxyProtocol)
	}
	if s.Limits != nil && s.Limits.BackendConnections != 0 && s.Protocol != PoolHTTP2 {
		f.add("/spec/limits/backend_connections", "%d: it bounds connections of http2, and the pool speaks %s: leave it out, or set protocol to http2",
			s.Limits.BackendConnections, clip(s.EffectiveProtocol()))
	}
	if s.TLS != nil {
		s.TLS.validate(f)
	}
}

func (t *PoolTLS) validate(f *faults) {
	checkServerName(f, "/spec/tls/server_name", t.ServerName)
	if t.Certificate != "" {
		CheckName(t.Certificate, "/spec/tls/certificate", f.add)
	}
	if t.CA == "" {
		return
	}
	if t.Insecure {
		f.add("/spec/tls/ca", "insecure takes any certificate, so this would never be used: leave one of the two out")
	}
	checkCA(f, "/spec/tls/ca", t.CA)
}

// checkService reports what cannot be the name of a service of gRPC.
func checkService(f *faults, pointer, name string) {
	if len(name) > maxService {
		f.add(pointer, "has %d bytes, at most %d are taken", len(name), maxService)
		return
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c >= 0x7f {
			f.add(pointer, "%q is not the name of a service: write one such as \"shop.Orders\", of printable ASCII characters without a space", clip(name))
			return
		}
	}
}
