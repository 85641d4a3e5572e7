package http2

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// outcome gives bytes to a connection that answers what it can, in pieces that
// end at the cuts and at the end, each in memory of its own, and returns events
// and output.
func outcome(t testing.TB, client bool, text []byte, cuts ...int) string {
	w := newWorld(t, client, Config{StreamWindow: firstWindow, HeadBytes: 2000, Fields: 20, Streams: 5})
	w.onData = func(s *stream, p []byte, end bool) {
		if end {
			s.SendData([]byte("thanks"), true)
		}
	}
	w.onRequest = func(s *stream, head *Head, end bool) {
		s.SendHead(&Head{Status: 200}, end)
	}
	if client {
		w.open(asked("GET", "/"), true)
		w.open(asked("POST", "/"), false).SendData([]byte("hello"), false)
	}
	var kept []byte
	at := 0
	for _, cut := range append(cuts, len(text)) {
		kept = append(bytes.Clone(kept), text[at:cut]...)
		at = cut
		n, err := w.conn.Receive(1, kept)
		if n < len(kept) && len(kept)-n >= MaxFrame+frameHeader {
			t.Errorf("%d bytes are left", len(kept)-n)
		}
		kept = kept[n:]
		if err != nil {
			w.note("error %v", err)
			break
		}
	}
	w.note("%d streams", w.conn.Streams())
	log := strings.Join(w.log, "\n")
	return log + "\n" + w.takeOutput()
}

// unsplit holds that cuts make no difference.
func unsplit(t testing.TB, client bool, text []byte, cuts ...int) {
	t.Helper()
	whole := outcome(t, client, text)
	if got := outcome(t, client, text, cuts...); got != whole {
		t.Errorf("%q cut at %v:\n%s\nwhole:\n%s", text, cuts[:min(len(cuts), 5)], got, whole)
	}
}

func everywhere(text []byte) []int {
	cuts := make([]int, len(text))
	for i := range cuts {
		cuts[i] = i
	}
	return cuts
}

// TestCutsMakeNoDifference goes through all that the tables of rules have.
func TestCutsMakeNoDifference(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for name, text := range texts() {
		t.Run(name, func(t *testing.T) {
			if len(text) < 4000 {
				unsplit(t, false, text, everywhere(text)...)
			}
			for range 20 {
				var cuts []int
				for at := r.IntN(40); at < len(text); at += 1 + r.IntN(1+len(text)/(1+r.IntN(20))) {
					cuts = append(cuts, at)
				}
				unsplit(t, false, text, cuts...)
			}
		})
	}
}

// texts are what clients send in the tables of rules.
func texts() map[string][]byte {
	all := map[string][]byte{}
	add := func(name string, sends []send) {
		p := newPeer()
		greeting()(p)
		for _, s := range sends {
			s(p)
		}
		all[name] = p.Bytes()
	}
	for name, r := range streamRules {
		add(name, r.in)
	}
	for name, r := range fatal {
		add(name, r.in)
	}
	for name, lines := range malformed {
		add(name, []send{headers(1, true, lines...), get(3), padded(3, "a", 9, true)})
	}
	return all
}

func TestCutsMakeNoDifferenceToAClient(t *testing.T) {
	p := newPeer()
	for _, s := range []send{
		settingsFrame(), settingsAck(), status(1, false, 103, "a: b"), status(1, false, 200), data(1, "hello", false),
		status(3, false, 200), padded(3, "world", 9, false), data(1, "!", true), headers(3, true, "c: d"), goAway(1, NoError, "bye"),
	} {
		s(p)
	}
	text := p.Bytes()
	unsplit(t, true, text, everywhere(text)...)
	for cut := range text {
		unsplit(t, true, text, cut)
	}
}
