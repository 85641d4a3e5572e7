package streams

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"math/rand/v2"

	"evenkeel/balancer/exchange"
	"evenkeel/balancer/http1"
	"evenkeel/balancer/http2"
)

// WebSocket over HTTP/2 is an extended CONNECT, without the key by which its
// ends over HTTP/1.1 make sure that they mean the same (RFC 8441 section 5). So
// that is done here for whichever side is not of HTTP/1.1.

const (
	websocketName = "websocket"
	// websocketKey is the size of a Sec-WebSocket-Key: 16 bytes in base64.
	websocketKey = 24
	// websocketAccept is that of a Sec-WebSocket-Accept: a SHA-1 in base64.
	websocketAccept = 28
	// websocketGUID is what the key is hashed with: RFC 6455 section 1.3.
	websocketGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

// appendAccept appends what a key is to be answered with.
func appendAccept(text, key []byte) []byte {
	sum := sha1.Sum(append(append(make([]byte, 0, 96), key...), websocketGUID...))
	return base64.StdEncoding.AppendEncode(text, sum[:])
}

// extend takes a client's extended CONNECT for an offer to upgrade.
func (c *stream) extend(head *http2.Head) {
	c.method = http1.GET
	c.set(extended)
	if is(head.Protocol, websocketName) {
		c.set(websocket)
		var nonce [16]byte // which need not be secret, only differ: RFC 6455 section 10.3
		for i := range nonce {
			nonce[i] = byte(rand.Uint32())
		}
		base64.StdEncoding.Encode(c.key[:], nonce[:])
	}
}

// appendUpgrade writes the fields of the offer.
func (c *stream) appendUpgrade(text []byte, head *http2.Head) []byte {
	text = append(text, "connection: upgrade\r\n"...)
	text = appendField(text, "upgrade", head.Protocol)
	if c.has(websocket) {
		text = appendField(text, "sec-websocket-key", c.key[:])
	}
	return text
}

// readAgreement makes the response to an offer that to an extended CONNECT:
// there 200 says what 101 does, and a backend that did not switch must not say
// it.
func (c *stream) readAgreement(head *http2.Head) {
	switch {
	case head.Status == 101:
		if c.has(websocket) && !c.dropAccept(head) {
			head.Status, head.Fields = 502, head.Fields[:0]
			c.giveUp()
			return
		}
		head.Status = 200
		c.set(tunnel)
		c.out.open()
	case head.Status >= 200 && head.Status < 300:
		head.Status = 502
	}
}

// giveUp has the exchange end, for which the tunnel is open: soon, as a link
// calls nobody back.
func (c *stream) giveUp() {
	c.in, c.owed = c.in[:0], 0
	c.failure = &exchange.ResetError{Code: uint32(http2.ConnectError)}
	c.Resume()
}

// dropAccept takes the answer to the key out of a head, and tells whether it is
// right.
func (c *stream) dropAccept(head *http2.Head) (right bool) {
	for i, f := range head.Fields {
		if is(f.Name, "sec-websocket-accept") {
			right = bytes.Equal(f.Value, appendAccept(make([]byte, 0, websocketAccept), c.key[:]))
			head.Fields = append(head.Fields[:i], head.Fields[i+1:]...)
			return right
		}
	}
	return false
}

// extend makes a request that offers to upgrade an extended CONNECT.
func (l *lane) extend(head *http2.Head, request *http1.Request) {
	if bytes.IndexByte(request.Upgrade, ',') >= 0 {
		return // there is one only
	}
	l.set(extended)
	l.out.open()
	l.protocol = append(l.protocol[:0], request.Upgrade...)
	head.Method, head.Protocol = []byte("CONNECT"), request.Upgrade
	if is(request.Upgrade, websocketName) {
		l.set(websocket)
	}
}

// noteKey keeps a client's key, which the backend does not get.
func (l *lane) noteKey(name, value []byte) bool {
	if !is(name, "sec-websocket-key") {
		return false
	}
	l.key = append(l.key[:0], value...)
	return true
}

// appendSwitch writes the head of the response to an extended CONNECT that was
// accepted.
func (l *lane) appendSwitch(text []byte, head *http2.Head) []byte {
	text = append(text, "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n"...)
	text = appendField(text, "upgrade", l.protocol)
	if l.has(websocket) {
		text = append(text, "sec-websocket-accept: "...)
		text = append(appendAccept(text, l.key), "\r\n"...)
	}
	for i := range head.Fields {
		if f := &head.Fields[i]; string(f.Name) != "content-length" {
			text = appendField(text, f.Name, f.Value)
		}
	}
	return append(text, "\r\n"...)
}
