//go:build linux

package health

import (
	"net/netip"
	"testing"
	"time"
)

// testFrame is an Ethernet frame with a TCP segment from node 198.18.0.2 to a
// backend, or back.
func testFrame(back bool, flags byte, payload int) []byte {
	frame := make([]byte, ethernetHeader+40)
	node, backend := []byte{198, 18, 0, 2}, []byte{198, 18, 0, 100}
	if back {
		node, backend = backend, node
	}
	packet := frame[ethernetHeader:]
	packet[0], packet[2], packet[3], packet[9] = 0x45, byte((40+payload)>>8), byte(40+payload), 6
	copy(packet[12:], node)
	copy(packet[16:], backend)
	tcp := packet[20:]
	port := []byte{trafficPort >> 8, trafficPort & 0xff}
	if back {
		copy(tcp, port)
	} else {
		copy(tcp[2:], port)
	}
	tcp[12], tcp[13] = 0x50, flags
	return append(frame, make([]byte, min(payload, 100))...) // the capture cuts the rest off
}

func TestACaptureTellsAttemptsAndResets(t *testing.T) {
	const syn, rst, push, ack = 0x02, 0x04, 0x08, 0x10
	tests := map[string]struct {
		frame            []byte
		attempts, resets int
	}{
		"a connect":                          {testFrame(false, syn, 0), 1, 0},
		"a request":                          {testFrame(false, push|ack, 700), 1, 0},
		"an acknowledgement":                 {testFrame(false, ack, 0), 0, 0},
		"a response":                         {testFrame(true, push|ack, 300), 0, 0},
		"an accepted connect":                {testFrame(true, syn|ack, 0), 0, 0},
		"a refused one":                      {testFrame(true, rst|ack, 0), 0, 1},
		"a reset of a connection that stood": {testFrame(true, rst, 0), 0, 1},
		"a frame that is too short":          {testFrame(false, syn, 0)[:ethernetHeader+30], 0, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := &capture{backend: netip.MustParseAddr("198.18.0.100"), attempts: map[uint16][]attempt{}, resets: map[uint16][]time.Time{}}
			if s, ok := parse(test.frame); ok {
				c.take(s, time.Unix(1, 0))
			}
			if got := c.attemptsAfter(trafficPort, time.Time{}); len(got) != test.attempts || (len(got) == 1 && got[0].node != 2) {
				t.Errorf("attempts: %+v, want %d of node 2", got, test.attempts)
			}
			if got := len(c.resets[trafficPort]); got != test.resets {
				t.Errorf("resets: %d, want %d", got, test.resets)
			}
		})
	}
}
