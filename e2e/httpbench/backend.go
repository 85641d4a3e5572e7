//go:build linux

package main

import (
	"bytes"
	"fmt"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/sys/unix"
)

// backendMain is the backends' process: one event loop that listens on all the
// addresses.
func backendMain(addresses []string) error {
	if err := soloThread(); err != nil {
		return err
	}
	b, err := newBackend(addresses)
	if err != nil {
		return err
	}
	for {
		if err := b.turn(-1); err != nil {
			return err
		}
	}
}

// upstream is one connection of a balancer, or a listener.
type upstream struct {
	listens bool

	in     []byte     // the begin of a request that came in pieces
	unsent []byte     // the rest of an answer
	rest   int        // bytes of a huge body behind it, of which pieces become unsent
	closes bool       // after the answer
	rpc    *rpcServer // where the balancer speaks HTTP/2
}

// backend answers requests. One goroutine owns it.
type backend struct {
	poller    *poller
	upstreams []*upstream // by descriptor
	buffer    []byte
	// known is the head of the last request, which need not be parsed again
	// when it comes with the same bytes.
	known   []byte
	request request

	pattern    pattern
	small, big *page
	huge       *page     // the head alone
	date       time.Time // of the pages
}

func newBackend(addresses []string) (*backend, error) {
	poller, err := newPoller()
	if err != nil {
		return nil, err
	}
	p := newPattern()
	b := &backend{
		poller: poller, buffer: make([]byte, 64<<10),
		pattern: p, small: newPage(p.body(smallSize), smallSize), big: newPage(p.body(bigSize), bigSize), huge: newPage(nil, hugeSize),
	}
	for _, address := range addresses {
		fd, err := listen(address)
		if err != nil {
			return nil, err
		}
		if errno := b.watch(fd, unix.EPOLLIN, &upstream{listens: true}); errno != 0 {
			return nil, fmt.Errorf("watch listener: %w", errno)
		}
	}
	return b, nil
}

// turn handles one batch of events.
func (b *backend) turn(limit time.Duration) error {
	events, err := b.poller.wait(limit)
	if err != nil {
		return err
	}
	if now := time.Now(); now.Sub(b.date) >= time.Second {
		b.date = now.Truncate(time.Second)
		b.small.setDate(b.date)
		b.big.setDate(b.date)
		b.huge.setDate(b.date)
	}
	for i := range events {
		fd := int(events[i].Fd)
		if u := b.upstreams[fd]; u.listens {
			b.accept(fd)
		} else {
			b.handle(fd, u, events[i].Events)
		}
	}
	return nil
}

// watch registers a descriptor. Only its own event closes it, and a batch has
// one event for each: so none finds another connection than it is of.
func (b *backend) watch(fd int, events uint32, u *upstream) unix.Errno {
	for fd >= len(b.upstreams) {
		b.upstreams = append(b.upstreams, make([]*upstream, 1024)...)
	}
	b.upstreams[fd] = u
	return b.poller.add(fd, events, int32(fd), 0)
}

// accept takes all connections that wait. What goes wrong with one is its
// balancer's to notice.
func (b *backend) accept(listener int) {
	for {
		fd, errno := accept(listener)
		if errno != 0 {
			return
		}
		if errno := b.watch(fd, readiness, &upstream{}); errno != 0 {
			b.close(fd)
		}
	}
}

// handle goes on with a connection: first with the answer that is under way,
// then with requests that came during it, then with those that come now.
func (b *backend) handle(fd int, u *upstream, events uint32) {
	if len(u.unsent) > 0 {
		if !b.flush(fd, u) || !b.take(fd, u, nil) {
			return
		}
	} else if events&^unix.EPOLLOUT == 0 {
		return
	}
	for len(u.unsent) == 0 {
		n, errno := recv(fd, b.buffer)
		if errno == unix.EAGAIN {
			return
		}
		if errno != 0 || n == 0 {
			b.close(fd)
			return
		}
		if !b.take(fd, u, b.buffer[:n]) {
			return
		}
		// A short read has emptied the socket; the end is read for itself.
		if n < len(b.buffer) && events&unix.EPOLLRDHUP == 0 {
			return
		}
	}
}

