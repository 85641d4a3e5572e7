package engine

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"evenkeel/fsm"

	"github.com/gorilla/websocket"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// framed is a client of HTTP/2 that sends and reads frames by hand.
type framed struct {
	t      testing.TB
	conn   net.Conn
	framer *http2.Framer
	out    bytes.Buffer
	encode *hpack.Encoder
}

func (w *world) framed() *framed {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		w.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		w.t.Fatal(err)
	}
	f := &framed{t: w.t, conn: conn, framer: http2.NewFramer(conn, bufio.NewReader(conn))}
	f.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.encode = hpack.NewEncoder(&f.out)
	f.check(f.framer.WriteSettings())
	f.check(f.framer.WriteSettingsAck())
	return f
}

func (f *framed) check(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// head opens a stream; fields are names and values in turn.
func (f *framed) head(id uint32, end bool, fields ...string) {
	f.t.Helper()
	f.out.Reset()
	for i := 0; i < len(fields); i += 2 {
		f.check(f.encode.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	f.check(f.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: f.out.Bytes(), EndHeaders: true, EndStream: end}))
}

func (f *framed) get(id uint32, path string) {
	f.t.Helper()
	f.head(id, true, ":method", "GET", ":scheme", "http", ":authority", "a", ":path", path)
}

// next reads the next frame that is about a stream, or a GOAWAY.
func (f *framed) next() http2.Frame {
	f.t.Helper()
	for {
		frame, err := f.framer.ReadFrame()
		if err != nil {
			f.t.Fatalf("read frame: %v", err)
		}
		switch frame.(type) {
		case *http2.SettingsFrame, *http2.WindowUpdateFrame, *http2.PingFrame:
		default:
			return frame
		}
	}
}

// response reads a head.
func (f *framed) response() *http2.MetaHeadersFrame {
	f.t.Helper()
	head, ok := f.next().(*http2.MetaHeadersFrame)
	if !ok {
		f.t.Fatal("no HEADERS")
	}
	return head
}

func webSocket(id uint32, f *framed) {
	f.head(id, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":authority", "a", ":path", "/chat",
		"sec-websocket-version", "13")
}

func TestAWebSocketPassesOverHTTP2(t *testing.T) {
	upgrader := websocket.Upgrader{}
	backend := h1Backend(t, func(out http.ResponseWriter, in *http.Request) {
		conn, err := upgrader.Upgrade(out, in, nil)
		if err != nil {
			t.Errorf("upgrade: %v", err)
			return
		}
		defer conn.Close()
		for {
			kind, message, err := conn.ReadMessage()
			if err != nil {
				return
			}
			if err := conn.WriteMessage(kind, append([]byte("echo "), message...)); err != nil {
				t.Error(err)
			}
		}
	})
	w := newWorld(t, nil, backend)
	f := w.framed()
	webSocket(1, f)
	head := f.response()
	if head.PseudoValue("status") != "200" || head.StreamEnded() {
		t.Fatalf("%v", head)
	}
	for _, field := range head.RegularFields() {
		if strings.HasPrefix(field.Name, "sec-websocket-accept") || field.Name == "upgrade" || field.Name == "connection" {
			t.Errorf("field %s", field.Name)
		}
	}
	if got := w.requests(); got != 1 {
		t.Errorf("%d requests under way", got)
	}
	hello := []byte{0x81, 0x85, 0, 0, 0, 0, 'h', 'e', 'l', 'l', 'o'} // a masked text
	f.check(f.framer.WriteData(1, false, hello))
	var got []byte
	for len(got) < 2+len("echo hello") {
		got = append(got, f.next().(*http2.DataFrame).Data()...)
	}
	if string(got[2:]) != "echo hello" {
		t.Errorf("%q", got)
	}
	f.check(f.framer.WriteData(1, true, nil))
	for ended := false; !ended; {
		switch frame := f.next().(type) {
		case *http2.DataFrame:
			ended = frame.StreamEnded()
		case *http2.RSTStreamFrame:
			t.Errorf("reset with %v", frame.ErrCode)
			ended = true
		}
	}
	eventually(t, "nothing is under way", func() bool { return w.requests() == 0 })
}

func TestABackendThatDoesNotSwitchIsNoWebSocket(t *testing.T) {
	for name, answer := range map[string]string{
		"an ordinary response": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		"a wrong answer to the key": "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil, scripted(t, func(p *peerConn) {
				p.head()
				p.send(answer)
			}))
			f := w.framed()
			webSocket(1, f)
			if head := f.response(); head.PseudoValue("status") != "502" {
				t.Errorf("%v", head)
			}
			eventually(t, "nothing is under way", func() bool { return w.requests() == 0 })
		})
	}
}

// TestAWebSocketReachesABackendOfHTTP2 has two nodes in a row, the second of
// which is a server of RFC 8441.
func TestAWebSocketReachesABackendOfHTTP2(t *testing.T) {
	upgrader := websocket.Upgrader{}
	second := newWorld(t, nil, h1Backend(t, func(out http.ResponseWriter, in *http.Request) {
		conn, err := upgrader.Upgrade(out, in, nil)
		if err != nil {
			t.Errorf("upgrade: %v", err)
			return
		}
		defer conn.Close()
		_, message, err := conn.ReadMessage()
		if err != nil {
			t.Error(err)
		}
		if err := conn.WriteMessage(websocket.TextMessage, message); err != nil {
			t.Error(err)
		}
		_, _, _ = conn.ReadMessage() // the client's end
	}))
	first := newWorld(t, overHTTP2, second.addr)
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+first.addr+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, message, err := conn.ReadMessage(); err != nil || string(message) != "hello" {
		t.Errorf("%q, %v", message, err)
	}
	conn.Close()
	eventually(t, "nothing is under way", func() bool { return first.requests() == 0 && second.requests() == 0 })
	if got := second.counters.HTTP2.Load(); got != 1 {
		t.Errorf("%d requests over HTTP/2", got)
	}
}

