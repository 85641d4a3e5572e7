package http2

import "encoding/binary"

// tail is the last frame of the output, if it is one that what is sent next on
// its stream may be added to: DATA to DATA, an end to DATA or HEADERS. So what
// an owner sends in small parts during one batch becomes one frame, and an end
// that is known late is no empty frame.
type tail struct {
	at int // where its header is in the output
	id uint32
	header
}

var noTail = tail{}

// SendHead sends a head: of the request (client), of a response or an interim
// one (server). end: nothing follows. Like the other methods that send, it
// returns false if that cannot be sent any more: after a reset, after the end, or
// when the connection has failed.
func (s *Stream) SendHead(head *Head, end bool) bool {
	c := s.conn
	if s.has(streamClosed|streamHeadOut) || !c.isAlive() {
		return false
	}
	at := c.beginBlock()
	if c.has(connClient) {
		c.number(s, head)
		c.out = appendRequest(c.out, head)
	} else {
		c.out = appendStatus(c.out, head.Status)
	}
	for i := range head.Fields {
		c.out = appendField(c.out, head.Fields[i].Name, head.Fields[i].Value)
	}
	c.endBlock(at, s.id, end)
	if c.has(connClient) || head.Status >= 200 {
		s.state |= streamHeadOut
	}
	if end {
		s.endOut()
	}
	return true
}

// isOpen tells whether content may be sent.
func (s *Stream) isOpen() bool {
	return s.has(streamHeadOut) && !s.has(streamClosed|streamEnding|streamOutEnded) && s.conn.isAlive()
}

// SendTrailers sends fields after the content, and the end.
func (s *Stream) SendTrailers(fields []Field) bool {
	if !s.isOpen() {
		return false
	}
	if s.Pending() > 0 {
		s.trailers = s.conn.pool.buffer()
		for i := range fields {
			s.trailers = appendField(s.trailers, fields[i].Name, fields[i].Value)
		}
		s.state |= streamEnding
		return true
	}
	c := s.conn
	at := c.beginBlock()
	for i := range fields {
		c.out = appendField(c.out, fields[i].Name, fields[i].Value)
	}
	c.endBlock(at, s.id, true)
	s.endOut()
	return true
}

// SendData sends content, or keeps a copy of what cannot leave yet. end:
// nothing follows; p may be empty then.
func (s *Stream) SendData(p []byte, end bool) bool {
	if !s.isOpen() {
		return false
	}
	c := s.conn
	if s.Pending() == 0 && c.ready.first == nil {
		for {
			n := min(len(p), s.room())
			if n == 0 && (len(p) > 0 || !end) {
				break
			}
			c.sendFrame(s, p[:n], end && n == len(p))
			if p = p[n:]; len(p) == 0 {
				if end {
					s.endOut()
				}
				return true
			}
		}
	}
	if len(p) > 0 {
		s.keep(p)
	}
	switch {
	case !end:
	case s.Pending() > 0:
		s.state |= streamEnding
	default: // behind other streams, but it needs no window
		c.sendFrame(s, nil, true)
		s.endOut()
	}
	return true
}

// room is how many bytes of content may leave now.
func (s *Stream) room() int {
	c := s.conn
	if len(c.out) >= c.config.Output {
		return 0
	}
	return max(0, min(MaxFrame, s.allowed, c.allowed))
}

// keep adds to what is pending.
func (s *Stream) keep(p []byte) {
	if s.pending == nil {
		s.pending = s.conn.pool.buffer()
	}
	if s.at > len(s.pending)/2 {
		s.pending = s.pending[:copy(s.pending, s.pending[s.at:])]
		s.at = 0
	}
	s.pending = append(s.pending, p...)
	s.enlist()
}

// enlist puts a stream into the queue of those that have content to send and a
// window for it, or takes it out.
func (s *Stream) enlist() {
	switch wants := s.Pending() > 0 && s.allowed > 0; {
	case !wants:
		s.leave()
	case s.list == nil:
		s.conn.ready.push(s)
		s.conn.wish()
	}
}

// fill adds pending content to the output, a frame of each stream in turn.
func (c *Conn) fill() {
	for c.ready.first != nil && c.ready.first.room() > 0 {
		s := c.ready.first
		s.leave()
		p := s.pending[s.at:]
		n := min(len(p), s.room())
		last := n == len(p) && s.has(streamEnding) && s.trailers == nil
		c.sendFrame(s, p[:n], last)
		s.at += n
		if s.Pending() > 0 {
			s.enlist()
			continue
		}
		c.finishPending(s, last)
	}
}

