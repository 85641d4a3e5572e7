//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// unaryMessage is a message with its prefix (gRPC over HTTP2,
// Length-Prefixed-Message).
func unaryMessage(p pattern) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, unarySize), p.body(unarySize)...)
}

// asked is what the requests of all sessions are made of.
type asked struct {
	first, later []byte // the block of the fields
	body         []byte // nil without one
	answer       []byte // the whole body of an answer
}

// asked makes the request of a shape for HTTP/2.
func (s Shape) asked(p pattern, scheme string) asked {
	if s == Unary {
		a := asked{body: unaryMessage(p), answer: unaryMessage(p)}
		a.first, a.later = fieldBlocks(":method", "POST", ":scheme", scheme, ":path", unaryPath, ":authority", serverName,
			"content-type", "application/grpc", "user-agent", "grpc-go/1.72.0", "te", "trailers")
		return a
	}
	a := asked{answer: p.body(s.answerSize())}
	pairs := []string{":method", "GET", ":scheme", scheme, ":path", s.path(), ":authority", serverName}
	a.first, a.later = fieldBlocks(append(pairs, browserFields()...)...)
	return a
}

// session is the client of one HTTP/2 connection: a request on each of its
// streams, and the next after each answer.
type session struct {
	*framed
	g    *generator
	next uint32 // the number of the next stream
	open map[uint32]*exchanged
}

// exchanged is one request that is under way.
type exchanged struct {
	begun  time.Duration
	headed bool
	offset int // bytes of the body so far
}

func newSession(g *generator) *session {
	s := &session{framed: newFramed(http2.ClientPreface), g: g, next: 1, open: map[uint32]*exchanged{}}
	s.indexes = true
	return s
}

// ask sends a request.
func (s *session) ask(begun time.Duration) {
	block := s.g.asked.later
	if s.next == 1 {
		block = s.g.asked.first
	}
	s.open[s.next] = &exchanged{begun: begun}
	s.g.busy++
	s.send(s.next, block, s.g.asked.body, nil)
	s.next += 2
}

// head checks an answer's head or trailers.
func (s *session) head(stream uint32, fields []hpack.HeaderField, ends bool) error {
	e := s.open[stream]
	if e == nil {
		return fmt.Errorf("a head on stream %d, which is not open", stream)
	}
	values := map[string]string{}
	for _, field := range fields {
		values[field.Name] = field.Value
	}
	if !e.headed {
		e.headed = true
		if err := s.checkHead(values); err != nil || !ends {
			return err
		}
	}
	if !ends {
		return fmt.Errorf("a second head on stream %d", stream)
	}
	if s.g.job.Shape == Unary && values["grpc-status"] != "0" {
		return fmt.Errorf("grpc-status %q: %.200q", values["grpc-status"], values["grpc-message"])
	}
	return s.answered(stream, e)
}

func (s *session) checkHead(values map[string]string) error {
	switch {
	case values[":status"] != "200":
		return fmt.Errorf("status %q, grpc-status %q", values[":status"], values["grpc-status"])
	case s.g.job.Shape == Unary && values["content-type"] != "application/grpc":
		return fmt.Errorf("content-type %q, want application/grpc", values["content-type"])
	case s.g.job.Shape != Unary && values["content-length"] != strconv.Itoa(len(s.g.asked.answer)):
		return fmt.Errorf("content-length %q, want %d", values["content-length"], len(s.g.asked.answer))
	}
	return nil
}

// data checks a piece of an answer's body.
func (s *session) data(stream uint32, piece []byte, ends bool) error {
	e := s.open[stream]
	if e == nil || !e.headed {
		return fmt.Errorf("a body on stream %d, which waits for none", stream)
	}
	left := s.g.asked.answer[e.offset:]
	if len(piece) > len(left) || !bytes.Equal(piece, left[:len(piece)]) {
		return fmt.Errorf("wrong bytes in the body at %d to %d of %d", e.offset, e.offset+len(piece)-1, len(s.g.asked.answer))
	}
	e.offset += len(piece)
	switch {
	case !ends:
		return nil
	case s.g.job.Shape == Unary:
		return fmt.Errorf("stream %d ended without trailers", stream)
	}
	return s.answered(stream, e)
}

// answered goes on after an answer.
func (s *session) answered(stream uint32, e *exchanged) error {
	if e.offset != len(s.g.asked.answer) {
		return fmt.Errorf("stream %d ended after %d of %d bytes", stream, e.offset, len(s.g.asked.answer))
	}
	if s.streams > 0 && s.streams < s.g.job.Streams {
		return fmt.Errorf("%d streams are allowed, want %d", s.streams, s.g.job.Streams)
	}
	now := s.g.now()
	s.g.record(e.begun, now)
	s.g.busy--
	delete(s.open, stream)
	if s.g.phase != finishing {
		s.ask(now)
	}
	return nil
}
