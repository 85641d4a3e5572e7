package health

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"evenkeel/fsm"
)

// authority is a CA with one certificate for host.
func authority(t testing.TB, host string) (caPEM string, certificate tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("make a key: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatalf("make a certificate: %v", err)
	}
	caPEM = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return caPEM, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// overTLS makes a server of a handler that speaks plain text.
func overTLS(certificate tls.Certificate, handle func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}})
		handle(secure)
		_ = secure.CloseWrite() // the prober may have left
	}
}

// judge fails the test unless the error is the one wanted: "" for a pass, else
// part of the reason, which blames the backend.
func judge(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("failed: %v", err)
	case want == "":
	case err == nil:
		t.Error("passed")
	case Void(err) || !strings.Contains(err.Error(), want):
		t.Errorf("got %v, void=%t, want %q", err, Void(err), want)
	}
}

func TestAnHTTPCheckLooksIntoTheBody(t *testing.T) {
	body := func(text string) func(net.Conn) { return answer("HTTP/1.0 200 OK\r\n\r\n" + text) }
	filler := strings.Repeat("x", maxWindow)
	for name, c := range map[string]struct {
		handle       func(net.Conn)
		text, regexp string
		want         string
	}{
		"a text that is there passes":                     {body("all is well"), "is well", "", ""},
		"a text that is not there fails":                  {body("all is ill"), "is well", "", `do not hold "is well"`},
		"a text in the last bytes of the window passes":   {body(filler[:maxWindow-2] + "ok"), "ok", "", ""},
		"a text that the window cuts fails":               {body(filler[:maxWindow-1] + "ok"), "ok", "", "the first 64 KiB"},
		"an expression that matches passes":               {body("load: 17%"), "", `load: \d+%$`, ""},
		"an expression that does not match fails":         {body("load: high"), "", `load: \d+%$`, "do not match"},
		"an expression ends with the window":              {body(filler + "y"), "", `^x*$`, ""},
		"both must hold":                                  {body("load: 17%"), "well", `load`, `do not hold "well"`},
		"an empty body fails":                             {body(""), "ok", "", "do not hold"},
		"bytes that are no text are searched too":         {body("\xff\xfe\x00ok"), "ok", `^..\x00ok$`, ""},
		"a text across chunks passes":                     {answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nall is\r\n5\r\n well\r\n0\r\n\r\n"), "is well", "", ""},
		"an endless body fails though it has the text":    {forever("HTTP/1.1 200 OK\r\n\r\n", "ok"), "ok", "", "over 1 MiB"},
		"a body cut off fails though it has the text":     {answer("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok"), "ok", "", "closed before"},
		"an expression that takes too long fails in time": {body(filler), "", `(x?){400}(x?){400}(x?){400}y`, "no answer within 300ms"},
	} {
		t.Run(name, func(t *testing.T) {
			timeout := 20 * time.Second
			if strings.Contains(c.want, "300ms") {
				timeout = 300 * time.Millisecond
			}
			check := fsm.Check{Type: fsm.CheckHTTP, ExpectText: c.text, ExpectRegexp: c.regexp}
			judge(t, probe(t, check, serve(t, c.handle), timeout), c.want)
		})
	}
}

func TestAnHTTPCheckAsksAsItIsTold(t *testing.T) {
	asked := make(chan *http.Request, 2) // either way to probe
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		w.Header().Set("Content-Length", "3000000") // of a HEAD's answer nothing follows
		w.WriteHeader(200)
	}))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	check := fsm.Check{
		Type: fsm.CheckHTTP, Method: "HEAD", Path: "/up?x=1", Host: "shop.example", Port: server.Listener.Addr().(*net.TCPAddr).Port,
		Fields: []fsm.CheckField{{Name: "user-agent", Value: "watch/1"}, {Name: "X-Key", Value: "a b"}, {Name: "X-Key", Value: ""}},
	}
	if err := probe(t, check, "127.0.0.1:1", 10*time.Second); err != nil { // nothing listens on port 1
		t.Fatalf("failed: %v", err)
	}
	for len(asked) > 0 {
		if got := <-asked; got.Method != "HEAD" || got.RequestURI != "/up?x=1" || got.Host != "shop.example" || got.UserAgent() != "watch/1" ||
			len(got.Header["User-Agent"]) != 1 || len(got.Header["X-Key"]) != 2 || got.Header.Get("Accept") != "*/*" {
			t.Errorf("asked %s %s of %q with %v", got.Method, got.RequestURI, got.Host, got.Header)
		}
	}
	check.Host, check.Method = "", "POST"
	_ = probe(t, check, "127.0.0.1:1", 10*time.Second) // its body is too long
	for len(asked) > 0 {
		if got := <-asked; got.Method != "POST" || got.Host != "127.0.0.1:"+port || got.ContentLength != 0 {
			t.Errorf("asked %s of %q with a body of %d", got.Method, got.Host, got.ContentLength)
		}
	}
}

