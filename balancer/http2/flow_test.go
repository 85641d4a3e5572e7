package http2

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

func TestContentWaitsForTheWindowOfItsStream(t *testing.T) {
	w := served(t, Config{})
	w.do(settingsFrame(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 4}), get(1), get(3))
	w.takeOutput()
	w.takeLog()
	one, three := w.streams[1], w.streams[3]
	one.SendHead(ok(), false)
	one.SendData([]byte("abcdef"), false)
	one.SendData([]byte("gh"), true)
	if one.Pending() != 4 || one.Sent() != 4 {
		t.Errorf("%d bytes are pending and %d sent", one.Pending(), one.Sent())
	}
	three.SendHead(ok(), false)
	three.SendData([]byte("xy"), true)
	same(t, "output", w.takeOutput(), "HEADERS 1 :status=200", "DATA 1 abcd", "HEADERS 3 :status=200", "DATA 3 xy end")
	w.do(update(1, 3))
	same(t, "output", w.takeOutput(), "DATA 1 efg")
	w.do(update(1, 3))
	same(t, "output", w.takeOutput(), "DATA 1 h end")
	same(t, "events", w.takeLog(), "1: drained")
	if !one.Done() || one.Pending() != 0 || one.Sent() != 8 {
		t.Error("a stream whose end was sent is not done")
	}
}

func TestContentWaitsForTheWindowOfTheConnection(t *testing.T) {
	w := served(t, Config{})
	w.do(settingsFrame(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20}), get(1), get(3), get(5))
	w.takeOutput()
	w.takeLog()
	for _, id := range []uint32{1, 3} {
		w.streams[id].SendHead(ok(), false)
		w.streams[id].SendData(make([]byte, 100000), true)
	}
	w.drainOutput()
	if sum := w.streams[1].Sent() + w.streams[3].Sent(); sum != firstWindow {
		t.Errorf("%d bytes were sent in a window of %d", sum, firstWindow)
	}
	w.takeOutput()
	w.streams[5].SendHead(ok("content-length: 0"), false)
	w.streams[5].SendData(nil, true) // which needs no window
	same(t, "output", w.takeOutput(), "HEADERS 5 :status=200 content-length=0 end")
	w.flushes = 0
	w.do(update(0, 1<<20))
	if w.flushes != 1 {
		t.Errorf("Flush was called %d times for a wider window", w.flushes)
	}
	w.takeOutput()
	if !w.streams[1].Done() || !w.streams[3].Done() {
		t.Error("streams are not done within their windows")
	}
	same(t, "events", w.takeLog(), "1: drained", "3: drained")
}

func TestStreamsTakeTurns(t *testing.T) {
	w := served(t, Config{Output: 1})
	w.do(get(1), get(3), get(5))
	for _, id := range []uint32{1, 3, 5} {
		w.streams[id].SendHead(ok(), false)
	}
	w.do(update(0, 1<<20))
	for _, id := range []uint32{1, 3, 5} {
		w.streams[id].SendData(make([]byte, 2*MaxFrame+100), true)
	}
	want := []string{"HEADERS 1 :status=200", "HEADERS 3 :status=200", "HEADERS 5 :status=200"}
	for _, part := range []string{"16384 bytes", "16384 bytes", "100 bytes end"} {
		for _, id := range []uint32{1, 3, 5} {
			want = append(want, fmt.Sprintf("DATA %d %s", id, part))
		}
	}
	same(t, "output", w.takeOutput(), want...)
}

func TestAWindowMayBecomeNegative(t *testing.T) {
	w := served(t, Config{})
	w.do(settingsFrame(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10}), get(1))
	one := w.streams[1]
	one.SendHead(ok(), false)
	one.SendData([]byte("0123456789abc"), true)
	w.do(settingsFrame(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 3}))
	w.takeOutput()
	w.do(update(1, 7)) // it is 0 then
	same(t, "output", w.takeOutput())
	w.do(update(1, 1))
	same(t, "output", w.takeOutput(), "DATA 1 a")
	w.do(settingsFrame(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 5}))
	same(t, "output", w.takeOutput(), "SETTINGS ack", "DATA 1 bc end")
}

