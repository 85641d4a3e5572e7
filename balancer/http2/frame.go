package http2

import "encoding/binary"

// frameType is the type of a frame, RFC 9113 section 6.
type frameType uint8

const (
	frameData frameType = iota
	frameHeaders
	framePriority
	frameReset
	frameSettings
	framePushPromise
	framePing
	frameGoAway
	frameWindowUpdate
	frameContinuation
)

// Flags of frames. What they mean depends on the type.
const (
	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

const (
	frameHeader = 9         // bytes before a frame's payload
	maxID       = 1<<31 - 1 // of streams
	maxWindow   = 1<<31 - 1 // RFC 9113 section 6.9.1
	firstWindow = 1<<16 - 1 // of streams and connections until somebody changes it
)

// preface is what a client sends first, RFC 9113 section 3.4.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// header is the beginning of a frame.
type header struct {
	length int
	id     uint32
	kind   frameType
	flags  uint8
}

func (h header) has(flag uint8) bool { return h.flags&flag != 0 }

// parseHeader reads the first nine bytes of p.
func parseHeader(p []byte) header {
	_ = p[frameHeader-1]
	return header{
		length: int(p[0])<<16 | int(p[1])<<8 | int(p[2]),
		kind:   frameType(p[3]),
		flags:  p[4],
		id:     binary.BigEndian.Uint32(p[5:]) & maxID,
	}
}

// put writes a header to the first nine bytes of p.
func (h header) put(p []byte) {
	_ = p[frameHeader-1]
	p[0], p[1], p[2] = byte(h.length>>16), byte(h.length>>8), byte(h.length)
	p[3], p[4] = byte(h.kind), h.flags
	binary.BigEndian.PutUint32(p[5:], h.id)
}

// appendTo appends a header to what a payload of its length is appended to next.
func (h header) appendTo(dst []byte) []byte {
	return append(dst, byte(h.length>>16), byte(h.length>>8), byte(h.length), byte(h.kind), h.flags,
		byte(h.id>>24), byte(h.id>>16), byte(h.id>>8), byte(h.id))
}
