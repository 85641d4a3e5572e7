package http2

// Config is what one side grants its peer. Fields that are not positive mean
// the defaults.
type Config struct {
	// Streams is how many the peer may have open at once (server), or this side
	// opens at most, however many the peer grants (client).
	Streams int
	// StreamWindow and ConnWindow are how many bytes of content the peer may send
	// on one stream and on all together, beyond what was consumed: what has to be
	// kept for whoever does not consume. Both are at least 65,535, which is also
	// what a stream begins with: its window grows while all that comes is consumed
	// at once.
	StreamWindow, ConnWindow int
	// HeadBytes bounds the fields of a head, counted as in RFC 9113 section 6.5.2:
	// names and values and 32 for each. Fields is how many there may be.
	HeadBytes, Fields int
	// Output is from how many gathered bytes on no more content is added to the
	// output. 192 KiB above it Receive stops.
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
// peer has to take (RFC 9113 section 4.2), so that no stream keeps others
// waiting for long.
const MaxFrame = 16 << 10

// chokeRoom is what the output may hold above Config.Output of what is no
// content, in bytes: heads of as many streams as there may be, and answers to
// the peer's frames. Two peers that both stop reading would wait for each other,
// so it is generous.
const chokeRoom = 192 << 10

// withDefaults returns the config with defaults for the fields that have none,
// and with what the protocol cannot express made what it can.
func (c Config) withDefaults() Config {
	for _, f := range []struct {
		field            *int
		least, otherwise int
	}{
		{&c.Streams, 1, DefaultStreams},
		{&c.StreamWindow, firstWindow, DefaultStreamWindow},
		{&c.ConnWindow, firstWindow, DefaultConnWindow},
		{&c.HeadBytes, 1, DefaultHeadBytes},
		{&c.Fields, 1, DefaultFields},
		{&c.Output, 1, DefaultOutput},
	} {
		if *f.field <= 0 {
			*f.field = f.otherwise
		}
		*f.field = min(max(*f.field, f.least), maxWindow)
	}
	return c
}
