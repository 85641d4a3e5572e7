package http2

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// status is the head of a response.
func status(id uint32, end bool, code int, more ...string) send {
	return headers(id, end, append([]string{fmt.Sprintf(":status: %d", code)}, more...)...)
}

func TestResponses(t *testing.T) {
	for name, c := range map[string]struct {
		method   string
		in       []send
		log, out string
	}{
		"a head alone":       {"GET", []send{status(1, true, 204)}, "1: 204 end", ""},
		"content":            {"GET", []send{status(1, false, 200, "content-length: 3"), data(1, "abc", true)}, "1: 200 length=3 content-length=\"3\"\n1: data abc end", ""},
		"trailers":           {"GET", []send{status(1, false, 200), data(1, "a", false), headers(1, true, "b: c")}, "1: 200\n1: data a\n1: trailers b=\"c\"", ""},
		"interim responses":  {"GET", []send{status(1, false, 100), status(1, false, 103, "link: a"), status(1, true, 200)}, "1: 100\n1: 103 link=\"a\"\n1: 200 end", ""},
		"HEAD with a length": {"HEAD", []send{status(1, true, 200, "content-length: 3")}, "1: 200 length=3 content-length=\"3\" end", ""},
		"304 with a length":  {"GET", []send{status(1, true, 304, "content-length: 3")}, "1: 304 length=3 content-length=\"3\" end", ""},
		"HEAD with content": {"HEAD", []send{status(1, false, 200), data(1, "a", true)},
			"1: 200\n1: reset PROTOCOL_ERROR: more content than Content-Length says", reset1},
		"CONNECT has no length": {"CONNECT", []send{status(1, false, 200, "content-length: 0"), data(1, "abc", true)},
			"1: 200 length=0 content-length=\"0\"\n1: data abc end", ""},
		"101":                              {"GET", []send{status(1, false, 101)}, "1: reset PROTOCOL_ERROR: malformed :status", reset1},
		"no status":                        {"GET", []send{headers(1, true, "a: b")}, "1: reset PROTOCOL_ERROR: response without :status", reset1},
		"a status that is none":            {"GET", []send{headers(1, true, ":status: 99")}, "1: reset PROTOCOL_ERROR: malformed :status", reset1},
		"a status of a request":            {"GET", []send{headers(1, true, ":status: 200", ":path: /")}, "1: reset PROTOCOL_ERROR: pseudo-field that is unknown, or not for this kind of head", reset1},
		"an interim response that ends":    {"GET", []send{status(1, true, 103)}, "1: reset PROTOCOL_ERROR: interim response that ends the stream", reset1},
		"content before a head":            {"GET", []send{data(1, "a", true)}, "1: reset PROTOCOL_ERROR: DATA before the head", reset1},
		"content after an interim one":     {"GET", []send{status(1, false, 103), data(1, "a", true)}, "1: 103\n1: reset PROTOCOL_ERROR: DATA before the head", reset1},
		"less content than said":           {"GET", []send{status(1, true, 200, "content-length: 3")}, "1: reset PROTOCOL_ERROR: less content than Content-Length says", reset1},
		"a field for an HTTP/1 connection": {"GET", []send{status(1, true, 200, "connection: close")}, "1: reset PROTOCOL_ERROR: field that is for an HTTP/1 connection", reset1},
		"a head that is too large":         {"GET", []send{splitHead(1, true, ":status: 200", "a: "+strings.Repeat("b", 70000))}, "1: reset ENHANCE_YOUR_CALM: head or trailers with too many or too large fields", "RST_STREAM 1 ENHANCE_YOUR_CALM"},
		"a reset":                          {"GET", []send{reset(1, InternalError)}, "1: reset INTERNAL_ERROR remote", ""},
		"a refusal":                        {"GET", []send{reset(1, RefusedStream)}, "1: reset REFUSED_STREAM remote unprocessed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := dialled(t, Config{})
			w.open(asked(c.method, "/"), true)
			w.takeOutput()
			if err := w.do(c.in...); err != nil {
				t.Fatal(err)
			}
			same(t, "events", w.takeLog(), c.log)
			same(t, "output", w.takeOutput(), c.out)
			if strings.Contains(c.log, "end") != (w.conn.Streams() == 0) && !strings.Contains(c.log, "reset") && !strings.Contains(c.log, "trailers") {
				t.Errorf("%d streams are open", w.conn.Streams())
			}
		})
	}
}

