package http2

import (
	"bytes"
	"unsafe"

	"evenkeel/balancer/http1"
	"golang.org/x/net/http2/hpack"
)

// block is a head or trailer section that is under way: HEADERS and the
// CONTINUATION frames behind it.
type block struct {
	head   Head
	id     uint32
	kind   blockKind
	end    bool   // END_STREAM
	frames int    // so far
	bytes  int    // of them
	size   int    // of the fields, as RFC 9113 section 6.5.2 counts
	code   Code   // if the stream is at fault whatever the block holds: why
	fault  string // what is wrong with the stream or the block, empty if nothing is
	seen   pseudo
	host   []byte // value of Host
}

// blockKind is what a block is.
type blockKind uint8

const (
	blockIgnored blockKind = iota // of a stream that is not open, but may be named
	blockRequest
	blockResponse
	blockTrailers
)

// pseudo is a set of what a block has had.
type pseudo uint8

const (
	seenMethod pseudo = 1 << iota
	seenScheme
	seenAuthority
	seenPath
	seenProtocol
	seenStatus
	seenField // a field that is none
	seenHost
)

// maxContinuations is how many CONTINUATION frames a head may have beyond those
// that are full: peers send full ones (CVE-2024-27316 and its kin).
const maxContinuations = 16

// maxBlock is how many bytes of a compressed head are taken. One beyond
// HeadBytes is still read, so that it can be answered.
func (c *Config) maxBlock() int { return 4*c.HeadBytes + MaxFrame }

// maxString is how long a text may become in the decoder.
func (c *Config) maxString() int { return 2 * c.HeadBytes }

// receiveHeaders takes a HEADERS frame: RFC 9113 section 6.2.
func (c *Conn) receiveHeaders(h header, p []byte) {
	if h.id == 0 {
		c.Fail(ProtocolError, "HEADERS without a stream")
		return
	}
	p, depends, ok := headersPayload(h, p)
	if !ok {
		c.Fail(ProtocolError, "HEADERS with more padding than it has room for")
		return
	}
	b := c.pool.block()
	b.id, b.end = h.id, h.has(flagEndStream)
	b.head.Length = -1
	c.block = b
	c.judge(b)
	if c.failed != nil {
		return
	}
	if depends == h.id && b.fault == "" {
		b.fault, b.code = "stream that depends on itself", ProtocolError
	}
	c.frames.gain(frameGain, frameBound)
	c.decoder.SetEmitEnabled(b.kind != blockIgnored && b.fault == "")
	c.decode(h, p)
}

// headersPayload takes padding and priority off. A stream without a priority
// depends on 0, which is none.
func headersPayload(h header, p []byte) (fragment []byte, depends uint32, ok bool) {
	padding := 0
	if h.has(flagPadded) {
		if len(p) == 0 {
			return nil, 0, false
		}
		padding, p = int(p[0]), p[1:]
	}
	if h.has(flagPriority) {
		if len(p) < 5 {
			return nil, 0, false
		}
		depends, p = dependency(p), p[5:]
	}
	if padding > len(p) {
		return nil, 0, false
	}
	return p[:len(p)-padding], depends, true
}

// judge finds out what a block is, by its stream's state.
func (c *Conn) judge(b *block) {
	s := c.streams.get(b.id)
	switch {
	case s == nil && !c.has(connClient) && b.id%2 == 1 && b.id > c.lastIn:
		c.judgeRequest(b)
	case s == nil:
		c.strayFrame(b.id, "HEADERS")
	case s.has(streamInEnded):
		b.fault, b.code = "HEADERS after the end", StreamClosed
	case !s.has(streamHeadIn):
		b.kind = blockResponse
	default:
		b.kind = blockTrailers
		if !b.end {
			b.fault, b.code = "trailers that do not end the stream", ProtocolError
		}
	}
}

// judgeRequest decides on a stream that a client opens.
func (c *Conn) judgeRequest(b *block) {
	if c.isRefused(b.id) {
		return
	}
	c.closed.skip(c.lastIn, b.id)
	c.lastIn = b.id
	b.kind = blockRequest
	if c.streams.n >= c.config.Streams {
		b.fault, b.code = "more streams than allowed", RefusedStream
	}
}

// receiveContinuation takes a CONTINUATION frame: RFC 9113 section 6.10.
func (c *Conn) receiveContinuation(h header, p []byte) { c.decode(h, p) }

// decode takes the next part of a head, and all of it with its last one.
func (c *Conn) decode(h header, p []byte) {
	b := c.block
	b.frames++
	b.bytes += len(p)
	if b.bytes > c.config.maxBlock() || b.frames > maxContinuations+b.bytes/MaxFrame {
		c.Fail(EnhanceYourCalm, "head in too many bytes or frames")
		return
	}
	_, err := c.decoder.Write(p)
	if err == nil && h.has(flagEndHeaders) {
		err = c.decoder.Close()
	}
	switch {
	case err == hpack.ErrStringLength:
		c.Fail(EnhanceYourCalm, "head with a text that is too long")
	case err != nil:
		c.Fail(CompressionError, err.Error())
	case h.has(flagEndHeaders):
		c.block = nil
		c.finishBlock(b)
		c.pool.putBlock(b)
	}
}

// field takes one field from the decoder.
func (c *Conn) field(f hpack.HeaderField) {
	b := c.block
	b.size += int(f.Size())
	if b.size > c.config.HeadBytes || len(b.head.Fields) >= c.config.Fields {
		b.head.TooLarge = true
		c.decoder.SetEmitEnabled(false)
		return
	}
	b.add(octets(f.Name), octets(f.Value))
	if b.fault != "" {
		c.decoder.SetEmitEnabled(false)
	}
}

