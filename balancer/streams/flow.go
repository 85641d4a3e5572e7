package streams

import (
	"strconv"

	"evenkeel/balancer/exchange"
	"evenkeel/balancer/http2"
)

// flow is what the links of both sides have in common: a stream, what of it has
// arrived and was not taken, and what is known of the message under way.
type flow struct {
	loop     *Loop
	owner    interface{ Bug() } // the connection, for a bug
	self     exchange.Link
	events   exchange.Events
	stream   *http2.Stream // nil if there is none
	out      content       // of the message that is written
	in       []byte        // what arrived and was not taken, as HTTP/1.1
	owed     int           // how much content is in it, which the windows lack
	deadline int64
	failure  error // to be told behind what was kept
	state    flowState
}

// flowState is a set of flags.
type flowState uint16

const (
	queued        flowState = 1 << iota // among those that are resumed
	paused                              // by the exchange
	closed                              // the exchange is done with the link, or was told of its failure
	headSent                            // the final head of the message that is written was sent
	endSent                             // and its end
	peerEnded                           // the peer's message is there, to its end
	endDue                              // the exchange is to be told of that as an end of a connection
	chunked                             // what arrives is framed as chunks
	bodiless                            // nothing of what arrives is content
	tunnel                              // it has become a tunnel
	extended                            // by an extended CONNECT
	websocket                           // of that protocol
	takesTrailers                       // the request says that its sender does
	waiting                             // for a stream
)

func (f *flow) has(s flowState) bool { return f.state&s != 0 }
func (f *flow) set(s flowState)      { f.state |= s }
func (f *flow) clear(s flowState)    { f.state &^= s }

// keptIn is the largest buffer that a flow without anything to keep holds.
const keptIn = 16 << 10

// renew makes a flow that of another message. What was kept is kept.
func (f *flow) renew() {
	f.out.reset()
	f.clear(headSent | endSent | peerEnded | endDue | chunked | bodiless | tunnel | extended | websocket | takesTrailers)
}

// deliver gives the exchange bytes of HTTP/1.1 that hold so much content, or
// keeps them behind others.
func (f *flow) deliver(text []byte, size int) {
	if f.has(paused) || len(f.in) > 0 {
		f.in = append(f.in, text...)
		f.owed += size
		return
	}
	n := 0
	if len(text) > 0 {
		n = f.events.Data(text)
	}
	if f.has(closed) {
		return // and the windows are given back with the stream
	}
	if n < len(text) {
		f.in = append(f.in, text[n:]...)
		f.owed += size
		return
	}
	f.consumed(size)
	f.tellEnd()
}

// offer gives what was kept again.
func (f *flow) offer() {
	if f.has(paused | closed) {
		return
	}
	if in := f.in; len(in) > 0 {
		f.in = nil
		f.lastOffer()
		n := f.events.Data(in)
		if f.has(closed) {
			return
		}
		rest := in[:copy(in, in[n:])]
		if f.in = append(rest, f.in...); len(f.in) > 0 {
			return
		}
		if cap(in) > keptIn {
			f.in = nil
		}
		f.consumed(f.owed)
		f.owed = 0
	}
	f.tellEnd()
}

// lastOffer is for the side whose links outlive their streams.
func (f *flow) lastOffer() {
	if l, ok := f.self.(*lane); ok && f.has(peerEnded) && f.has(endSent) {
		l.release()
	}
}

// tellEnd tells what comes behind all content.
func (f *flow) tellEnd() {
	switch {
	case f.has(paused | closed):
	case f.failure != nil:
		err := f.failure
		f.failure = nil
		f.set(closed)
		f.events.Failed(err)
		f.ended()
	case f.has(endDue):
		f.clear(endDue)
		f.events.EOF()
	}
}

// ended has a link that failed given back.
func (f *flow) ended() {
	switch side := f.self.(type) {
	case *stream:
		side.leave()
	case *lane:
		side.leave()
	}
}

