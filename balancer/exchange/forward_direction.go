package exchange

// direction is one way through a [Forward].
//
// Bytes are shown to it as events, since that costs least where messages are
// short. Once the source has more than a message at a time, it is relayed past
// it: spliced, where the kernel can. A relay ends after relayBlock bytes, and is
// not begun anew if they came in small pieces again.
type direction struct {
	from, to Link
	left     int64 // of a relay
	pieces   int32 // in which a relay's bytes came
	long     int8  // how many long pieces came one after the other
	relaying bool
	declined bool // these two links cannot
	paused   bool // the source
	ended    bool // the source has
	broken   bool // the destination cannot be written to
}

const (
	// longPiece is what one read has to give for splicing to be cheaper than to
	// copy, and longPieces how often in a row: a message that is long once in a
	// while does not pay for it.
	longPiece  = 32 << 10
	longPieces = 2
	relayBlock = 4 << 20
)

// pass writes what came from the source.
func (d *direction) pass(p []byte) {
	if d.broken || !d.to.Write(p, false) {
		// Something may have arrived before it broke: its end tells.
		d.broken = true
		d.hold(d.from)
		return
	}
	if len(p) < longPiece {
		d.long = 0
	} else if d.long < longPieces {
		d.long++
	}
	if d.long == longPieces && !d.declined && d.relay() {
		return
	}
	if d.to.Buffered() > 0 {
		d.hold(d.from)
	}
}

// relay has the next bytes move past.
func (d *direction) relay() bool {
	if d.relaying = d.from.Relay(d.to, relayBlock); !d.relaying {
		d.declined = true
		return false
	}
	d.left, d.pieces = relayBlock, 0
	return true
}

// relayed takes in that n bytes moved.
func (d *direction) relayed(n int64) {
	d.left -= n
	d.pieces++
	if d.left > 0 || !d.relaying { // the last bytes of one that is over may be kept for a while
		return
	}
	d.relaying, d.long = false, 0
	if relayBlock/int64(d.pieces) >= longPiece {
		d.relay()
	}
}

// owes tells whether bytes were taken from the source, perhaps, that the
// destination's kernel has not got yet.
func (d *direction) owes() bool { return d.relaying || d.to.Buffered() > 0 }

// hold has the source wait.
func (d *direction) hold(from Link) {
	if !d.paused {
		d.paused = true
		from.Pause()
	}
}

// resume goes on with the source, unless what it sends cannot be passed on.
func (d *direction) resume() {
	if d.paused && !d.broken {
		d.paused = false
		d.from.Resume()
	}
}
