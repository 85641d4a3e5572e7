package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	// callTimeout bounds a call whose context has no deadline.
	callTimeout = 15 * time.Second
	// The connections that are kept for, and may be open with, one peer.
	rpcIdleConns = 8
	rpcMaxConns  = 64
	rpcIdle      = time.Minute
	// A call that its caller gave up goes on for lingerTime, if at most maxLingering
	// do: to end it is to end its connection, and on a bad network the next call
	// would need a new one just when the last was too slow.
	lingerTime   = time.Second
	maxLingering = 16
	// jsonType is what both sides speak.
	jsonType = "application/json"
)

// Client calls methods of peers. It is safe for concurrent use; the port's
// Close ends it.
type Client struct {
	port      *Port
	maxBody   int64
	transport *http.Transport
	tasks     sync.WaitGroup
	lingers   time.Duration // lingerTime, but for tests
	lingering chan struct{} // one for each call that nobody waits for

	mu     sync.Mutex        // guards what follows
	dialed map[string]string // the directory's address at the last call, by UID
	closed bool
}

func newClient(p *Port, maxBody int64) *Client {
	c := &Client{port: p, maxBody: maxBody, dialed: map[string]string{}, lingers: lingerTime, lingering: make(chan struct{}, maxLingering)}
	c.transport = &http.Transport{
		DialContext: func(ctx context.Context, _, hostport string) (net.Conn, error) {
			uid, _, err := net.SplitHostPort(hostport)
			if err != nil {
				return nil, fmt.Errorf("read uid of %q: %w", hostport, err)
			}
			return c.dialUID(ctx, uid)
		},
		DisableCompression:     true,
		MaxIdleConnsPerHost:    rpcIdleConns,
		MaxConnsPerHost:        rpcMaxConns,
		IdleConnTimeout:        rpcIdle,
		MaxResponseHeaderBytes: rpcMaxHeader,
	}
	return c
}

// Call sends the request to the method of the node with that UID, and reads
// the answer into response; nil for either means that there is none. The
// directory says where the node is, and no other node is ever asked. Without a
// deadline in ctx it ends after 15 s. When ctx ends Call returns its cause at once;
// the peer may not see that for a second.
//
// The error is a *[RemoteError] if the peer answered with one, and
// [ErrUnreachable] if nothing was sent. After any other the peer may have done
// what was asked or not.
func (c *Client) Call(ctx context.Context, uid, method string, request, response any) error {
	addr, err := c.port.lookup(uid)
	if err != nil {
		return fmt.Errorf("call %s of node %q: %w", method, uid, err)
	}
	if c.moved(uid, addr) {
		c.port.PeerMoved(uid)
	}
	body, err := c.lasting(ctx, func(ctx context.Context) ([]byte, error) {
		return c.exchange(ctx, c.transport, uid, method, request)
	})
	if err == nil {
		err = decode(body, response)
	}
	if err != nil {
		return fmt.Errorf("call %s of node %q: %w", method, uid, err)
	}
	return nil
}

// lasting makes a call that goes on for a moment when ctx ends.
func (c *Client) lasting(ctx context.Context, call func(context.Context) ([]byte, error)) ([]byte, error) {
	type result struct {
		body []byte
		err  error
	}
	until := time.Now().Add(callTimeout)
	if deadline, ok := ctx.Deadline(); ok {
		until = deadline.Add(c.lingers)
	}
	own, cancel := context.WithDeadline(context.WithoutCancel(ctx), until)
	results := make(chan result, 1)
	begun := c.begin(func() {
		defer cancel()
		body, err := call(own)
		results <- result{body, err}
	})
	if !begun {
		cancel()
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, net.ErrClosed)
	}
	enough := context.AfterFunc(ctx, func() { c.linger(own, cancel) })
	defer context.AfterFunc(c.port.life, cancel)()
	select {
	case r := <-results:
		enough()
		return r.body, r.err
	case <-ctx.Done(): // linger runs, or is about to
		return nil, context.Cause(ctx)
	}
}

// begin runs a call of its own, unless the client is closed.
func (c *Client) begin(call func()) (begun bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.tasks.Go(call)
	return true
}

// linger ends a call that nobody waits for after a while, or at once if there are
// many.
func (c *Client) linger(call context.Context, cancel func()) {
	defer cancel()
	select {
	case c.lingering <- struct{}{}:
		defer func() { <-c.lingering }()
	default:
		return
	}
	timer := time.NewTimer(c.lingers)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-call.Done():
	case <-c.port.life.Done():
	}
}

