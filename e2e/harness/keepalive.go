package harness

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// requestTimeout is when a client gives a request up as failed.
const requestTimeout = 10 * time.Second

// Keepalive is an HTTP/1.1 client with one connection that it uses for as
// long as the server lets it. Unlike net/http's it never repeats a request by
// itself, so that no failure is hidden. It is for one goroutine.
type Keepalive struct {
	Address string

	conn   net.Conn
	reader *bufio.Reader
}

// Reply is the answer to one request.
type Reply struct {
	Status int
	Header http.Header
	Body   string
}

// errRefused means that nobody listens: no request was sent.
var errRefused = errors.New("connect refused")

// Get sends one GET request.
func (k *Keepalive) Get(path string) (Reply, error) {
	if k.conn == nil {
		conn, err := net.DialTimeout("tcp", k.Address, requestTimeout)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return Reply{}, errRefused
		}
		if err != nil {
			return Reply{}, err
		}
		k.conn, k.reader = conn, bufio.NewReader(conn)
	}
	reply, keep, err := k.exchange(path)
	if err != nil || !keep {
		k.Close()
	}
	return reply, err
}

// Close closes the connection; the next Get opens a new one.
func (k *Keepalive) Close() {
	if k.conn != nil {
		k.conn.Close()
		k.conn = nil
	}
}

func (k *Keepalive) exchange(path string) (reply Reply, keep bool, err error) {
	if err := k.conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return Reply{}, false, err
	}
	if _, err := fmt.Fprintf(k.conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, k.Address); err != nil {
		return Reply{}, false, err
	}
	response, err := http.ReadResponse(k.reader, nil)
	if err != nil {
		return Reply{}, false, err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return Reply{}, false, err
	}
	reply = Reply{Status: response.StatusCode, Header: response.Header, Body: strings.TrimSpace(string(body))}
	return reply, !response.Close, nil
}

// Hold sends GET /hold to an address and leaves the request open until the
// connection is closed, at the latest when the test ends.
func Hold(t testing.TB, address string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, requestTimeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := fmt.Fprintf(conn, "GET /hold HTTP/1.1\r\nHost: %s\r\n\r\n", address); err != nil {
		t.Fatal(err)
	}
	return conn
}
