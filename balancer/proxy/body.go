package proxy

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

var (
	errBodyStopped = errors.New("the exchange is over")
	errBodyTouched = errors.New("the body was read and cannot be sent again")
)

// clientBody is a request's body on its way to a backend. net/http's transport
// closes the body that it is given when a connect fails, and reads it in a
// goroutine that may outlive the exchange; clientBody survives the first and
// ends the second.
type clientBody struct {
	source io.Reader
	client *http.ResponseController
	quiet  time.Duration
	// wanted is called before the first byte is read and may block until over is
	// closed; its error ends the body.
	wanted func() error
	over   chan struct{}  // closed by stop
	count  *atomic.Uint64 // of bytes

	touched atomic.Bool // somebody began to read
	whole   atomic.Bool // its end was read
	broken  atomic.Bool // the client did not send all of it
	late    atomic.Bool // because it stood still for too long
	stopped atomic.Bool

	reading sync.Mutex // held while a Read is under way
}

// hasBody tells whether a server's request has a body.
func hasBody(in *http.Request) bool {
	return in.ContentLength != 0 && in.Body != nil && in.Body != http.NoBody
}

func (b *clientBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.stopped.Load() {
		return 0, errBodyStopped
	}
	if !b.touched.Swap(true) {
		if err := b.wanted(); err != nil {
			return 0, err
		}
	}
	// An error here means a closed connection, which the read reports.
	_ = b.client.SetReadDeadline(time.Now().Add(b.quiet))
	if b.stopped.Load() { // between the two, stop may have set its deadline
		return 0, errBodyStopped
	}
	n, err := b.source.Read(p)
	b.count.Add(uint64(n))
	switch {
	case err == io.EOF:
		b.whole.Store(true)
	case err != nil && !b.stopped.Load():
		b.late.Store(errors.Is(err, os.ErrDeadlineExceeded))
		b.broken.Store(true)
	}
	return n, err
}

// Close does nothing: the body belongs to the server, and another backend may
// still get it.
func (b *clientBody) Close() error { return nil }

// again returns the body if it can be sent to another backend.
func (b *clientBody) again() (io.ReadCloser, error) {
	if b.touched.Load() {
		return nil, errBodyTouched
	}
	return b, nil
}

// stop, called once, ends reading and waits until no Read is under way. What the client has
// yet to send may then be read by the server for the given time: zero for none.
func (b *clientBody) stop(linger time.Duration) {
	if b == nil || b.whole.Load() {
		return
	}
	b.stopped.Store(true)
	close(b.over)
	// The first deadline ends a Read under way. On a closed connection both
	// calls fail, and then there is nothing to end.
	_ = b.client.SetReadDeadline(time.Unix(1, 0))
	b.reading.Lock()
	defer b.reading.Unlock()
	if linger > 0 && !b.whole.Load() {
		_ = b.client.SetReadDeadline(time.Now().Add(linger))
	}
}

// isWhole tells whether nothing of the body is left on the connection.
func (b *clientBody) isWhole() bool { return b == nil || b.whole.Load() }

// isBroken tells whether the client failed to send all of the body.
func (b *clientBody) isBroken() bool { return b != nil && b.broken.Load() }

// isLate tells whether that is because the client stood still for too long.
func (b *clientBody) isLate() bool { return b != nil && b.late.Load() }

// isTouched tells whether any of the body was taken.
func (b *clientBody) isTouched() bool { return b != nil && b.touched.Load() }
