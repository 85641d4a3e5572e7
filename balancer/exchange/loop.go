package exchange

import (
	"evenkeel/balancer/http1"
	"evenkeel/balancer/table"
)

// Loop is what the exchanges of one loop share. It belongs to one thread.
type Loop struct {
	world       World
	index       int
	bounds      *Bounds
	request     http1.Request  // valid during the event that completed it
	response    http1.Response // likewise
	composer    composer
	answer      http1.ResponseRewrite
	loops       int // how many there are
	upstreams   map[*table.Stats]*upstream
	leases      map[*table.Stats]*lease
	queues      map[string]*queue // of pools with a bound, by name
	budgets     map[*table.PoolStats]*budget
	free        []*exchange
	path        []byte           // of the request, decoded
	extra       []byte           // further lines of the response
	wanted      table.Request    // what is looked up
	choice      table.Choice     // what is picked by
	unpublished []*table.Backend // whose loads other loops do not know yet
	mirrors     int              // copies under way
	mirrorTurn  uint64           // decides which request is copied, see mirrored
}

// NewLoop returns the exchanges' part of the loop with that index, of
// so many.
func NewLoop(world World, index, loops int, bounds *Bounds) *Loop {
	return &Loop{
		world: world, index: index, loops: loops, bounds: bounds,
		choice:    table.Choice{Loop: index},
		upstreams: map[*table.Stats]*upstream{},
		leases:    map[*table.Stats]*lease{},
		queues:    map[string]*queue{},
		budgets:   map[*table.PoolStats]*budget{},
	}
}

// retired tells whether an operator has taken a backend out of use since the
// table was made that a request goes by. A drain is reported as done once no new
// table gives anything to the backend, so that no retry may.
func (l *Loop) retired(b *table.Backend) bool {
	now := l.world.Present(b)
	return now == nil || now.Retired() && !b.Retired()
}

func (l *Loop) now() int64 { return l.world.Now() }

// take returns an empty exchange.
func (l *Loop) take() *exchange {
	if last := len(l.free) - 1; last >= 0 {
		x := l.free[last]
		l.free = l.free[:last]
		return x
	}
	return &exchange{seeker: seeker{loop: l}}
}

// give takes an exchange back. Nobody refers to it any more.
func (l *Loop) give(x *exchange) {
	request := x.request
	if cap(request) > keptBytes {
		request = nil
	}
	tried := x.tried
	tried.Reset()
	*x = exchange{seeker: seeker{loop: l, tried: tried}, request: request[:0]}
	l.free = append(l.free, x)
}