// take answers what is complete and keeps the rest. It returns false when the
// connection is closed.
func (b *backend) take(fd int, u *upstream, data []byte) bool {
	if u.rpc != nil {
		return b.serveRPC(fd, u, data)
	}
	if len(u.in) > 0 {
		u.in = append(u.in, data...)
		data = u.in
	}
	if bytes.HasPrefix(data, []byte(http2.ClientPreface)) {
		u.in = nil
		u.rpc = newRPCServer(b.pattern)
		return b.serveRPC(fd, u, data[len(http2.ClientPreface):])
	}
	for len(data) > 0 && len(u.unsent) == 0 {
		size := b.parse(data)
		if size == 0 || len(data) < size {
			break
		}
		u.unsent, u.closes = b.answer(data[size-b.request.length : size])
		if b.request.path == hugePath && b.request.fault == "" {
			u.rest = hugeSize
		}
		data = data[size:]
		if !b.flush(fd, u) {
			return false
		}
	}
	u.in = append(u.in[:0], data...)
	return true
}

// parse reads the head at the start of the data into b.request and returns
// the length of the whole request, or 0 while the head is not complete. A head
// that cannot be read becomes a request that is answered with the reason.
func (b *backend) parse(data []byte) int {
	if len(b.known) == 0 || !bytes.HasPrefix(data, b.known) {
		end := bytes.Index(data, headEnd)
		if end < 0 {
			return 0
		}
		b.known = append(b.known[:0], data[:end+len(headEnd)]...)
		var err error
		if b.request, err = parseRequest(b.known); err != nil {
			b.request = request{fault: err.Error()}
		}
	}
	return len(b.known) + b.request.length
}

// answer returns the answer to b.request and whether the connection ends.
func (b *backend) answer(body []byte) ([]byte, bool) {
	r := &b.request
	if fault := r.check(body); fault != "" {
		return fmt.Appendf(nil, "HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(fault), fault), true
	}
	switch r.path {
	case bigPath:
		return b.big.whole, r.closes
	case hugePath:
		return b.huge.whole, r.closes
	}
	return b.small.whole, r.closes
}

// check returns what is wrong with a request, or "".
func (r *request) check(body []byte) string {
	switch {
	case r.fault != "":
		return r.fault
	case !r.forwarded:
		return "the request has no X-Forwarded-For"
	case r.method == "GET" && (r.path == smallPath || r.path == bigPath || r.path == hugePath) && r.length == 0:
	case r.method != "POST" || r.path != postPath:
		return fmt.Sprintf("nothing is at %s %.40s", r.method, r.path)
	case r.length != postSize:
		return fmt.Sprintf("a body of %d bytes, want %d", r.length, postSize)
	case checksum(body) != r.checksum:
		return fmt.Sprintf("the body's checksum is %08x, want %08x", checksum(body), r.checksum)
	}
	return ""
}

// flush sends what is left of an answer and returns false when the connection
// is closed.
func (b *backend) flush(fd int, u *upstream) bool {
	for len(u.unsent) > 0 {
		n, errno := send(fd, u.unsent)
		switch errno {
		case 0:
			u.unsent = b.following(u, u.unsent[n:])
		case unix.EAGAIN:
			return true
		default:
			b.close(fd)
			return false
		}
	}
	if u.closes {
		b.close(fd)
	}
	return !u.closes
}

func (b *backend) close(fd int) {
	b.upstreams[fd] = nil
	closeSocket(fd)
}

// following returns what is to be sent, with the next piece of a huge body when
// nothing else is left.
func (b *backend) following(u *upstream, unsent []byte) []byte {
	if len(unsent) > 0 || u.rest == 0 {
		return unsent
	}
	from := (hugeSize - u.rest) % patternPeriod
	piece := b.pattern[from:min(from+u.rest, len(b.pattern))]
	u.rest -= len(piece)
	return piece
}
