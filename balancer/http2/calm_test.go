package http2

import (
	"strings"
	"testing"
	"time"
)

// floods are what a client may repeat at no cost of its own: what it sends for
// the nth time, n from 0, each a stream further.
var floods = map[string]func(id uint32) []send{
	"requests that are reset at once": func(id uint32) []send { return []send{get(id), reset(id, Cancel)} },
	"requests that have this side reset by an update by 0": func(id uint32) []send {
		return []send{get(id), update(id, 0)}
	},
	"requests that have this side reset by too wide a window": func(id uint32) []send {
		return []send{get(id), update(id, 1<<31-1)}
	},
	"requests that have this side reset by data after the end": func(id uint32) []send {
		return []send{get(id), data(id, "a", true)}
	},
	"requests that have this side reset by a head after the end": func(id uint32) []send { return []send{get(id), get(id)} },
	"requests that depend on themselves": func(id uint32) []send {
		return []send{get(id), raw(framePriority, 0, id, byte(id>>24), byte(id>>16), byte(id>>8), byte(id), 1)}
	},
	"requests with too much content": func(id uint32) []send { return []send{post(id, "content-length: 0"), data(id, "a", true)} },
	"malformed requests":             func(id uint32) []send { return []send{get(id, "A: b")} },
	"empty names":                    func(id uint32) []send { return []send{raw(frameHeaders, 5, id, 0x82, 0x84, 0x86, 0, 0, 0)} },
	"data for a stream that the peer reset": func(id uint32) []send {
		if id == 1 {
			return []send{post(1), reset(1, Cancel)}
		}
		return []send{data(1, "a", false)}
	},
	"pings":                   func(uint32) []send { return []send{raw(framePing, 0, 0, make([]byte, 8)...)} },
	"answers to pings":        func(uint32) []send { return []send{raw(framePing, flagAck, 0, make([]byte, 8)...)} },
	"settings":                func(uint32) []send { return []send{settingsFrame()} },
	"acknowledgements":        func(uint32) []send { return []send{settingsAck()} },
	"priorities":              func(uint32) []send { return []send{raw(framePriority, 0, 9, 0, 0, 0, 0, 1)} },
	"updates":                 func(uint32) []send { return []send{update(0, 1)} },
	"updates of old streams":  func(id uint32) []send { return []send{update(1, 1)} },
	"resets of an old stream": func(id uint32) []send { return []send{reset(1, Cancel)} },
	"goaways":                 func(uint32) []send { return []send{goAway(0, NoError, "")} },
	"unknown frames":          func(uint32) []send { return []send{raw(0x99, 0, 0)} },
	"empty data":              func(id uint32) []send { return []send{data(1, "", false)} },
	"empty data with padding": func(id uint32) []send { return []send{padded(1, "", 255, false)} },
	"data of one byte with padding": func(id uint32) []send {
		return []send{padded(1, "a", 255, false)}
	},
}

func TestFloodsEndTheConnection(t *testing.T) {
	for name, flood := range floods {
		t.Run(name, func(t *testing.T) {
			w := served(t, Config{})
			w.onData = func(s *stream, p []byte, end bool) { s.Consumed(len(p)) }
			w.onRequest = func(s *stream, head *Head, end bool) {}
			if !strings.HasPrefix(name, "data for") && flood(3) != nil && !strings.Contains(name, "requests") && name != "empty names" {
				w.do(post(1))
				if strings.Contains(name, "old") {
					w.do(reset(1, Cancel))
				}
			}
			for n := range 20000 {
				if err := w.do(flood(uint32(2*n + 1))...); err != nil {
					if !strings.HasPrefix(err.Error(), "ENHANCE_YOUR_CALM: too many ") {
						t.Errorf("after %d: %v", n, err)
					}
					if n < 200 {
						t.Errorf("it ends after %d already", n)
					}
					return
				}
				w.takeLog()
				w.drainOutput()
			}
			t.Error("it does not end")
		})
	}
}

