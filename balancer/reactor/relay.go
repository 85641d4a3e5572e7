package reactor

import (
	"io"
	"syscall"
)

const (
	// pipeSize is what is asked of the kernel for a pipe.
	pipeSize = 1 << 20
	// maxPipes is how many pipes a loop keeps for later.
	maxPipes = 64
	// relayTurn is how many bytes one relay moves before others get a turn.
	relayTurn = 4 << 20
)

// relay moves bytes from one connection to another without showing them to a
// handler: through a pipe, where the kernel can, else through the loop's read
// buffer.
type relay struct {
	from, to *Conn
	left     int64 // still to be read
	pipe     pipe
	inPipe   int64 // read and not yet written
	unpiped  bool  // there is no pipe to be had
	kept     bool  // the destination keeps bytes of this relay
}

// Relay moves the next n bytes that arrive at c to another connection of the
// same loop, kept ones first. Until it has ended, which c's handler learns from
// Relayed, c's Data is not called, and nothing may be written to the other.
func (c *Conn) Relay(to *Conn, n int64) {
	to.sendGathered(false)
	r := &relay{from: c, to: to, left: n}
	c.relay, to.feeding = r, r
	c.queue()
}

// pump moves what can be moved now.
func (r *relay) pump() {
	from, moved := r.from, int64(0)
	err := r.move(&moved)
	done := err != nil || r.left == 0 && r.inPipe == 0 && r.to.Buffered() == 0
	if done {
		r.drop()
	}
	if (moved > 0 || done) && !from.has(closed) {
		from.handler.Relayed(moved, err)
	}
}

// move returns nil when it has to wait or is done.
func (r *relay) move(moved *int64) error {
	r.giveKept(moved)
	for *moved < relayTurn {
		if r.to.has(broken | closed | closing) {
			return &WriteError{syscall.EPIPE}
		}
		if r.to.Buffered() > 0 {
			return nil // goes on when that is sent
		}
		if r.inPipe > 0 {
			if waits, err := r.pour(moved); waits || err != nil {
				return err
			}
			continue
		}
		if r.left == 0 || r.from.has(paused) {
			return nil
		}
		if waits, err := r.fill(moved); waits || err != nil {
			return err
		}
	}
	r.from.queue()
	return nil
}

// giveKept writes what arrived before.
func (r *relay) giveKept(moved *int64) {
	in := r.from.in
	n := int(min(int64(len(in)), r.left))
	if n == 0 || r.to.Buffered() > 0 {
		return
	}
	r.write(in[:n])
	r.left -= int64(n)
	*moved += int64(n)
	if n == len(in) {
		r.from.dropInput()
		return
	}
	r.from.in = in[:copy(in, in[n:])]
	r.from.set(offering)
}

// write is Write at the destination, past the rule that a relay has it alone.
func (r *relay) write(p []byte) {
	switch {
	case r.to.has(broken | closed | closing | finAfter):
		return
	case r.to.has(connecting):
		r.to.keep(p)
	default:
		r.to.transmit(p, false)
	}
	r.kept = r.to.Buffered() > 0
}

// fill reads from the source, into the pipe if there is one.
func (r *relay) fill(moved *int64) (waits bool, err error) {
	c := r.from
	if c.has(ended) {
		c.set(toldEnd)
		return false, io.EOF
	}
	if !c.has(readable) {
		c.register()
		return true, nil
	}
	n, errno := r.receive(moved)
	switch {
	case errno == syscall.EINTR:
		return false, nil
	case errno == syscall.EAGAIN:
		c.clear(readable)
		c.register()
		r.returnPipe() // a relay may wait for long, and others have use for it
		return true, nil
	case errno != 0:
		c.fail(errno)
		return true, nil
	case n == 0 && c.lost != 0:
		c.fail(c.lost)
		return true, nil
	case n == 0:
		c.clear(readable)
		c.set(ended | toldEnd)
		return false, io.EOF
	}
	r.left -= int64(n)
	return false, nil
}

func (r *relay) receive(moved *int64) (int, syscall.Errno) {
	if r.pipe == (pipe{}) && !r.unpiped {
		p, ok := r.from.loop.takePipe()
		r.pipe, r.unpiped = p, !ok
	}
	if !r.unpiped {
		n, errno := splice(r.from.fd, r.pipe.write, int(min(r.left, pipeSize)))
		if n > 0 {
			r.inPipe += int64(n)
		}
		return n, errno
	}
	buffer := r.from.loop.read
	n, errno := receive(r.from.fd, buffer[:min(r.left, int64(len(buffer)))])
	if n > 0 {
		r.write(buffer[:n])
		*moved += int64(n)
	}
	return n, errno
}

// pour writes what is in the pipe.
func (r *relay) pour(moved *int64) (waits bool, err error) {
	n, errno := splice(r.pipe.read, r.to.fd, int(r.inPipe))
	switch {
	case errno == syscall.EINTR:
		return false, nil
	case errno == syscall.EAGAIN:
		r.to.register()
		return true, nil
	case errno != 0:
		r.to.breakOff()
		return false, &WriteError{errno}
	}
	r.inPipe -= int64(n)
	r.to.sent += int64(n)
	*moved += int64(n)
	return false, nil
}

// broke is called when the destination has failed.
func (r *relay) broke(err error) {
	from := r.from
	r.drop()
	if !from.has(closed) {
		from.handler.Relayed(0, &WriteError{err})
	}
}

// drop ends the relay. A pipe that still holds bytes is of no further use. What
// the source has further is its handler's again.
func (r *relay) drop() {
	if r.from.relay == r {
		r.from.relay = nil
	}
	if r.to.feeding == r {
		r.to.feeding = nil
	}
	r.returnPipe()
	r.from.queue()
}

func (r *relay) returnPipe() {
	if r.pipe != (pipe{}) {
		r.from.loop.putPipe(r.pipe, r.inPipe == 0)
		r.pipe = pipe{}
	}
}

func (c *Conn) dropRelays() {
	if c.relay != nil {
		c.relay.drop()
	}
	if c.feeding != nil {
		c.feeding.drop()
	}
}

// pipe is a pair of descriptors.
type pipe struct{ read, write int32 }

func (p pipe) close() {
	closeFD(p.read)
	closeFD(p.write)
}

func (l *Loop) takePipe() (pipe, bool) {
	if last := len(l.pipes) - 1; last >= 0 {
		p := l.pipes[last]
		l.pipes = l.pipes[:last]
		return p, true
	}
	return openPipe(pipeSize)
}

func (l *Loop) putPipe(p pipe, empty bool) {
	if !empty || len(l.pipes) == maxPipes {
		p.close()
		return
	}
	l.pipes = append(l.pipes, p)
}
