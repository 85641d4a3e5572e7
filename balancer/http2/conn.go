package http2

import "golang.org/x/net/http2/hpack"

// Conn is one HTTP/2 connection.
type Conn struct {
	events Events
	config Config
	pool   *Pool
	state  connState
	failed *ConnError
	now    int64 // of the present Receive

	// What comes in.
	greeted int     // bytes of the preface that came (server)
	skip    int     // bytes to throw away before the next frame
	content content // of the DATA frame that is under way
	decoder *hpack.Decoder
	block   *block // of the head that is under way
	credit  int    // bytes that were consumed and that the peer was not told of
	window  int    // bytes of content that the peer may send
	frames  allowance
	resets  allowance

	// What goes out.
	out       []byte
	tail      tail
	peer      settings
	allowed   int        // bytes of content that may be sent
	ready     streamList // have content pending, and a window for it
	unsent    streamList // opened, but their heads are not sent yet (client)
	unsentNum int

	streams streamTable
	closed  closedStreams
	lastIn  uint32 // the highest id that the peer used (server)
	nextOut uint32 // the id of the next stream of this side (client)
	drain   drainStage
	drainTo uint32 // the last id that is served once drain is drainFinal
}

// connState is a set of flags.
type connState uint8

const (
	connClient    connState = 1 << iota
	connSettled             // the peer acknowledged this side's settings
	connHeard               // the peer's first SETTINGS came
	connWished              // Flush was called, and Output not yet
	connPeerGoing           // the peer's GOAWAY came
	connLost                // nothing can be sent any more
	connShrink              // the peer's table of fields is smaller than at first, which it was not told yet
)

// isAlive tells whether anything may be sent.
func (c *Conn) isAlive() bool { return c.failed == nil && !c.has(connLost) }

func (c *Conn) has(f connState) bool { return c.state&f != 0 }

// NewServer begins a connection to a client. The first output is there at once,
// without a call of Flush. Connections share a pool.
func NewServer(events Events, config *Config, pool *Pool) *Conn {
	c := newConn(events, config, pool)
	c.begin()
	return c
}

// NewClient begins a connection to a server, as NewServer does. Requests may be
// sent at once.
func NewClient(events Events, config *Config, pool *Pool) *Conn {
	c := newConn(events, config, pool)
	c.state |= connClient
	c.greeted = len(preface)
	c.nextOut = 1
	c.out = append(c.out, preface...)
	c.begin()
	return c
}

func newConn(events Events, config *Config, pool *Pool) *Conn {
	c := &Conn{
		events: events, config: config.withDefaults(), pool: pool,
		state: connWished, out: pool.buffer(), tail: noTail,
		peer: firstSettings, window: firstWindow, allowed: firstWindow,
	}
	c.decoder = hpack.NewDecoder(firstTable, c.field)
	c.decoder.SetMaxStringLength(c.config.maxString())
	return c
}

// begin sends the settings, and what the window of the connection is beyond
// the first one, which settings cannot change.
func (c *Conn) begin() {
	c.sendSettings()
	if c.config.ConnWindow > firstWindow {
		c.sendWindowUpdate(0, c.config.ConnWindow-firstWindow)
		c.window = c.config.ConnWindow
	}
}

// Unsettled tells that the peer has not acknowledged this side's settings yet.
// An owner that has waited long enough ends the connection with [Conn.Fail] and
// [SettingsTimeout].
func (c *Conn) Unsettled() bool { return !c.has(connSettled) }

// ExtendedConnect tells whether the peer takes extended CONNECT (client). It
// says so in its settings, see [Conn.Heard].
func (c *Conn) ExtendedConnect() bool { return c.peer.connect }

// Heard tells whether the peer's settings have come. Until then a client may
// open streams, of which the peer refuses those that it does not grant.
func (c *Conn) Heard() bool { return c.has(connHeard) }

// Streams is how many streams are open.
func (c *Conn) Streams() int { return c.streams.n + c.unsentNum }

// Choked tells that the peer causes more output than it takes, and is not to be
// read from until that is written.
func (c *Conn) Choked() bool { return len(c.out) > c.config.Output+chokeRoom }

// Output returns what is to be written: what was gathered, and then as much of
// the pending content of streams as windows and the bound allow. It is valid
// until Written, before which nothing else may be called. After that it may
// return more.
func (c *Conn) Output() []byte {
	c.state &^= connWished
	c.fill()
	return c.out
}

// Written tells that what Output returned was written, or is kept by the link.
func (c *Conn) Written() {
	c.pool.putBuffer(c.out)
	c.out, c.tail = nil, noTail
}

// gather makes ready for something to be appended to the output, and makes sure
// that somebody will come for it.
func (c *Conn) gather() {
	if c.out == nil {
		c.out = c.pool.buffer()
	}
	c.wish()
}

func (c *Conn) wish() {
	if !c.has(connWished) {
		c.state |= connWished
		c.events.Flush()
	}
}