func TestABackendSaysItsWeight(t *testing.T) {
	for value, want := range map[string]int{
		"100": 0, "0": 100, "75": 25, "75%": 25, " 30 % ": 70, "": unreadWeight, "101": unreadWeight, "-5": unreadWeight,
		"x": unreadWeight, "1e2": unreadWeight, "50.5": unreadWeight, "9999999999999999999999": unreadWeight, "100\r\nX-Load: 7": 0,
	} {
		address := serve(t, answer("HTTP/1.1 200 OK\r\nX-Load: "+value+"\r\nContent-Length: 0\r\n\r\n"))
		if got, err := probeBothWays(t, fsm.Check{Type: fsm.CheckHTTP, WeightField: "x-load"}, address, 10*time.Second); err != nil || got != want {
			t.Errorf("%q: reduction %d, error %v, want %d", value, got, err, want)
		}
	}
	address := serve(t, answer("HTTP/1.1 204 No Content\r\n\r\n"))
	if got, err := probeBothWays(t, fsm.Check{Type: fsm.CheckHTTP, WeightField: "x-load"}, address, 10*time.Second); err != nil || got != untoldWeight {
		t.Errorf("without the field: reduction %d, error %v", got, err)
	}
}

// A weight that cannot be read must not look like none: nobody would notice that
// a backend which asks to be spared gets everything.
func TestAWeightThatCannotBeReadIsTold(t *testing.T) {
	target := target{check: &fsm.Check{WeightField: "X-Load"}}
	for _, step := range []struct {
		told, reduction int
		says            string
	}{
		{40, 40, ""}, {unreadWeight, 40, `field "X-Load" is no weight from 0 to 100, so the last one counts on`},
		{0, 0, ""}, {70, 70, ""}, {untoldWeight, 0, `has no field "X-Load", so it gets all of its weight`},
	} {
		target.weigh(step.told)
		opinion := target.opinion()
		if opinion.Reduction != step.reduction || !strings.Contains(opinion.WeightError, step.says) || (step.says == "") != (opinion.WeightError == "") {
			t.Errorf("after %d: reduction %d, %q", step.told, opinion.Reduction, opinion.WeightError)
		}
	}
}

func TestATCPCheckConverses(t *testing.T) {
	echo := func(conn net.Conn) { _, _ = io.Copy(conn, conn) }
	pong := func(conn net.Conn) {
		for _, piece := range []string{"+PO", "N", "G\r\n"} {
			_, _ = io.WriteString(conn, piece)
		}
		hang(conn)
	}
	for name, c := range map[string]struct {
		handle        func(net.Conn)
		send, receive string
		want          string
	}{
		"what is sent comes back":             {echo, "PING\r\n", "PING", ""},
		"a greeting in pieces passes at once": {pong, "", "+PONG", ""},
		"sending alone needs no answer":       {hang, "PING\r\n", "", ""},
		"another answer fails when it ends":   {func(c net.Conn) { _, _ = io.WriteString(c, "-ERR\r\n") }, "", "+PONG", `closed before the answer held "+PONG"`},
		"an answer without end fails": {func(c net.Conn) {
			for _, err := c.Write(make([]byte, 1000)); err == nil; {
				_, err = c.Write(make([]byte, 1000))
			}
		}, "", "+PONG", `the first 64 KiB of the answer do not hold "+PONG"`},
		"a server that says nothing fails in time": {hang, "PING\r\n", "+PONG", "no answer within 300ms"},
		"a connection that closes at once fails": {func(c net.Conn) {
			if secure, is := c.(*tls.Conn); is {
				_ = secure.Handshake() // else what the client says first may be answered by a reset
			}
		}, "", "+PONG", "closed before"},
		"a text across many reads of zeros is seen": {func(c net.Conn) {
			_, _ = c.Write(make([]byte, 2*maxReceive-2))
			_, _ = io.WriteString(c, "+PONG")
			hang(c)
		}, "", "+PONG", ""},
	} {
		t.Run(name, func(t *testing.T) {
			timeout := 20 * time.Second
			if strings.Contains(c.want, "300ms") {
				timeout = 300 * time.Millisecond
			}
			check := fsm.Check{Type: fsm.CheckTCP, Send: c.send, Receive: c.receive}
			judge(t, probe(t, check, serve(t, c.handle), timeout), c.want)
			ca, certificate := authority(t, "web.example")
			check.TLS = &fsm.CheckTLS{CA: ca, ServerName: "web.example"}
			judge(t, probe(t, check, serve(t, overTLS(certificate, c.handle)), timeout), c.want)
		})
	}
}