func TestAConnectIsRefused(t *testing.T) {
	w := newWorld(t, nil, answering(t, "hello"))
	f := w.framed()
	f.head(1, false, ":method", "CONNECT", ":authority", "a:80")
	if head := f.response(); head.PseudoValue("status") != "405" {
		t.Errorf("%v", head)
	}
}

func TestAHeadBeyondTheLimitsIsAnswered(t *testing.T) {
	w := newWorld(t, nil, answering(t, "hello"))
	f := w.framed()
	f.head(1, true, ":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/", "x-a", strings.Repeat("a", 20<<10))
	if head := f.response(); head.PseudoValue("status") != "431" {
		t.Errorf("a line: %v", head)
	}
	many := []string{":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/"}
	for i := range 200 {
		many = append(many, fmt.Sprintf("x-%d", i), "a")
	}
	f.next() // the answer's text
	f.head(3, true, many...)
	if head := f.response(); head.PseudoValue("status") != "431" {
		t.Errorf("many fields: %v", head)
	}
	f.next()
	f.get(5, "/")
	if head := f.response(); head.PseudoValue("status") != "200" {
		t.Errorf("the connection goes on: %v", head)
	}
}

func TestRapidResetsAreBounded(t *testing.T) {
	w := newWorld(t, nil, scripted(t, func(p *peerConn) { _, _ = p.end() }))
	f := w.framed()
	for id := uint32(1); id < 4000; id += 2 {
		f.out.Reset()
		f.check(f.encode.WriteField(hpack.HeaderField{Name: ":method", Value: "GET"}))
		f.check(f.encode.WriteField(hpack.HeaderField{Name: ":scheme", Value: "http"}))
		f.check(f.encode.WriteField(hpack.HeaderField{Name: ":authority", Value: "a"}))
		f.check(f.encode.WriteField(hpack.HeaderField{Name: ":path", Value: "/"}))
		if f.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: f.out.Bytes(), EndHeaders: true, EndStream: true}) != nil ||
			f.framer.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
			break
		}
	}
	for {
		frame, err := f.framer.ReadFrame()
		if err != nil { // the reset of what was sent after the end may have come before the GOAWAY
			break
		}
		if away, ok := frame.(*http2.GoAwayFrame); ok {
			if away.ErrCode != http2.ErrCodeEnhanceYourCalm {
				t.Errorf("%v", away)
			}
			break
		}
	}
	eventually(t, "nothing is under way", func() bool {
		return w.requests() == 0 && w.backend("b0").Stats.InFlight() == 0 && w.connections() == 0
	})
	if got := w.counters.HTTP2.Load(); got > 1000 {
		t.Errorf("%d requests were begun", got)
	}
	if floods, faults := w.counters.HTTP2Floods.Load(), w.counters.HTTP2Faults.Load(); floods != 1 || faults != 0 {
		t.Errorf("%d floods and %d other faults were counted", floods, faults)
	}
}

func TestASilentClientIsLetGo(t *testing.T) {
	w := newWorld(t, func(with *tuning) {
		with.listener = fsm.ListenerTimeouts{ClientIdle: fsm.Duration(50 * time.Millisecond)}
	}, answering(t, "hello"))
	f := w.framed()
	f.get(1, "/")
	for away := false; !away; {
		_, away = f.next().(*http2.GoAwayFrame)
	}
	for {
		if _, err := f.framer.ReadFrame(); err != nil {
			if err != io.EOF {
				t.Error(err)
			}
			break
		}
	}
	f.conn.Close()
	eventually(t, "the connection is gone", func() bool { return w.connections() == 0 })
}

// TestAClientThatDoesNotReadHoldsLittle opens windows that it does not empty.
func TestAClientThatDoesNotReadHoldsLittle(t *testing.T) {
	written := make(chan int64, 1)
	w := newWorld(t, func(with *tuning) {
		with.listener = fsm.ListenerTimeouts{Body: fsm.Duration(300 * time.Millisecond)}
	}, h1Backend(t, func(out http.ResponseWriter, in *http.Request) {
		n, _ := io.CopyN(out, zeros{}, 1<<30)
		written <- n
	}))
	f := w.framed()
	f.get(1, "/") // the window is 65,535 bytes, and is never opened
	n := <-written
	if n > 32<<20 { // sockets take some
		t.Errorf("the backend got rid of %d bytes", n)
	}
	for {
		if reset, ok := f.next().(*http2.RSTStreamFrame); ok {
			if reset.ErrCode != http2.ErrCodeCancel {
				t.Errorf("%v", reset.ErrCode)
			}
			break
		}
	}
	eventually(t, "nothing is under way", func() bool { return w.requests() == 0 })
	if w.connections() != 1 {
		t.Error("the connection went with the stream")
	}
}