// CallAddr is Call for whichever node of the cluster answers at HOST:PORT, by
// a connection of its own. It returns the UID of that node whenever there is
// one, also with an error.
func (c *Client) CallAddr(ctx context.Context, addr, method string, request, response any) (uid string, err error) {
	conn, err := c.port.dial(ctx, protocolRPC, addr, "")
	if err != nil {
		return "", fmt.Errorf("call %s at %q: %w", method, addr, err)
	}
	defer conn.abort() //nolint:errcheck // the answer is there, or never comes
	transport := &http.Transport{
		DialContext:            func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: rpcMaxHeader,
	}
	body, err := c.exchange(ctx, transport, conn.uid, method, request)
	if err == nil {
		err = decode(body, response)
	}
	if err != nil {
		return conn.uid, fmt.Errorf("call %s of node %q at %q: %w", method, conn.uid, addr, err)
	}
	return conn.uid, nil
}

// dialUID connects with the node at the address of the directory.
func (c *Client) dialUID(ctx context.Context, uid string) (net.Conn, error) {
	addr, err := c.port.lookup(uid)
	if err != nil {
		return nil, err
	}
	conn, err := c.port.dial(ctx, protocolRPC, addr, uid)
	if err != nil {
		return nil, err // not conn: a nil *conn in an interface is not nil
	}
	return conn, nil
}

// moved tells whether the directory's address of the node is another than at
// the last call.
func (c *Client) moved(uid, addr string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, known := c.dialed[uid]
	c.dialed[uid] = addr
	return known && before != addr
}

// exchange sends one request and reads its answer.
func (c *Client) exchange(ctx context.Context, transport *http.Transport, uid, method string, request any) ([]byte, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTimeout)
		defer cancel()
	}
	body, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	if int64(len(body)) > c.maxBody {
		// What the peer would answer.
		return nil, &RemoteError{Code: CodeTooLarge,
			Message: fmt.Sprintf("the request has %d bytes, more than the %d that a peer takes", len(body), c.maxBody)}
	}
	target := url.URL{Scheme: "http", Host: uid, Path: "/" + method}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	r.Header.Set("Content-Type", jsonType)
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err = c.read(answer, method)
	// The handler noticed that ctx ended and said so before the connection was
	// gone. That is this side's error, and none of the peer.
	if ctx.Err() != nil && IsRemote(err, CodeInternal) {
		return nil, fmt.Errorf("%w (%w)", ctx.Err(), err)
	}
	return body, err
}

// read takes the answer apart.
func (c *Client) read(answer *http.Response, method string) ([]byte, error) {
	// All is read, so that the connection can be used again.
	body, err := io.ReadAll(io.LimitReader(answer.Body, c.maxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read answer: %w", err)
	case int64(len(body)) > c.maxBody:
		// No RemoteError: the peer did what was asked.
		return nil, fmt.Errorf("read answer: it has more than %d bytes", c.maxBody)
	case answer.StatusCode != http.StatusOK:
		return nil, remoteError(answer.StatusCode, method, body)
	}
	return body, nil
}

func decode(body []byte, response any) error {
	if response == nil {
		return nil
	}
	if err := json.Unmarshal(body, response); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	return nil
}

// remoteError makes an error of an answer that is none.
func remoteError(status int, method string, body []byte) error {
	var remote RemoteError
	switch err := json.Unmarshal(body, &remote); {
	case err == nil && remote.Code != "":
		return &remote
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return &RemoteError{Code: CodeUnknownMethod, Message: fmt.Sprintf("it has no method %q", method)}
	case status == http.StatusRequestEntityTooLarge:
		return &RemoteError{Code: CodeTooLarge, Message: "the request is too large for it"}
	}
	return &RemoteError{Code: CodeInternal, Message: fmt.Sprintf("status %d, %d bytes that are not an error of ours", status, len(body))}
}

// IsRemote tells whether the peer answered with an error of that code.
func IsRemote(err error, code string) bool {
	var remote *RemoteError
	return errors.As(err, &remote) && remote.Code == code
}

// close ends the idle connections; the port ends the others.
func (c *Client) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.transport.CloseIdleConnections()
	c.tasks.Wait()
}
