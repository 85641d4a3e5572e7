package apibench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// callTimeout is when a client gives a request up, which ends the measurement.
const callTimeout = 10 * time.Second

// webClient is one keep-alive connection with a node's API. It is for one
// goroutine.
type webClient struct {
	address string
	conn    net.Conn
	reader  *bufio.Reader
	request []byte
	body    []byte
	// revision is what the last answer said.
	revision uint64
}

func dialWeb(address string) (*webClient, error) {
	conn, err := net.DialTimeout("tcp", address, callTimeout)
	if err != nil {
		return nil, err
	}
	return &webClient{address: address, conn: conn, reader: bufio.NewReader(conn)}, nil
}

func (c *webClient) close() error { return c.conn.Close() }

// call sends a request and reads its answer, whose body is good until the next
// call.
func (c *webClient) call(method, path string, content []byte) (status int, body []byte, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return 0, nil, err
	}
	c.request = append(append(append(c.request[:0], method...), ' '), path...)
	c.request = append(append(c.request, " HTTP/1.1\r\nHost: "...), c.address...)
	if content != nil {
		c.request = append(c.request, "\r\nContent-Type: application/json\r\nContent-Length: "...)
		c.request = strconv.AppendInt(c.request, int64(len(content)), 10)
	}
	c.request = append(append(c.request, "\r\n\r\n"...), content...)
	if _, err := c.conn.Write(c.request); err != nil {
		return 0, nil, err
	}
	return c.answer()
}

func (c *webClient) answer() (status int, body []byte, err error) {
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return 0, nil, err
	}
	if status, err = statusOf(line); err != nil {
		return 0, nil, err
	}
	length := -1
	for {
		if line, err = c.reader.ReadSlice('\n'); err != nil {
			return 0, nil, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch string(name) { // as net/http writes them
		case "Content-Length":
			length, err = strconv.Atoi(string(value))
		case "X-Evenkeel-Revision":
			c.revision, err = strconv.ParseUint(string(value), 10, 64)
		}
		if err != nil {
			return 0, nil, err
		}
	}
	if length < 0 {
		return 0, nil, fmt.Errorf("the answer with status %d has no Content-Length", status)
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	_, err = io.ReadFull(c.reader, c.body)
	return status, c.body, err
}

// statusOf reads "HTTP/1.1 200 OK".
func statusOf(line []byte) (int, error) {
	if len(line) < len("HTTP/1.1 200") {
		return 0, fmt.Errorf("%q is no status line", line)
	}
	return strconv.Atoi(string(line[len("HTTP/1.1 "):len("HTTP/1.1 200")]))
}

// want makes an error of an answer with another status than the wanted ones.
func want(got int, body []byte, wanted ...int) error {
	for _, status := range wanted {
		if got == status {
			return nil
		}
	}
	return fmt.Errorf("%d %s", got, body)
}