func TestSettingsTakeBackAWindowThatWasOpen(t *testing.T) {
	w := served(t, Config{Output: 1})
	w.do(get(1))
	one := w.streams[1]
	one.SendHead(ok(), false)
	one.SendData([]byte("abc"), false)
	if one.Pending() != 3 {
		t.Fatalf("%d bytes are pending behind a full output", one.Pending())
	}
	w.do(settingsFrame(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
	same(t, "output", w.takeOutput(), "HEADERS 1 :status=200", "SETTINGS ack")
	w.do(update(1, 2))
	same(t, "output", w.takeOutput(), "DATA 1 ab")
}

func TestWindowsAreGivenBackAsContentIsConsumed(t *testing.T) {
	w := served(t, Config{StreamWindow: firstWindow, ConnWindow: firstWindow})
	w.do(post(1), post(3))
	one, three := w.streams[1], w.streams[3]
	w.do(data(1, strings.Repeat("a", MaxFrame), false), data(1, strings.Repeat("b", MaxFrame), false))
	same(t, "output before anything is consumed", w.takeOutput())
	one.Consumed(MaxFrame - 2)
	same(t, "output for less than a part", w.takeOutput())
	one.Consumed(1)
	same(t, "output", w.takeOutput(), "WINDOW_UPDATE 0 16383", "WINDOW_UPDATE 1 16383")
	w.do(data(3, strings.Repeat("c", MaxFrame), false), data(3, strings.Repeat("d", MaxFrame-2), false))
	if err := w.do(data(3, strings.Repeat("e", MaxFrame), false)); err != nil {
		t.Fatal(err)
	}
	one.Consumed(1 << 30) // no more than there was
	same(t, "output", w.takeOutput(), "WINDOW_UPDATE 0 16385", "WINDOW_UPDATE 1 16385")
	w.do(data(3, "", true))
	three.Consumed(1 << 30)
	same(t, "output of an ended stream", w.takeOutput(), "WINDOW_UPDATE 0 49150")
}

func TestContentBeyondAWindowIsAFault(t *testing.T) {
	w := served(t, Config{StreamWindow: firstWindow, ConnWindow: 1 << 20})
	w.do(post(1))
	for range 4 {
		w.do(data(1, strings.Repeat("a", MaxFrame), false))
	}
	same(t, "output", w.takeOutput(), "RST_STREAM 1 FLOW_CONTROL_ERROR")
	w = served(t, Config{StreamWindow: firstWindow, ConnWindow: firstWindow})
	w.do(post(1), post(3))
	var err error
	for range 2 {
		err = w.do(data(1, strings.Repeat("a", MaxFrame), false), data(3, strings.Repeat("a", MaxFrame), false))
	}
	if err == nil || err.Error() != "FLOW_CONTROL_ERROR: DATA beyond the connection's window" {
		t.Errorf("error %v", err)
	}
}

// TestAStreamThatIsLeftGivesItsWindowBack holds that others are not starved by
// what nobody will consume any more.
func TestAStreamThatIsLeftGivesItsWindowBack(t *testing.T) {
	w := served(t, Config{ConnWindow: firstWindow})
	for id := uint32(1); id < 2001; id += 2 {
		w.do(post(id), data(id, strings.Repeat("a", 5000), false))
		switch s := w.streams[id]; id % 8 {
		case 1:
			w.do(reset(id, Cancel)) // the world releases it
		case 3:
			s.Release()
		case 5:
			s.Stream.Reset(Cancel)
			w.do(data(id, strings.Repeat("a", 5000), false)) // it was on its way
			s.Release()
		case 7:
			s.SendHead(ok(), true)
			s.Release()
			w.do(data(id, strings.Repeat("a", 5000), true))
		}
		w.now += 1e9
		w.do(raw(framePing, flagAck, 0, make([]byte, 8)...))
		if w.conn.failed != nil {
			t.Fatal(w.conn.failed)
		}
		w.drainOutput()
	}
	if left := w.conn.window + w.conn.credit; left != firstWindow {
		t.Errorf("%d bytes of a window of %d are left", left, firstWindow)
	}
}

func TestAWindowGrowsWhileContentIsConsumedAtOnce(t *testing.T) {
	w := served(t, Config{StreamWindow: 200000})
	w.onData = func(s *stream, p []byte, end bool) { s.Consumed(len(p)) }
	w.do(post(1), post(3))
	one := w.streams[1]
	for range 100 {
		w.do(data(1, strings.Repeat("a", 1000), false))
	}
	if one.granted != 200000 || one.window+one.credit != 200000 {
		t.Errorf("a window of %d, of which %d are open", one.granted, one.window+one.credit)
	}
	w.onData = nil
	three := w.streams[3]
	for range 30 {
		w.do(data(3, strings.Repeat("a", 1000), false))
	}
	three.Consumed(17000)
	if three.granted != firstWindow*2 && three.granted != firstWindow {
		t.Errorf("a window of %d", three.granted)
	}
	w.do(data(3, strings.Repeat("a", MaxFrame), false))
	three.Consumed(MaxFrame)
	if three.granted != firstWindow*2 && three.granted != firstWindow {
		t.Errorf("the window grew to %d though content waits", three.granted)
	}
}

func TestSmallPartsBecomeOneFrame(t *testing.T) {
	w := served(t, Config{})
	w.do(get(1), get(3), get(5))
	for _, id := range []uint32{1, 3} {
		s := w.streams[id]
		s.SendHead(ok(), false)
		for _, part := range []string{"a", "bc", "d"} {
			s.SendData([]byte(part), false)
		}
	}
	w.streams[3].SendData(nil, true)
	w.streams[1].SendData(nil, true)
	w.streams[5].SendHead(ok(), false)
	w.streams[5].SendTrailers(lines("grpc-status: 0"))
	same(t, "output", w.takeOutput(), "HEADERS 1 :status=200", "DATA 1 abcd", "HEADERS 3 :status=200", "DATA 3 abcd end",
		"DATA 1  end", "HEADERS 5 :status=200", "HEADERS 5 grpc-status=0 end")
}

func TestTrailersFollowWhatIsPending(t *testing.T) {
	w := served(t, Config{})
	w.do(settingsFrame(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 2}), get(1))
	one := w.streams[1]
	one.SendHead(ok(), false)
	one.SendData([]byte("abc"), false)
	one.SendTrailers(lines("Grpc-Status: 0", "a: b"))
	w.takeOutput()
	if one.SendData([]byte("x"), false) || one.SendTrailers(nil) || one.SendHead(ok(), true) {
		t.Error("something may be sent after trailers")
	}
	one.Release() // what is pending is still sent
	w.do(update(1, 1))
	same(t, "output", w.takeOutput(), "DATA 1 c", "HEADERS 1 grpc-status=0 a=b end")
	if w.conn.Streams() != 0 {
		t.Error("the stream is still open")
	}
}

func TestARefusedRestIsToldWhenAllIsSent(t *testing.T) {
	w := served(t, Config{})
	w.do(settingsFrame(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 2}), post(1))
	one := w.streams[1]
	one.SendHead(ok(), false)
	one.SendData([]byte("abc"), true)
	one.Release()
	w.do(data(1, "nobody reads this", false))
	w.takeOutput()
	w.takeLog()
	w.do(update(1, 1))
	same(t, "output", w.takeOutput(), "DATA 1 c end", "RST_STREAM 1 NO_ERROR")
	w.do(data(1, "nor this", true))
	same(t, "output", w.takeOutput())
	same(t, "events", w.takeLog())
}

