//go:build linux

package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// newSecureServer is net/http's server with the bench's certificate, which gives
// tickets itself.
func newSecureServer(t *testing.T, handler http.HandlerFunc) (address string, job *TLSJob) {
	t.Helper()
	i, err := newIdentity(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair([]byte(i.chain), []byte(i.key))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2", "http/1.1"}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients end handshakes when they have what they want
	server.StartTLS()
	t.Cleanup(server.Close)
	address = server.Listener.Addr().String()
	return address, &TLSJob{Pin: i.pin, TicketFrom: address}
}

// small answers as the backend does.
func small(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", fmt.Sprint(smallSize))
	_, err := w.Write(newPattern().body(smallSize))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

func TestAnswersThroughTLSAndHTTP2AreNoFaults(t *testing.T) {
	for name, change := range map[string]func(*Job){
		"HTTP/1.1 over TLS":                    func(*Job) {},
		"a full handshake for each request":    func(j *Job) { j.Reconnect = true },
		"a resumed handshake for each request": func(j *Job) { j.Reconnect, j.TLS.Resume = true, true },
		"HTTP/2 over TLS":                      func(j *Job) { j.Streams = 20 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, secure := newSecureServer(t, small)
			job := quickJob(address)
			job.TLS = secure
			change(&job)
			if o := runLoad(t, job); o.Faults > 0 || o.Requests < job.Requests || o.P50 <= 0 {
				t.Errorf("%d requests, %d faults: %s; want %d without a fault", o.Requests, o.Faults, o.FirstFault, job.Requests)
			}
		})
	}
}

func TestWhatIsWrongThroughTLSOrHTTP2IsCaught(t *testing.T) {
	changed := func(w http.ResponseWriter, _ *http.Request) {
		body := newPattern().body(smallSize)
		body[1000]++
		w.Header().Set("Content-Length", fmt.Sprint(smallSize))
		if _, err := w.Write(body); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	refused := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		change  func(*Job)
		fault   string
	}{
		"another key than was made":       {small, func(j *Job) { j.TLS.Pin = []byte("another") }, "another key"},
		"wrong bytes by HTTP/1.1":         {changed, func(*Job) {}, "wrong bytes"},
		"wrong bytes by HTTP/2":           {changed, func(j *Job) { j.Streams = 2 }, "wrong bytes"},
		"a status by HTTP/2":              {refused, func(j *Job) { j.Streams = 2 }, `status "502"`},
		"a gRPC answer that is of no RPC": {small, func(j *Job) { j.Streams, j.Shape = 2, Unary }, "content-type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, secure := newSecureServer(t, c.handler)
			job := quickJob(address)
			job.TLS = secure
			c.change(&job)
			if o := runLoad(t, job); o.Faults == 0 || !strings.Contains(o.FirstFault, c.fault) {
				t.Errorf("%d faults, the first %q; want one with %q", o.Faults, o.FirstFault, c.fault)
			}
		})
	}
}

func TestTheBackendAnswersCallsOfGRPC(t *testing.T) {
	p := newPattern()
	request := func(change func(*http.Request)) (status, message string) {
		t.Helper()
		address := newTestBackend(t).RemoteAddr().String()
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetUnencryptedHTTP2(true)
		defer transport.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+unaryPath, strings.NewReader(string(unaryMessage(p))))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/grpc")
		r.Header.Set("X-Forwarded-For", "127.0.0.1")
		change(r)
		response, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if body, err := io.ReadAll(response.Body); err != nil || string(body) != string(unaryMessage(p)) {
			t.Errorf("%d bytes and %v, want the message", len(body), err)
		}
		return response.Trailer.Get("Grpc-Status"), response.Trailer.Get("Grpc-Message")
	}
	if status, message := request(func(*http.Request) {}); status != "0" {
		t.Errorf("status %s %q, want 0", status, message)
	}
	if status, message := request(func(r *http.Request) { r.Header.Del("X-Forwarded-For") }); status != "3" || !strings.Contains(message, "X-Forwarded-For") {
		t.Errorf("status %s %q, want 3 for the lack of X-Forwarded-For", status, message)
	}
}
