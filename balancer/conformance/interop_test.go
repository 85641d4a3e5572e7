package conformance

import (
	"bufio"
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

	"github.com/gorilla/websocket"
)

// The other side of these is a client and a server that we did not write.

// served starts net/http's server behind a listener and returns a client of
// net/http for it, and its URL.
func served(t *testing.T, handler http.HandlerFunc) (*http.Client, string) {
	t.Helper()
	server := httptest.NewServer(handler)
	_, s := listen(t, profile{}, strings.TrimPrefix(server.URL, "http://"))
	transport := &http.Transport{ExpectContinueTimeout: patience, DisableCompression: true}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	return &http.Client{Transport: transport, Timeout: 3 * patience}, "http://" + s.address
}

// read returns what a request came to.
func read(t testing.TB, response *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("read body behind %d bytes: %v", len(body), err)
	}
	return string(body)
}

// echo answers with the body that it gets, while it gets it.
func echo(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).EnableFullDuplex() // net/http's own writer has it
	_, _ = io.Copy(w, r.Body)                            // its failure shows at the client
}

func TestNetHTTPEchoes(t *testing.T) {
	client, url := served(t, echo)
	bodies := map[string]string{"none": "", "small": "hello", "large": pattern(2 << 20)}
	for name, body := range bodies {
		t.Run("a body that is "+name, func(t *testing.T) {
			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
				request, err := http.NewRequest(method, url+"/e", strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				response, err := client.Do(request)
				if got := read(t, response, err); got != body {
					t.Errorf("%s: %s", method, diffBytes("body", got, body))
				}
			}
		})
		t.Run("chunks that are "+name, func(t *testing.T) {
			request, err := http.NewRequest("POST", url+"/e", io.MultiReader(strings.NewReader(body)))
			if err != nil {
				t.Fatal(err)
			}
			request.ContentLength = -1
			response, err := client.Do(request)
			if got := read(t, response, err); got != body {
				t.Error(diffBytes("body", got, body))
			}
		})
	}
}

func TestNetHTTPManyAtOnce(t *testing.T) {
	client, url := served(t, echo)
	var clients sync.WaitGroup
	for n := range 32 {
		clients.Go(func() {
			for i := range 10 {
				want := bytesOf(fmt.Sprintf("%d-%d", n, i), 1+n*i*97)
				response, err := client.Post(url, "text/plain", strings.NewReader(want))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(response.Body)
				response.Body.Close()
				if err != nil || string(got) != want {
					t.Errorf("client %d, request %d: %v, %s", n, i, err, diffBytes("body", string(got), want))
				}
			}
		})
	}
	clients.Wait()
}

func TestNetHTTPStatusesWithoutBody(t *testing.T) {
	client, url := served(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(http.StatusNoContent)
		case "/304":
			w.Header().Set("ETag", `"a"`)
			w.WriteHeader(http.StatusNotModified)
		default:
			w.Header().Set("Content-Length", "5")
			fmt.Fprint(w, "hello")
		}
	})
	for range 3 { // on one connection
		for path, status := range map[string]int{"/204": 204, "/304": 304, "/200": 200} {
			response, err := client.Head(url + path)
			if got := read(t, response, err); got != "" || response.StatusCode != status {
				t.Errorf("HEAD %s: %d %q", path, response.StatusCode, got)
			}
			response, err = client.Get(url + path)
			if got := read(t, response, err); response.StatusCode != status || (got == "hello") != (status == 200) {
				t.Errorf("GET %s: %d %q", path, response.StatusCode, got)
			}
		}
	}
}

func TestNetHTTPTrailers(t *testing.T) {
	client, url := served(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, "%s", body)
		w.Header().Set("X-Sum", r.Trailer.Get("X-Check"))
	})
	request, err := http.NewRequest("POST", url, io.MultiReader(strings.NewReader("hello")))
	if err != nil {
		t.Fatal(err)
	}
	request.Trailer = http.Header{"X-Check": {"12"}}
	response, err := client.Do(request)
	if got := read(t, response, err); got != "hello" || response.Trailer.Get("X-Sum") != "12" {
		t.Errorf("body %q, trailers %v", got, response.Trailer)
	}
}

func TestNetHTTPExpectsContinue(t *testing.T) {
	client, url := served(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		echo(w, r)
	})
	for path, want := range map[string]string{"/yes": pattern(100_000), "/no": "no\n"} {
		continued := false
		trace := &httptrace.ClientTrace{Got100Continue: func() { continued = true }}
		request, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "POST", url+path, strings.NewReader(pattern(100_000)))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Expect", "100-continue")
		response, err := client.Do(request)
		if got := read(t, response, err); got != want || continued != (path == "/yes") {
			t.Errorf("%s: %d bytes, continued: %v", path, len(got), continued)
		}
	}
}

func TestNetHTTPEarlyHints(t *testing.T) {
	client, url := served(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		fmt.Fprint(w, "hello")
	})
	var hints []string
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		hints = append(hints, fmt.Sprint(code, " ", h.Get("Link")))
		return nil
	}}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if got := read(t, response, err); got != "hello" || len(hints) != 1 || hints[0] != "103 </a>; rel=preload" {
		t.Errorf("%q with %q", got, hints)
	}
}

func TestNetHTTPEventsPassOneByOne(t *testing.T) {
	next := make(chan struct{})
	client, url := served(t, func(w http.ResponseWriter, r *http.Request) {
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	})
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	events := bufio.NewReader(response.Body)
	for i := range 3 {
		line, err := events.ReadString('\n')
		if want := fmt.Sprintf("data: %d\n", i); err != nil || line != want {
			t.Fatalf("event %q, %v; want %q", line, err, want)
		}
		if _, err := events.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		next <- struct{}{}
	}
	if _, err := events.ReadByte(); err != io.EOF {
		t.Errorf("behind the last event: %v", err)
	}
}

func TestNetHTTPServerThatPanicsIsSeen(t *testing.T) {
	client, url := served(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err == nil {
		t.Errorf("a response that was cut looks complete: %q", body)
	}
}

func TestNetHTTPClientThatLeavesIsSeen(t *testing.T) {
	gone := make(chan struct{})
	client, url := served(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		for r.Context().Err() == nil {
			fmt.Fprint(w, "data: x\n\n")
			w.(http.Flusher).Flush()
		}
	})
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(response.Body, make([]byte, 9)); err != nil {
		t.Error(err)
	}
	response.Body.Close()
	select {
	case <-gone:
	case <-time.After(patience):
		t.Error("the server was not told that the client had left")
	}
}

func TestNetHTTPRefusesALargeUpload(t *testing.T) {
	client, url := served(t, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1000)
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		}
	})
	for range 5 {
		response, err := client.Post(url, "text/plain", strings.NewReader(pattern(4<<20)))
		if got := read(t, response, err); got != "too large\n" || response.StatusCode != 413 {
			t.Errorf("%d %q", response.StatusCode, got)
		}
	}
}

func TestWebSocketEchoes(t *testing.T) {
	upgrader := websocket.Upgrader{}
	_, url := served(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
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
				return
			}
		}
	})
	dialer := websocket.Dialer{NetDialContext: (&net.Dialer{Timeout: patience}).DialContext}
	conn, _, err := dialer.Dial("ws"+strings.TrimPrefix(url, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, message := range []string{"hello", "", pattern(1 << 20)} {
		if err := conn.WriteMessage(websocket.BinaryMessage, []byte(message)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.ReadMessage(); err != nil || string(got) != message {
			t.Fatalf("%v: %s", err, diffBytes("message", string(got), message))
		}
	}
}
