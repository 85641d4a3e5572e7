package health

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"evenkeel/fsm"
)

// serve accepts connections and hands each to handle until the test ends.
func serve(t testing.TB, handle func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed by the cleanup
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			group.Go(func() {
				defer conn.Close()
				handle(conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for _, conn := range conns {
			conn.Close()
		}
		mu.Unlock()
		group.Wait()
	})
	return listener.Addr().String()
}

// answer reads a request's head and writes a text.
func answer(text string) func(net.Conn) {
	return func(conn net.Conn) {
		readRequest(conn)
		_, _ = io.WriteString(conn, text) // the prober may have left
	}
}

// readRequest reads a request's head and returns its first line.
func readRequest(conn net.Conn) (first string) {
	reader := bufio.NewReader(conn)
	for {
		line, err := reader.ReadString('\n')
		if err != nil || line == "\r\n" {
			return first
		}
		if first == "" {
			first = line
		}
	}
}

// redirects answers with where each URL leads, and with a good answer to all
// others; to one that leads to "" it answers nothing.
func redirects(to map[string]string) func(net.Conn) {
	return func(conn net.Conn) {
		_, rest, _ := strings.Cut(readRequest(conn), " ")
		at, _, _ := strings.Cut(rest, " ")
		text := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
		switch location, leads := to[at]; {
		case leads && location == "":
			return
		case leads:
			text = "HTTP/1.1 302 Found\r\nLocation: " + location + "\r\nContent-Length: 0\r\n\r\n"
		}
		_, _ = io.WriteString(conn, text) // the prober may have left
	}
}

// cookieFirst redirects a request to the same URL with a cookie, unless it has come
// with that often enough.
func cookieFirst(often int) func(net.Conn) {
	var came atomic.Int64
	return func(conn net.Conn) {
		request, err := http.ReadRequest(bufio.NewReader(conn))
		if err == nil && request.Header.Get("Cookie") == "seen=1" && came.Add(1) >= int64(often) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 302 Found\r\nLocation: /check\r\nSet-Cookie: seen=1; Path=/\r\nContent-Length: 0\r\n\r\n")
	}
}

// chain leads from /check through so many redirects to an end.
func chain(hops int) map[string]string {
	to := map[string]string{"/check": "/1"}
	for n := 1; n < hops; n++ {
		to[fmt.Sprint("/", n)] = fmt.Sprint("/", n+1)
	}
	return to
}

// redirectsOn answers each number with a redirect to the next.
func redirectsOn(conn net.Conn) {
	var n int
	_, _ = fmt.Sscanf(readRequest(conn), "GET /%d", &n) // 0 for other URLs
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 302 Found\r\nLocation: /%d\r\nContent-Length: 0\r\n\r\n", n+1)
}

// forever writes a head and then a text again and again.
func forever(head, text string) func(net.Conn) {
	return func(conn net.Conn) {
		readRequest(conn)
		_, err := io.WriteString(conn, head)
		for more := []byte(text); err == nil; {
			_, err = conn.Write(more)
		}
	}
}

// hang reads until the peer leaves and never answers.
func hang(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

func reset(conn net.Conn) {
	readRequest(conn)
	_ = conn.(*net.TCPConn).SetLinger(0)
}

// closedAddress is where nobody listens.
func closedAddress(t testing.TB) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func probe(t testing.TB, check fsm.Check, address string, timeout time.Duration) error {
	t.Helper()
	_, err := probeBothWays(t, check, address, timeout)
	return err
}

// probeBothWays probes once in the general way and once by the engine, where it
// runs, and returns what the general way found. Both must find the same.
func probeBothWays(t testing.TB, check fsm.Check, address string, timeout time.Duration) (reduction int, err error) {
	t.Helper()
	prober, err := NewProber(check, address, "", "evenkeel/test")
	if err != nil {
		t.Fatalf("new prober: %v", err)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), timeout, timeoutError(timeout))
	defer cancel()
	reduction, err = prober.Probe(ctx)
	direct, ok := probeDirectly(t, check, address, timeout)
	if ok && (!alike(err, direct.err) || err == nil && direct.reduction != reduction) {
		t.Errorf("the engine says %v and %d, the general way %v and %d", direct.err, direct.reduction, err, reduction)
	}
	return reduction, err
}

// alike tells whether two errors of one backend are the same, but for how the
// system tells that the backend hung up.
func alike(a, b error) bool {
	if a == nil || b == nil {
		return a == b
	}
	cause := func(err error) string {
		text := err.Error()
		if errors.Is(err, errClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
			return "hung up"
		}
		return text
	}
	return Void(a) == Void(b) && cause(a) == cause(b)
}

func TestAnHTTPCheckJudgesTheAnswer(t *testing.T) {
	cases := map[string]struct {
		handle func(net.Conn)
		expect string
		want   string // part of the reason, "" for a pass
	}{
		"a good answer passes":                          {answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), "", ""},
		"an answer without a body passes":               {answer("HTTP/1.1 204 No Content\r\n\r\n"), "", ""},
		"an answer of HTTP/1.0 passes":                  {answer("HTTP/1.0 200 OK\r\n\r\nok"), "", ""},
		"a chunked answer passes":                       {answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), "", ""},
		"interim answers are skipped":                   {answer("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "", ""},
		"a redirect elsewhere passes by default":        {redirects(map[string]string{"/check": "/login"}), "", ""},
		"a redirect in two steps fails":                 {redirects(map[string]string{"/check": "/login?a=%0A", "/login?a=%0A": "check#top"}), "", "status 302 redirects the check in a circle, for ever: /check → /login?a=%0A → /check"},
		"a redirect into a circle fails":                {redirects(map[string]string{"/check": "//LOCALHOST/a", "/a": "http://localhost:80/b", "/b": "/a"}), "", "in a circle, for ever: /a → /b → /a"},
		"a circle of other hosts passes":                {redirects(map[string]string{"/check": "/a", "/a": "http://example.com/check"}), "", ""},
		"a circle passes if its status is asked":        {redirects(map[string]string{"/check": "/a", "/a": "/check"}), "302", ""},
		"a circle that a cookie leads out of passes":    {cookieFirst(1), "", ""},
		"a circle with the same cookie each time fails": {cookieFirst(1 << 30), "", "in a circle, for ever: /check → /check"},
		"redirects without end fail":                    {redirectsOn, "", "redirects the check more than 10 times: /check → /1 → /2 → … → /10"},
		"as many redirects as are followed pass":        {redirects(chain(maxHops)), "", ""},
		"one redirect more fails":                       {redirects(chain(maxHops + 1)), "", "redirects the check more than 10 times"},
		"a redirect to what breaks off passes":          {redirects(map[string]string{"/check": "/a", "/a": ""}), "", ""},
		"a redirect to another scheme passes":           {answer("HTTP/1.1 301 Moved\r\nLocation: https://localhost/check?x=1\r\nContent-Length: 0\r\n\r\n"), "", ""},
		"a status that is asked for passes":             {answer("HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n"), "418", ""},
		"a server error fails":                          {answer("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), "", "status 503, expected 200-399"},
		"a server error fails before its body comes":    {func(c net.Conn) { answer("HTTP/1.1 503 Busy\r\nContent-Length: 9\r\n\r\n")(c); hang(c) }, "", "status 503"},
		"a chunk that hangs fails in time":              {func(c net.Conn) { answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\no")(c); hang(c) }, "", "no answer within 300ms"},
		"chunks in pieces pass": {func(c net.Conn) {
			answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\no")(c)
			_, _ = io.WriteString(c, "k\r\n1;x\r\ny\r\n0\r\nX: y\r\n\r\n")
		}, "", ""},
		"a status that is not asked for fails":                 {answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "204,300-399", "status 200, expected 204,300-399"},
		"a switch of protocols fails":                          {answer("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), "", "status 101"},
		"a redirect to itself fails":                           {answer("HTTP/1.1 302 Found\r\nLocation: /check\r\nContent-Length: 0\r\n\r\n"), "", "status 302 redirects the check in a circle, for ever: /check → /check"},
		"a redirect to itself passes if its status is asked":   {answer("HTTP/1.1 302 Found\r\nLocation: /check\r\nContent-Length: 0\r\n\r\n"), "302", ""},
		"garbage fails":                                        {answer("\x15\x03\x01\x00\x02\x02\x16"), "", `the answer is not HTTP/1: it begins with "\x15\x03\x01\x00\x02\x02\x16"`},
		"garbage of a line fails":                              {answer("220 mail.example ESMTP\r\n"), "", `the answer is not HTTP/1: it begins with "220 mail.example ESMTP\r\n"`},
		"endless garbage fails":                                {forever("", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), "", "head of the answer is over 32 KiB"},
		"an endless header fails":                              {forever("HTTP/1.1 200 OK\r\n", "X-More: and more and more and more\r\n"), "", "head of the answer is over 32 KiB"},
		"a header line without end fails":                      {forever("HTTP/1.1 200 OK\r\nX: ", strings.Repeat("x", 4096)), "", "head of the answer is over 32 KiB"},
		"endless interim answers fail":                         {forever("", "HTTP/1.1 100 Continue\r\n\r\n"), "", "head of the answer is over 32 KiB"},
		"a body announced as 1 GB fails":                       {forever("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", strings.Repeat("x", 64<<10)), "", "over 1 MiB"},
		"an endless body fails":                                {forever("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("x", 64<<10)), "", "over 1 MiB"},
		"an endless chunked body fails":                        {forever("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", strings.Repeat("1\r\nx\r\n", 4096)), "", "over 1 MiB"},
		"chunks that are none fail":                            {answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "", "invalid byte in chunk length"},
		"a contradiction about the length fails":               {answer("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok"), "", "Content-Length"},
		"a connection that closes at once fails":               {func(net.Conn) {}, "", ""},
		"a connection closed in the head fails":                {answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"), "", "closed before the answer was complete"},
		"a connection closed in the body fails":                {answer("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok"), "", "closed before the answer was complete"},
		"a reset fails":                                        {reset, "", "connection reset by peer"},
		"a server that accepts and hangs fails":                {hang, "", "no answer within 300ms"},
		"a server that hangs in the head fails":                {func(c net.Conn) { answer("HTTP/1.1 200 OK\r\n")(c); hang(c) }, "", "no answer within 300ms"},
		"a server that hangs in the body fails":                {func(c net.Conn) { answer("HTTP/1.1 200 OK\r\n\r\nok")(c); hang(c) }, "", "no answer within 300ms"},
		"a server that drips its head fails at the timeout":    {drip, "", "no answer within 300ms"},
		"control characters of a backend stay out of messages": {answer("HTTP/1.1 2\x1b[31m OK\r\n\r\n"), "", `begins with "HTTP/1.1 2\x1b[31m OK\r\n\r\n"`},
	}
	// Its reason differs by what the system notices first.
	fails := map[string]bool{"a connection that closes at once fails": true}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check := fsm.Check{Type: fsm.CheckHTTP, Path: "/check", Expect: c.expect, Host: "localhost"}
			timeout := 10 * time.Second
			if strings.Contains(c.want, "300ms") {
				timeout = 300 * time.Millisecond
			}
			began := time.Now()
			err := probe(t, check, serve(t, c.handle), timeout)
			if took := time.Since(began); took > 8*time.Second {
				t.Errorf("took %s", took)
			}
			switch {
			case c.want == "" && !fails[name]:
				if err != nil {
					t.Errorf("failed: %v", err)
				}
			case err == nil:
				t.Error("passed")
			case Void(err):
				t.Errorf("is void: %v", err)
			case !strings.Contains(err.Error(), c.want):
				t.Errorf("reason is %q, want %q", err, c.want)
			}
		})
	}
}

// drip sends a header line every now and then, for ever.
func drip(conn net.Conn) {
	readRequest(conn)
	_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for err == nil {
		<-ticker.C
		_, err = io.WriteString(conn, "X: y\r\n")
	}
}

func TestAnHTTPCheckAsksPolitely(t *testing.T) {
	asked := make(chan *http.Request, 2) // either way to probe
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked <- r }))
	defer server.Close()
	address := server.Listener.Addr().String()
	if err := probe(t, fsm.Check{Type: fsm.CheckHTTP, Path: "/a%20b/ü"}, address, 10*time.Second); err != nil {
		t.Fatalf("failed: %v", err)
	}
	for len(asked) > 0 {
		if got := <-asked; got.Method != http.MethodGet || got.RequestURI != "/a%20b/%C3%BC" || got.Host != address || got.UserAgent() != "evenkeel/test" || !got.Close {
			t.Errorf("asked %s %s of host %q as %q, close=%t", got.Method, got.RequestURI, got.Host, got.UserAgent(), got.Close)
		}
	}
	if err := probe(t, fsm.Check{Type: fsm.CheckHTTP}, address, 10*time.Second); err != nil {
		t.Fatalf("failed: %v", err)
	}
	for len(asked) > 0 {
		if got := <-asked; got.RequestURI != "/" {
			t.Errorf("without a path it asked for %q", got.RequestURI)
		}
	}
}

func TestATCPCheckConnects(t *testing.T) {
	accepts := serve(t, hang)
	if err := probe(t, fsm.Check{Type: fsm.CheckTCP}, accepts, 10*time.Second); err != nil {
		t.Errorf("a server that accepts failed: %v", err)
	}
	err := probe(t, fsm.Check{Type: fsm.CheckTCP}, closedAddress(t), 10*time.Second)
	if err == nil || Void(err) || !strings.HasSuffix(err.Error(), "connection refused") {
		t.Errorf("a closed port gave %v", err)
	}
}

// A connection that is dropped by the kernel's full accept queue looks like a
// host that is gone.
func TestAConnectThatIsNotAnsweredTimesOut(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux: the length of the accept queue is known there")
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatalf("socket: %v", err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatalf("listen: %v", err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatalf("name of the socket: %v", err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 8 { // fill the queue
		if conn, err := net.DialTimeout("tcp", address, 100*time.Millisecond); err == nil {
			defer conn.Close()
		}
	}
	err = probe(t, fsm.Check{Type: fsm.CheckTCP}, address, 200*time.Millisecond)
	if err == nil || Void(err) || !strings.HasSuffix(err.Error(), "no answer within 200ms") {
		t.Errorf("got %v", err)
	}
}

func TestErrorsOfThisNodeBlameNobody(t *testing.T) {
	for _, errno := range []syscall.Errno{
		syscall.EADDRNOTAVAIL, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EAFNOSUPPORT, syscall.EAGAIN,
	} {
		err := fmt.Errorf("connect to x: %w", plainError(t.Context(), &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", errno)}))
		if !Void(err) {
			t.Errorf("%v blames the backend", err)
		}
	}
	for _, errno := range []syscall.Errno{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ETIMEDOUT, syscall.EPIPE} {
		if Void(fmt.Errorf("connect to x: %w", errno)) {
			t.Errorf("%v does not blame the backend", errno)
		}
	}
}

func TestAProbeThatIsGivenUpIsVoid(t *testing.T) {
	prober, err := NewProber(fsm.Check{Type: fsm.CheckHTTP}, serve(t, hang), "", "evenkeel")
	if err != nil {
		t.Fatalf("new prober: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := prober.Probe(ctx); !Void(err) {
		t.Errorf("got %v", err)
	}
}

func TestChecksThatCannotBeRun(t *testing.T) {
	for name, c := range map[string]struct {
		check   fsm.Check
		address string
	}{
		"an unknown type":       {fsm.Check{Type: "icmp"}, "127.0.0.1:80"},
		"an address of no port": {fsm.Check{Type: fsm.CheckTCP}, "127.0.0.1"},
		"a status of letters":   {fsm.Check{Type: fsm.CheckHTTP, Expect: "ok"}, "127.0.0.1:80"},
		"a path of no escape":   {fsm.Check{Type: fsm.CheckHTTP, Path: "/%zz"}, "127.0.0.1:80"},
	} {
		if _, err := NewProber(c.check, c.address, "", "evenkeel"); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestManyHostileServersTakeBoundedMemory(t *testing.T) {
	address := serve(t, forever("HTTP/1.1 200 OK\r\n", "X-More: "+strings.Repeat("x", 1000)+"\r\n"))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 50 {
		if err := probe(t, fsm.Check{Type: fsm.CheckHTTP}, address, 10*time.Second); err == nil {
			t.Fatal("passed")
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / 50; each > 512<<10 {
		t.Errorf("a probe allocates %d KiB in all", each>>10)
	}
}
