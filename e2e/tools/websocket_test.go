package tools

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"evenkeel/e2e/harness"
)

// lastWords is what the backend says to a client that has closed its side.
const lastWords = "and that is all"

// echoServer is a WebSocket server that sends back what it is sent. A client that
// closes the handshake's way is answered so; one that only closes its side of the
// connection is told lastWords.
func echoServer(t *testing.T) (address string) {
	t.Helper()
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }, EnableCompression: true, Subprotocols: []string{"echo"}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // the answer says why
		}
		defer conn.Close()
		for {
			kind, message, err := conn.ReadMessage()
			if err != nil {
				if closed := (*websocket.CloseError)(nil); errors.As(err, &closed) && closed.Code == websocket.CloseAbnormalClosure {
					_ = conn.WriteMessage(websocket.TextMessage, []byte(lastWords)) // the client misses it if this fails
				}
				return
			}
			if err := conn.WriteMessage(kind, message); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestGorillasWebSocketsPass(t *testing.T) {
	b := newBed(t)
	echo := echoServer(t)
	for _, listener := range []string{"default", "secure"} {
		b.serve(t, listener, map[string]any{}, echo)
		t.Run(listener, func(t *testing.T) {
			for _, node := range b.Nodes {
				t.Run(node.Name, func(t *testing.T) {
					open := func(t *testing.T) *websocket.Conn { return b.openWebSocket(t, node, listener) }
					t.Run("messages of all sizes", func(t *testing.T) { echoes(t, open(t)) })
					t.Run("pings", func(t *testing.T) { pings(t, open(t)) })
					t.Run("the close handshake", func(t *testing.T) { closes(t, open(t)) })
					t.Run("a client that closes its side alone", func(t *testing.T) { halfCloses(t, open(t)) })
				})
			}
		})
	}
}

// openWebSocket opens a WebSocket through a node.
func (b *bed) openWebSocket(t *testing.T, node *harness.Node, listener string) *websocket.Conn {
	t.Helper()
	scheme := "ws"
	if listener == "secure" {
		scheme = "wss"
	}
	dialer := websocket.Dialer{
		HandshakeTimeout: harness.Patience, EnableCompression: true, Subprotocols: []string{"other", "echo"},
		TLSClientConfig: &tls.Config{RootCAs: b.authority.Pool(), ServerName: host},
	}
	conn, response, err := dialer.DialContext(t.Context(), scheme+"://"+b.address(node, listener)+"/any", nil)
	if err != nil {
		t.Fatalf("open a WebSocket: %v %v", err, response)
	}
	t.Cleanup(func() { conn.Close() })
	if conn.Subprotocol() != "echo" {
		t.Errorf("the subprotocol is %q", conn.Subprotocol())
	}
	deadline := time.Now().Add(harness.Patience)
	if err := errors.Join(conn.SetReadDeadline(deadline), conn.SetWriteDeadline(deadline)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// echoes sends messages around the sizes where a frame's length is told otherwise
// (RFC 6455 section 5.2), a large one, and one of many frames.
func echoes(t *testing.T, conn *websocket.Conn) {
	source := rand.NewChaCha8([32]byte{}) // of what no compression makes smaller
	for _, size := range []int{0, 1, 125, 126, 65535, 65536, 16 << 20} {
		message := make([]byte, size)
		if _, err := source.Read(message); err != nil {
			t.Fatal(err)
		}
		written := make(chan error, 1)
		go func() { written <- conn.WriteMessage(websocket.BinaryMessage, message) }()
		kind, got, err := conn.ReadMessage()
		if err != nil || kind != websocket.BinaryMessage || !bytes.Equal(got, message) {
			t.Fatalf("of %d bytes came %d, of kind %d: %v", size, len(got), kind, err)
		}
		if err := <-written; err != nil {
			t.Fatal(err)
		}
	}
	conn.EnableWriteCompression(false)
	writer, err := conn.NextWriter(websocket.TextMessage)
	if err != nil {
		t.Fatal(err)
	}
	const part, parts = "a part, ", 20_000 // a frame for each 4 KB
	for range parts {
		if _, err := io.WriteString(writer, part); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if _, got, err := conn.ReadMessage(); err != nil || len(got) != len(part)*parts {
		t.Errorf("of a message of many frames came %d bytes: %v", len(got), err)
	}
}

func pings(t *testing.T, conn *websocket.Conn) {
	answered := make(chan string, 1)
	conn.SetPongHandler(func(text string) error {
		answered <- text
		return nil
	})
	if err := conn.WriteControl(websocket.PingMessage, []byte("there?"), time.Now().Add(harness.Patience)); err != nil {
		t.Fatal(err)
	}
	if err := conn.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := conn.ReadMessage(); err != nil || string(got) != "hello" {
		t.Errorf("got %q: %v", got, err)
	}
	if got := <-answered; got != "there?" { // the pong came before the message
		t.Errorf("the pong has %q", got)
	}
}

func closes(t *testing.T, conn *websocket.Conn) {
	farewell := websocket.FormatCloseMessage(websocket.CloseGoingAway, "bye")
	if err := conn.WriteControl(websocket.CloseMessage, farewell, time.Now().Add(harness.Patience)); err != nil {
		t.Fatal(err)
	}
	_, _, err := conn.ReadMessage()
	if closed := (*websocket.CloseError)(nil); !errors.As(err, &closed) || closed.Code != websocket.CloseGoingAway {
		t.Errorf("the close is answered %v", err)
	}
	if n, err := conn.NetConn().Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		t.Errorf("after the close came %d bytes, %v", n, err)
	}
}

// halfCloses closes the client's side of the connection, of TLS where there is TLS,
// in the middle of things.
func halfCloses(t *testing.T, conn *websocket.Conn) {
	if err := conn.WriteMessage(websocket.TextMessage, []byte("first")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := conn.ReadMessage(); err != nil || string(got) != "first" {
		t.Fatalf("got %q: %v", got, err)
	}
	side, ok := conn.NetConn().(interface{ CloseWrite() error })
	if !ok {
		t.Fatalf("a connection of %T has no sides", conn.NetConn())
	}
	if err := side.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, got, err := conn.ReadMessage(); err != nil || string(got) != lastWords {
		t.Errorf("to the closed side came %q: %v", got, err)
	}
	if n, err := conn.NetConn().Read(make([]byte, 1)); n > 0 || errors.Is(err, net.ErrClosed) || err == nil {
		t.Errorf("behind the last words came %d bytes, %v", n, err)
	}
}