// octets are those of a string, which must not be changed.
func octets(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// refuse notes what is wrong with a block, which makes its stream malformed:
// RFC 9113 section 8.1.1.
func (b *block) refuse(fault string) { b.fault, b.code = fault, ProtocolError }

// add checks a field and keeps it.
func (b *block) add(name, value []byte) {
	switch {
	case len(name) > 0 && name[0] == ':':
		b.addPseudo(name, value)
		return
	case !isName(name):
		b.refuse("name of a field that is no token in lower case")
		return
	case !isFieldValue(value):
		b.refuse("value of a field with a control character or white space around it")
		return
	}
	b.seen |= seenField
	switch kind := kindOf(name); {
	case kind == kindHop, kind == kindTE && !bytes.EqualFold(value, []byte("trailers")):
		b.refuse("field that is for an HTTP/1 connection")
		return
	case kind == kindLength && b.kind != blockTrailers:
		b.addLength(value)
	case kind == kindHost && b.kind == blockRequest:
		b.addHost(value)
	}
	b.head.Fields = append(b.head.Fields, Field{name, value})
}

// addLength takes Content-Length: RFC 9110 section 8.6. Two are refused as
// balancer/http1 does, also if they are equal.
func (b *block) addLength(value []byte) {
	n, ok := parseLength(value)
	switch {
	case !ok:
		b.refuse("malformed Content-Length")
	case b.head.Length >= 0:
		b.refuse("more than one Content-Length")
	default:
		b.head.Length = n
	}
}

// addHost takes Host, which stands for :authority where that is not.
func (b *block) addHost(value []byte) {
	if b.seen&seenHost != 0 {
		b.refuse("more than one Host")
		return
	}
	b.seen |= seenHost
	b.host = value
}

// addPseudo takes a pseudo-field: RFC 9113 section 8.3.
func (b *block) addPseudo(name, value []byte) {
	target, flag := b.pseudoField(name)
	switch {
	case flag == 0:
		b.refuse("pseudo-field that is unknown, or not for this kind of head")
	case b.seen&seenField != 0:
		b.refuse("pseudo-field after other fields")
	case b.seen&flag != 0:
		b.refuse("pseudo-field that comes twice")
	case flag == seenStatus:
		b.addStatus(value)
	default:
		*target = value
	}
	b.seen |= flag
}

// pseudoField returns where a pseudo-field goes; flag is 0 if it may not be
// there.
func (b *block) pseudoField(name []byte) (target *[]byte, flag pseudo) {
	if b.kind == blockResponse && string(name) == ":status" {
		return nil, seenStatus
	}
	if b.kind != blockRequest {
		return nil, 0
	}
	switch string(name) {
	case ":method":
		return &b.head.Method, seenMethod
	case ":scheme":
		return &b.head.Scheme, seenScheme
	case ":authority":
		return &b.head.Authority, seenAuthority
	case ":path":
		return &b.head.Path, seenPath
	case ":protocol":
		return &b.head.Protocol, seenProtocol
	}
	return nil, 0
}

func (b *block) addStatus(value []byte) {
	status, ok := parseStatus(value)
	if !ok || status == 101 { // RFC 9113 section 8.6
		b.refuse("malformed :status")
		return
	}
	b.head.Status = status
}

// checkRequest looks at the pseudo-fields together: RFC 9113 sections 8.3.1 and
// 8.5, RFC 8441 section 4.
func (b *block) checkRequest(extended bool) {
	h := &b.head
	connect := string(h.Method) == "CONNECT"
	const needed = seenMethod | seenScheme | seenPath
	switch {
	case b.seen&seenProtocol != 0 && (!connect || !extended):
		b.refuse(":protocol that is not allowed")
	case connect && b.seen&seenProtocol == 0:
		if b.seen&(seenMethod|seenScheme|seenPath|seenAuthority) != seenMethod|seenAuthority {
			b.refuse("CONNECT whose pseudo-fields are not :method and :authority")
		}
	case b.seen&needed != needed:
		b.refuse("request without :method, :scheme or :path")
	case connect && b.seen&seenAuthority == 0:
		b.refuse("extended CONNECT without :authority")
	}
	if b.fault == "" {
		b.checkTexts()
	}
}

// checkTexts holds that the pseudo-fields are what they should be, so that they
// can be written as HTTP/1.1.
func (b *block) checkTexts() {
	h := &b.head
	asterisk := string(h.Path) == "*" && string(h.Method) == "OPTIONS"
	switch {
	case !isToken(h.Method):
		b.refuse("malformed :method")
	case b.seen&seenScheme != 0 && !isToken(h.Scheme):
		b.refuse("malformed :scheme")
	case b.seen&seenProtocol != 0 && !isToken(h.Protocol):
		b.refuse("malformed :protocol")
	case b.seen&seenPath != 0 && (len(h.Path) == 0 || !http1.IsTarget(h.Path) || h.Path[0] != '/' && !asterisk):
		b.refuse("malformed :path")
	case b.seen&seenAuthority == 0:
		h.Authority = b.host
	case b.seen&seenHost != 0 && !bytes.EqualFold(b.host, h.Authority):
		b.refuse("Host that is not :authority")
	case len(h.Authority) == 0 || !http1.IsTarget(h.Authority):
		b.refuse("malformed :authority")
	}
}
