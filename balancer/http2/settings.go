package http2

import "encoding/binary"

// Settings, RFC 9113 section 6.5.2 and RFC 8441 section 3.
const (
	settingTable          = 0x1
	settingPush           = 0x2
	settingStreams        = 0x3
	settingWindow         = 0x4
	settingFrame          = 0x5
	settingHeadBytes      = 0x6
	settingConnect        = 0x8
	firstTable            = 4096 // bytes of the table of fields until somebody changes it
	settingSize           = 6
	streamsBeforeSettings = 100 // what RFC 9113 section 6.5.2 wants everybody to grant
)

// settings are those of the peer that matter to this side. Its frames are never
// larger than every peer takes, and its encoder has no table.
type settings struct {
	window  int // of streams, in bytes
	streams int // that this side may have open
	connect bool
}

var firstSettings = settings{window: firstWindow, streams: streamsBeforeSettings}

// sendSettings sends this side's settings, those that are not the first ones.
func (c *Conn) sendSettings() {
	c.gather()
	c.tail = noTail
	at := len(c.out)
	c.out = header{kind: frameSettings}.appendTo(c.out)
	add := func(id uint16, value int) {
		c.out = binary.BigEndian.AppendUint16(c.out, id)
		c.out = binary.BigEndian.AppendUint32(c.out, uint32(value))
	}
	if c.has(connClient) {
		add(settingPush, 0)
	} else {
		add(settingStreams, c.config.Streams)
		if c.config.ExtendedConnect {
			add(settingConnect, 1)
		}
	}
	add(settingHeadBytes, c.config.HeadBytes)
	header{kind: frameSettings, length: len(c.out) - at - frameHeader}.put(c.out[at:])
}

// receiveSettings takes a SETTINGS frame: RFC 9113 section 6.5.
func (c *Conn) receiveSettings(h header, p []byte) {
	switch {
	case h.id != 0:
		c.Fail(ProtocolError, "SETTINGS on a stream")
	case h.has(flagAck) && h.length > 0:
		c.Fail(FrameSizeError, "acknowledgement of SETTINGS with a payload")
	case h.length%settingSize != 0:
		c.Fail(FrameSizeError, "SETTINGS whose length is no multiple of 6")
	case !c.spendFrame(settingsCost):
	case h.has(flagAck):
		c.state |= connSettled
	default:
		c.takeSettings(p)
	}
}

func (c *Conn) takeSettings(p []byte) {
	next := c.peer
	if !c.has(connHeard) {
		next.streams = maxID // what a peer grants that says nothing
	}
	for ; len(p) > 0; p = p[settingSize:] {
		id, value := binary.BigEndian.Uint16(p), binary.BigEndian.Uint32(p[2:])
		if fault := c.takeSetting(&next, id, value); fault != nil {
			c.Fail(fault.Code, fault.Reason)
			return
		}
	}
	delta := next.window - c.peer.window
	c.peer = next
	c.state |= connHeard
	if delta != 0 && !c.shiftWindows(delta) {
		return
	}
	c.gather()
	c.tail = noTail
	c.out = header{kind: frameSettings, flags: flagAck}.appendTo(c.out)
}

// takeSetting takes one value; unknown ones are ignored.
func (c *Conn) takeSetting(s *settings, id uint16, value uint32) *ConnError {
	switch id {
	case settingTable:
		if value < firstTable {
			c.state |= connShrink
		}
	case settingPush:
		if value > 1 || value == 1 && c.has(connClient) {
			return &ConnError{ProtocolError, "SETTINGS_ENABLE_PUSH that is not allowed"}
		}
	case settingStreams:
		s.streams = int(min(value, maxID))
	case settingWindow:
		if value > maxWindow {
			return &ConnError{FlowControlError, "SETTINGS_INITIAL_WINDOW_SIZE beyond 2^31-1"}
		}
		s.window = int(value)
	case settingFrame:
		if value < MaxFrame || value > 1<<24-1 {
			return &ConnError{ProtocolError, "SETTINGS_MAX_FRAME_SIZE out of range"}
		}
	case settingConnect:
		if value > 1 || value == 0 && s.connect {
			return &ConnError{ProtocolError, "SETTINGS_ENABLE_CONNECT_PROTOCOL that is not allowed"}
		}
		s.connect = value == 1
	}
	return nil
}

// shiftWindows applies a changed first window to the streams that are open,
// whose windows may become negative: RFC 9113 section 6.9.2.
func (c *Conn) shiftWindows(delta int) bool {
	for _, s := range c.streams.slots {
		if s == nil {
			continue
		}
		if s.allowed+delta > maxWindow {
			c.Fail(FlowControlError, "SETTINGS_INITIAL_WINDOW_SIZE that makes a window exceed 2^31-1")
			return false
		}
		s.allowed += delta
		s.enlist()
	}
	return true
}
