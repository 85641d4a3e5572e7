package engine

import (
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestDrainLetsRequestsFinish(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	w := newWorld(t, nil, scripted(t, func(p *peerConn) {
		p.head()
		close(began)
		p.wait(release, "the release")
		p.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
	}))
	p := w.dial()
	p.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	await(t, began, "the request at the backend")
	w.stop()
	eventually(t, "connects are refused", func() bool {
		conn, err := net.DialTimeout("tcp", w.addr, 50*time.Millisecond)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	close(release)
	response := p.response("GET")
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != "done" || !response.Close {
		t.Errorf("%q, %v, close %v", body, err, response.Close)
	}
	await(t, w.stopped, "the end of the listener")
}

func TestIdleConnectionGetsItsResponseWhileDraining(t *testing.T) {
	w := newWorld(t, func(l *tuning) { l.drainIdle = time.Hour }, answering(t, "hello"))
	used, fresh := w.dial(), w.dial()
	used.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	first := used.response("GET")
	if _, err := io.Copy(io.Discard, first.Body); err != nil || first.Close {
		t.Fatalf("%v, close %v", err, first.Close)
	}
	eventually(t, "both connections are accepted", func() bool { return w.connections() == 2 })
	w.stop()
	eventually(t, "the drain has begun", func() bool { return w.server.listener.Closing.Load() })
	for name, p := range map[string]*peerConn{"a used connection": used, "a fresh connection": fresh} {
		p.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		response := p.response("GET")
		if body, err := io.ReadAll(response.Body); err != nil || string(body) != "hello" || !response.Close {
			t.Errorf("%s: %q, %v, close %v", name, body, err, response.Close)
		}
		if rest, err := p.end(); rest != "" || err != nil {
			t.Errorf("%s: %q, %v behind the response", name, rest, err)
		}
	}
	await(t, w.stopped, "the end of the listener")
}

func TestSilentConnectionsDoNotHoldTheDrainUp(t *testing.T) {
	w := newWorld(t, nil, answering(t, "hello"))
	used, fresh, half := w.dial(), w.dial(), w.dial()
	used.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if _, err := io.Copy(io.Discard, used.response("GET").Body); err != nil {
		t.Fatal(err)
	}
	half.send("GET / HTTP/1.1\r\nHo")
	eventually(t, "all are accepted", func() bool { return w.connections() == 3 })
	w.stop()
	await(t, w.stopped, "the end of the listener")
	for _, p := range []*peerConn{used, fresh} {
		if rest, err := p.end(); rest != "" || err != nil {
			t.Errorf("the client of a silent connection read %q, %v", rest, err)
		}
	}
}

func TestDrainTimeoutCutsWhatIsLeft(t *testing.T) {
	began := make(chan struct{}, 2)
	w := newWorld(t, nil, scripted(t, func(p *peerConn) {
		if strings.HasPrefix(p.head(), "GET /up ") {
			p.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo/1\r\n\r\n")
		}
		began <- struct{}{}
		_, _ = p.end()
	}))
	w.engine.config.DrainTimeout = 200 * time.Millisecond
	tunnel, slow := w.dial(), w.dial()
	tunnel.send(upgradeRequest)
	tunnel.head()
	slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	<-began
	<-began
	w.stop()
	await(t, w.stopped, "the end of the listener")
	for _, p := range []*peerConn{tunnel, slow} {
		if rest, _ := p.end(); rest != "" {
			t.Errorf("got %q", rest)
		}
	}
	if got := w.backend("b0").Stats.InFlight(); got != 0 {
		t.Errorf("%d in flight", got)
	}
	if !strings.Contains(w.log.String(), "connections cut at the drain timeout") {
		t.Error("the cut is not told")
	}
}

// TestNoRequestFailsAcrossADrain is what a clean stop owes to clients that
// treat a closed connection as RFC 9112 section 9.6 asks them to: after
// "Connection: close" they open another one, and a refused connect is no
// failed request.
func TestNoRequestFailsAcrossADrain(t *testing.T) {
	w := newWorld(t, nil, answering(t, "hello"))
	var clients sync.WaitGroup
	var served, late atomic.Int64
	for range 8 {
		clients.Go(func() { keepAlive(t, w.addr, &served, &late) })
	}
	for range 8 {
		clients.Go(func() {
			for oneShot(t, w.addr, &served) {
			}
		})
	}
	eventually(t, "there is traffic", func() bool { return served.Load() > 500 })
	w.stop()
	clients.Wait()
	await(t, w.stopped, "the end of the listener")
	t.Logf("%d requests served, %d connections told to close", served.Load(), late.Load())
}

// keepAlive sends request after request until no connection can be made.
func keepAlive(t testing.TB, addr string, served, told *atomic.Int64) {
	for {
		conn, err := net.DialTimeout("tcp", addr, patience)
		if err != nil {
			return
		}
		p := newPeer(t, conn)
		for open := true; open; {
			text, closing, err := exchangeOnce(p)
			if err != nil || text != "hello" {
				t.Errorf("a request on a connection that was not told to close failed: %q, %v", text, err)
				conn.Close()
				return
			}
			served.Add(1)
			open = !closing
		}
		told.Add(1)
		conn.Close()
	}
}

// oneShot sends one request by a connection of its own; false when none can be
// made.
func oneShot(t testing.TB, addr string, served *atomic.Int64) bool {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return false
	}
	defer conn.Close()
	if text, _, err := exchangeOnce(newPeer(t, conn)); err != nil || text != "hello" {
		t.Errorf("a request on a new connection failed: %q, %v", text, err)
		return false
	}
	served.Add(1)
	return true
}