func TestFaultsOfAServer(t *testing.T) {
	for name, c := range map[string]struct {
		in   []send
		want string
	}{
		"a response that nobody asked for": {[]send{status(3, true, 200)}, "PROTOCOL_ERROR: HEADERS of a stream that was not opened"},
		"a stream of the server":           {[]send{status(2, true, 200)}, "PROTOCOL_ERROR: HEADERS of a stream that was not opened"},
		"PUSH_PROMISE":                     {[]send{raw(framePushPromise, flagEndHeaders, 1, 0, 0, 0, 2)}, "PROTOCOL_ERROR: PUSH_PROMISE"},
		"SETTINGS_ENABLE_PUSH":             {[]send{settingsFrame(http2.Setting{ID: 2, Val: 1})}, "PROTOCOL_ERROR: SETTINGS_ENABLE_PUSH that is not allowed"},
		"extended CONNECT taken back": {[]send{settingsFrame(http2.Setting{ID: 8, Val: 1}), settingsFrame(http2.Setting{ID: 8, Val: 0})},
			"PROTOCOL_ERROR: SETTINGS_ENABLE_CONNECT_PROTOCOL that is not allowed"},
		"interim responses without end": {func() (sends []send) {
			for range 5000 {
				sends = append(sends, status(1, false, 103))
			}
			return sends
		}(), "ENHANCE_YOUR_CALM: too many frames that carry nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			w := dialled(t, Config{})
			w.open(asked("GET", "/"), true)
			if err := w.do(c.in...); err == nil || err.Error() != c.want {
				t.Errorf("error %v, want %s", err, c.want)
			}
			if log := w.log[len(w.log)-1]; log != "1: reset "+c.want {
				t.Errorf("last event: %s", log)
			}
			if w.conn.Capacity() != 0 || !w.conn.Going() || w.conn.Open(&stream{w: w}) != nil {
				t.Error("streams may be opened")
			}
		})
	}
	w := newWorld(t, true, Config{})
	w.peer.WriteString("HTTP/1.1 400 Bad Request\r\n")
	if err := w.do(); err == nil || err.Error() != "PROTOCOL_ERROR: the server speaks HTTP/1" {
		t.Errorf("error %v", err)
	}
}

func TestRequestsAreSent(t *testing.T) {
	w := dialled(t, Config{})
	one := w.open(asked("POST", "/a", "X-Upper: B", "Authorization: c"), false)
	one.SendData([]byte("hello"), false)
	one.SendTrailers(lines("d: e"))
	w.open(asked("OPTIONS", "*"), true)
	w.open(&Head{Method: []byte("CONNECT"), Authority: []byte("a:1")}, false)
	w.open(&Head{Method: []byte("CONNECT"), Scheme: []byte("https"), Path: []byte("/"), Authority: []byte("a"), Protocol: []byte("websocket")}, false)
	same(t, "output", w.takeOutput(),
		"HEADERS 1 :method=POST :scheme=http :path=/a :authority=a x-upper=B authorization=c", "DATA 1 hello", "HEADERS 1 d=e end",
		"HEADERS 3 :method=OPTIONS :scheme=http :path=* :authority=a end",
		"HEADERS 5 :method=CONNECT :authority=a:1",
		"HEADERS 7 :method=CONNECT :scheme=https :path=/ :authority=a :protocol=websocket")
}

