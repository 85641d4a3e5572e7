package health

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"evenkeel/fsm"
)

// grpcServer serves HTTP/2 until the test ends: with the certificate over TLS,
// without one in clear text.
func grpcServer(t testing.TB, certificate *tls.Certificate, handle http.HandlerFunc) (address string) {
	t.Helper()
	server := httptest.NewUnstartedServer(handle)
	server.Config.Protocols = new(http.Protocols)
	if certificate != nil {
		server.Config.Protocols.SetHTTP2(true)
		server.EnableHTTP2 = true
		server.TLS = &tls.Config{Certificates: []tls.Certificate{*certificate}}
		server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are to fail
		server.StartTLS()
	} else {
		server.Config.Protocols.SetUnencryptedHTTP2(true)
		server.Start()
	}
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// tells answers with a message and, behind it, a status.
func tells(message, status, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc+proto")
		w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
		framed := "\x00\x00\x00\x00" + string(rune(len(message))) + message
		_, _ = io.WriteString(w, framed) // the prober may have left
		if status != "" {
			w.Header().Set("Grpc-Status", status)
		}
		if text != "" {
			w.Header().Set("Grpc-Message", text)
		}
	}
}

// refuses answers with a status alone, in the head.
func refuses(status, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", status)
		if text != "" {
			w.Header().Set("Grpc-Message", text)
		}
	}
}

// plain answers as a web server does.
func plain(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // the prober may have left
	}
}

func waits(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func probeGRPC(t testing.TB, check fsm.Check, address string, timeout time.Duration) error {
	t.Helper()
	check.Type = fsm.CheckGRPC
	prober, err := NewProber(check, address, "", "evenkeel/test")
	if err != nil {
		t.Fatalf("new prober: %v", err)
	}
	if _, is := prober.(direct); is {
		t.Fatal("the engine would take the probe for its own")
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), timeout, timeoutError(timeout))
	defer cancel()
	reduction, err := prober.Probe(ctx)
	if reduction != 0 {
		t.Errorf("reduction %d", reduction)
	}
	return err
}

// timeoutFor is short for a check that is to run into it.
func timeoutFor(want string) time.Duration {
	if strings.Contains(want, "300ms") {
		return 300 * time.Millisecond
	}
	return 20 * time.Second
}

func TestAGRPCCheckJudgesTheAnswer(t *testing.T) {
	const service = "shop.Orders"
	for name, c := range map[string]struct {
		handle  http.HandlerFunc
		service string
		want    string // part of the reason, "" for a pass
	}{
		"a server that serves passes":                  {tells("\x08\x01", "0", ""), "", ""},
		"a service that is served passes":              {tells("\x08\x01", "0", ""), service, ""},
		"a server that does not serve fails":           {tells("\x08\x02", "0", ""), "", "Health/Check at 127.0.0.1:"},
		"and it is said of it":                         {tells("\x08\x02", "0", ""), "", "the server is NOT_SERVING"},
		"a service that is not served fails":           {tells("\x08\x02", "0", ""), service, `service "shop.Orders" is NOT_SERVING`},
		"a state that was not set fails":               {tells("", "0", ""), service, `the state of service "shop.Orders" is UNKNOWN`},
		"a state that is none fails":                   {tells("\x08\x07", "0", ""), "", "the state of the server is 7, which grpc.health.v1 does not define"},
		"a service that is not known fails":            {refuses("5", "unknown service"), service, `service "shop.Orders" is not known to the server's health service: correct`},
		"so it does if a watcher's words say it":       {tells("\x08\x03", "0", ""), service, `service "shop.Orders" is not known`},
		"a server that does not know of itself fails":  {refuses("5", ""), "", `does not know of the server as a whole: set a state for ""`},
		"a server without a health service fails":      {refuses("12", "unknown method"), "", "register grpc.health.v1.Health with it, or use a check of type tcp"},
		"another status fails with its words":          {refuses("14", "warming%20up%0a"), "", `gRPC status 14, UNAVAILABLE: "warming up\n"`},
		"and with a part of them if they are long":     {refuses("13", strings.Repeat("x", 5000)), "", `gRPC status 13, INTERNAL: "` + strings.Repeat("x", 60) + `…"`},
		"words that are not escaped well are told too": {refuses("7", "100%"), "", `gRPC status 7, PERMISSION_DENIED: "100%"`},
		"a status behind a message fails":              {tells("\x08\x01", "8", ""), "", "gRPC status 8, RESOURCE_EXHAUSTED"},
		"a status of no name fails":                    {refuses("99", ""), "", "gRPC status 99, which gRPC does not define"},
		"a status that is no number fails":             {refuses("-1", ""), "", `grpc-status "-1" is no number`},
		"an answer without a status fails":             {tells("\x08\x01", "", ""), "", "has no grpc-status"},
		"an answer without a message fails":            {refuses("0", ""), "", "has no message"},
		"a message that is none fails":                 {tells("\x08", "0", ""), "", "no HealthCheckResponse: its field 1 is cut"},
		"a page fails":                                 {plain(200, "text/html", "hello"), "", `content-type is "text/html", not application/grpc`},
		"gRPC for browsers fails":                      {plain(200, "application/grpc-web", ""), "", `content-type is "application/grpc-web"`},
		"a status of HTTP fails":                       {plain(404, "text/plain", "no"), "", "status 404, where gRPC always has 200"},
		"an answer that is long fails":                 {plain(200, "application/grpc", strings.Repeat("x", 2*maxGRPC)), "", "the answer is over 64 KiB"},
		"a server that hangs fails in time":            {waits, "", "no answer within 300ms"},
		"a server that hangs behind its message fails in time": {func(w http.ResponseWriter, r *http.Request) {
			tells("\x08\x01", "0", "")(w, r)
			_ = http.NewResponseController(w).Flush()
			waits(w, r)
		}, "", "no answer within 300ms"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			judge(t, probeGRPC(t, fsm.Check{Service: c.service}, grpcServer(t, nil, c.handle), timeoutFor(c.want)), c.want)
		})
	}
}

