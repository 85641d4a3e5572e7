package proxy

import "time"

// limits are the bounds on time and memory, all in one place. Tests shorten
// them; nothing else does.
type limits struct {
	// clientHead bounds a request's head, from its first byte. A head fits one
	// or two packets, so this is generous even over a lossy line.
	clientHead time.Duration
	// clientIdle is how long a connection may wait for its next request. Longer
	// than what browsers and balancers in front use between two requests, short
	// enough that forgotten connections do not pile up.
	clientIdle time.Duration
	// clientHeadBytes bounds a request's head: what large cookies need, twice.
	clientHeadBytes int

	// connect bounds one connect to one address: the SYN is sent again after
	// 1 s, so 3 s forgive a lost packet and no more.
	connect time.Duration
	// connectAll bounds the connects of one request: after it no further backend,
	// and no further address of one, is tried, because its client has given up by
	// then.
	connectAll time.Duration
	// attempts bounds how many backends one request tries. When 8 in a row
	// refuse, the pool is in trouble, and trying all of it would only add load.
	attempts int
	// fresh bounds how often a request is sent again because its pooled
	// connection turned out closed before a byte was written.
	fresh int
	// repeats bounds how often a request that does no harm is sent to another
	// backend after it was sent to one that died. Once saves what a dying backend
	// would cost; more would multiply what a deadly request can do.
	repeats int

	// responseHead bounds the wait for a response's head after the request was
	// sent: what HAProxy and nginx configurations use (50 s, 60 s).
	responseHead time.Duration
	// responseHeadBytes bounds that head.
	responseHeadBytes int64
	// interim bounds the number of 1xx responses to one request.
	interim int
	// expectContinue is how long a body waits for the backend's 100: RFC 9110
	// section 10.1.1 forbids to wait for ever, since old servers never send it.
	expectContinue time.Duration

	// stream is how long a message under way may stand still: longer than the
	// heartbeat of any event stream, and a dead peer is still noticed.
	stream time.Duration
	// tunnel is the same for upgraded connections, which may be silent by
	// design; 1 h is what HAProxy's documentation suggests.
	tunnel time.Duration

	// backendIdle is how long a connection to a backend is kept for reuse. The
	// shortest keep-alive timeout of common servers is 5 s (Node.js, Apache); a
	// gateway must be first to close, or requests meet closed connections.
	backendIdle time.Duration
	// backendIdleConns bounds those connections per backend: a burst's worth.
	backendIdleConns int

	// headFlush is how long a response's head may wait for the first bytes of
	// the body, to share a packet with them.
	headFlush time.Duration
	// linger is how long the rest of an unwanted request body is read before
	// the connection is closed, so that no reset destroys the answer.
	linger time.Duration

	// acceptQuiet: a listener that ends has emptied its accept queue when
	// nothing arrived for so long. It covers the last step of handshakes under
	// way over any usual distance.
	acceptQuiet time.Duration
	// acceptMax bounds that.
	acceptMax time.Duration
	// drainIdle is how long connections without a request keep an ending
	// listener open; see [Server.Run].
	drainIdle time.Duration
	// drainPoll is how often an ending listener looks whether it is done.
	drainPoll time.Duration
}

func defaultLimits() limits {
	return limits{
		clientHead:        10 * time.Second,
		clientIdle:        60 * time.Second,
		clientHeadBytes:   64 << 10,
		connect:           3 * time.Second,
		connectAll:        10 * time.Second,
		attempts:          8,
		fresh:             3,
		repeats:           1,
		responseHead:      60 * time.Second,
		responseHeadBytes: 256 << 10,
		interim:           32,
		expectContinue:    time.Second,
		stream:            5 * time.Minute,
		tunnel:            time.Hour,
		backendIdle:       4 * time.Second,
		backendIdleConns:  512,
		headFlush:         5 * time.Millisecond,
		linger:            500 * time.Millisecond,
		acceptQuiet:       50 * time.Millisecond,
		acceptMax:         250 * time.Millisecond,
		drainIdle:         time.Second,
		drainPoll:         5 * time.Millisecond,
	}
}

// copyBuffer is the size of buffers that bodies pass through: large enough that
// a big body is not dominated by system calls.
const copyBuffer = 32 << 10
