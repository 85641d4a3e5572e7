package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"evenkeel/balancer/table"
)

var errNoBackend = errors.New("no backend is available")

// attempts is a transport that picks a backend for each request, and another
// one when a connect fails.
type attempts struct {
	base *http.Transport
	now  func() int64
}

// newTransport is net/http's, with a connect that can be told from other
// failures.
func newTransport() *http.Transport {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.Proxy = nil
	base.MaxIdleConnsPerHost = 512
	base.DisableCompression = true
	dial := base.DialContext
	base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, &connectError{err}
		}
		return conn, nil
	}
	return base
}

// connectError is a connect that failed: nothing was sent.
type connectError struct{ error }

func (e *connectError) Unwrap() error { return e.error }

// RoundTrip implements [http.RoundTripper].
func (a *attempts) RoundTrip(out *http.Request) (*http.Response, error) {
	t := tripOf(out.Context())
	var tried table.Tried
	last := errNoBackend
	for range t.pool.Attempts {
		t.choice.Now = a.now()
		b := t.pool.Pick(&t.choice)
		if b == nil {
			break
		}
		response, err := a.send(out, t, b)
		var failed *connectError
		if err == nil || !errors.As(err, &failed) {
			return response, err
		}
		last = errNoBackend
		tried.Add(b)
		t.choice.Tried = &tried
	}
	return nil, last
}

// send makes one attempt, and counts it done when the response's body is closed.
func (a *attempts) send(out *http.Request, t *trip, b *table.Backend) (*http.Response, error) {
	endpoint, ok := b.Endpoint(0)
	if !ok {
		return nil, &connectError{errNoBackend}
	}
	local := b.Stats.Local(0)
	local.Requests.Add(1)
	b.Stats.Load.Add(0, 1)
	began := a.now()
	request := out.Clone(out.Context())
	request.URL.Host = endpoint.String()
	response, err := a.base.RoundTrip(request)
	if err != nil {
		b.Stats.Load.Add(0, -1)
		var failed *connectError
		if errors.As(err, &failed) {
			local.ConnectFailures.Add(1)
			// A backend that refuses at once must not seem the fastest.
			b.Stats.Latency.Observe(0, int64(time.Second), a.now())
		} else if out.Context().Err() == nil {
			local.Failures.Add(1)
		}
		return nil, err
	}
	local.CountResponse(response.StatusCode)
	b.Stats.Latency.Observe(0, a.now()-began, a.now())
	if !t.pool.IsNamed(&t.choice, b) {
		response.Header.Add("Set-Cookie", t.pool.Cookie(b))
	}
	response.Request = request
	response.Body = counted(response.Body, sync.OnceFunc(func() { b.Stats.Load.Add(0, -1) }))
	return response, nil
}

// counted calls done when the body is closed. One that can be written to, of an
// upgrade, stays so.
func counted(body io.ReadCloser, done func()) io.ReadCloser {
	if both, ok := body.(io.ReadWriteCloser); ok {
		return &countedTunnel{both, done}
	}
	return &countedBody{body, done}
}

type countedBody struct {
	io.ReadCloser
	done func()
}

func (c *countedBody) Close() error {
	c.done()
	return c.ReadCloser.Close()
}

type countedTunnel struct {
	io.ReadWriteCloser
	done func()
}

func (c *countedTunnel) Close() error {
	c.done()
	return c.ReadWriteCloser.Close()
}