func TestReleaseEndsWhatIsNotEnded(t *testing.T) {
	w := served(t, Config{})
	w.do(get(1), get(3), post(5), post(7))
	w.streams[1].Release()
	w.streams[3].SendHead(ok(), true)
	w.streams[3].Release()
	w.streams[5].SendHead(ok(), true)
	w.streams[5].Release()
	w.streams[7].SendHead(ok(), false)
	w.streams[7].Stream.Reset(ConnectError)
	w.streams[7].Stream.Reset(Cancel)
	w.streams[7].Release()
	same(t, "output", w.takeOutput(), "RST_STREAM 1 INTERNAL_ERROR", "HEADERS 3 :status=200 end",
		"HEADERS 5 :status=200 end", "RST_STREAM 5 NO_ERROR", "HEADERS 7 :status=200", "RST_STREAM 7 CONNECT_ERROR")
	w = dialled(t, Config{})
	w.open(asked("GET", "/"), true).Release()
	w.conn.Open(&stream{w: w}).Release()
	same(t, "output", w.takeOutput(), "HEADERS 1 :method=GET :scheme=http :path=/ :authority=a end", "RST_STREAM 1 CANCEL")
	if w.conn.Streams() != 0 {
		t.Errorf("%d streams are open", w.conn.Streams())
	}
}

