//go:build linux

package main

import (
	"bytes"
	"fmt"
	"runtime/debug"

	"golang.org/x/net/http2/hpack"
)

// rpcServer is the backend's side of one HTTP/2 connection: it answers every
// unary call of gRPC with the message that came.
type rpcServer struct {
	*framed
	message []byte
	sent    []byte // the room of what was sent last, for what gathers next
	open    map[uint32]*call

	block, trailers []byte // of the answers
}

// call is one that is being read.
type call struct {
	fault  string
	offset int // bytes of the message so far
}

// newRPCServer also lets the process collect garbage, of which these
// connections make some.
func newRPCServer(p pattern) *rpcServer {
	debug.SetGCPercent(800)
	s := &rpcServer{framed: newFramed(""), message: unaryMessage(p), open: map[uint32]*call{}}
	// Nothing in them changes a table: nginx allows none.
	s.block = append([]byte{0x88}, plainBlock("content-type", "application/grpc")...) // 0x88 is ":status: 200"
	s.trailers = plainBlock("grpc-status", "0")
	return s
}

// plainBlock is a block of one field that changes no table.
func plainBlock(name, value string) []byte {
	block := []byte{0, byte(len(name))} // RFC 7541 section 6.2.2
	block = append(block, name...)
	block = append(block, byte(len(value)))
	return append(block, value...)
}

func (s *rpcServer) head(stream uint32, fields []hpack.HeaderField, ends bool) error {
	values := map[string]string{}
	for _, field := range fields {
		values[field.Name] = field.Value
	}
	c := &call{}
	switch {
	case values[":method"] != "POST" || values[":path"] != unaryPath:
		c.fault = fmt.Sprintf("nothing is at %s %.40s", values[":method"], values[":path"])
	case values["content-type"] != "application/grpc":
		c.fault = fmt.Sprintf("content-type %.40q", values["content-type"])
	case values["x-forwarded-for"] == "":
		c.fault = "the request has no X-Forwarded-For"
	case ends:
		c.fault = "a call without a message"
	}
	s.open[stream] = c
	if ends {
		s.answer(stream, c)
	}
	return nil
}

func (s *rpcServer) data(stream uint32, piece []byte, ends bool) error {
	c := s.open[stream]
	if c == nil {
		return fmt.Errorf("a body on stream %d, which is not open", stream)
	}
	if left := s.message[c.offset:]; len(piece) > len(left) || !bytes.Equal(piece, left[:len(piece)]) {
		c.fault = fmt.Sprintf("wrong bytes in the message from %d on", c.offset)
	} else {
		c.offset += len(piece)
	}
	if ends {
		s.answer(stream, c)
	}
	return nil
}

func (s *rpcServer) answer(stream uint32, c *call) {
	delete(s.open, stream)
	if c.fault == "" && c.offset != len(s.message) {
		c.fault = fmt.Sprintf("a message of %d bytes, want %d", c.offset, len(s.message))
	}
	trailers := s.trailers
	if c.fault != "" {
		trailers = append(plainBlock("grpc-status", "3"), plainBlock("grpc-message", c.fault)...)
	}
	s.send(stream, s.block, s.message, trailers)
}

// serveRPC takes in bytes of such a connection and sends the answers. It
// returns false when the connection is closed.
func (b *backend) serveRPC(fd int, u *upstream, data []byte) bool {
	if err := u.rpc.take(data, u.rpc); err != nil {
		b.close(fd)
		return false
	}
	if len(u.unsent) == 0 {
		u.unsent, u.rpc.out = u.rpc.out, u.rpc.sent[:0]
		u.rpc.sent = u.unsent
	}
	return b.flush(fd, u)
}