// finishPending ends a stream whose pending content has left, if its end was
// to follow, and tells its owner.
func (c *Conn) finishPending(s *Stream, last bool) {
	events := s.events
	switch {
	case last:
		s.drop()
		s.endOut()
	case s.trailers != nil:
		at := c.beginBlock()
		c.out = append(c.out, s.trailers...)
		c.endBlock(at, s.id, true)
		s.drop()
		s.endOut()
	default:
		s.drop()
	}
	if events != nil {
		events.Drained()
	}
}

// sendFrame sends a DATA frame of a size that there is room for, or adds to the
// last one.
func (c *Conn) sendFrame(s *Stream, p []byte, end bool) {
	c.gather()
	c.frames.gain(frameGain, frameBound)
	s.allowed -= len(p)
	c.allowed -= len(p)
	s.sent += int64(len(p))
	if !c.extends(s.id, len(p)) {
		c.tail = tail{len(c.out), s.id, header{kind: frameData, id: s.id}}
		c.out = c.tail.appendTo(c.out)
	}
	c.tail.length += len(p)
	if end {
		c.tail.flags |= flagEndStream
	}
	c.tail.put(c.out[c.tail.at:])
	c.out = append(c.out, p...)
	if end {
		c.tail = noTail
	}
}

// extends tells whether n bytes of content, or an end, may be added to the last
// frame of the output.
func (c *Conn) extends(id uint32, n int) bool {
	if c.tail.id != id {
		return false
	}
	return n == 0 || c.tail.kind == frameData && c.tail.length+n <= MaxFrame
}

// beginBlock begins a HEADERS frame, and returns where it is in the output.
func (c *Conn) beginBlock() (at int) {
	c.gather()
	at = len(c.out)
	c.out = append(c.out, "123456789"[:frameHeader]...) // for endBlock
	if c.has(connShrink) {
		c.state &^= connShrink
		c.out = append(c.out, resizeTo0) // RFC 7541 section 4.2
	}
	return at
}

// endBlock writes the header of the frame that was begun at a place, and splits
// what is too large for one: RFC 9113 section 4.3.
func (c *Conn) endBlock(at int, id uint32, end bool) {
	h := header{kind: frameHeaders, flags: flagEndHeaders, id: id, length: len(c.out) - at - frameHeader}
	if end {
		h.flags |= flagEndStream
	}
	c.tail = noTail
	if h.length > MaxFrame {
		c.split(at, h)
		return
	}
	h.put(c.out[at:])
	if !end {
		c.tail = tail{at, id, h}
	}
}

// split makes of one frame that is too large HEADERS and CONTINUATION frames.
func (c *Conn) split(at int, h header) {
	total := h.length
	more := (total - 1) / MaxFrame
	c.out = append(c.out, make([]byte, more*frameHeader)...)
	for i := more; i >= 0; i-- { // from the end, as each moves towards it
		from := at + frameHeader + i*MaxFrame
		to := at + i*(frameHeader+MaxFrame)
		part := header{kind: frameContinuation, id: h.id, length: min(MaxFrame, total-i*MaxFrame)}
		copy(c.out[to+frameHeader:], c.out[from:from+part.length])
		if i == 0 {
			part.kind, part.flags = frameHeaders, h.flags&flagEndStream
		}
		if i == more {
			part.flags |= flagEndHeaders
		}
		part.put(c.out[to:])
	}
}

// control begins a frame that is no content and that nothing is added to.
func (c *Conn) control(h header) {
	c.gather()
	c.tail = noTail
	c.out = h.appendTo(c.out)
}

func (c *Conn) sendReset(id uint32, code Code) {
	c.control(header{kind: frameReset, id: id, length: 4})
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(code))
}

func (c *Conn) sendWindowUpdate(id uint32, n int) {
	c.control(header{kind: frameWindowUpdate, id: id, length: 4})
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(n))
}

func (c *Conn) sendPing(flags uint8, payload []byte) {
	c.control(header{kind: framePing, flags: flags, length: 8})
	c.out = append(c.out, payload...)
}

func (c *Conn) sendGoAway(last uint32, code Code, debug string) {
	c.control(header{kind: frameGoAway, length: 8 + len(debug)})
	c.out = binary.BigEndian.AppendUint32(c.out, last)
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(code))
	c.out = append(c.out, debug...)
}