// consumed gives content back to the windows.
func (f *flow) consumed(n int) {
	if n > 0 && f.stream != nil {
		f.stream.Consumed(n)
	}
}

// appendContent appends content that arrived as the message's framing has it.
func (f *flow) appendContent(text, p []byte, end bool) []byte {
	if len(p) > 0 {
		text = strconv.AppendUint(text, uint64(len(p)), 16)
		text = append(text, "\r\n"...)
		text = append(text, p...)
		text = append(text, "\r\n"...)
	}
	if end {
		text = append(text, "0\r\n\r\n"...)
	}
	return text
}

// take takes content that arrived.
func (f *flow) take(p []byte, end bool) {
	switch {
	case f.has(closed):
	case f.has(bodiless):
		f.consumed(len(p))
		f.deliver(nil, 0)
	case f.has(chunked):
		f.loop.text = f.appendContent(f.loop.text[:0], p, end)
		f.deliver(f.loop.text, len(p))
	default:
		f.deliver(p, len(p))
	}
}

// takeTrailers takes trailers, which end the message.
func (f *flow) takeTrailers(fields []http2.Field) {
	if f.has(closed) {
		return
	}
	if f.has(bodiless) || !f.has(chunked) {
		f.deliver(nil, 0)
		return
	}
	f.loop.text = appendTrailers(append(f.loop.text[:0], "0\r\n"...), fields)
	f.deliver(f.loop.text, 0)
}

// send sends bytes of the content of the message that is written, behind its
// head if that is still to go. The end goes with the last of it, and with the
// head where there is no content: recipients may take an empty frame of DATA for
// content.
func (f *flow) send(head *http2.Head, p []byte) bool {
	var held []byte // which may be the last
	for len(p) > 0 && !f.out.done() {
		n, data := f.out.next(p)
		p = p[n:]
		if len(data) == 0 {
			continue
		}
		if head != nil || held != nil {
			if !f.sendPiece(head, held, false) {
				return false
			}
			head = nil
		}
		held = data
	}
	if !f.out.done() {
		return f.sendPiece(head, held, false)
	}
	if f.has(endSent) {
		return true
	}
	f.set(endSent)
	fields := f.out.trailerFields()
	if len(fields) == 0 {
		return f.sendPiece(head, held, true)
	}
	return f.sendPiece(head, held, false) && f.stream.SendTrailers(fields)
}

// sendPiece sends a head, if there is one, and content, if there is some.
func (f *flow) sendPiece(head *http2.Head, p []byte, end bool) bool {
	if head != nil && !f.stream.SendHead(head, end && len(p) == 0) {
		return false
	}
	if len(p) == 0 && (!end || head != nil) {
		return true
	}
	return f.stream.SendData(p, end)
}

// What follows implements [exchange.Link] where both sides are alike.

// Flush has nothing to do: all that a connection sends goes at the batch's end.
func (f *flow) Flush(bool) {}

// Unsend takes nothing back: frames cannot be.
func (f *flow) Unsend() {}

// LastRead is of no concern.
func (f *flow) LastRead() {}

// Buffered is what flow control, and a peer that does not read, hold back.
func (f *flow) Buffered() int {
	if f.stream == nil {
		return 0
	}
	return f.stream.Pending()
}

// Pause has what arrives kept, and the windows run out.
func (f *flow) Pause() { f.set(paused) }

// Resume implements [exchange.Link].
func (f *flow) Resume() {
	f.clear(paused)
	if len(f.in) > 0 || f.failure != nil || f.has(endDue) {
		f.loop.resume(f)
	}
}

// Relay declines: what passes is translated.
func (f *flow) Relay(exchange.Link, int64) bool { return false }

// CloseWrite ends a message that goes until the connection does; others have
// their ends in themselves.
func (f *flow) CloseWrite() {
	if f.stream != nil && f.has(headSent) && !f.has(endSent) && f.out.isOpen() {
		f.set(endSent)
		f.stream.SendData(nil, true)
	}
}
