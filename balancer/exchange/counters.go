package exchange

import "sync/atomic"

// Counters are what one loop counts of one listener. Only that loop writes
// them; anybody may read. At a listener of connections that are forwarded each
// is counted as a request, NoRoute and NoBackend count those that were closed
// for that reason, BadGateway those whose backend reset them before it sent
// anything, and Timeout those that were idle for too long.
type Counters struct {
	// Requests counts requests whose head arrived whole.
	Requests atomic.Uint64
	// HTTP2 counts those among them that came over HTTP/2.
	HTTP2 atomic.Uint64
	// NoRoute, NoBackend, BadGateway and Timeout count Evenkeel's own answers
	// 404, 503, 502 and 504.
	NoRoute, NoBackend, BadGateway, Timeout atomic.Uint64
	// Refused counts Evenkeel's own answers of any other status.
	Refused atomic.Uint64
	// ClientLeft counts requests whose client left before the end.
	ClientLeft atomic.Uint64
	// Handshakes counts those of TLS that were done, Resumed those of them that took
	// up an earlier session, and BadHandshakes those that came to nothing, and clients
	// that spoke HTTP without TLS.
	Handshakes, Resumed, BadHandshakes atomic.Uint64
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
