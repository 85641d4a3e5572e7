package http2

// closedStreams remembers those of the streams that are not open any more on
// which frames may still come rightly, or not as a fault of the connection:
// those that were reset before the peer had sent its end. On any other a frame
// is a fault of the connection (RFC 9113 section 5.1). The oldest are
// forgotten, and of what is not newer than those nothing is sure.
type closedStreams struct {
	ring      []uint32 // ids, with closedByPeer
	next      int
	forgotten uint32 // the highest id that was dropped from the ring
	// Ids from skipped to skippedTo were never used: a later one closed them.
	skipped, skippedTo uint32
}

const (
	closedMemory = 128
	closedByPeer = 1 << 31
)

// closing is why a stream is not open.
type closing uint8

const (
	closedEnded  closing = iota // both sides ended it
	closedReset                 // this side reset it, and the peer may not know yet
	closedRemote                // the peer reset it
	closedLong                  // unknown: it is long ago
	closedUnused                // it never was open
)

func (c *closedStreams) add(id uint32, byPeer bool) {
	if byPeer {
		id |= closedByPeer
	}
	if len(c.ring) < closedMemory {
		c.ring = append(c.ring, id)
		return
	}
	c.forgotten = max(c.forgotten, c.ring[c.next]&^closedByPeer)
	c.ring[c.next] = id
	c.next = (c.next + 1) % closedMemory
}

// skip notes the ids between two that a peer used one after the other.
func (c *closedStreams) skip(before, id uint32) {
	if id > before+2 {
		c.skipped, c.skippedTo = before+1, id-1
	}
}

func (c *closedStreams) find(id uint32) closing {
	for _, e := range c.ring {
		switch {
		case e == id:
			return closedReset
		case e == id|closedByPeer:
			return closedRemote
		}
	}
	switch {
	case c.skipped <= id && id <= c.skippedTo:
		return closedUnused
	case id <= c.forgotten:
		return closedLong
	}
	return closedEnded
}
