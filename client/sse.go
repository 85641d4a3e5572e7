package client

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxEvent bounds one event of a stream in bytes: an object has at most 1 MiB.
const maxEvent = 4 << 20

// errEventTooLong marks an event that no node sends.
var errEventTooLong = errors.New("an event is too long")

// message is one event of a stream (HTML, section 9.2). hasID tells that it has
// an id, which may be empty.
type message struct {
	name  string
	id    string
	hasID bool
	data  []byte
}

// stream reads events.
type stream struct {
	lines *bufio.Reader
	// alive is called for each line, also for comments.
	alive func()
}

// next returns the next event that has a name, an id or data. What a stream that ends
// leaves unfinished is dropped, as the specification has it: io.EOF.
func (s *stream) next() (message, error) {
	var m message
	started := false
	for {
		line, err := s.line(maxEvent - len(m.data))
		if err != nil {
			return message{}, err
		}
		s.alive()
		if len(line) == 0 {
			if started {
				return m, nil
			}
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "":
			continue // a comment
		case "event":
			m.name = string(value)
		case "data":
			if m.data != nil {
				m.data = append(m.data, '\n')
			}
			m.data = append(m.data, value...)
			if m.data == nil {
				m.data = []byte{}
			}
		case "id":
			m.id, m.hasID = string(value), true
		default:
			continue // the specification: ignored
		}
		started = true
	}
}

// line returns a line without its end, valid until the next call. One longer
// than limit is an error.
func (s *stream) line(limit int) ([]byte, error) {
	var whole []byte
	for {
		part, err := s.lines.ReadSlice('\n')
		if len(whole)+len(part) > limit {
			return nil, fmt.Errorf("%w: it has more than %d bytes", errEventTooLong, maxEvent)
		}
		if err == nil && whole == nil {
			return trimEnd(part), nil
		}
		whole = append(whole, part...)
		switch {
		case err == nil:
			return trimEnd(whole), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(whole) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

func trimEnd(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}
