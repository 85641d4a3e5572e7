package conformance

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// kept is a run without faults: a POST, and the request that shows that the
// connection can be used.
func kept() *exchange {
	r := passes("a POST", "", post("hello", "X: y", "Content-Length: 5"))
	r.gets = []got{ok}
	x := newExchange(&r, plan{})
	own := []string{"X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: a.test", "Forwarded: for=127.0.0.1;host=a.test;proto=http"}
	usual := append([]string{"Host: usable"}, own...)
	for i, line := range usual {
		usual[i] = strings.ReplaceAll(line, "a.test", "usable")
	}
	x.seen = []*message{
		{start: "POST /p HTTP/1.1", fields: append([]string{"Host: a.test", "X: y", "Content-Length: 5"}, own...), body: []byte("hello"), framing: byLength, whole: true},
		{start: "GET /usable HTTP/1.1", fields: usual, framing: noBody, whole: true},
	}
	for range 2 {
		x.got = append(x.got, &message{start: "HTTP/1.1 200 OK", fields: []string{"Content-Length: 2"}, body: []byte("ok"), framing: byLength, whole: true})
	}
	return x
}

func TestAPlantedFaultOfAnExchangeIsCaught(t *testing.T) {
	if faults := kept().check(); len(faults) > 0 {
		t.Fatalf("a run without faults has some: %q", faults)
	}
	for name, c := range map[string]struct {
		plant func(x *exchange)
		want  string
	}{
		"a request that never came":         {func(x *exchange) { x.seen = nil }, "it never came"},
		"a request that came twice":         {func(x *exchange) { x.seen = append(x.seen, x.seen[1]) }, "one request more"},
		"a request of another method":       {func(x *exchange) { x.seen[0].start = "PUT /p HTTP/1.1" }, "request line"},
		"a request of another version":      {func(x *exchange) { x.seen[0].start = "POST /p HTTP/1.0" }, "request line"},
		"a request that is cut":             {func(x *exchange) { x.seen[0].whole, x.seen[0].end = false, "FIN" }, "it is cut (FIN)"},
		"a body that is cut":                {func(x *exchange) { x.seen[0].body = []byte("hell") }, "differs from the wanted 5 at byte 4"},
		"a body that is longer":             {func(x *exchange) { x.seen[0].body = []byte("hello!") }, "differs from the wanted 5 at byte 5"},
		"a field that is lost":              {func(x *exchange) { x.seen[0].fields = x.seen[0].fields[2:] }, `want "Host: a.test"`},
		"a field that is new":               {func(x *exchange) { x.seen[0].fields = append(x.seen[0].fields, "Z: z") }, `"Z: z" is too much`},
		"a field whose name has other case": {func(x *exchange) { x.seen[0].fields[1] = "x: y" }, `want "X: y"`},
		"fields in another order": {func(x *exchange) {
			f := x.seen[0].fields
			f[0], f[1] = f[1], f[0]
		}, "field 1"},
		"a trailer that is new":                  {func(x *exchange) { x.seen[0].trailers = []string{"X: y"} }, "trailers"},
		"a forwarding field that is forged":      {func(x *exchange) { x.seen[0].fields[3] = "X-Forwarded-For: 10.0.0.1" }, "X-Forwarded-For"},
		"a forwarding field that is there twice": {func(x *exchange) { x.seen[0].fields = append(x.seen[0].fields, "x-forwarded-for: 10.0.0.1") }, "X-Forwarded-For"},
		"a Forwarded that is forged":             {func(x *exchange) { x.seen[0].fields[6] = "Forwarded: for=127.0.0.1;host=b.test" }, "Forwarded"},
		"a response that never came":             {func(x *exchange) { x.got = x.got[:1] }, "it never came"},
		"a response that nobody asked for":       {func(x *exchange) { x.got = append(x.got, x.got[0]) }, "one response more"},
		"a response of another status":           {func(x *exchange) { x.got[0].start = "HTTP/1.1 201 OK" }, "status 201, want 200"},
		"a response that is cut":                 {func(x *exchange) { x.got[0].whole, x.got[0].end = false, "FIN" }, "it is cut (FIN)"},
		"a response of another body":             {func(x *exchange) { x.got[0].body = []byte("no") }, "body of 2 bytes differs"},
		"a response that is malformed":           {func(x *exchange) { x.got[0].end = "malformed: x" }, "malformed: x"},
		"a 1xx that nobody sent":                 {func(x *exchange) { x.got[0].interim = []*message{{start: "HTTP/1.1 103 X"}} }, "interim"},
		"a response that looks complete":         {func(x *exchange) { x.row.gets[0].cut = always }, "looks complete, and is not"},
		"a request that looks whole":             {func(x *exchange) { x.row.sees = []seen{{cut: always}} }, "it is whole, and must never be"},
		"a connection that is open":              {func(x *exchange) { x.row.end, x.ending = closed, "timeout" }, "want FIN"},
		"a connection that is reset":             {func(x *exchange) { x.row.end, x.ending = closed, "RST" }, "want FIN"},
		"a reset that is not late": {func(x *exchange) {
			x.row.end, x.ending, x.row.behind, x.plan.client = closed, "RST", "ok", len(x.row.in)-3
		}, "want FIN"},
		"a refusal that does not say that it ends": {func(x *exchange) { x.row.end, x.ending, x.row.gets[0].own = closed, "FIN", true }, "does not say so"},
		"a field that must be there":               {func(x *exchange) { x.row.gets[0].has = []string{"X: y"} }, `field "X: y" is missing`},
		"a field that must not be there":           {func(x *exchange) { x.row.gets[0].lack = []string{"Content-Length"} }, "must not be there"},
		"a backend connection too many":            {func(x *exchange) { x.row.conns, x.conns = 1, make([]*backendConn, 2) }, "2 connections to the backend, want 1"},
		"a peer that was never stopped":            {func(x *exchange) { x.row.sent, x.sent = 10, 11 }, "11 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			x := kept()
			c.plant(x)
			if faults := strings.Join(x.check(), "\n"); !strings.Contains(faults, c.want) {
				t.Errorf("the check says %q, want %q in it", faults, c.want)
			}
		})
	}
}