// TestWhatUsefulClientsDoIsNoFlood goes on within one instant for longer than
// any allowance lasts.
func TestWhatUsefulClientsDoIsNoFlood(t *testing.T) {
	answer := func(s *stream) {
		s.SendHead(ok(), false)
		s.SendData([]byte("hello"), true)
		s.Release()
	}
	for name, c := range map[string]struct {
		sends func(id uint32) []send
		owner func(w *world)
	}{
		"requests with a priority and updates": {
			sends: func(id uint32) []send {
				return []send{get(id), raw(framePriority, 0, id, 0, 0, 0, 0, 9), update(id, 100), update(0, 100)}
			},
			owner: func(w *world) { w.onRequest = func(s *stream, _ *Head, _ bool) { answer(s) } },
		},
		"every second request is given up": {
			sends: func(id uint32) []send { return []send{get(id), get(id + 2), reset(id, Cancel)} },
			owner: func(w *world) {
				w.onRequest = func(s *stream, _ *Head, _ bool) {
					if s.id%4 == 3 {
						answer(s)
					}
				}
			},
		},
		"an upload in small frames with pings": {
			sends: func(id uint32) []send {
				if id == 1 {
					return []send{post(1)}
				}
				return []send{data(1, "a", false), data(1, "b", false), raw(framePing, 0, 0, make([]byte, 8)...)}
			},
			owner: func(w *world) { w.onData = func(s *stream, p []byte, end bool) { s.Consumed(len(p)) } },
		},
		"a download whose every frame is acknowledged twice": {
			sends: func(id uint32) []send {
				if id == 1 {
					return []send{get(1)}
				}
				return []send{update(0, 100), update(1, 100)}
			},
			owner: func(w *world) {
				w.onRequest = func(s *stream, _ *Head, _ bool) {
					s.SendHead(ok(), false)
					s.SendData(make([]byte, 1<<20), false)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := served(t, Config{})
			c.owner(w)
			for n := range 8000 {
				if err := w.do(c.sends(uint32(4*n + 1))...); err != nil {
					t.Fatalf("after %d: %v", n, err)
				}
				w.takeLog()
				clear(w.streams)
				w.drainOutput()
				w.output = nil
			}
		})
	}
}

func TestTimeMakesUpForFramesThatCarryNothing(t *testing.T) {
	w := served(t, Config{})
	for range 30000 {
		w.now += int64(time.Second) / 900
		if err := w.do(raw(framePing, 0, 0, make([]byte, 8)...)); err != nil {
			t.Fatal(err)
		}
		w.drainOutput()
	}
}

func TestAnAllowance(t *testing.T) {
	b := bound{10, 2}
	var a allowance
	now := int64(5)
	spend := func(cost int32, want bool) {
		t.Helper()
		if got := a.spend(now, cost, b); got != want {
			t.Errorf("spending %d at %d: %v", cost, now, got)
		}
	}
	spend(4, true)
	spend(6, true)
	spend(1, false)
	a.gain(1, b)
	spend(1, true)
	now += 499e6
	spend(1, false)
	now += 1e6
	spend(1, true)
	spend(1, false)
	now += 750e6 // the rest of it is not lost
	spend(1, true)
	now += 250e6
	spend(1, true)
	now += 3600e9
	spend(11, false)
	spend(10, true)
	a.gain(1000, b)
	spend(11, false)
}

// TestAPeerThatDoesNotRead has its requests not read either.
func TestAPeerThatDoesNotRead(t *testing.T) {
	w := served(t, Config{Output: 1000})
	for range 20 * (chokeRoom + 1000) / 17 {
		id := (w.conn.lastIn + 2) | 1
		w.do(get(id), raw(framePing, 0, 0, make([]byte, 8)...), reset(id, Cancel))
		w.now += 1e9
		if len(w.kept) > 0 {
			break
		}
	}
	if !w.conn.Choked() || len(w.conn.out) > 1000+chokeRoom+17 || w.conn.failed != nil {
		t.Fatalf("choked: %v, %d bytes gathered, %v", w.conn.Choked(), len(w.conn.out), w.conn.failed)
	}
	w.drainOutput()
	w.do()
	if len(w.kept) > 0 || w.conn.Choked() {
		t.Error("it does not go on")
	}
}

func TestHeadsWithoutEnd(t *testing.T) {
	for name, c := range map[string]struct {
		part []byte
		most int
	}{
		"empty parts":               {nil, maxContinuations + 1},
		"small parts":               {[]byte{0x82}, maxContinuations + 1},
		"large parts":               {[]byte(strings.Repeat("\x00\x01a\x01b", 3000)), 20},
		"a field without an end":    {append([]byte{0x00, 0x7f, 0x80, 0xff, 0x07}, make([]byte, 10000)...), 20},
		"a number without an end":   {[]byte(strings.Repeat("\xff", 1000)), 1},
		"one entry again and again": {[]byte(strings.Repeat("\x90", MaxFrame)), 20},
	} {
		t.Run(name, func(t *testing.T) {
			w := served(t, Config{})
			err := w.do(open(1, true))
			parts := 0
			for ; err == nil; parts++ {
				err = w.do(raw(frameContinuation, 0, 1, c.part...))
			}
			if parts > c.most {
				t.Errorf("%d parts were taken, want %d at most", parts, c.most)
			}
			if len(w.log) > 0 {
				t.Errorf("events: %q", w.log)
			}
		})
	}
}

// TestAHeadThatGrowsInTheDecoder is small on the wire: a large entry of the
// table, named again and again.
func TestAHeadThatGrowsInTheDecoder(t *testing.T) {
	w := served(t, Config{HeadBytes: 20000})
	w.do(get(1, "a: "+strings.Repeat("b", 4000)))
	w.takeLog()
	block := append([]byte{0x82, 0x84, 0x86}, strings.Repeat("\xbe", 10000)...)
	w.do(raw(frameHeaders, flagEndHeaders|flagEndStream, 3, block...))
	same(t, "events", w.takeLog(), "3: GET http  / too large end")
	w.do(get(5))
	same(t, "events", w.takeLog(), "5: GET http a / end")
}

func TestAHeadThatIsTooLargeIsLeftToTheOwner(t *testing.T) {
	for name, more := range map[string][]string{
		"too many fields": strings.Split(strings.Repeat("a: b\n", DefaultFields)+"c: d", "\n"),
		"a long field":    {"a: " + strings.Repeat("b", 60000), "c: " + strings.Repeat("d", 6000)},
	} {
		t.Run(name, func(t *testing.T) {
			w := served(t, Config{})
			w.do(splitHead(1, false, request("POST", "/", more...)...), data(1, "abc", true))
			same(t, "events", w.takeLog(), "1: POST http a / too large\n1: data abc end")
			w.do(post(3), splitHead(3, true, more...))
			same(t, "events", w.takeLog(), "3: POST http a /", "3: reset ENHANCE_YOUR_CALM: head or trailers with too many or too large fields")
			w.do(get(5, "x: y"))
			same(t, "events", w.takeLog(), `5: GET http a / x="y" end`)
		})
	}
}

// splitHead is a head in as many frames as it takes.
func splitHead(id uint32, end bool, lines ...string) send {
	return func(p *peer) {
		block := p.fields(lines)
		n := min(len(block), MaxFrame)
		flags := uint8(0)
		if end {
			flags = flagEndStream
		}
		if n == len(block) {
			flags |= flagEndHeaders
		}
		raw(frameHeaders, flags, id, block[:n]...)(p)
		for block = block[n:]; len(block) > 0; block = block[n:] {
			n = min(len(block), MaxFrame)
			p.framer.WriteContinuation(id, n == len(block), block[:n])
		}
	}
}

func TestMoreStreamsThanAllowedAreRefused(t *testing.T) {
	w := served(t, Config{Streams: 2})
	w.do(post(1), get(3), post(5), data(5, "on its way", true))
	same(t, "events", w.takeLog(), "1: POST http a /", "3: GET http a / end")
	same(t, "output", w.takeOutput(), "RST_STREAM 5 REFUSED_STREAM")
	w.streams[3].SendHead(ok(), true)
	w.do(get(7))
	same(t, "events", w.takeLog(), "7: GET http a / end")
}
