package http2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// echo is a server whose streams send back what they get, slower than it comes
// if there is much of it.
type echo struct{}

func (echo) Flush() {}

func (echo) GoAway(uint32, Code, []byte) {}

func (echo) Request(s *Stream, head *Head, end bool) {
	e := &echoed{s: s}
	s.Bind(e)
	switch path := string(head.Path); path {
	case "/reset":
		s.Reset(EnhanceYourCalm)
		s.Release()
		return
	case "/hang":
		return
	case "/hints":
		s.SendHead(&Head{Status: 103, Fields: lines("link: a")}, false)
	}
	s.SendHead(&Head{Status: 200, Fields: []Field{{[]byte("X-Method"), head.Method}, {[]byte("Trailer"), []byte("x-bytes")}}}, false)
	if end {
		e.Trailers(nil)
	}
}

type echoed struct {
	s       *Stream
	n, owed int
}

func (e *echoed) Head(*Head, bool) {}

func (e *echoed) Data(p []byte, end bool) {
	e.n += len(p)
	e.s.SendData(p, false)
	if e.s.Pending() < 20000 {
		e.s.Consumed(len(p))
	} else {
		e.owed += len(p)
	}
	if end {
		e.Trailers(nil)
	}
}

func (e *echoed) Trailers([]Field) {
	e.s.SendTrailers(lines(fmt.Sprintf("x-bytes: %d", e.n)))
	e.s.Release()
}

func (e *echoed) Reset(*StreamError) { e.s.Release() }

func (e *echoed) Drained() { e.s.Consumed(e.owed); e.owed = 0 }

// clearText is HTTP/2 by prior knowledge and nothing else.
func clearText() *http.Protocols {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	return &p
}

// transport is a client that we did not write, and the pump that it talks to.
func transport(t *testing.T) (*http.Client, func() *pump) {
	var mu sync.Mutex
	var last *pump
	tr := &http.Transport{Protocols: clearText(), DialContext: func(context.Context, string, string) (net.Conn, error) {
		a, b := sockets(t)
		mu.Lock()
		defer mu.Unlock()
		last = newPump(t, b, func() *Conn { return NewServer(echo{}, &Config{}, &Pool{}) })
		return a, nil
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 60 * time.Second}, func() *pump {
		mu.Lock()
		defer mu.Unlock()
		return last
	}
}

func TestGoClientsAreServed(t *testing.T) {
	client, _ := transport(t)
	var group sync.WaitGroup
	for n := range 40 {
		group.Go(func() {
			body := bytes.Repeat([]byte{byte(n), 'x', 'y'}, n*n*200)
			response, err := client.Post("http://a/echo", "text/plain", bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			got, err := io.ReadAll(response.Body)
			if err != nil || !bytes.Equal(got, body) || response.Header.Get("X-Method") != "POST" {
				t.Errorf("%d of %d bytes came back, %v", len(got), len(body), err)
			}
			if want := fmt.Sprint(len(body)); response.Trailer.Get("X-Bytes") != want {
				t.Errorf("trailers %v, want %s", response.Trailer, want)
			}
		})
	}
	group.Wait()
}

func TestGoClientsSeeHintsAndResets(t *testing.T) {
	client, last := transport(t)
	hints := 0
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { hints += code; return nil }}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", "http://a/hints", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil || hints != 103 {
		t.Fatalf("%d hints, %v", hints, err)
	}
	response.Body.Close()
	var reset http2.StreamError
	if response, err := client.Get("http://a/reset"); !errors.As(err, &reset) || reset.Code != http2.ErrCodeEnhanceYourCalm {
		t.Errorf("%v, %v", response, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	request, err = http.NewRequestWithContext(ctx, "GET", "http://a/hang", nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := client.Do(request)
		ended <- err
	}()
	streams := func() (n int) { last().do(func() { n = last().conn.Streams() }); return n }
	eventually(t, "the request arrives", func() bool { return streams() == 1 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	eventually(t, "the request is reset", func() bool { return streams() == 0 })
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(20 * time.Second); !is(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("it never comes that %s", what)
		}
	}
}

// TestGoClientsGoElsewhereWhenDrained loses no request.
func TestGoClientsGoElsewhereWhenDrained(t *testing.T) {
	client, last := transport(t)
	for range 5 {
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				for range 10 {
					response, err := client.Get("http://a/")
					if err != nil {
						t.Error(err)
						return
					}
					io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
			})
		}
		eventually(t, "a connection is there", func() bool { return last() != nil })
		last().do(func() { last().conn.Drain() })
		group.Wait()
	}
}

// answered is a request of ours to a server that we did not write.
type answered struct {
	s        *Stream
	head     string
	body     bytes.Buffer
	trailers string
	interim  []int
	err      error
	done     chan struct{}
}

func (a *answered) Head(head *Head, end bool) {
	if head.Status < 200 {
		a.interim = append(a.interim, head.Status)
		return
	}
	a.head = describe(head, false)
	a.end(end)
}

func (a *answered) Data(p []byte, end bool) {
	a.body.Write(p)
	a.s.Consumed(len(p))
	a.end(end)
}

func (a *answered) Trailers(fields []Field) {
	for _, f := range fields {
		a.trailers += fmt.Sprintf("%s=%s ", f.Name, f.Value)
	}
	a.end(true)
}

func (a *answered) Reset(e *StreamError) {
	copied := *e
	a.err = &copied
	a.s.Release()
	close(a.done)
}

func (a *answered) Drained() {}

func (a *answered) end(end bool) {
	if end {
		a.s.Release()
		close(a.done)
	}
}

func TestGoServersAreAsked(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/hints":
			w.Header().Set("Link", "a")
			w.WriteHeader(103)
		}
		w.Header().Set("Trailer", "X-Sum")
		n, err := io.Copy(w, r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Sum", fmt.Sprint(n, r.Trailer))
	})
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = clearText()
	server.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 50}
	server.Start()
	t.Cleanup(server.Close)
	a, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	p := newPump(t, a, func() *Conn { return NewClient(echo{}, &Config{}, &Pool{}) })
	ask := func(head *Head, body string, trailers []Field) *answered {
		r := &answered{done: make(chan struct{})}
		p.do(func() {
			if r.s = p.conn.Open(r); r.s == nil {
				t.Fatal("no stream can be opened")
			}
			r.s.SendHead(head, false)
			r.s.SendData([]byte(body), trailers == nil)
			r.s.SendTrailers(trailers)
		})
		return r
	}
	var all []*answered
	for n := range 30 {
		all = append(all, ask(asked("POST", "/", "trailer: x-t"), strings.Repeat("abc", n*1000), lines("x-t: u")))
	}
	for n, r := range all {
		<-r.done
		if want := fmt.Sprintf("x-sum=%d map[X-T:[u]] ", 3000*n); r.err != nil || r.trailers != want || r.body.String() != strings.Repeat("abc", n*1000) {
			t.Errorf("%v, %d bytes, trailers %s, want %s", r.err, r.body.Len(), r.trailers, want)
		}
	}
	r := ask(asked("GET", "/hints"), "", nil)
	<-r.done
	if fmt.Sprint(r.interim) != "[103]" || r.err != nil {
		t.Errorf("interim responses %v, %v", r.interim, r.err)
	}
	r = ask(asked("GET", "/abort"), "", nil)
	<-r.done
	if r.err == nil || r.err.Error() != "INTERNAL_ERROR" {
		t.Errorf("an aborted response ends with %v", r.err)
	}
}
