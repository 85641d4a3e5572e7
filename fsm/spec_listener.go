package fsm

import "time"

// ListenerSpec says where every node accepts traffic.
type ListenerSpec struct {
	// Address is ":port", "IP:port" or "[v6]:port". A node's --bind fills in an
	// absent host, its --listener-addr replaces the whole address on that node.
	Address string `json:"address"`
	// Protocol is [ProtocolHTTP] (the default), [ProtocolHTTPS], [ProtocolTCP] or
	// [ProtocolTLSPassthrough]. Connections of the last two are forwarded whole: they
	// go by routes that name the listener, have pools and match nothing but an SNI.
	Protocol string `json:"protocol"`
	// TLS says how a listener of [ProtocolHTTPS] speaks TLS; nil means the defaults:
	// all certificates of the registry.
	TLS *ListenerTLS `json:"tls,omitempty"`
	// HTTP2 is of [ProtocolHTTP], where clients begin with it by prior knowledge, and
	// of [ProtocolHTTPS]; nil means the defaults.
	HTTP2 *ListenerHTTP2 `json:"http2,omitempty"`
	// ProxyProtocol has connections begin with a PROXY header; nil: they do not.
	ProxyProtocol *ListenerProxyProtocol `json:"proxy_protocol,omitempty"`
	// TrustedProxies are networks in CIDR form. A client within them is
	// believed what it says in X-Forwarded-* and Forwarded; from any other
	// those fields are replaced.
	TrustedProxies []string `json:"trusted_proxies,omitempty"`
	// Forwarding says which fields tell backends about the client; nil means
	// the defaults.
	Forwarding *Forwarding `json:"forwarding,omitempty"`
	// Timeouts and Limits bound what clients may cost; nil means the defaults.
	Timeouts *ListenerTimeouts `json:"timeouts,omitempty"`
	Limits   *ListenerLimits   `json:"limits,omitempty"`
}

// Kind implements [Spec].
func (ListenerSpec) Kind() Kind { return KindListener }

// SetDefaults fills a new spec with the defaults.
func (s *ListenerSpec) SetDefaults() { s.Protocol = ProtocolHTTP }

// Forwarding says which header fields a listener writes into requests.
type Forwarding struct {
	// XForwarded is X-Forwarded-For, -Proto and -Host; true by default.
	XForwarded bool `json:"x_forwarded"`
	// Forwarded is the field of RFC 7239; true by default.
	Forwarded bool `json:"forwarded"`
	// Via is RFC 9110 section 7.6.3, in requests and responses; false by
	// default, since common servers answer differently when they see it.
	Via bool `json:"via"`
}

// SetDefaults fills new settings with the defaults.
func (f *Forwarding) SetDefaults() { f.XForwarded, f.Forwarded = true, true }

// ListenerTimeouts are how long a listener waits for clients. Zero means the
// default.
type ListenerTimeouts struct {
	// ClientHead bounds a request's head from its first byte (or from the
	// connection's acceptance) to its last, and before it a PROXY header and the
	// handshake of TLS: 10 s by default, 10 ms to 1 h.
	ClientHead Duration `json:"client_head,omitempty" zero:"refused"`
	// ClientIdle is how long a connection may wait for its next request: 60 s by
	// default, 10 ms to 24 h.
	ClientIdle Duration `json:"client_idle,omitempty" zero:"refused"`
	// Body is how long a request's or response's body may stand still because of
	// the client: 5 m by default, 10 ms to 24 h.
	Body Duration `json:"body,omitempty" zero:"refused"`
	// Idle is how long a connection of [ProtocolTCP] or [ProtocolTLSPassthrough] may
	// be silent in both directions: 1 h by default, 10 ms to 24 h.
	Idle Duration `json:"idle,omitempty" zero:"refused"`
}

// ListenerLimits bound what clients may send. Zero means the default.
type ListenerLimits struct {
	// Connections is how many client connections each node serves at once at
	// this listener; further ones wait in the accept queue. 0: no bound but that
	// of the process; at most 1,000,000.
	Connections int `json:"connections,omitempty"`
	// HeadBytes bounds a request's head: 65,536 by default, 1,024 to 1,048,576.
	HeadBytes int `json:"head_bytes,omitempty" zero:"refused"`
	// LineBytes bounds each line of it: 16,384 by default, 256 to HeadBytes.
	LineBytes int `json:"line_bytes,omitempty" zero:"refused"`
	// Fields bounds the number of its fields: 128 by default, 8 to 4,096.
	Fields int `json:"fields,omitempty" zero:"refused"`
}

// EffectiveForwarding returns the settings with the defaults filled in.
func (s ListenerSpec) EffectiveForwarding() Forwarding {
	if s.Forwarding != nil {
		return *s.Forwarding
	}
	var f Forwarding
	f.SetDefaults()
	return f
}

// EffectiveTimeouts returns the timeouts with the defaults filled in.
func (s ListenerSpec) EffectiveTimeouts() ListenerTimeouts {
	var t ListenerTimeouts
	if s.Timeouts != nil {
		t = *s.Timeouts
	}
	orDuration(&t.ClientHead, 10*time.Second)
	orDuration(&t.ClientIdle, 60*time.Second)
	orDuration(&t.Body, 5*time.Minute)
	orDuration(&t.Idle, time.Hour)
	return t
}

// EffectiveLimits returns the limits with the defaults filled in.
func (s ListenerSpec) EffectiveLimits() ListenerLimits {
	var l ListenerLimits
	if s.Limits != nil {
		l = *s.Limits
	}
	orInt(&l.HeadBytes, 64<<10)
	orInt(&l.LineBytes, min(16<<10, l.HeadBytes))
	orInt(&l.Fields, 128)
	return l
}

func orDuration(d *Duration, standard time.Duration) {
	if *d == 0 {
		*d = Duration(standard)
	}
}

func orInt(n *int, standard int) {
	if *n == 0 {
		*n = standard
	}
}
