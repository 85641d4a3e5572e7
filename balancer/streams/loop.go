package streams

import (
	"net/netip"

	"evenkeel/balancer/exchange"
	"evenkeel/balancer/http1"
	"evenkeel/balancer/http2"
	"evenkeel/balancer/table"
)

// Config is what a [Loop] is made from.
type Config struct {
	World     exchange.World
	Exchanges *exchange.Loop
	Index     int // of the loop
	// Connect begins to open a connection to a backend that speaks HTTP/2.
	Connect func(pool *table.Pool, b *table.Backend, to netip.AddrPort, events exchange.Events) (exchange.Link, error)
	// Scheme is what requests to the backends of a pool come by, "http" or "https".
	Scheme func(pool *table.Pool) string
	// Linger is as in [exchange.Bounds].
	Linger int64
}

// Loop is what the connections of HTTP/2 on one loop share. Its methods are for
// the loop's thread.
type Loop struct {
	Config
	memory       http2.Pool
	clientConfig http2.Config // what backends are granted
	upstreams    map[*table.Stats]*upstream
	servers      settingsConfigs
	freeStreams  []*stream
	freeLanes    []*lane

	// What follows is used within one event.
	text     []byte // of a message, as HTTP/1.1
	cookies  []byte
	request  http1.Request
	response http1.Response
	head     http2.Head

	resumed []*flow // that are to give what they kept
	current *flow   // the one that does
}

// The bounds on the head of a response, generous because backends are ours.
const (
	backendHead   = 128 << 10
	backendFields = 1024
)

// NewLoop returns a loop's part.
func NewLoop(config Config) *Loop {
	return &Loop{
		Config: config, upstreams: map[*table.Stats]*upstream{},
		clientConfig: http2.Config{HeadBytes: backendHead, Fields: backendFields},
	}
}

func (l *Loop) now() int64 { return l.World.Now() }

// resume has a flow give what it kept, at the end of the batch of events.
func (l *Loop) resume(f *flow) {
	if f.has(queued) {
		return
	}
	f.set(queued)
	if l.resumed = append(l.resumed, f); len(l.resumed) == 1 {
		l.World.Later(l)
	}
}

// Run implements [exchange.Task]. Those who are resumed meanwhile follow.
func (l *Loop) Run() {
	for i := 0; i < len(l.resumed); i++ {
		l.current = l.resumed[i]
		l.resumed[i] = nil
		l.current.clear(queued)
		l.current.offer()
	}
	l.current = nil
	l.resumed = l.resumed[:0]
}

// Bug cleans up after a bug of Evenkeel's within Run: the connection of the flow
// that met it is closed. The others are resumed.
func (l *Loop) Bug() {
	met := l.current
	l.current = nil
	rest := l.resumed[:0]
	for _, f := range l.resumed {
		if f != nil {
			rest = append(rest, f)
		}
	}
	if l.resumed = rest; len(rest) > 0 {
		l.World.Later(l)
	}
	if met != nil {
		met.owner.Bug()
	}
}

// Drop has the connections to a backend that is gone, down or drained closed
// once nothing is under way on them.
func (l *Loop) Drop(stats *table.Stats) {
	if u := l.upstreams[stats]; u != nil {
		delete(l.upstreams, stats)
		u.drop()
	}
}

// CutFor ends what is under way at a backend whose drain has lasted its time.
func (l *Loop) CutFor(stats *table.Stats) {
	if u := l.upstreams[stats]; u != nil {
		u.cut()
	}
}

// settingsConfigs are what listeners grant their clients, by their settings.
type settingsConfigs map[*exchange.Settings]*http2.Config

// manySettings is how many are kept: those of replaced settings are of no use.
const manySettings = 64

// configOf returns what clients of a listener are granted.
func (l *Loop) configOf(settings *exchange.Settings) *http2.Config {
	if config := l.servers[settings]; config != nil {
		return config
	}
	if l.servers == nil || len(l.servers) >= manySettings {
		l.servers = settingsConfigs{}
	}
	limits := settings.Limits.WithDefaults()
	config := &http2.Config{
		Streams: settings.HTTP2.Streams, HeadBytes: limits.Head, Fields: limits.Fields, ExtendedConnect: true,
	}
	l.servers[settings] = config
	return config
}
