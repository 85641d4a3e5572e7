package reactor

import "syscall"

// turnBytes is how much one connection may read before others get a turn.
const turnBytes = 1 << 20

// Pause holds Data and EOF back until Resume.
func (c *Conn) Pause() { c.set(paused) }

// Resume ends a Pause, and gives what is kept. That happens soon, from the
// ready list, and never within the call.
func (c *Conn) Resume() {
	c.clear(paused)
	c.set(offering) // a Data that is under way may leave something
	c.queue()
}

// pull gives the handler what there is, until there is no more, it pauses, or
// others should have a turn.
func (c *Conn) pull() {
	if c.relay != nil {
		c.relay.pump()
		return
	}
	for budget := turnBytes; !c.has(paused | closed | closing); {
		switch {
		case c.has(offering):
			if c.offer(); c.has(offering) {
				c.queue()
				return
			}
		case c.has(ended):
			c.tellEnd()
			return
		case !c.has(readable) || c.relay != nil:
			return
		case budget <= 0:
			c.queue()
			return
		default:
			budget -= c.receive()
		}
	}
}

// offer gives kept bytes again.
func (c *Conn) offer() {
	c.clear(offering)
	in := c.in
	if len(in) == 0 {
		return
	}
	c.in = nil
	n := c.handler.Data(in)
	if n == len(in) || c.has(closed|closing) {
		c.loop.buffers.put(in)
		return
	}
	c.in = in[:copy(in, in[n:])]
}

func (c *Conn) tellEnd() {
	switch {
	case c.lost != 0:
		c.fail(c.lost)
	case !c.has(toldEnd):
		c.set(toldEnd)
		c.handler.EOF()
	}
}

// receive reads once and returns how many bytes came.
func (c *Conn) receive() int {
	buffer := c.loop.read
	kept := copy(buffer, c.in)
	if kept == len(buffer) { // the handler consumes nothing of a full buffer
		c.set(paused)
		return 0
	}
	n, errno := receive(c.fd, buffer[kept:])
	switch {
	case errno == syscall.EINTR:
		return 0
	case errno == syscall.EAGAIN:
		c.clear(readable)
		c.register()
		return 0
	case errno != 0:
		c.fail(errno)
		return 0
	case n == 0:
		c.clear(readable)
		c.set(ended)
		return 0
	}
	if n < len(buffer)-kept && !c.has(hungUp) {
		c.clear(readable) // drained: the next bytes are an edge
	}
	c.deliver(buffer[:kept+n])
	return n
}

// deliver gives bytes of the loop's read buffer to the handler and keeps what
// it does not consume.
func (c *Conn) deliver(p []byte) {
	c.dropInput()
	n := c.handler.Data(p)
	if n < len(p) && !c.has(closed|closing) {
		c.in = c.loop.buffers.add(nil, p[n:])
	}
}

// Alive tells whether an idle connection is still open and silent: nothing is
// to be read and no end is known.
func (c *Conn) Alive() bool {
	return !c.has(closed|closing|broken|ended|hungUp) && len(c.in) == 0 && isSilent(c.fd)
}