func TestCapacity(t *testing.T) {
	w := newWorld(t, true, Config{Streams: 150})
	if n := w.conn.Capacity(); n != streamsBeforeSettings {
		t.Errorf("%d before the settings", n)
	}
	one := w.open(asked("GET", "/"), true)
	w.do(settingsFrame())
	if n := w.conn.Capacity(); n != 149 {
		t.Errorf("%d of a peer that grants all", n)
	}
	w.do(settingsFrame(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 2}))
	if n := w.conn.Capacity(); n != 1 {
		t.Errorf("%d of two", n)
	}
	unsent := w.conn.Open(&stream{w: w})
	if w.conn.Capacity() != 0 || w.conn.Streams() != 2 || w.conn.Open(&stream{w: w}) != nil {
		t.Error("more streams than the peer grants can be opened")
	}
	unsent.Release()
	w.do(status(1, true, 200))
	one.Release()
	if n := w.conn.Capacity(); n != 2 || w.conn.Streams() != 0 {
		t.Errorf("%d of two", n)
	}
	w.do(settingsFrame(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 0}))
	if n := w.conn.Capacity(); n != 0 {
		t.Errorf("%d of none", n)
	}
}

func TestIdsAreUsedUp(t *testing.T) {
	w := dialled(t, Config{})
	w.conn.nextOut = maxID - 2
	if n := w.conn.Capacity(); n != 2 {
		t.Errorf("%d of two", n)
	}
	unsent := &stream{w: w}
	unsent.Stream = w.conn.Open(unsent)
	w.open(asked("GET", "/"), true)
	if w.conn.Capacity() != 0 || w.conn.Going() {
		t.Error("an id is taken twice")
	}
	unsent.SendHead(asked("GET", "/"), true)
	if unsent.ID() != maxID || w.conn.Capacity() != 0 || !w.conn.Going() {
		t.Errorf("the last id is %d", unsent.ID())
	}
}

func TestAServerGoesAway(t *testing.T) {
	w := dialled(t, Config{})
	for range 3 {
		w.open(asked("GET", "/"), true)
	}
	unsent := &stream{w: w}
	unsent.Stream = w.conn.Open(unsent)
	w.do(goAway(3, NoError, "maintenance"))
	same(t, "events", w.takeLog(), "0: reset NO_ERROR remote unprocessed", "5: reset NO_ERROR remote unprocessed", `GOAWAY 3 NO_ERROR "maintenance"`)
	if w.conn.Capacity() != 0 || !w.conn.Going() || w.conn.Streams() != 2 {
		t.Error("the connection is not going away")
	}
	w.do(status(1, true, 200), goAway(1, NoError, ""))
	same(t, "events", w.takeLog(), "1: 200 end", "3: reset NO_ERROR remote unprocessed", `GOAWAY 1 NO_ERROR ""`)
}

func TestAConnectionIsLost(t *testing.T) {
	w := dialled(t, Config{})
	one := w.open(asked("GET", "/"), true)
	unsent := &stream{w: w}
	unsent.Stream = w.conn.Open(unsent)
	w.onReset = func(s *stream) {}
	w.conn.Lost()
	w.conn.Lost()
	same(t, "events", w.takeLog(), "0: reset INTERNAL_ERROR: the connection broke remote unprocessed", "1: reset INTERNAL_ERROR: the connection broke remote")
	if one.SendData(nil, true) || unsent.SendHead(asked("GET", "/"), true) {
		t.Error("something may be sent on it")
	}
	one.Release()
	unsent.Release()
	w.conn.Drain()
	w.conn.Fail(InternalError, "")
	same(t, "output", w.takeOutput())
	if !w.conn.Going() || w.conn.Streams() != 0 {
		t.Error("streams are open")
	}
}

func TestAResponseMayEndBeforeItsRequest(t *testing.T) {
	w := dialled(t, Config{})
	one := w.open(asked("POST", "/"), false)
	w.do(status(1, true, 413), reset(1, NoError))
	same(t, "events", w.takeLog(), "1: 413 end", "1: reset NO_ERROR remote")
	if w.conn.Streams() != 0 {
		t.Error("the stream is open")
	}
	_ = one
}
