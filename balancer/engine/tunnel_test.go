package engine

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

func TestWebSocket(t *testing.T) {
	upgrader := websocket.Upgrader{Subprotocols: []string{"echo"}}
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, http.Header{"X-Extra": {"kept"}})
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
				t.Error(err)
			}
		}
	}))
	defer backend.Close()
	w := newWorld(t, nil, strings.TrimPrefix(backend.URL, "http://"))
	dialer := websocket.Dialer{Subprotocols: []string{"echo"}}
	conn, response, err := dialer.Dial("ws://"+w.addr+"/chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	if conn.Subprotocol() != "echo" || response.Header.Get("X-Extra") != "kept" {
		t.Errorf("subprotocol %q, fields %v", conn.Subprotocol(), response.Header)
	}
	for _, message := range []string{"hello", strings.Repeat("x", 1<<20)} {
		if err := conn.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.ReadMessage(); err != nil || string(got) != message {
			t.Fatalf("echo of %d bytes: %d bytes, %v", len(message), len(got), err)
		}
	}
	stats := w.backend("b0").Stats
	if got := stats.InFlight(); got != 1 {
		t.Errorf("%d in flight while it is open", got)
	}
	conn.Close()
	eventually(t, "the tunnel is no longer in flight", func() bool {
		return stats.InFlight() == 0 && w.requests() == 0 && w.connections() == 0
	})
	if got := stats.Responses(1); got != 1 || stats.Requests() != 1 {
		t.Errorf("%d upgrades counted, %d requests", got, stats.Requests())
	}
}

const upgradeRequest = "GET /up HTTP/1.1\r\nHost: example.com\r\nConnection: keep-alive, Upgrade\r\nUpgrade: Echo/1\r\n\r\n"

func TestUpgradeKeepsBytesBehindTheHeadsAndHalfCloses(t *testing.T) {
	tests := map[string]func(client, backend *peerConn){
		"when the client ends first": func(client, backend *peerConn) {
			client.closeWrite()
			if rest, err := backend.end(); rest != "" || err != nil {
				t.Errorf("backend read %q, %v after the client's end", rest, err)
			}
			backend.send("still here")
			client.expect("still here")
			backend.closeWrite()
			if rest, err := client.end(); rest != "" || err != nil {
				t.Errorf("client read %q, %v after the backend's end", rest, err)
			}
		},
		"when the backend ends first": func(client, backend *peerConn) {
			backend.closeWrite()
			if rest, err := client.end(); rest != "" || err != nil {
				t.Errorf("client read %q, %v after the backend's end", rest, err)
			}
			client.send("still here")
			backend.expect("still here")
			client.closeWrite()
			if rest, err := backend.end(); rest != "" || err != nil {
				t.Errorf("backend read %q, %v after the client's end", rest, err)
			}
		},
	}
	for name, talk := range tests {
		t.Run(name, func(t *testing.T) {
			backends, done := make(chan *peerConn, 1), make(chan struct{})
			w := newWorld(t, nil, scripted(t, func(p *peerConn) {
				if head := p.head(); !strings.Contains(head, "Connection: upgrade\r\n") || !strings.Contains(head, "Upgrade: Echo/1\r\n") {
					t.Errorf("the backend is not asked to upgrade: %q", head)
				}
				p.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo/1\r\n\r\nright behind")
				backends <- p
				p.wait(done, "the end of the talk")
			}))
			defer close(done)
			client := w.dial()
			client.send(upgradeRequest + "right behind too")
			if head := client.head(); !strings.HasPrefix(head, "HTTP/1.1 101 ") || !strings.Contains(head, "Upgrade: echo/1\r\n") {
				t.Fatalf("the client got %q", head)
			}
			client.expect("right behind")
			backend := <-backends
			backend.expect("right behind too")
			talk(client, backend)
			eventually(t, "nothing is in flight", func() bool { return w.backend("b0").Stats.InFlight() == 0 })
		})
	}
}

func TestUpgradeThatIsNone(t *testing.T) {
	tests := map[string]struct {
		request, response string
		want              int
	}{
		"a backend may decline": {upgradeRequest, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200},
		"another protocol than asked for is a broken answer": {
			upgradeRequest, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n", 502},
		"an upgrade that nobody asked for is a broken answer": {
			"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
			"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo/1\r\n\r\n", 502},
		"HTTP/2 is not let through, for no route would be looked up in it": {
			"GET / HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
			"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", 502},
		"an Upgrade field that Connection does not name is none": {
			"GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: echo/1\r\n\r\n",
			"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo/1\r\n\r\n", 502},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil, scripted(t, func(p *peerConn) {
				p.head()
				p.send(test.response)
			}))
			p := w.dial()
			p.send(test.request)
			if got := p.response("GET").StatusCode; got != test.want {
				t.Errorf("status %d, want %d", got, test.want)
			}
		})
	}
}

func TestClosedTunnelEndClosesTheOther(t *testing.T) {
	w := newWorld(t, nil, scripted(t, func(p *peerConn) {
		p.head()
		p.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo/1\r\n\r\n")
		p.expect("x")
		// Returning closes, with what the client sends next unread.
	}))
	client := w.dial()
	client.send(upgradeRequest)
	client.head()
	client.send("x")
	if rest, err := client.end(); rest != "" || err != nil {
		t.Errorf("client read %q, %v", rest, err)
	}
	client.Close()
	eventually(t, "nothing is in flight", func() bool { return w.backend("b0").Stats.InFlight() == 0 })
}
