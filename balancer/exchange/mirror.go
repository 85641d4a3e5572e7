package exchange

import (
	"math/bits"
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

// mirrored decides whether this request is copied to the route's mirror, and
// where to: the mirror's pool may choose by fields of the request, which are not
// there later.
func (x *exchange) mirrored(view *View, route *table.Route) {
	m, request := route.Mirror, &x.loop.request
	if m == nil || request.Framing == http1.FramingChunked || request.Length > mirrorBytes || x.has(offered) {
		return
	}
	// Multiples of the golden ratio, less their whole parts, are spread evenly,
	// and so is every n-th of them (Weyl): each route on the loop gets its share.
	x.loop.mirrorTurn += 0x9e3779b97f4a7c15
	if turn, _ := bits.Mul64(x.loop.mirrorTurn, 100); int(turn) >= m.Percent {
		return
	}
	pool := view.Table.PoolNamed(m.Pool)
	if pool == nil {
		return
	}
	if b := pool.Pick(x.choice(nil)); b != nil {
		x.copies, x.copyTo = pool, b
	}
}

// sendMirror sends the copy, once the request is whole.
func (x *exchange) sendMirror() {
	pool, b, l := x.copies, x.copyTo, x.loop
	if pool == nil || !x.has(replay) {
		return
	}
	x.copies, x.copyTo = nil, nil
	if l.mirrors >= maxMirrors {
		return
	}
	endpoint, ok := b.Endpoint(l.index)
	if !ok || l.retired(b) {
		return
	}
	m := &mirror{loop: l, client: x.client.link, pool: pool, target: b, tries: b.Stats.Attempt(l.now()), method: x.method}
	if most := pool.Limits.BackendRequests; most > 0 {
		if !l.acquire(b, most) {
			return
		}
		m.permitted = true
	}
	b.Stats.Local(l.index).Requests.Add(1)
	link, err := l.world.Dial(pool, b, endpoint, m)
	m.client = nil
	if err != nil {
		m.connectFailed(err)
		m.returnPermit()
		return
	}
	l.load(pool, b, 1)
	l.mirrors++
	m.link, m.request = link, append([]byte(nil), x.request...)
	m.deadline(pool.Timeouts.Connect)
}

// mirror is a copy of a request on a connection of its own, whose response is
// thrown away. It implements the events of a link.
type mirror struct {
	loop     *Loop
	client   Link // whose request it is, for the dial alone
	link     Link
	pool     *table.Pool
	target   *table.Backend
	tries    table.Attempt
	method   http1.Method
	request  []byte
	progress http1.Progress
	body     http1.Body
	began    bool // the response's head has come
	ended    bool
	// permitted tells that it holds a permit of its backend.
	permitted bool
}

// AppendAnnouncement implements [Announcing].
func (m *mirror) AppendAnnouncement(dst []byte) []byte { return announcement(m.pool, m.client, dst) }

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
	m.returnPermit()
	m.link.Close()
}

func (m *mirror) returnPermit() {
	if m.permitted {
		m.permitted = false
		m.loop.release(m.target, m.pool)
	}
}

// connectFailed counts what is the backend's fault.
func (m *mirror) connectFailed(err error) {
	if !m.loop.world.IsLocal(err) {
		m.target.Stats.Local(m.loop.index).ConnectFailures.Add(1)
		m.loop.failed(m.pool, m.target, m.tries, connectFault(err))
	}
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
			m.loop.counted(m.pool, m.target, m.tries, response.Status)
			m.body.Reset(response.Framing, response.Length)
		}
	}
	if _, err := m.body.Advance(p[taken:]); err != nil || m.body.Done() {
		if err == nil {
			m.pool.Succeeded(m.target, m.tries, m.loop.index)
		}
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
	if m.request != nil { // it waits for the connection
		m.connectFailed(err)
	}
	m.end()
}

// Expired ends it.
func (m *mirror) Expired() {
	if m.request != nil {
		m.connectFailed(errTimeout)
	}
	m.end()
}

// Relayed is of no concern.
func (m *mirror) Relayed(int64, error) {}
