package exchange

import "time"

// Bounds that are not for users to set: none of them has a better value
// elsewhere.
const (
	// fresh bounds how often a request is sent again because a pooled connection
	// turned out closed before a byte of it was sent.
	maxFresh = 3
	// repeats bounds how often a request that may be repeated is sent to another
	// backend after it was sent to one that died. Once saves what a dying backend
	// would cost; more would multiply what a deadly request can do.
	maxRepeats = 1
	// maxInterim bounds the 1xx responses to one request.
	maxInterim = 32
	// connectAll bounds the connects of one request: its client has given up by
	// then.
	connectAll = 10 * time.Second
	// expectContinue is how long a body waits for the backend's 100: RFC 9110
	// section 10.1.1 forbids to wait for ever, since old servers never send it.
	expectContinue = time.Second
	// linger is how long what a client goes on sending is read after the last
	// response, so that no reset destroys that.
	linger = 500 * time.Millisecond
	// lingerBytes bounds it too.
	lingerBytes = 64 << 20
	// replayBytes is how much of a request is kept for sending it again.
	replayBytes = 64 << 10
	// joinBytes is how much of a body is copied behind its head to be one write.
	joinBytes = 16 << 10
	// relayBytes is what must be left of a body for it to be worth relaying.
	relayBytes = 64 << 10
	// keptBytes is the largest buffer that an ended exchange keeps for the next.
	keptBytes = 16 << 10
	// maxTargetHead is the size of a response's head.
	responseHead   = 128 << 10
	responseLine   = 64 << 10
	responseFields = 1024
)
