package engine

import (
	"crypto/sha1"
	"encoding/base64"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"evenkeel/fsm"

	"github.com/gorilla/websocket"
	"golang.org/x/net/http2"
)

// switching is a backend that agrees to a WebSocket, says hello in the same write, and
// then does as the test says.
func switching(t testing.TB, then func(p *peerConn)) string {
	return scripted(t, func(p *peerConn) {
		request, err := http.ReadRequest(p.r)
		if err != nil {
			return
		}
		sum := sha1.Sum([]byte(request.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455 section 4.2.2
		p.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " +
			base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\nhello")
		then(p)
	})
}

// data reads content of a stream until it is as long as wanted, and then its end.
func (f *framed) data(want string, end bool) {
	f.t.Helper()
	var got []byte
	for ended := false; len(got) < len(want) || end && !ended; {
		frame, ok := f.next().(*http2.DataFrame)
		if !ok {
			f.t.Fatalf("no DATA behind %q", got)
		}
		got, ended = append(got, frame.Data()...), frame.StreamEnded()
	}
	if string(got) != want {
		f.t.Fatalf("%q, want %q", got, want)
	}
}

// TestAWebSocketsStreamEndsEachWayOnItsOwn: what lies behind the heads is passed on,
// and what one side says behind the other's end (RFC 8441 section 5).
func TestAWebSocketsStreamEndsEachWayOnItsOwn(t *testing.T) {
	for name, clientFirst := range map[string]bool{"the client first": true, "the backend first": false} {
		t.Run(name, func(t *testing.T) {
			heard := make(chan struct{})
			w := newWorld(t, nil, switching(t, func(p *peerConn) {
				p.expect("early")
				if clientFirst {
					if rest, err := p.end(); rest != "" || err != nil {
						t.Errorf("%q, %v", rest, err)
					}
					p.send("the rest")
					p.closeWrite()
					close(heard)
					return
				}
				p.closeWrite()
				p.expect("the rest")
				if rest, err := p.end(); rest != "" || err != nil {
					t.Errorf("%q, %v", rest, err)
				}
				close(heard)
			}))
			f := w.framed()
			webSocket(1, f)
			f.check(f.framer.WriteData(1, false, []byte("early"))) // before there is an answer
			if head := f.response(); head.PseudoValue("status") != "200" {
				t.Fatalf("%v", head)
			}
			if clientFirst {
				f.data("hello", false)
				f.check(f.framer.WriteData(1, true, nil))
				f.data("the rest", true)
			} else {
				f.data("hello", true)
				if w.requests() != 1 || w.backend("b0").Stats.InFlight() != 1 {
					t.Errorf("%d under way", w.requests())
				}
				f.check(f.framer.WriteData(1, true, []byte("the rest")))
			}
			await(t, heard, "all at the backend")
			eventually(t, "nothing is under way", func() bool { return w.requests() == 0 && w.backend("b0").Stats.InFlight() == 0 })
		})
	}
}

func TestASilentWebSocketsStreamIsReset(t *testing.T) {
	w := newWorld(t, func(with *tuning) {
		with.pool.Timeouts = &fsm.PoolTimeouts{Tunnel: fsm.Duration(300 * time.Millisecond), FirstByte: fsm.Duration(10 * time.Millisecond)}
		with.listener.ClientIdle = fsm.Duration(time.Minute)
	}, switching(t, func(p *peerConn) { _, _ = p.end() }))
	f := w.framed()
	webSocket(1, f)
	f.response()
	f.data("hello", false)
	began := time.Now()
	if frame, ok := f.next().(*http2.RSTStreamFrame); !ok || frame.ErrCode != http2.ErrCodeCancel {
		t.Errorf("%v", frame)
	}
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Errorf("after %v", took)
	}
	eventually(t, "nothing is under way", func() bool { return w.requests() == 0 && w.backend("b0").Stats.InFlight() == 0 })
}

func TestADrainTimeoutCutsWebSocketsStreams(t *testing.T) {
	w := newWorld(t, nil, switching(t, func(p *peerConn) { _, _ = p.end() }))
	w.engine.config.DrainTimeout = 200 * time.Millisecond
	f := w.framed()
	webSocket(1, f)
	f.response()
	f.data("hello", false)
	w.stop()
	await(t, w.stopped, "the end of the listener")
	for {
		if _, err := f.framer.ReadFrame(); err != nil { // it is told of the end, and then cut
			break
		}
	}
	if got := w.backend("b0").Stats.InFlight(); got != 0 {
		t.Errorf("%d in flight", got)
	}
}

func TestAWebSocketPassesThroughTLS(t *testing.T) {
	upgrader := websocket.Upgrader{}
	backend := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		conn, err := upgrader.Upgrade(out, in, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		for {
			kind, message, err := conn.ReadMessage()
			if err != nil {
				return
			}
			if err := conn.WriteMessage(kind, message); err != nil {
				return
			}
		}
	}))
	defer backend.Close()
	w := newWorld(t, securing(t, nil, func(with *tuning) {
		with.pool.Timeouts = &fsm.PoolTimeouts{Tunnel: fsm.Duration(500 * time.Millisecond)}
	}), strings.TrimPrefix(backend.URL, "http://"))
	dialer := websocket.Dialer{TLSClientConfig: trusting(), NetDial: func(network, _ string) (net.Conn, error) { return net.Dial(network, w.addr) }}
	conn, _, err := dialer.DialContext(t.Context(), "wss://example.com/chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, message := range []string{"hello", strings.Repeat("x", 1<<20)} {
		if err := conn.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.ReadMessage(); err != nil || string(got) != message {
			t.Fatalf("echo of %d bytes: %d bytes, %v", len(message), len(got), err)
		}
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.ReadMessage(); err == nil || websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Errorf("it was silent, and ended with %v", err)
	}
	eventually(t, "nothing is under way", func() bool { return w.requests() == 0 && w.connections() == 0 && w.backend("b0").Stats.InFlight() == 0 })
}