func TestAGRPCCheckFailsWhatIsNoHTTP2(t *testing.T) {
	then := func(first, second func(net.Conn)) func(net.Conn) { return func(c net.Conn) { first(c); second(c) } }
	// An empty frame of SETTINGS, and as many pings as anybody wants.
	settings, ping := "\x00\x00\x00\x04\x00\x00\x00\x00\x00", "\x00\x00\x08\x06\x01\x00\x00\x00\x00abcdefgh"
	for name, c := range map[string]struct {
		handle func(net.Conn)
		want   string
	}{
		"a server of HTTP/1":               {then(answer("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"), hang), `the answer is not HTTP/2, which gRPC needs: it begins with "HTTP/1.1 400 Bad Request\r\nConne`},
		"a mail server":                    {then(answer("220 mail.example ESMTP\r\n"), hang), `it begins with "220 mail.example ESMTP\r\n"`},
		"a server of TLS":                  {then(answer("\x15\x03\x01\x00\x02\x02\x16\x15\x03\x01\x00\x02\x02\x16"), hang), `it begins with "\x15\x03\x01`},
		"a server that accepts and hangs":  {hang, "no answer within 300ms"},
		"a server that says settings only": {then(answer(settings), hang), "no answer within 300ms"},
		"frames without end":               {forever(settings, strings.Repeat(ping, 100)), ""},
		"a server that hangs up":           {func(net.Conn) {}, ""},
		"a reset":                          {reset, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := probeGRPC(t, fsm.Check{}, serve(t, c.handle), timeoutFor(c.want))
			if c.want != "" {
				judge(t, err, c.want)
			} else if err == nil || Void(err) { // its reason differs by what is noticed first
				t.Errorf("got %v", err)
			}
		})
	}
	err := probeGRPC(t, fsm.Check{}, closedAddress(t), 20*time.Second)
	judge(t, err, "connection refused")
}

func TestAGRPCCheckAsksAsTheProtocolSays(t *testing.T) {
	_, certificate := authority(t, "web.example")
	for name, c := range map[string]struct {
		certificate *tls.Certificate
		tls         *fsm.CheckTLS
	}{
		"in clear text": {nil, nil},
		"over TLS":      {&certificate, &fsm.CheckTLS{Insecure: true}},
	} {
		t.Run(name, func(t *testing.T) {
			asked, bodies := make(chan *http.Request, 1), make(chan string, 1)
			address := grpcServer(t, c.certificate, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body) // what came is judged below
				asked <- r
				bodies <- string(body)
				tells("\x08\x01", "0", "")(w, r)
			})
			for _, host := range []string{"", "shop.example:443"} {
				want := host
				if host == "" {
					want = address
				}
				judge(t, probeGRPC(t, fsm.Check{Service: "shop.Orders", Host: host, TLS: c.tls}, address, 20*time.Second), "")
				got := <-asked
				if got.ProtoMajor != 2 || got.Method != http.MethodPost || got.RequestURI != grpcMethod || got.Host != want || got.UserAgent() != "evenkeel/test" ||
					got.Header.Get("Content-Type") != "application/grpc" || got.Header.Get("Te") != "trailers" || got.Header.Get("Accept-Encoding") != "" {
					t.Errorf("asked %s %s %s of host %q with %v, want host %q", got.Proto, got.Method, got.RequestURI, got.Host, got.Header, want)
				}
				if body := <-bodies; body != "\x00\x00\x00\x00\x0d\x0a\x0bshop.Orders" {
					t.Errorf("asked with %q", body)
				}
			}
		})
	}
}

