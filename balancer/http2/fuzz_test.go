package http2

import (
	"bytes"
	"testing"
)

// FuzzServer gives a server what no client should send. Whatever it is: the
// output can be read, and how the bytes are cut makes no difference.
func FuzzServer(f *testing.F) {
	for _, text := range texts() {
		if len(text) < 2000 {
			f.Add(bytes.TrimPrefix(text, []byte(preface)), uint16(7))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, step uint16) {
		fuzz(t, false, append([]byte(preface), text...), int(step))
	})
}

// FuzzClient is the same for a client with two requests under way.
func FuzzClient(f *testing.F) {
	for _, sends := range [][]send{
		{settingsFrame(), settingsAck(), status(1, false, 200), data(1, "hello", true), status(3, true, 204)},
		{settingsFrame(), status(1, false, 103), status(1, true, 200), reset(3, RefusedStream), goAway(3, NoError, "")},
		{settingsFrame(), open(1, false, ":status: 200"), continuation(1, true, "a: b"), padded(1, "a", 3, false), headers(1, true, "c: d")},
	} {
		p := newPeer()
		for _, s := range sends {
			s(p)
		}
		f.Add(p.Bytes(), uint16(5))
	}
	f.Fuzz(func(t *testing.T, text []byte, step uint16) { fuzz(t, true, text, int(step)) })
}

func fuzz(t *testing.T, client bool, text []byte, step int) {
	if len(text) > 1<<16 {
		return
	}
	var cuts []int
	for at := step%50 + 1; at < len(text); at += step + 1 {
		cuts = append(cuts, at)
	}
	unsplit(t, client, text, cuts...)
}