func TestMessagesAreReadStrictly(t *testing.T) {
	for name, text := range map[string]string{
		"a bare LF":               "GET / HTTP/1.1\nHost: a\r\n\r\n",
		"a bare CR":               "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
		"a NUL":                   "GET / HTTP/1.1\r\nHost: a\x00\r\n\r\n",
		"a fold":                  "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
		"a space before a colon":  "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
		"a line without a colon":  "GET / HTTP/1.1\r\nHost\r\n\r\n",
		"two lengths":             "GET / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
		"two framings":            "GET / HTTP/1.1\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"a length with a sign":    "GET / HTTP/1.1\r\nContent-Length: +0\r\n\r\n",
		"a coding that is not":    "GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"a chunk size that is no": "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n+0\r\n\r\n",
		"a chunk without an end":  "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n",
		"a bad trailer":           "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX : y\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			var fault malformed
			m, r := &message{}, bufio.NewReader(strings.NewReader(text))
			err := m.readHead(r)
			if err == nil {
				var body *bodyReader
				if body, err = newBodyReader(m, r, false, noBody); err == nil {
					err = body.all()
				}
			}
			if !errors.As(err, &fault) {
				t.Errorf("%q was read without a fault: %v", text, err)
			}
		})
	}
}

// relay is the proxy that does nothing: it passes bytes on. The rows must show
// what is wrong with that.
func relay(t testing.TB, to string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			client, err := listener.Accept()
			if err != nil {
				return // it was closed
			}
			relayOne(client.(*net.TCPConn), to)
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	return listener.Addr().String()
}

func relayOne(client *net.TCPConn, to string) {
	defer client.Close()
	conn, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	backend := conn.(*net.TCPConn)
	defer backend.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(backend, client) // its end is all that matters
		_ = backend.CloseWrite()
	}()
	_, _ = io.Copy(client, backend)
	_ = client.CloseWrite()
	<-done
}

func TestAProxyThatOnlyPassesBytesOnIsCaught(t *testing.T) {
	s := &slot{}
	b, err := newBackend(&s.current)
	if err != nil {
		t.Fatal(err)
	}
	s.backends = []*backend{b}
	s.address = relay(t, b.listener.Addr().String())
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	})
	for name, c := range map[string]struct {
		row  row
		want string
	}{
		"a client's forgery": {passes("", "", get("X-Forwarded-For: 10.0.0.1")), "X-Forwarded-For"},
		"two framings":       {refused("", "", post("0\r\n\r\n", "Content-Length: 5", "Transfer-Encoding: chunked")), "malformed"},
		"a hop's field":      {becomes("", "", get("Connection: X", "X: y"), "GET / HTTP/1.1\nHost: a.test"), "X: y"},
		"a folded line":      {refused("", "", get("X: a", " b")), "malformed"},
		"an absolute target": {becomes("", "", request("GET http://a.test/a HTTP/1.1"), "GET /a HTTP/1.1\nHost: a.test"), "request line"},
		"a bad response":     {faulty("", "", response("200 OK", "", "Content-Length: x")), "malformed"},
		"an HTTP/1.0 client that gets chunks": {row{in: "GET / HTTP/1.0\r\n\r\n", sees: []seen{{head: "GET / HTTP/1.1"}}, end: either,
			backend: answers(response("200 OK", "0\r\n\r\n", "Transfer-Encoding: chunked")), gets: []got{{status: "200", framing: untilClose}}}, "framed by"},
		"a second response": {row{in: get() + get(), backend: answers(okResponse+response("200 OK", "evil!", "Content-Length: 5"), okResponse), gets: []got{ok, ok}}, "body of 5 bytes differs"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.row.gets == nil {
				c.row.gets = []got{ok}
			}
			c.row.dropped = false // would wait for what never comes
			c.row.end = either
			x := newExchange(&c.row, plan{})
			if faults := strings.Join((&world{}).run(s, x), "\n"); !strings.Contains(faults, c.want) {
				t.Errorf("the row says %q, want %q in it", faults, c.want)
			}
		})
	}
}
