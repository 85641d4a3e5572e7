package http2

// Conn is one HTTP/2 connection.
type Conn struct{}

// Pool is memory that the connections of one thread share: streams and buffers
// that are of use to whichever is next.
type Pool struct{}

// NewServer begins a connection to a client. The first output is there at once.
// The config is not changed while it is in use.
func NewServer(events Events, config *Config, pool *Pool) *Conn { panic("soon") }

// NewClient begins a connection to a server. Requests may be sent at once.
func NewClient(events Events, config *Config, pool *Pool) *Conn { panic("soon") }

// Receive takes what the peer sent and returns how many of the bytes it
// consumed. The rest is an incomplete frame that is to be given again with more behind it,
// no longer than [MaxFrame] and 9 bytes; or all that comes after [Conn.Choked] has
// become true, which is to be given again after Written. now is a monotonic time in
// nanoseconds, by which bounds on the peer's rates are counted. The error is a [*ConnError].
func (c *Conn) Receive(now int64, p []byte) (n int, err error) { panic("soon") }

// Choked tells that the peer causes more output than it reads, and is not to be read from until
// that is written.
func (c *Conn) Choked() bool { panic("soon") }

// Output returns what is to be written: what was gathered, and then as much of the pending
// content of streams as windows and the bound allow. It is valid until Written,
// before which nothing else may be called. Calling it again may return more.
func (c *Conn) Output() []byte { panic("soon") }

// Written tells that what Output returned was written, or is kept by the link.
func (c *Conn) Written() { panic("soon") }

// Open begins a stream of a client, bound to events; nil if Capacity is 0. It
// counts as open at once; its id is given with its head.
func (c *Conn) Open(events StreamEvents) *Stream { panic("soon") }

// Capacity is how many streams may be opened now. It is 0 when the peer or this side goes
// away, the ids are used up, or the connection has failed. It changes in Receive, and when streams end.
func (c *Conn) Capacity() int { panic("soon") }

// Streams is how many streams are open.
func (c *Conn) Streams() int { panic("soon") }

// Going tells that no new stream comes or can be opened: the connection is to be closed
// once Streams is 0 and all output is written.
func (c *Conn) Going() bool { panic("soon") }

// Drain lets the streams that are open end, and no more begin. A server says so with a
// GOAWAY that still lets in what is on its way, and after a round trip, or
// when Drain is called again, with one that names the last stream.
func (c *Conn) Drain() { panic("soon") }

// Fail ends the connection: the output ends with a GOAWAY, and streams are reset, with an event each.
func (c *Conn) Fail(code Code, reason string) { panic("soon") }

// Lost tells that the connection broke or ended: streams are reset, with an event each, and nothing is sent any more.
func (c *Conn) Lost() { panic("soon") }

// Unsettled tells that the peer has not acknowledged this side's settings yet. An owner
// that has waited long enough ends the connection with [Conn.Fail] and [SettingsTimeout].
func (c *Conn) Unsettled() bool { panic("soon") }

// ExtendedConnect tells whether the peer takes extended CONNECT (client).
func (c *Conn) ExtendedConnect() bool { panic("soon") }
