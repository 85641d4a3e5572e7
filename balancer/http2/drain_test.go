package http2

import "testing"

func TestAServerDrains(t *testing.T) {
	w := served(t, Config{})
	w.do(get(1))
	w.conn.Drain()
	same(t, "output", w.takeOutput(), "GOAWAY 2147483647 NO_ERROR ", "PING evenkeel")
	w.takeLog()
	w.do(get(3), raw(framePing, flagAck, 0, []byte("anything")...))
	if w.conn.Going() {
		t.Error("a connection that still lets streams in says that it does not")
	}
	w.do(raw(framePing, flagAck, 0, []byte(drainPing)...))
	same(t, "output", w.takeOutput(), "GOAWAY 3 NO_ERROR ")
	w.conn.Drain()
	// What the client sent before it read that.
	w.do(post(5, "a: b"), data(5, "abc", false), update(5, 1), reset(5, Cancel), post(7), headers(7, true, "c: d"))
	same(t, "output", w.takeOutput())
	same(t, "events", w.takeLog(), "3: GET http a / end")
	if !w.conn.Going() || w.conn.Streams() != 2 {
		t.Errorf("going: %v, %d streams", w.conn.Going(), w.conn.Streams())
	}
	for _, id := range []uint32{1, 3} {
		w.streams[id].SendHead(ok(), true)
	}
	if w.conn.Streams() != 0 {
		t.Errorf("%d streams", w.conn.Streams())
	}
	w.do(get(9, "a: b")) // the table of fields is as the peer thinks
	if w.conn.failed != nil {
		t.Error(w.conn.failed)
	}
}

func TestAServerThatMayNotWaitDrains(t *testing.T) {
	w := served(t, Config{})
	w.conn.Drain()
	w.conn.Drain()
	same(t, "output", w.takeOutput(), "GOAWAY 2147483647 NO_ERROR ", "PING evenkeel", "GOAWAY 0 NO_ERROR ")
	w.do(raw(framePing, flagAck, 0, []byte(drainPing)...), get(1))
	same(t, "output", w.takeOutput())
	same(t, "events", w.takeLog())
}

func TestAClientDrains(t *testing.T) {
	w := dialled(t, Config{})
	w.open(asked("GET", "/"), true)
	w.takeOutput()
	w.conn.Drain()
	same(t, "output", w.takeOutput(), "GOAWAY 0 NO_ERROR ")
	if w.conn.Capacity() != 0 || !w.conn.Going() {
		t.Error("streams may be opened")
	}
	w.do(status(1, true, 200))
	same(t, "events", w.takeLog(), "1: 200 end")
}

func TestAnOwnerEndsTheConnection(t *testing.T) {
	w := served(t, Config{})
	w.do(get(1))
	w.takeLog()
	w.onReset = func(s *stream) {
		if s.SendHead(ok(), true) {
			t.Error("a head can be sent")
		}
		s.Stream.Reset(Cancel)
		s.Release()
	}
	w.conn.Fail(SettingsTimeout, "settings were not acknowledged")
	same(t, "events", w.takeLog(), "1: reset SETTINGS_TIMEOUT: settings were not acknowledged")
	same(t, "output", w.takeOutput(), "GOAWAY 1 SETTINGS_TIMEOUT settings were not acknowledged")
	if err := w.do(get(3)); err == nil {
		t.Error("Receive returns no error")
	}
}