func TestAGRPCCheckSpeaksTLS(t *testing.T) {
	ca, certificate := authority(t, "web.example")
	otherCA, _ := authority(t, "web.example")
	good := grpcServer(t, &certificate, tells("\x08\x01", "0", ""))
	for name, c := range map[string]struct {
		address string
		tls     fsm.CheckTLS
		want    string
	}{
		"its own CA and name":                     {good, fsm.CheckTLS{CA: ca, ServerName: "web.example"}, ""},
		"any certificate":                         {good, fsm.CheckTLS{Insecure: true}, ""},
		"a name that the certificate is not for":  {good, fsm.CheckTLS{CA: ca, ServerName: "shop.example"}, "certificate is valid for web.example"},
		"the address, which it is not for either": {good, fsm.CheckTLS{CA: ca}, "127.0.0.1"},
		"another CA":                              {good, fsm.CheckTLS{CA: otherCA, ServerName: "web.example"}, "certificate"},
		"a server that agrees on nothing":         {serve(t, overTLS(certificate, hang)), fsm.CheckTLS{Insecure: true}, `does not agree on HTTP/2, which gRPC needs: let it offer "h2"`},
		"a server that does not serve":            {grpcServer(t, &certificate, tells("\x08\x02", "0", "")), fsm.CheckTLS{Insecure: true}, "the server is NOT_SERVING"},
		"a server that hangs":                     {serve(t, hang), fsm.CheckTLS{Insecure: true}, "no answer within 300ms"},
	} {
		t.Run(name, func(t *testing.T) {
			judge(t, probeGRPC(t, fsm.Check{TLS: &c.tls}, c.address, timeoutFor(c.want)), c.want)
		})
	}
}

func TestAGRPCCheckThatIsGivenUpIsVoid(t *testing.T) {
	came := make(chan struct{})
	address := grpcServer(t, nil, func(w http.ResponseWriter, r *http.Request) {
		close(came)
		waits(w, r)
	})
	prober, err := NewProber(fsm.Check{Type: fsm.CheckGRPC}, address, "", "evenkeel/test")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := prober.Probe(ctx)
		ended <- err
	}()
	<-came
	cancel()
	if err := <-ended; !Void(err) {
		t.Errorf("got %v, which is not void", err)
	}
}

// scriptedConn is a connection whose peer sends a text and leaves.
type scriptedConn struct {
	net.Conn // nil: what is not below is not called
	input    *bytes.Reader
}

func (c *scriptedConn) Read(p []byte) (int, error)       { return c.input.Read(p) }
func (c *scriptedConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *scriptedConn) Close() error                     { return nil }
func (c *scriptedConn) SetWriteDeadline(time.Time) error { return nil }

// Whatever a backend sends, the check ends, within its bounds, with words about
// that backend.
func FuzzGRPCAnswer(f *testing.F) {
	const settings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	for _, text := range []string{
		"", "HTTP/1.1 400 Bad Request\r\n\r\n", settings, settings + "\x00\x00\x01\x01\x05\x00\x00\x00\x01\x88",
		settings + "\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", settings + "\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08",
		settings + "\x00\x00\x33\x01\x05\x00\x00\x00\x01\x88\x5f\x10application/grpc\x00\x0bgrpc-status\x0212\x00\x0cgrpc-message\x00",
	} {
		f.Add([]byte(text), 1)
	}
	// The window of a stream overflows, which hung net/http's client.
	f.Add([]byte("\x00\x00\x00\x040\x00\x00\x00\x00\x00\x00\x04\b0\x00\x00\x00\x010000"), 30)
	f.Fuzz(func(t *testing.T, text []byte, times int) {
		made, err := NewProber(fsm.Check{Type: fsm.CheckGRPC}, "10.0.0.1:80", "", "evenkeel")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		conn := &hearing{Conn: &scriptedConn{input: bytes.NewReader(bytes.Repeat(text, max(1, times%64)))}, left: maxGRPC}
		err = made.(*grpcProber).call(ctx, conn)
		if err != nil && (Void(err) || ctx.Err() != nil) {
			t.Errorf("%q: got %v", text, err)
		}
	})
}