func TestWhatNobodyTakesIsRefused(t *testing.T) {
	w := served(t, Config{})
	w.conn.events = refuser{w}
	w.do(get(1), post(3))
	same(t, "output", w.takeOutput(), "RST_STREAM 1 REFUSED_STREAM", "RST_STREAM 3 REFUSED_STREAM")
	if len(w.conn.pool.streams) != 1 {
		t.Errorf("%d streams are in the pool, want the one that is used again and again", len(w.conn.pool.streams))
	}
}

type refuser struct{ *world }

func (refuser) Request(*Stream, *Head, bool) {}

func TestTheOutputIsBounded(t *testing.T) {
	w := served(t, Config{Output: 50000})
	w.do(settingsFrame(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30}), update(0, 1<<30), get(1), get(3))
	for _, id := range []uint32{1, 3} {
		w.streams[id].SendHead(ok(), false)
		for range 10 {
			w.streams[id].SendData(make([]byte, 100000), false)
		}
	}
	if n := len(w.conn.out); n > 50000+MaxFrame+100 {
		t.Errorf("%d bytes are gathered", n)
	}
	for w.streams[1].Pending() > 0 {
		if out := w.write(); len(out) > 50000+MaxFrame+100 || len(out) == 0 {
			t.Fatalf("an output of %d bytes", len(out))
		}
	}
}

func TestFlushIsCalledOnceUntilOutput(t *testing.T) {
	w := served(t, Config{})
	w.do(get(1))
	w.flushes = 0
	one := w.streams[1]
	one.SendHead(ok(), false)
	one.SendData([]byte("a"), false)
	one.SendData([]byte("b"), false)
	if w.flushes != 1 {
		t.Errorf("Flush was called %d times", w.flushes)
	}
	w.takeOutput()
	one.SendData([]byte("c"), false)
	if w.flushes != 2 {
		t.Errorf("Flush was called %d times", w.flushes)
	}
}

// TestDrainedMaySendAndLeave lets owners do within Drained what they do.
func TestDrainedMaySendAndLeave(t *testing.T) {
	w := served(t, Config{Output: 10})
	w.do(get(1), get(3))
	w.takeOutput()
	w.onDrained = func(s *stream) {
		if s.id == 1 && s.Sent() < 30 {
			s.SendData([]byte("0123456789"), false)
			if s.Sent() < 20 {
				w.streams[3].Stream.Reset(Cancel)
				w.streams[3].Release()
			}
			return
		}
		s.Release()
	}
	w.streams[1].SendHead(ok(), false)
	w.streams[1].SendData([]byte("0123456789"), false)
	w.streams[3].SendHead(ok(), false)
	w.streams[3].SendData(make([]byte, MaxFrame), false)
	w.takeOutput()
	if w.conn.Streams() != 0 {
		t.Errorf("%d streams are open", w.conn.Streams())
	}
}