func TestACheckSpeaksTLS(t *testing.T) {
	ca, certificate := authority(t, "web.example")
	otherCA, _ := authority(t, "web.example")
	good := answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	hello := func(t testing.TB, want string) func(net.Conn) {
		return func(conn net.Conn) {
			secure := tls.Server(conn, &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				if hello.ServerName != want {
					t.Errorf("the server name is %q, want %q", hello.ServerName, want)
				}
				return &certificate, nil
			}})
			good(secure)
		}
	}
	for name, c := range map[string]struct {
		handle func(net.Conn)
		tls    fsm.CheckTLS
		want   string
	}{
		"its own CA and name":                     {hello(t, "web.example"), fsm.CheckTLS{CA: ca, ServerName: "web.example"}, ""},
		"a name that the certificate is not for":  {overTLS(certificate, good), fsm.CheckTLS{CA: ca, ServerName: "shop.example"}, "certificate is valid for web.example"},
		"the address, which it is not for either": {overTLS(certificate, good), fsm.CheckTLS{CA: ca}, "127.0.0.1"},
		"another CA":                              {overTLS(certificate, good), fsm.CheckTLS{CA: otherCA, ServerName: "web.example"}, "certificate"},
		"the system's CAs":                        {overTLS(certificate, good), fsm.CheckTLS{ServerName: "web.example"}, "certificate"},
		"any certificate, without a name":         {hello(t, ""), fsm.CheckTLS{Insecure: true}, ""},
		"a server without TLS":                    {good, fsm.CheckTLS{Insecure: true}, "TLS"},
		"a server that hangs up":                  {func(net.Conn) {}, fsm.CheckTLS{Insecure: true}, ""},
		"a server that hangs":                     {hang, fsm.CheckTLS{Insecure: true}, "no answer within 300ms"},
		"a server that sends garbage without end": {forever("", strings.Repeat("\x16\x03\x03\x40\x00", 1000)), fsm.CheckTLS{Insecure: true}, ""},
		"a server error":                          {overTLS(certificate, answer("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")), fsm.CheckTLS{Insecure: true}, "status 503"},
		"garbage inside of TLS":                   {overTLS(certificate, answer("\x00\x01\r\n\r\n")), fsm.CheckTLS{Insecure: true}, "the answer is not HTTP/1: it begins with"},
		"an endless header":                       {overTLS(certificate, forever("HTTP/1.1 200 OK\r\n", "X-More: and more\r\n")), fsm.CheckTLS{Insecure: true}, "over 32 KiB"},
		"a body of 1 GB":                          {overTLS(certificate, forever("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", "x")), fsm.CheckTLS{Insecure: true}, "over 1 MiB"},
		"an endless body":                         {overTLS(certificate, forever("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("x", 64<<10))), fsm.CheckTLS{Insecure: true}, "over 1 MiB"},
		"a redirect loop":                         {overTLS(certificate, answer("HTTP/1.1 302 Found\r\nLocation: https://web.example/\r\nContent-Length: 0\r\n\r\n")), fsm.CheckTLS{Insecure: true}, "redirects the check in a circle, for ever: / → /"},
	} {
		t.Run(name, func(t *testing.T) {
			timeout := 20 * time.Second
			if strings.Contains(c.want, "300ms") {
				timeout = 300 * time.Millisecond
			}
			check := fsm.Check{Type: fsm.CheckHTTP, TLS: &c.tls, Host: "web.example:443"}
			err := probe(t, check, serve(t, c.handle), timeout)
			if strings.HasPrefix(name, "a server that hangs up") || strings.HasPrefix(name, "a server that sends garbage") {
				if err == nil || Void(err) { // its reason differs by what the system notices first
					t.Errorf("got %v", err)
				}
				return
			}
			judge(t, err, c.want)
		})
	}
}

func TestManyHostileTLSServersTakeBoundedMemory(t *testing.T) {
	_, certificate := authority(t, "web.example")
	address := serve(t, overTLS(certificate, forever("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("x", 16<<10))))
	check := fsm.Check{Type: fsm.CheckHTTP, TLS: &fsm.CheckTLS{Insecure: true}, ExpectText: "y"}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 20 {
		judge(t, probe(t, check, address, 20*time.Second), "over 1 MiB")
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / 20; each > 4<<20 { // what is read once on both sides, in buffers that pools forget under the race detector
		t.Errorf("a probe allocates %d KiB in all", each>>10)
	}
}

func TestBackendsOfAPoolShareTheirRecipe(t *testing.T) {
	ca, _ := authority(t, "web.example")
	shared := recipes{userAgent: "evenkeel", byPool: map[string]*recipe{}}
	check := fsm.Check{Type: fsm.CheckHTTP, ExpectRegexp: "ok", TLS: &fsm.CheckTLS{CA: ca}}
	same, other := check, check
	other.Path = "/other"
	header := ""
	of := func(pool string, check *fsm.Check) *recipe {
		p, err := shared.prober(&fsm.Pool{Name: pool, Spec: fsm.PoolSpec{Check: check, ProxyProtocol: header}}, "10.0.0.1:80")
		if err != nil {
			t.Fatal(err)
		}
		return p.(*httpProber).recipe
	}
	first := of("default", &check)
	if of("default", &check) != first || of("default", &same) != first {
		t.Error("the same check was made ready twice")
	}
	if next := of("default", &other); next == first || next.target.Path != "/other" {
		t.Error("another check was taken for the first")
	}
	first, header = of("default", &check), fsm.ProxyV2
	if next := of("default", &check); next == first || next.announce != announcesNobodyV2 {
		t.Error("the check was taken for that without a PROXY header")
	}
}

func TestChecksThatWouldSpeakNonsense(t *testing.T) {
	for name, check := range map[string]fsm.Check{
		"a line break in a field":      {Type: fsm.CheckHTTP, Fields: []fsm.CheckField{{Name: "X", Value: "a\r\nY: b"}}},
		"a space in a field's name":    {Type: fsm.CheckHTTP, Fields: []fsm.CheckField{{Name: "X Y", Value: "a"}}},
		"a second length":              {Type: fsm.CheckHTTP, Fields: []fsm.CheckField{{Name: "Content-Length", Value: "5"}}},
		"a line break in the host":     {Type: fsm.CheckHTTP, Host: "a\r\nb"},
		"a method that changes things": {Type: fsm.CheckHTTP, Method: "DELETE"},
		"an expression of no meaning":  {Type: fsm.CheckHTTP, ExpectRegexp: "("},
		"a CA that is no certificate":  {Type: fsm.CheckHTTP, TLS: &fsm.CheckTLS{CA: "x"}},
		"a TCP check's CA as well":     {Type: fsm.CheckTCP, TLS: &fsm.CheckTLS{CA: "x"}},
		"a text that is too long":      {Type: fsm.CheckTCP, Receive: strings.Repeat("x", maxReceive+1)},
		"a space in gRPC's host":       {Type: fsm.CheckGRPC, Host: "a b"},
		"a gRPC check's CA as well":    {Type: fsm.CheckGRPC, TLS: &fsm.CheckTLS{CA: "x"}},
	} {
		if _, err := NewProber(check, "127.0.0.1:80", "", "evenkeel"); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestAMatchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := &patient{ctx: ctx, text: make([]byte, 1000)}
	runes := 0
	for {
		if _, _, err := p.ReadRune(); err != nil {
			break
		}
		runes++
	}
	if runes > 64 {
		t.Errorf("%d runes were read", runes)
	}
}
