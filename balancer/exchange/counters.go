package exchange

import "sync/atomic"

// Spoken is what a client's connection speaks, in [Counters].Connections.
type Spoken uint8

// What connections speak.
const (
	SpokenHTTP1 Spoken = iota
	SpokenHTTP2
	SpokenTCP
	SpokenTLSPassthrough
	SpokenCount // how many there are
)

var spokenNames = [SpokenCount]string{"http1", "http2", "tcp", "tls_passthrough"}

// String is the protocol's name in metrics.
func (s Spoken) String() string { return spokenNames[s] }

// HandshakeFault is why a handshake of TLS with a client came to nothing.
type HandshakeFault uint8

// The faults of handshakes.
const (
	HandshakePlain             HandshakeFault = iota // the client spoke HTTP without TLS
	HandshakeTimeout                                 // it was too slow
	HandshakeLeft                                    // it went away
	HandshakeRefused                                 // it refused, such as the certificate that it was shown
	HandshakeNoCertificate                           // there is none for the name that it asked for
	HandshakeClientCertificate                       // its own is missing or not believed
	HandshakeStopped                                 // the listener ended
	HandshakeProtocol                                // anything else: versions, ciphers, what is no TLS
	HandshakeFaults                                  // how many there are
)

var handshakeFaultNames = [HandshakeFaults]string{
	"plain_http", "timeout", "client_left", "refused_by_client", "no_certificate", "client_certificate", "stopped", "protocol",
}

// String is the fault's name in metrics.
func (f HandshakeFault) String() string { return handshakeFaultNames[f] }

// Counters are what one loop counts of one listener. Only that loop writes
// them; anybody may read. At a listener of connections that are forwarded each
// is counted as a request, NoRoute and NoBackend count those that were closed
// for that reason, BadGateway those whose backend reset them before it sent
// anything, and Timeout those that were idle for too long.
type Counters struct {
	// Requests counts requests whose head arrived whole.
	Requests atomic.Uint64
	// Connections counts those of clients by what they speak: of HTTP/1 from their
	// first request on, of the others from their beginning, which for HTTP/2 over TLS
	// is the end of the handshake.
	Connections [SpokenCount]atomic.Uint64
	// HTTP2 counts those among them that came over HTTP/2.
	HTTP2 atomic.Uint64
	// NoRoute, NoBackend, BadGateway and Timeout count Evenkeel's own answers
	// 404, 503, 502 and 504.
	NoRoute, NoBackend, BadGateway, Timeout atomic.Uint64
	// Refused counts Evenkeel's own answers of any other status.
	Refused atomic.Uint64
	// ClientLeft counts requests whose client left before the end.
	ClientLeft atomic.Uint64
	// FullHandshakes and Resumed count handshakes of TLS that were done: in full, and
	// of those that took up an earlier session. BadHandshakes counts those that came to
	// nothing, but not connections that ended without a byte, which is how others look
	// whether the port is open.
	FullHandshakes, Resumed atomic.Uint64
	BadHandshakes           [HandshakeFaults]atomic.Uint64
	// HTTP2Floods counts connections of HTTP/2 that were closed because their clients
	// did too much that costs this side more than them, HTTP2Faults those closed for
	// any other fault of theirs.
	HTTP2Floods, HTTP2Faults atomic.Uint64
	// ProxyHeader and Hello count connections that were closed before anything
	// else: since they did not begin with a PROXY header, or came from where none
	// is believed, though the listener wants one; and since they did not begin with
	// the hello of a TLS client.
	ProxyHeader, Hello atomic.Uint64
	// Panics counts requests that met a bug of Evenkeel's.
	Panics atomic.Uint64
	// BytesIn and BytesOut count what passed of bodies, with what frames their
	// chunks, of tunnels and of forwarded connections, from and to clients.
	BytesIn, BytesOut atomic.Uint64

	_ [64]byte // no two loops share a cache line
}

// Live is what goes on at one listening address on one loop, which alone writes
// it.
type Live struct {
	// Requests is the number of requests under way, upgraded connections
	// included.
	Requests atomic.Int64
	// Connections is the number of open client connections.
	Connections atomic.Int64

	_ [112]byte // no two loops share a cache line
}
