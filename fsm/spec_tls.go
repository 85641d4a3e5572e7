package fsm

// Protocols of a listener.
const (
	ProtocolHTTP           = "http"            // HTTP/1 and HTTP/2 in clear text
	ProtocolHTTPS          = "https"           // both over TLS
	ProtocolTCP            = "tcp"             // connections are forwarded whole
	ProtocolTLSPassthrough = "tls-passthrough" // so, by the name that the client's TLS asks for
)

// Policies of TLS, as Mozilla's recommendations name them
// (https://wiki.mozilla.org/Security/Server_Side_TLS).
const (
	PolicyIntermediate = "intermediate" // TLS 1.2 with forward secrecy, and TLS 1.3
	PolicyModern       = "modern"       // TLS 1.3 alone
)

// Versions of TLS.
const (
	TLS12 = "1.2"
	TLS13 = "1.3"
)

// What a client gets that asks for a name of no certificate.
const (
	UnknownNameDefault = "default" // the default certificate
	UnknownNameRefuse  = "refuse"  // the alert unrecognized_name (RFC 6066, section 3)
)

// What is asked of clients.
const (
	ClientAuthRequired = "required" // without a good certificate there is no connection
	ClientAuthOptional = "optional" // one that is shown must be good
)

// ListenerTLS says how a listener of protocol https speaks TLS.
type ListenerTLS struct {
	// Certificates are names of certificates, at most 1,000. A client gets the first
	// one that is for the name it asks for, exact ones before wildcards, and without
	// a name the first one of all. None: all certificates of the registry, in the
	// order of their names.
	Certificates []string `json:"certificates,omitempty"`
	// MinVersion is [TLS12] or [TLS13]; if empty, what Policy has.
	MinVersion string `json:"min_version,omitempty"`
	// Policy is [PolicyIntermediate] or [PolicyModern]; intermediate by default.
	Policy string `json:"policy"`
	// UnknownName is [UnknownNameDefault] or [UnknownNameRefuse]; default by
	// default. Clients that name nothing get the default certificate in any case.
	UnknownName string `json:"unknown_name"`
	// ClientAuth asks clients for certificates; nil: they are not asked.
	ClientAuth *ClientAuth `json:"client_auth,omitempty"`
}

// SetDefaults fills new settings with the defaults.
func (t *ListenerTLS) SetDefaults() {
	t.Policy, t.UnknownName = PolicyIntermediate, UnknownNameDefault
}

// ClientAuth says which certificates clients may show.
type ClientAuth struct {
	// CA is one or more certificates in PEM, at most 64 KiB: who issues those of
	// clients.
	CA string `json:"ca"`
	// Mode is [ClientAuthRequired] or [ClientAuthOptional]; required by default.
	Mode string `json:"mode"`
}

// SetDefaults fills new settings with the defaults.
func (a *ClientAuth) SetDefaults() { a.Mode = ClientAuthRequired }

// ListenerHTTP2 says how a listener of protocol http or https speaks HTTP/2.
type ListenerHTTP2 struct {
	// Disabled has it speak HTTP/1 alone.
	Disabled bool `json:"disabled,omitempty"`
	// Only has it speak HTTP/2 alone, which does not go with Disabled.
	Only bool `json:"only,omitempty"`
	// MaxStreams is how many requests one connection may have in flight: 1 to
	// 1,000, 128 by default.
	MaxStreams int `json:"max_streams,omitempty" zero:"refused"`
}

// ListenerProxyProtocol has every connection begin with a PROXY header, version 1
// or 2, which says who the client is
// (https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt).
type ListenerProxyProtocol struct {
	// Trusted are the networks in CIDR form from which connections are taken, 1 to
	// 256. Those from elsewhere are closed.
	Trusted []string `json:"trusted"`
}

// EffectiveTLS returns the settings with the defaults filled in. They say nothing
// of a listener that is not of [ProtocolHTTPS].
func (s ListenerSpec) EffectiveTLS() ListenerTLS {
	var t ListenerTLS
	t.SetDefaults()
	if s.TLS != nil {
		t = *s.TLS
	}
	if t.MinVersion == "" {
		t.MinVersion = TLS12
		if t.Policy == PolicyModern {
			t.MinVersion = TLS13
		}
	}
	return t
}

// EffectiveHTTP2 returns the settings with the defaults filled in.
func (s ListenerSpec) EffectiveHTTP2() ListenerHTTP2 {
	var h ListenerHTTP2
	if s.HTTP2 != nil {
		h = *s.HTTP2
	}
	orInt(&h.MaxStreams, 128)
	return h
}

// Protocols to the backends of a pool.
const (
	PoolHTTP1 = "http1"
	PoolHTTP2 = "http2"
)

// Versions of the PROXY header that connections to backends begin with.
const (
	ProxyV1 = "v1"
	ProxyV2 = "v2"
)

// PoolTLS says how a pool's backends are spoken to over TLS. Their certificates
// are verified unless Insecure is set.
type PoolTLS struct {
	// ServerName is what backends are asked for (SNI) and what their certificates
	// must be for; the host of the backend's address if empty.
	ServerName string `json:"server_name,omitempty"`
	// CA is one or more certificates in PEM, at most 64 KiB, that are trusted
	// instead of the system's. Not together with Insecure.
	CA string `json:"ca,omitempty"`
	// Certificate is the name of the certificate that is shown to backends which ask
	// for one.
	Certificate string `json:"certificate,omitempty"`
	// Insecure takes any certificate.
	Insecure bool `json:"insecure,omitempty"`
}

// EffectiveProtocol returns the protocol with the default filled in.
func (s PoolSpec) EffectiveProtocol() string {
	if s.Protocol == "" {
		return PoolHTTP1
	}
	return s.Protocol
}
