package fsm

import "time"

// Bounds of a listener, part of the feature level.
const (
	minClientWait = 10 * time.Millisecond
	maxHeadWait   = time.Hour
	maxWait       = 24 * time.Hour

	maxConnections = 1_000_000
	minHeadBytes   = 1 << 10
	maxHeadBytes   = 1 << 20
	minLineBytes   = 256
	minFields      = 8
	maxFields      = 4096
)

func (s ListenerSpec) validate(f *faults) {
	checkListenerAddress(f, "/spec/address", s.Address)
	s.validateProtocol(f)
	checkNetworks(f, "/spec/trusted_proxies", s.TrustedProxies)
	if t := s.Timeouts; t != nil {
		checkSpan(f, "/spec/timeouts/client_head", t.ClientHead, minClientWait, maxHeadWait)
		checkSpan(f, "/spec/timeouts/client_idle", t.ClientIdle, minClientWait, maxWait)
		checkSpan(f, "/spec/timeouts/body", t.Body, minClientWait, maxWait)
		checkSpan(f, "/spec/timeouts/idle", t.Idle, minClientWait, maxWait)
	}
	if s.Limits != nil {
		s.validateLimits(f)
	}
	if s.TLS != nil {
		s.TLS.validate(f)
	}
	if s.HTTP2 != nil {
		checkCount(f, "/spec/http2/max_streams", s.HTTP2.MaxStreams, 1, maxStreams)
		if s.HTTP2.Only && s.HTTP2.Disabled {
			f.add("/spec/http2/only", "is true and so is disabled, so that the listener would speak nothing: leave either out")
		}
	}
	if p := s.ProxyProtocol; p != nil {
		checkNetworks(f, "/spec/proxy_protocol/trusted", p.Trusted)
		if len(p.Trusted) == 0 {
			f.add("/spec/proxy_protocol/trusted", `is empty, so that no connection would be taken: give the networks of the proxies, such as "10.0.0.0/8"`)
		}
	}
}

func (s ListenerSpec) validateLimits(f *faults) {
	l := s.Limits
	checkRange(f, "/spec/limits/connections", l.Connections, 0, maxConnections)
	checkCount(f, "/spec/limits/head_bytes", l.HeadBytes, minHeadBytes, maxHeadBytes)
	checkCount(f, "/spec/limits/fields", l.Fields, minFields, maxFields)
	head := s.EffectiveLimits().HeadBytes
	if head < minHeadBytes || head > maxHeadBytes {
		head = maxHeadBytes // the head's own fault is enough
	}
	checkCount(f, "/spec/limits/line_bytes", l.LineBytes, minLineBytes, head)
}
