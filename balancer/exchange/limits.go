package exchange

import "time"

// Bounds are what is not for users to set, because no other value is better
// elsewhere. Tests shorten them; nothing else does.
type Bounds struct {
	// Fresh bounds how often a request is sent again because a pooled connection
	// turned out closed before a byte of it was sent.
	Fresh int8
	// Repeats bounds how often a request that may be repeated is sent to another
	// backend after it was sent to one that died. Once saves what a dying backend
	// would cost; more would multiply what a deadly request can do.
	Repeats int8
	// Interim bounds the 1xx responses to one request.
	Interim int8
	// ConnectAll bounds the connects of one request: its client has given up by
	// then.
	ConnectAll time.Duration
	// ExpectContinue is how long a body waits for the backend's 100: RFC 9110
	// section 10.1.1 forbids to wait for ever, since old servers never send it.
	ExpectContinue time.Duration
	// Linger is how long what a client goes on sending is read after the last
	// response, so that no reset destroys that; LingerBytes bounds it too. It is
	// also how long a client may pause within the rest of a request that was
	// answered before its end. Both have to be more than a round trip.
	Linger      time.Duration
	LingerBytes int64
}

// DefaultBounds returns the bounds that are in force.
func DefaultBounds() Bounds {
	return Bounds{
		Fresh: 3, Repeats: 1, Interim: 32,
		ConnectAll: 10 * time.Second, ExpectContinue: time.Second,
		Linger: 2 * time.Second, LingerBytes: 64 << 20,
	}
}

const (
	// replayBytes is how much of a request is kept for sending it again.
	replayBytes = 64 << 10
	// joinBytes is how much of a body is copied behind its head to be one write.
	joinBytes = 16 << 10
	// relayBytes is what must be left of a body for it to be worth relaying.
	relayBytes = 64 << 10
	// keptBytes is the largest buffer that an ended exchange keeps for the next.
	keptBytes = 16 << 10
	// The bounds on a response's head, generous because backends are ours.
	responseHead   = 128 << 10
	responseLine   = 64 << 10
	responseFields = 1024
)
