package streams

import (
	"evenkeel/balancer/http1"
	"evenkeel/balancer/http2"
)

// written are the bounds on heads that exchanges write, which were within theirs
// before fields were added.
var written = http1.Limits{Head: 8 << 20, Line: 8 << 20, Fields: 16 << 10}

// readHead reads the head of a response that an exchange writes, of n bytes, and
// makes the content that follows ready. The head is valid until the next one of
// the loop; n is 0 if it is none.
func (c *stream) readHead(p []byte) (n int, head *http2.Head) {
	l := c.loop
	response := &l.response
	var whole http1.Progress
	n, err := response.Parse(p, &whole, &written, c.method)
	if err != nil || n == 0 {
		return 0, nil
	}
	head = &l.head
	*head = http2.Head{Status: response.Status, Fields: head.Fields[:0]}
	for name, value := range response.Fields {
		if !isConnections(name) {
			head.Fields = append(head.Fields, http2.Field{Name: name, Value: value})
		}
	}
	if c.has(extended) {
		c.readAgreement(head)
	}
	if head.Status >= 200 && !c.has(tunnel) {
		c.out.begin(response.Framing, response.Length)
	}
	return n, head
}

// isConnections tells whether a field is for a connection of HTTP/1, which
// HTTP/2 has not (RFC 9113 section 8.2.2). Te with trailers is for both, and
// nobody writes others.
func isConnections(name []byte) bool {
	switch len(name) {
	case len("upgrade"):
		return is(name, "upgrade")
	case len("connection"):
		return is(name, "connection") || is(name, "keep-alive")
	case len("http2-settings"):
		return is(name, "http2-settings")
	case len("proxy-connection"):
		return is(name, "proxy-connection")
	case len("transfer-encoding"):
		return is(name, "transfer-encoding")
	}
	return false
}

// is tells whether a name is one that is given in lower case.
func is(name []byte, other string) bool {
	if len(name) != len(other) {
		return false
	}
	for i := range name {
		if name[i]|0x20 != other[i] {
			return false
		}
	}
	return true
}

// appendResponse writes the head of a backend's response as one of HTTP/1.1.
func (l *lane) appendResponse(text []byte, head *http2.Head, end bool) []byte {
	text = append(text, "HTTP/1.1 "...)
	text = append(text, byte('0'+head.Status/100%10), byte('0'+head.Status/10%10), byte('0'+head.Status%10), ' ', '\r', '\n')
	interim := head.Status < 200
	hasContent := !interim && head.Status != 204 && head.Status != 304 && l.method != http1.HEAD
	ofLength := !interim && head.Status != 204
	_, announced := fieldOf(head, "trailer")
	switch {
	case interim:
	case !hasContent:
		l.set(bodiless)
	case head.Length < 0 || (announced || l.has(takesTrailers)) && !end:
		// Trailers have no place behind content of a known length.
		text = append(text, "transfer-encoding: chunked\r\n"...)
		l.set(chunked)
		ofLength = false
	}
	for i := range head.Fields {
		if f := &head.Fields[i]; ofLength || string(f.Name) != "content-length" {
			text = appendField(text, f.Name, f.Value)
		}
	}
	text = append(text, "\r\n"...)
	if end && l.has(chunked) {
		text = append(text, "0\r\n\r\n"...)
	}
	return text
}

// readHead reads the head of a request that an exchange writes, of n bytes, and
// makes the content that follows ready; n is 0 if it is none.
func (l *lane) readHead(p []byte) (n int, head *http2.Head) {
	request := &l.loop.request
	var whole http1.Progress
	n, err := request.Parse(p, &whole, &written)
	if err != nil || n == 0 {
		return 0, nil
	}
	l.method = request.Method
	head = &l.loop.head
	*head = http2.Head{
		Method: request.MethodText, Scheme: l.up.scheme, Authority: request.Host, Path: request.Target,
		Fields: head.Fields[:0],
	}
	l.out.begin(request.Framing, request.Length)
	if request.Upgrade != nil && l.out.done() && l.on.conn.ExtendedConnect() {
		l.extend(head, request)
	}
	for name, value := range request.Fields {
		switch {
		case isConnections(name) || is(name, "host"):
		case is(name, "te"):
			l.set(takesTrailers)
			head.Fields = append(head.Fields, http2.Field{Name: name, Value: value})
		case l.has(websocket) && l.noteKey(name, value):
		default:
			head.Fields = append(head.Fields, http2.Field{Name: name, Value: value})
		}
	}
	return n, head
}
