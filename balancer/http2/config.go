package http2

// Config is what one side grants its peer. Zero fields mean the defaults.
type Config struct {
	// Streams that the peer may have open at once (server), or that this side
	// opens at most, however many the peer grants (client).
	Streams int
	// StreamWindow and ConnWindow are how many bytes of content the peer may send on
	// one stream, and on all together, beyond what was consumed: what has to be
	// kept for whoever does not consume. At least 65,535.
	StreamWindow, ConnWindow int
	// HeadBytes bounds the fields of a head, counted as in RFC 9113 section 6.5.2:
	// names and values and 32 for each. Fields is how many there may be.
	HeadBytes, Fields int
	// Output is beyond how many gathered bytes no more content is added to the
	// output, and above which Receive stops, in bytes.
	Output int
	// ExtendedConnect announces RFC 8441 to clients.
	ExtendedConnect bool
}

// The defaults of [Config].
const (
	DefaultStreams      = 128
	DefaultStreamWindow = 256 << 10
	DefaultConnWindow   = 1 << 20
	DefaultHeadBytes    = 64 << 10
	DefaultFields       = 128
	DefaultOutput       = 64 << 10
)

// MaxFrame is the largest payload of a frame that is taken and sent: what every
// peer has to take, so that no stream keeps others waiting for long.
const MaxFrame = 16 << 10
