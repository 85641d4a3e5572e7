package exchange

import (
	"evenkeel/balancer/table"
)

// CutFor ends the request on the connection if it is under way at that backend,
// whose drain has lasted its time. One that may be repeated goes to another
// backend.
func (b *Backend) CutFor(stats *table.Stats) {
	x := b.x
	if x == nil || b.target.Stats != stats {
		return
	}
	switch {
	case x.has(responded):
		x.discardRest()
	case x.has(headSent): // tunnels are among them
		x.cut(resetCancel)
	case !b.connected, x.repeatable():
		x.dropBackend()
		x.elsewhere(gatewayTimeout)
	default:
		x.dropBackend()
		x.answer(gatewayTimeout)
	}
}

// CutFor ends the copy if it is under way at that backend.
func (m *mirror) CutFor(stats *table.Stats) {
	if m.target.Stats == stats {
		m.end()
	}
}
