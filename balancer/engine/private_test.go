package engine

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"evenkeel/balancer/proxyproto"
)

// announcedBackend serves HTTP/1.1 on connections that begin with a PROXY header of
// version 1, and answers with its source and how many requests came over them.
func announcedBackend(t *testing.T) string {
	return scripted(t, func(p *peerConn) {
		line, err := p.r.ReadString('\n')
		if err != nil {
			return
		}
		for n := 1; ; n++ {
			request, err := http.ReadRequest(p.r)
			if err != nil {
				return
			}
			request.Body.Close()
			body := fmt.Sprintf("%s %d", strings.Join(strings.Fields(line)[2:], " "), n)
			p.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		}
	})
}

// named takes an answer apart.
func named(answer string) (source string, uses int) {
	at := max(strings.LastIndexByte(answer, ' '), 0)
	uses, _ = strconv.Atoi(strings.TrimSpace(answer[at:])) // 0 is wrong
	return answer[:at], uses
}

// The connections of a pool that is told of its clients are used again, each for one
// client's connection, be that of HTTP/1.1 or of HTTP/2.
func TestConnectionsThatNameAClientServeItAlone(t *testing.T) {
	for _, protocol := range []string{"h1", "h2"} {
		t.Run(protocol, func(t *testing.T) {
			w := newWorld(t, nil, announcedBackend(t))
			w.sendsHeader(proxyproto.V1)
			b := w.backend("b0")
			for i := range 3 {
				client := w.h1Client()
				if protocol == "h2" {
					client = w.h2Client()
				}
				sources := map[string]bool{}
				for n := 1; n <= 4; n++ {
					_, body := do(t, client, request(t, "GET", w.url("/"), nil))
					source, uses := named(body)
					sources[source] = true
					if uses != n {
						t.Errorf("answer %d: %q", n, body)
					}
				}
				if got := b.Stats.Connects(); int(got) != i+1 || len(sources) != 1 {
					t.Errorf("after client %d: %d connections, sources %v", i+1, got, sources)
				}
				client.CloseIdleConnections()
				eventually(t, "its connections are closed", func() bool { return w.connections() == 0 && w.idle() == 0 })
			}
		})
	}
}

// Streams of one connection at once have a connection each, which the next ones use.
func TestStreamsAtOnceNameTheirClient(t *testing.T) {
	w := newWorld(t, nil, announcedBackend(t))
	w.sendsHeader(proxyproto.V1)
	client := w.h2Client()
	var source string
	for range 10 {
		var streams sync.WaitGroup
		var mu sync.Mutex
		for range 8 {
			streams.Go(func() {
				response, err := client.Get(w.url("/"))
				if err != nil {
					t.Error(err)
					return
				}
				defer response.Body.Close()
				text, err := io.ReadAll(response.Body)
				if err != nil {
					t.Error(err)
				}
				got, _ := named(string(text))
				mu.Lock()
				defer mu.Unlock()
				if source == "" {
					source = got
				}
				if got != source || !strings.HasPrefix(got, "127.0.0.1 127.0.0.1 ") {
					t.Errorf("%q, not %q", got, source)
				}
			})
		}
		streams.Wait()
	}
	if got := w.backend("b0").Stats.Connects(); got > 16 {
		t.Errorf("%d connections for 80 requests, of which 8 came at once", got)
	}
	client.CloseIdleConnections()
	eventually(t, "all are closed", func() bool { return w.idle() == 0 })
}

// idle is how many connections to backends wait for a request.
func (w *world) idle() (n int) {
	done := make(chan struct{})
	w.engine.loops[0].on.Post(func() {
		defer close(done)
		n = w.engine.loops[0].exchanges.Idle()
	})
	await(w.t, done, "the loop")
	return n
}
