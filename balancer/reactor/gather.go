package reactor

const (
	// gatherMost is how many writes wait for each other. The first is late by
	// what the handlers of the others take, some microseconds apiece; without
	// that the last would be late by as much, and by the sends before it.
	gatherMost = 128
	// gatherSize is how long a write may be that is worth a copy, and gatherRoom
	// is for all of them.
	gatherSize = 8 << 10
	gatherRoom = 256 << 10
)

// gathered are writes of several connections that are sent one right after the
// other: at the latest before the loop looks for events again.
//
// A send that finds its receiver asleep costs several times what one costs
// that finds it at work. Sent as they come about, between reading and parsing,
// the requests of one batch of events find a backend asleep again and again.
type gathered struct {
	writes []gatheredWrite
	bytes  []byte
}

type gatheredWrite struct {
	conn *Conn // nil once it was sent, or its connection closed
	end  int   // of its bytes, which begin where those before it end
}

func newGathered() gathered {
	return gathered{
		writes: make([]gatheredWrite, 0, gatherMost),
		bytes:  make([]byte, 0, gatherRoom),
	}
}

// gather takes a write that may wait, or returns false.
func (l *Loop) gather(c *Conn, p []byte) bool {
	g := &l.gathered
	if len(p) > gatherSize {
		return false
	}
	if len(g.writes) == gatherMost || cap(g.bytes)-len(g.bytes) < len(p) {
		l.sendGathered()
	}
	g.bytes = append(g.bytes, p...)
	g.writes = append(g.writes, gatheredWrite{conn: c, end: len(g.bytes)})
	c.gathered = int32(len(g.writes))
	return true
}

// sendGathered sends all that was gathered. It calls no handler.
func (l *Loop) sendGathered() {
	g := &l.gathered
	for i := range g.writes {
		if c := g.writes[i].conn; c != nil {
			c.sendGathered(false)
		}
	}
	g.writes, g.bytes = g.writes[:0], g.bytes[:0]
}

// sendGathered sends what was gathered for the connection, so that something
// else may follow; more tells that it follows at once. It calls no handler: an
// error is found by reading, as if the connection had broken right after the
// kernel took the bytes.
func (c *Conn) sendGathered(more bool) {
	if c.gathered == 0 {
		return
	}
	g, i := &c.loop.gathered, int(c.gathered)-1
	start := 0
	if i > 0 {
		start = g.writes[i-1].end
	}
	p := g.bytes[start:g.writes[i].end]
	c.dropGathered()
	if errno := c.transmit(p, more); errno != 0 {
		c.lost = errno
	}
}

// Unsend takes back what Write was given and has not sent yet.
func (c *Conn) Unsend() { c.dropGathered() }

// dropGathered forgets it.
func (c *Conn) dropGathered() {
	if c.gathered != 0 {
		c.loop.gathered.writes[c.gathered-1].conn = nil
		c.gathered = 0
	}
}
