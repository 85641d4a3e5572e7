package http2

// A window is told to the peer again once a quarter of it was consumed: early
// enough for a peer that sends on, and not with every frame.
const windowPart = 4

// Consumed gives n bytes of those that Data gave back to the windows.
func (s *Stream) Consumed(n int) {
	n = min(n, s.unconsumed)
	if n <= 0 {
		return
	}
	s.unconsumed -= n
	s.credit += n
	s.conn.repay(n)
	if s.has(streamInEnded|streamClosed) || !s.conn.isAlive() || s.credit < s.granted/windowPart {
		return
	}
	s.grow()
	s.window += s.credit
	s.conn.sendWindowUpdate(s.id, s.credit)
	s.credit = 0
}

// grow doubles the window of a stream whose content is consumed as it comes: on
// a long way that is what limits it, and nothing of it has to be kept. The
// connection's window bounds all of them.
func (s *Stream) grow() {
	if most := s.conn.config.StreamWindow; s.unconsumed <= s.granted/windowPart && s.granted < most {
		n := min(s.granted, most-s.granted)
		s.granted += n
		s.credit += n
	}
}

// repay gives bytes back to the connection's window.
func (c *Conn) repay(n int) {
	c.credit += n
	if c.credit < c.config.ConnWindow/windowPart || !c.isAlive() {
		return
	}
	c.window += c.credit
	c.sendWindowUpdate(0, c.credit)
	c.credit = 0
}
