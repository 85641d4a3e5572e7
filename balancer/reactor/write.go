package reactor

import "syscall"

// Write sends p, now or with other writes of the batch of events that is being
// worked off, and keeps a copy of what the kernel does not take. more tells
// that another Write follows at once, so that the two may share a packet. It
// returns false if the connection cannot be written to any more; reading goes
// on to its end then, since a response may have arrived before the reset, and
// EOF or Failed comes. That may also turn out after Write. Sent tells whether
// anything was sent before.
func (c *Conn) Write(p []byte, more bool) bool {
	c.sendGathered(more)
	if c.has(broken | closed | closing | finAfter) {
		return false
	}
	if len(c.out) > 0 || c.has(connecting) || c.feeding != nil {
		c.keep(p)
		return true
	}
	if !more && c.loop.gather(c, p) {
		return true
	}
	if errno := c.transmit(p, more); errno != 0 {
		c.lost = errno // a send takes the error from the socket: reading would find a proper end
		return false
	}
	return true
}

// Flush sends now what Write has left for later; more tells that a CloseWrite or
// a Close follows at once, whose FIN may share its packet.
func (c *Conn) Flush(more bool) { c.sendGathered(more) }

// transmit sends p and keeps what the kernel does not take. After an error the
// connection is broken.
func (c *Conn) transmit(p []byte, more bool) syscall.Errno {
	for {
		n, errno := send(c.fd, p, more)
		switch errno {
		case 0, syscall.EAGAIN:
			c.sent += int64(n)
			if n < len(p) {
				c.out = c.loop.buffers.add(nil, p[n:])
				c.register()
			}
			return 0
		case syscall.EINTR:
		default:
			c.breakOff()
			return errno
		}
	}
}

// keep adds to what is kept. What was sent of it gives way first, so that a
// connection that never drains does not own all that it ever sent.
func (c *Conn) keep(p []byte) {
	if sent := int(c.outAt); sent > 0 && (sent >= len(c.out)/2 || cap(c.out)-len(c.out) < len(p)) {
		c.out, c.outAt = c.out[:copy(c.out, c.out[sent:])], 0
	}
	c.out = c.loop.buffers.add(c.out, p)
}

// breakOff notes that writing failed, and looks what there is to read.
func (c *Conn) breakOff() {
	c.set(broken | hungUp | readable)
	c.dropOutput()
	c.queue()
}

// Buffered is how many bytes Write keeps because the kernel did not take them.
func (c *Conn) Buffered() int { return len(c.out) - int(c.outAt) }

// CloseWrite sends a FIN after what is kept.
func (c *Conn) CloseWrite() {
	c.sendGathered(true) // the FIN goes with it
	if c.has(broken | closed | closing | finAfter) {
		return
	}
	c.set(finAfter)
	if c.Buffered() == 0 && !c.has(connecting) {
		c.finish()
	}
}

func (c *Conn) finish() {
	if c.has(finAfter) && !c.has(finished) {
		c.set(finished)
		shutdownWrite(c.fd)
	}
}

// flush sends what is kept, when the kernel has room.
func (c *Conn) flush() {
	had := len(c.out) > 0
	for int(c.outAt) < len(c.out) {
		n, errno := send(c.fd, c.out[c.outAt:], false)
		if errno == syscall.EINTR {
			continue
		}
		if errno == syscall.EAGAIN {
			return
		}
		if errno != 0 {
			c.flushFailed(errno)
			return
		}
		c.sent += int64(n)
		c.outAt += int32(n)
	}
	c.dropOutput()
	switch {
	case c.has(closing):
		c.free()
		return
	case c.has(finAfter):
		c.finish()
	}
	if r := c.feeding; r != nil && r.kept {
		r.kept, had = false, false // it was the relay's
	}
	if had {
		c.handler.Drained()
	}
	if c.feeding != nil {
		c.feeding.pump()
	}
}

// flushFailed is the end of a connection to which something was owed. A handler
// that reads learns it behind what arrived before; one that has paused, because
// of others, at once.
func (c *Conn) flushFailed(err syscall.Errno) {
	switch {
	case c.has(closing):
		c.free()
	case c.has(paused) || c.has(ended):
		c.fail(err)
	default:
		c.lost = err
		c.breakOff()
	}
}
