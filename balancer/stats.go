package balancer

import (
	"maps"
	"slices"

	"evenkeel/balancer/exchange"
)

// Snapshot is the counters of this node at one moment. All of them only grow,
// but for those that say "now".
type Snapshot struct {
	Listeners []ListenerStats // in the order of their names
	Backends  []BackendStats  // in the order of their pools and names
	Pools     []PoolStats     // in the order of their names
}

// PoolStats are what is counted of a pool.
type PoolStats struct {
	Name   string
	Panics bool // now: too few backends are usable, so all that are ready are used
	// Spared counts ejections that the pool's bound prevented.
	Spared uint64
}

// ListenerStats are the counters of a listener, as [exchange.Counters] explains
// them.
type ListenerStats struct {
	Name              string
	Requests          uint64
	NoRoute           uint64 // answered 404 by Evenkeel
	NoBackend         uint64 // 503
	BadGateway        uint64 // 502
	Timeout           uint64 // 504
	Refused           uint64 // any other status
	ClientLeft        uint64
	ProxyHeader       uint64 // connections closed for their PROXY header
	Hello             uint64 // connections closed for their TLS hello
	HTTP2Floods       uint64 // connections closed for what they flooded this node with
	HTTP2Faults       uint64 // connections of HTTP/2 closed for other faults
	Panics            uint64
	BytesIn, BytesOut uint64
	HTTP2             uint64 // of the requests, those over HTTP/2
	// Spoken are the connections that there were, by what they spoke.
	Spoken map[string]uint64
	// FullHandshakes and Resumed are those of TLS that were done, BadHandshakes those
	// that came to nothing, by why.
	FullHandshakes, Resumed uint64
	BadHandshakes           map[string]uint64
	Active                  int64 // requests, now
	Connections             int64 // now
}

// BackendStats are the counters of a backend, as [table.Stats] explains them.
type BackendStats struct {
	Pool, Name      string
	InFlight        int64 // now
	Requests        uint64
	ConnectFailures uint64
	Failures        uint64
	Ejections       uint64 // by this node
	Ejected         bool   // now
	// Responses are counted by class: Responses[2] are those of 200 to 299,
	// Responses[0] those outside of 100 to 599.
	Responses [6]uint64
}

// Stats returns the counters of all listeners and backends. Its cost follows
// the number of backends; it holds up no request.
func (b *Balancer) Stats() Snapshot {
	snapshot := Snapshot{Listeners: b.listeners.stats()}
	for pool := range b.Table().Pools() {
		snapshot.Pools = append(snapshot.Pools, PoolStats{Name: pool.Name, Panics: pool.Panics(), Spared: pool.Shared.Spared()})
		for _, backend := range pool.Backends() {
			stats := BackendStats{
				Pool: backend.Pool, Name: backend.Name,
				InFlight:        backend.Stats.InFlight(),
				Requests:        backend.Stats.Requests(),
				ConnectFailures: backend.Stats.ConnectFailures(),
				Failures:        backend.Stats.Failures(),
				Ejections:       backend.Stats.Ejections(),
				Ejected:         backend.Stats.Ejected(),
			}
			for class := range stats.Responses {
				stats.Responses[class] = backend.Stats.Responses(class)
			}
			snapshot.Backends = append(snapshot.Backends, stats)
		}
	}
	return snapshot
}

func (l *listeners) stats() []ListenerStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]ListenerStats, 0, len(l.counters))
	for _, name := range slices.Sorted(maps.Keys(l.counters)) {
		stats := ListenerStats{Name: name, Spoken: map[string]uint64{}, BadHandshakes: map[string]uint64{}}
		for i := range l.counters[name] {
			stats.add(&l.counters[name][i])
		}
		if e := l.entries[name]; e != nil && e.current != nil {
			stats.addLive(e.current.server)
		}
		for r := range l.draining {
			if r.name == name {
				stats.addLive(r.server)
			}
		}
		all = append(all, stats)
	}
	return all
}

// add adds what one loop counted.
func (s *ListenerStats) add(c *exchange.Counters) {
	s.Requests += c.Requests.Load()
	s.NoRoute += c.NoRoute.Load()
	s.NoBackend += c.NoBackend.Load()
	s.BadGateway += c.BadGateway.Load()
	s.Timeout += c.Timeout.Load()
	s.Refused += c.Refused.Load()
	s.ProxyHeader += c.ProxyHeader.Load()
	s.Hello += c.Hello.Load()
	s.HTTP2Floods += c.HTTP2Floods.Load()
	s.HTTP2Faults += c.HTTP2Faults.Load()
	s.HTTP2 += c.HTTP2.Load()
	s.FullHandshakes += c.FullHandshakes.Load()
	s.Resumed += c.Resumed.Load()
	for spoken := range c.Connections {
		s.Spoken[exchange.Spoken(spoken).String()] += c.Connections[spoken].Load()
	}
	for fault := range c.BadHandshakes {
		s.BadHandshakes[exchange.HandshakeFault(fault).String()] += c.BadHandshakes[fault].Load()
	}
	s.Panics += c.Panics.Load()
	s.ClientLeft += c.ClientLeft.Load()
	s.BytesIn += c.BytesIn.Load()
	s.BytesOut += c.BytesOut.Load()
}

// addLive adds what goes on at one address.
func (s *ListenerStats) addLive(of server) {
	connections, requests := of.Live()
	s.Connections += connections
	s.Active += requests
}
