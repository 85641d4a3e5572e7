package exchange

import (
	"time"

	"evenkeel/balancer/http1"
	"evenkeel/balancer/table"
)

const (
	// mirrorBytes is the largest request that is copied.
	mirrorBytes = replayBytes
	// maxMirrors bounds the copies that a loop has under way; further ones are
	// left out, so that a slow mirror costs nobody anything.
	maxMirrors = 256
)

// mirrored decides whether this request is copied to the route's mirror.
func (x *exchange) mirrored(route *table.Route) {
	m, request := route.Mirror, &x.loop.request
	if m == nil || request.Framing == http1.FramingChunked || request.Length > mirrorBytes || x.has(offered) {
		return
	}
	// Every request in turn gets its share: 30 of each 100 for 30 percent.
	x.loop.mirrorTurn += m.Percent
	if x.loop.mirrorTurn < 100 {
		return
	}
	x.loop.mirrorTurn -= 100
	x.mirror = m
}

// sendMirror sends the copy, once the request is whole.
func (x *exchange) sendMirror() {
	if x.mirror == nil || !x.upload.Done() || !x.has(replay) {
		return
	}
	to := x.mirror
	x.mirror = nil
	l := x.loop
	pool := l.world.View().Table.PoolNamed(to.Pool)
	if pool == nil || l.mirrors >= maxMirrors {
		return
	}
	b := pool.Pick(nil)
	if b == nil {
		return
	}
	endpoint, ok := b.Endpoint(x.loop.index)
	if !ok {
		return
	}
	m := &mirror{loop: l, pool: pool, target: b, method: x.method, request: append([]byte(nil), x.request...)}
	b.Stats.Local(l.index).Requests.Add(1)
	link, err := l.world.Dial(endpoint, m)
	if err != nil {
		b.Stats.Local(l.index).ConnectFailures.Add(1)
		return
	}
	l.load(pool, b, 1)
	l.mirrors++
	m.link = link
	m.deadline(pool.Timeouts.Connect)
}

// mirror is a copy of a request on a connection of its own, whose response is
// thrown away. It implements the events of a link.
type mirror struct {
	loop     *Loop
	link     Link
	pool     *table.Pool
	target   *table.Backend
	method   http1.Method
	request  []byte
	progress http1.Progress
	body     http1.Body
	began    bool // the response's head has come
	ended    bool
}

func (m *mirror) deadline(after time.Duration) {
	m.link.SetDeadline(m.loop.now() + int64(after))
}

// end gives everything back.
func (m *mirror) end() {
	if m.ended {
		return
	}
	m.ended = true
	m.loop.mirrors--
	m.loop.load(m.pool, m.target, -1)
	m.link.Close()
}

// Connected sends the request.
func (m *mirror) Connected() {
	m.link.Write(m.request, false)
	m.request = nil
	m.deadline(m.pool.Timeouts.FirstByte)
}

// Data reads the response to its end.
func (m *mirror) Data(p []byte) int {
	taken := 0
	for !m.began {
		response := &m.loop.response
		n, err := response.Parse(p[taken:], &m.progress, &backendLimits, m.method)
		if err != nil || response.Status == 101 && n > 0 {
			m.end()
			return len(p)
		}
		if n == 0 {
			return taken
		}
		taken += n
		if response.Status >= 200 {
			m.began = true
			m.target.Stats.Local(m.loop.index).CountResponse(response.Status)
			m.body.Reset(response.Framing, response.Length)
		}
	}
	if _, err := m.body.Advance(p[taken:]); err != nil || m.body.Done() {
		m.end()
	} else {
		m.deadline(m.pool.Timeouts.Body)
	}
	return len(p)
}

// EOF ends it.
func (m *mirror) EOF() { m.end() }

// Drained is of no concern.
func (m *mirror) Drained() {}

// Failed ends it.
func (m *mirror) Failed(err error) {
	if !m.began && m.request != nil && !m.loop.world.IsLocal(err) {
		m.target.Stats.Local(m.loop.index).ConnectFailures.Add(1)
	}
	m.end()
}

// Expired ends it.
func (m *mirror) Expired() { m.end() }

// Relayed is of no concern.
func (m *mirror) Relayed(int64, error) {}
