package streams

import (
	"bytes"

	"evenkeel/balancer/http1"
	"evenkeel/balancer/http2"
)

// content takes the content of a message out of its framing. It trusts what it
// is given: exchanges write only what package http1 found to be well-formed.
type content struct {
	left     int64 // of the content, or of the chunk
	trailers []byte
	fields   []http2.Field
	state    contentState
}

// contentState is what comes next.
type contentState uint8

const (
	contentDone    contentState = iota
	contentLength               // content of a known length
	contentOpen                 // content until the link ends
	contentSize                 // the size of a chunk
	contentRest                 // the rest of the line of a size
	contentChunk                // a chunk's content
	contentLineEnd              // the line feed behind it
	contentTrailers
)

// reset makes ready for another message.
func (c *content) reset() {
	c.left, c.trailers, c.state = 0, c.trailers[:0], contentDone
}

// begin begins the content of a message.
func (c *content) begin(framing http1.Framing, length int64) {
	c.reset()
	switch {
	case framing == http1.FramingChunked:
		c.state = contentSize
	case framing == http1.FramingClose:
		c.state = contentOpen
	case framing == http1.FramingLength && length > 0:
		c.state, c.left = contentLength, length
	}
}

// open makes all that follows content, until the link ends.
func (c *content) open() { c.state = contentOpen }

func (c *content) isOpen() bool { return c.state == contentOpen }

func (c *content) done() bool { return c.state == contentDone }

// next takes the next n bytes of p, and returns the content in them.
func (c *content) next(p []byte) (n int, data []byte) {
	switch c.state {
	case contentOpen:
		return len(p), p
	case contentLength, contentChunk:
		data = p[:min(c.left, int64(len(p)))]
		if c.left -= int64(len(data)); c.left == 0 {
			if c.state == contentLength {
				c.state = contentDone
			} else {
				c.state = contentLineEnd
			}
		}
		return len(data), data
	case contentTrailers:
		return c.nextTrailers(p), nil
	}
	for n < len(p) {
		b := p[n]
		n++
		switch {
		case b == '\n' && c.state == contentLineEnd:
			c.state = contentSize
		case c.state == contentLineEnd:
		case b == '\n' && c.left == 0:
			c.state = contentTrailers
			return n, nil
		case b == '\n':
			c.state = contentChunk
			return n, nil
		case c.state == contentSize && isHex(b):
			c.left = c.left<<4 | int64(hexDigit(b))
		default:
			c.state = contentRest
		}
	}
	return n, nil
}

func isHex(b byte) bool {
	return b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'f'
}

func hexDigit(b byte) byte {
	if b <= '9' {
		return b - '0'
	}
	return b | 0x20 - 'a' + 10
}

// nextTrailers gathers the trailer section, whose end is an empty line.
func (c *content) nextTrailers(p []byte) (n int) {
	for n < len(p) {
		end := bytes.IndexByte(p[n:], '\n') + 1
		if end == 0 {
			c.trailers = append(c.trailers, p[n:]...)
			return len(p)
		}
		c.trailers = append(c.trailers, p[n:n+end]...)
		n += end
		if len(c.trailers) == 2 || bytes.HasSuffix(c.trailers, []byte("\n\r\n")) {
			c.state = contentDone
			return n
		}
	}
	return n
}

// trailerFields returns the fields of the trailer section. They are valid until the
// next reset.
func (c *content) trailerFields() []http2.Field {
	c.fields = c.fields[:0]
	for rest := c.trailers; len(rest) > 2; {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		rest = after
		if name, value, ok := bytes.Cut(line, []byte(":")); ok {
			c.fields = append(c.fields, http2.Field{Name: name, Value: bytes.TrimSpace(value)})
		}
	}
	return c.fields
}
