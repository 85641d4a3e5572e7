package streams

import (
	"evenkeel/balancer/http1"
	"evenkeel/balancer/http2"
)

// appendHead writes the head of a client's request as one of HTTP/1.1: RFC 9113
// section 8.3.1. What is wrong with it the exchange answers.
func (c *stream) appendHead(text []byte, head *http2.Head, end bool) []byte {
	method, target := head.Method, head.Path
	switch {
	case c.has(extended):
		method = []byte("GET")
	case c.method == http1.CONNECT:
		target = head.Authority
	}
	text = append(text, method...)
	text = append(text, ' ')
	text = append(text, target...)
	text = append(text, " HTTP/1.1\r\n"...)
	if len(head.Authority) > 0 {
		text = appendField(text, "host", head.Authority)
	}
	announced, ofLength := false, true // trailers, content-length
	if c.has(extended) {
		text = c.appendUpgrade(text, head)
		ofLength = false
	} else if !end {
		_, announced = fieldOf(head, "trailer")
		if head.Length < 0 || announced { // else the length frames it, and leaves trailers no place
			text = append(text, "transfer-encoding: chunked\r\n"...)
			c.set(chunked)
			ofLength = false
		}
	} else if head.Length < 0 && (c.method == http1.POST || c.method == http1.PUT || c.method == http1.PATCH) {
		text = append(text, "content-length: 0\r\n"...) // which servers miss
	}
	cookies := c.loop.cookies[:0]
	for i := range head.Fields {
		f := &head.Fields[i]
		switch string(f.Name) {
		case "host":
			if len(head.Authority) > 0 {
				continue
			}
		case "content-length":
			if !ofLength {
				continue
			}
		case "cookie": // RFC 9113 section 8.2.3: one field for who takes no more
			if len(cookies) > 0 {
				cookies = append(cookies, "; "...)
			}
			cookies = append(cookies, f.Value...)
			continue
		}
		text = appendField(text, f.Name, f.Value)
	}
	if c.loop.cookies = cookies; len(cookies) > 0 {
		text = appendField(text, "cookie", cookies)
	}
	return append(text, "\r\n"...)
}

// fieldOf returns the first field of a name.
func fieldOf(head *http2.Head, name string) (value []byte, ok bool) {
	for i := range head.Fields {
		if string(head.Fields[i].Name) == name {
			return head.Fields[i].Value, true
		}
	}
	return nil, false
}

// appendField writes a field line.
func appendField[name string | []byte](text []byte, n name, value []byte) []byte {
	text = append(text, n...)
	text = append(text, ": "...)
	text = append(text, value...)
	return append(text, "\r\n"...)
}

// appendTrailers writes a trailer section with its end. Fields that must not be
// there are left out, as RFC 9110 section 6.5.1 has it.
func appendTrailers(text []byte, fields []http2.Field) []byte {
	for i := range fields {
		if http1.MayTrail(fields[i].Name) {
			text = appendField(text, fields[i].Name, fields[i].Value)
		}
	}
	return append(text, "\r\n"...)
}
