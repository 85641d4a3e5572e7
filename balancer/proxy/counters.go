package proxy

import "sync/atomic"

// Counters are this node's counters of one listener. They belong to its name
// and outlive its sockets. All fields may be used from any goroutine.
type Counters struct {
	// Requests counts requests whose head arrived whole.
	Requests atomic.Uint64
	// NoRoute, NoBackend, BadGateway and Timeout count Evenkeel's own answers
	// 404, 503, 502 and 504.
	NoRoute, NoBackend, BadGateway, Timeout atomic.Uint64
	// Refused counts Evenkeel's own answers of any other status.
	Refused atomic.Uint64
	// ClientLeft counts requests whose client left before the end.
	ClientLeft atomic.Uint64
	// Panics counts requests that met a bug of Evenkeel's.
	Panics atomic.Uint64
	// BytesIn and BytesOut count what passed of bodies and tunnels, from and to
	// clients.
	BytesIn, BytesOut atomic.Uint64
	// Active is the number of requests under way, upgraded connections included.
	Active atomic.Int64
	// Connections is the number of open client connections.
	Connections atomic.Int64
}
