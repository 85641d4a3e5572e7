package engine

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"evenkeel/balancer/certificates"
	"evenkeel/balancer/exchange"
	"evenkeel/fsm"
)

// issuer signs certificates for tests.
type issuer struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  string
}

var theIssuer = sync.OnceValue(newIssuer)

func newIssuer() *issuer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority of tests"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return &issuer{key: key, cert: cert, pem: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

// issue returns a certificate for names, as the registry would have it and for
// crypto/tls.
func (i *issuer) issue(t testing.TB, subject string, names ...string) (*certificates.Certificate, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: subject},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, i.cert, key.Public(), i.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	c, err := certificates.Parse(subject, string(chain), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})))
	if err != nil {
		t.Fatal(err)
	}
	return c, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (i *issuer) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(i.cert)
	return pool
}

// securing is a tuning with a listener that speaks TLS as example.com.
func securing(t testing.TB, change func(*certificates.Settings), more ...func(*tuning)) func(*tuning) {
	shown, _ := theIssuer().issue(t, "web", "example.com", "127.0.0.1")
	settings := certificates.Settings{Listener: "web", Certificates: []*certificates.Certificate{shown}, Protocols: []string{"h2", "http/1.1"}, TicketKeys: [][]byte{{1}}}
	if change != nil {
		change(&settings)
	}
	config, err := certificates.Server(settings)
	if err != nil {
		t.Fatal(err)
	}
	return func(with *tuning) {
		with.tls = config
		for _, f := range more {
			f(with)
		}
	}
}

// upstream has the pool speak TLS, and believe the issuer.
func upstream(t testing.TB, change func(*certificates.UpstreamSettings)) func(*tuning) {
	settings := certificates.UpstreamSettings{Pool: "p", CA: theIssuer().pem}
	if change != nil {
		change(&settings)
	}
	u, err := certificates.NewUpstream(settings)
	if err != nil {
		t.Fatal(err)
	}
	return func(with *tuning) { with.upstream = u }
}

func trusting() *tls.Config {
	return &tls.Config{RootCAs: theIssuer().pool(), ServerName: "example.com"}
}

// dialTLS opens a connection and has the handshake.
func (w *world) dialTLS(config *tls.Config) *peerConn {
	w.t.Helper()
	plain := w.dial()
	conn := tls.Client(plain.Conn, config)
	if err := conn.Handshake(); err != nil {
		w.t.Fatal(err)
	}
	return newPeer(w.t, conn)
}

// secureBackend is a backend of net/http that speaks TLS.
func secureBackend(t testing.TB, handler http.HandlerFunc, change func(*tls.Config)) string {
	t.Helper()
	_, shown := theIssuer().issue(t, "backend", "127.0.0.1", "backend.test")
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{shown}}
	if change != nil {
		change(server.TLS)
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// telling answers with the request's fields of those names.
func telling(names ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, name := range names {
			fmt.Fprintf(w, "%s=%s\n", name, strings.Join(r.Header.Values(name), "|"))
		}
	}
}

func TestAListenerSpeaksTLSAndSaysSo(t *testing.T) {
	backend := httptest.NewServer(telling("X-Forwarded-Proto", "X-Client-Cert-Subject"))
	t.Cleanup(backend.Close)
	w := newWorld(t, securing(t, nil), backend.Listener.Addr().String())
	p := w.dialTLS(trusting())
	for range 2 {
		p.send("GET / HTTP/1.1\r\nHost: example.com\r\nX-Client-Cert-Subject: CN=forged\r\n\r\n")
		body, err := io.ReadAll(p.response("GET").Body)
		if err != nil || string(body) != "X-Forwarded-Proto=https\nX-Client-Cert-Subject=\n" {
			t.Errorf("got %q, %v", body, err)
		}
	}
	w.do(put("", "r", fsm.RouteSpec{Redirect: &fsm.Redirect{Path: "/elsewhere", Status: 302}}))
	p.send("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
	if location := p.response("GET").Header.Get("Location"); location != "https://example.com/elsewhere" {
		t.Errorf("the redirect leads to %q", location)
	}
	if w.counters.FullHandshakes.Load() != 1 {
		t.Errorf("%d handshakes were counted", w.counters.FullHandshakes.Load())
	}
}

func TestHTTP2IsChosenInTheHandshake(t *testing.T) {
	backend := httptest.NewServer(telling("X-Forwarded-Proto", "X-Client-Cert-Subject"))
	t.Cleanup(backend.Close)
	w := newWorld(t, securing(t, func(s *certificates.Settings) { s.ClientCA = theIssuer().pem }), backend.Listener.Addr().String())
	config := trusting()
	_, shown := theIssuer().issue(t, "somebody", "client.test")
	config.Certificates = []tls.Certificate{shown}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	for range 3 { // the later ones are streams that are used again
		request, err := http.NewRequest("GET", "https://"+w.addr+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Client-Cert-Subject", "CN=forged")
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil || response.ProtoMajor != 2 || string(body) != "X-Forwarded-Proto=https\nX-Client-Cert-Subject=CN=somebody\n" {
			t.Errorf("got %q by %s, %v", body, response.Proto, err)
		}
		response.Body.Close()
	}
	if n := w.counters.FullHandshakes.Load(); n != 1 {
		t.Errorf("%d handshakes", n)
	}
}

func TestPlainHTTPOnATLSPortIsToldSo(t *testing.T) {
	w := newWorld(t, securing(t, nil), answering(t, "x"))
	p := w.dial()
	p.send("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
	response := p.response("GET")
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 400 || !response.Close || !strings.Contains(string(body), "https://") {
		t.Errorf("got %d %q, %v", response.StatusCode, body, err)
	}
	eventually(t, "nobody is connected", func() bool { return w.connections() == 0 })
	if w.counters.BadHandshakes[exchange.HandshakePlain].Load() != 1 {
		t.Errorf("%d handshakes failed", w.counters.BadHandshakes[exchange.HandshakePlain].Load())
	}
}

func TestAClientsCertificateIsPassedOn(t *testing.T) {
	backend := httptest.NewServer(telling("X-Client-Cert-Subject"))
	t.Cleanup(backend.Close)
	w := newWorld(t, securing(t, func(s *certificates.Settings) {
		s.ClientCA, s.ClientMode = theIssuer().pem, certificates.ClientOptional
	}), backend.Listener.Addr().String())
	_, shown := theIssuer().issue(t, "somebody", "client.test")
	for _, c := range []struct {
		shows []tls.Certificate
		want  string
	}{{[]tls.Certificate{shown}, "CN=somebody"}, {nil, ""}} {
		config := trusting()
		config.Certificates = c.shows
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		for range 2 { // the second resumes
			p := w.dialTLS(config)
			p.send("GET / HTTP/1.1\r\nHost: example.com\r\nX_Client_Cert_Subject: CN=forged\r\nConnection: close\r\n\r\n")
			body, err := io.ReadAll(p.response("GET").Body)
			if err != nil || string(body) != "X-Client-Cert-Subject="+c.want+"\n" {
				t.Errorf("got %q, %v", body, err)
			}
		}
	}
	if w.counters.Resumed.Load() != 2 {
		t.Errorf("%d were resumed", w.counters.Resumed.Load())
	}
}

func TestOtherCertificatesAreForLaterConnections(t *testing.T) {
	w := newWorld(t, securing(t, nil), answering(t, "x"))
	old := w.dialTLS(trusting())
	shown, _ := theIssuer().issue(t, "newer", "newer.test")
	config, err := certificates.Server(certificates.Settings{Certificates: []*certificates.Certificate{shown}})
	if err != nil {
		t.Fatal(err)
	}
	w.secure = w.engine.NewListenerTLS(config)
	w.do(put("", "other", fsm.PoolSpec{Strategy: fsm.StrategyRoundRobin})) // any change
	newer := w.dialTLS(&tls.Config{RootCAs: theIssuer().pool(), ServerName: "newer.test"})
	for _, p := range []*peerConn{old, newer} {
		if body, _, err := exchangeOnce(p); err != nil || body != "x" {
			t.Errorf("got %q, %v", body, err)
		}
	}
}

func TestASessionResumesAtAnotherEngine(t *testing.T) {
	one, other := newWorld(t, securing(t, nil), answering(t, "x")), newWorld(t, securing(t, nil), answering(t, "x"))
	for version := range map[uint16]bool{tls.VersionTLS12: true, tls.VersionTLS13: true} {
		config := trusting()
		config.MaxVersion, config.ClientSessionCache = version, tls.NewLRUClientSessionCache(1)
		for i, w := range []*world{one, other} {
			p := w.dialTLS(config)
			if _, _, err := exchangeOnce(p); err != nil {
				t.Error(err)
			}
			if got := p.Conn.(*tls.Conn).ConnectionState().DidResume; got != (i == 1) {
				t.Errorf("version %x at engine %d: resumed is %v", version, i, got)
			}
		}
	}
}

func TestBackendsAreSpokenToByTLS(t *testing.T) {
	shown, _ := theIssuer().issue(t, "evenkeel", "client.test")
	backend := secureBackend(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.TLS.ServerName, " ", r.TLS.PeerCertificates[0].Subject)
	}, func(config *tls.Config) {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, theIssuer().pool()
	})
	w := newWorld(t, upstream(t, func(s *certificates.UpstreamSettings) { s.ServerName, s.Certificate = "backend.test", shown }), backend)
	for range 3 {
		if status, body := w.get("/"); status != 200 || body != "backend.test CN=evenkeel" {
			t.Errorf("got %d %q", status, body)
		}
	}
	if n := w.backend("b0").Stats.Local(0).Connects.Load(); n != 1 {
		t.Errorf("%d connects for three requests", n)
	}
}

func TestABackendThatIsNotBelievedIsOneThatCannotBeConnectedTo(t *testing.T) {
	stranger := newIssuer()
	_, shown := stranger.issue(t, "backend", "127.0.0.1")
	bad := secureBackend(t, telling(), func(config *tls.Config) { config.Certificates = []tls.Certificate{shown} })
	good := secureBackend(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "good") }, nil)
	plain := scripted(t, func(p *peerConn) {
		if _, err := p.r.Peek(1); err == nil {
			p.send("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
		}
		_, _ = io.Copy(io.Discard, p.r)
	})
	w := newWorld(t, upstream(t, nil), bad, good, plain)
	for range 6 {
		if status, body := w.get("/"); status != 200 || body != "good" {
			t.Errorf("got %d %q", status, body)
		}
	}
	for _, name := range []string{"b0", "b2"} {
		if n := w.backend(name).Stats.Local(0).ConnectFailures.Load(); n == 0 {
			t.Errorf("%s has no failures", name)
		}
	}
	for _, words := range []string{"certificate signed by unknown authority", "first record does not look like a TLS handshake"} {
		if !strings.Contains(w.log.String(), words) {
			t.Errorf("the log does not say %q", words)
		}
	}
}

func TestAResponseThatWasCutOffIsNotTakenForWhole(t *testing.T) {
	_, shown := theIssuer().issue(t, "backend", "127.0.0.1")
	for name, c := range map[string]struct {
		end  func(*tls.Conn)
		cuts bool
	}{
		"with close_notify it is whole":      {func(c *tls.Conn) { c.Close() }, false},
		"without close_notify it is not":     {func(c *tls.Conn) { c.NetConn().Close() }, true},
		"a FIN alone is no end of it either": {func(c *tls.Conn) { _ = c.NetConn().(*net.TCPConn).CloseWrite() }, true},
	} {
		t.Run(name, func(t *testing.T) {
			backend := scripted(t, func(p *peerConn) {
				conn := tls.Server(p.Conn, &tls.Config{Certificates: []tls.Certificate{shown}})
				if _, err := http.ReadRequest(newPeer(t, conn).r); err != nil {
					return
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\nas far as it goes")
				c.end(conn)
				_, _ = io.Copy(io.Discard, p.Conn)
			})
			w := newWorld(t, upstream(t, nil), backend)
			p := w.dial()
			p.send("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
			_, err := io.ReadAll(p.response("GET").Body)
			if (err != nil) != c.cuts {
				t.Errorf("the body ended with %v", err)
			}
		})
	}
}

func TestLargeBodiesGoBothWaysThroughTLSOnBothSides(t *testing.T) {
	backend := secureBackend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(r.ContentLength))
		_ = http.NewResponseController(w).EnableFullDuplex()
		if _, err := io.Copy(w, r.Body); err != nil {
			t.Error(err)
		}
	}, nil)
	w := newWorld(t, securing(t, nil, upstream(t, nil)), backend)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: trusting()}}
	defer client.CloseIdleConnections()
	const size = 24 << 20
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() {
			sent := make([]byte, size)
			_, _ = rand.Read(sent)
			response, err := client.Post("https://"+w.addr+"/", "application/octet-stream", bytes.NewReader(sent))
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			half := make([]byte, size/2)
			if _, err := io.ReadFull(response.Body, half); err != nil {
				t.Error(err)
			}
			rest, err := io.ReadAll(response.Body)
			if err != nil || !bytes.Equal(append(half, rest...), sent) {
				t.Errorf("what came back differs: %v", err)
			}
		})
	}
	clients.Wait()
}

func TestATunnelHalfClosesThroughTLS(t *testing.T) {
	_, shown := theIssuer().issue(t, "backend", "127.0.0.1")
	heard := make(chan string, 1)
	backend := scripted(t, func(p *peerConn) {
		conn := tls.Server(p.Conn, &tls.Config{Certificates: []tls.Certificate{shown}})
		inner := newPeer(t, conn)
		inner.request()
		inner.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n")
		text, err := io.ReadAll(inner.r)
		if err != nil {
			t.Errorf("the tunnel ended with %v", err)
		}
		heard <- string(text)
		inner.send("and a word after that")
		_ = conn.Close()
	})
	w := newWorld(t, securing(t, nil, upstream(t, nil)), backend)
	p := w.dialTLS(trusting())
	p.send("GET / HTTP/1.1\r\nHost: example.com\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n")
	if head := p.head(); !strings.HasPrefix(head, "HTTP/1.1 101 ") {
		t.Fatalf("got %q", head)
	}
	p.send("all that there is")
	if err := p.Conn.(*tls.Conn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got != "all that there is" {
		t.Errorf("the backend got %q", got)
	}
	if rest, err := p.end(); err != nil || rest != "and a word after that" {
		t.Errorf("the client got %q, %v", rest, err)
	}
}

func TestADrainEndsHandshakesThatDoNotGoOn(t *testing.T) {
	w := newWorld(t, securing(t, nil), answering(t, "x"))
	p := w.dial()
	p.send("\x16\x03\x01\x02\x00") // and nothing more
	eventually(t, "it is counted", func() bool { return w.connections() == 1 })
	w.stop()
	await(t, w.stopped, "the end of the listener")
	if rest, err := p.end(); err != nil || rest != "" {
		t.Errorf("got %q, %v", rest, err)
	}
}

// TestOpenSSLAndCurlAreServed has clients that we did not write.
func TestOpenSSLAndCurlAreServed(t *testing.T) {
	w := newWorld(t, securing(t, nil), answering(t, "hello"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for name, c := range map[string]struct {
		argv []string
		key  string // a command that has to be obeyed before what else is put in
		in   string
		want string
	}{
		"curl":                 {argv: []string{"curl", "-sk", "https://" + w.addr + "/"}, want: "hello"},
		"curl with TLS 1.2":    {argv: []string{"curl", "-sk", "--tls-max", "1.2", "https://" + w.addr + "/"}, want: "hello"},
		"curl over plain HTTP": {argv: []string{"curl", "-s", "http://" + w.addr + "/"}, want: "this port speaks TLS"},
		"openssl": {argv: []string{"openssl", "s_client", "-quiet", "-connect", w.addr, "-servername", "example.com"},
			in: "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n", want: "hello"},
		"openssl with new keys": {argv: []string{"openssl", "s_client", "-crlf", "-connect", w.addr, "-servername", "example.com"},
			key: "K\n", in: "GET / HTTP/1.1\nHost: example.com\nConnection: close\n\n", want: "hello"},
		"openssl refuses to renegotiate": {argv: []string{"openssl", "s_client", "-tls1_2", "-connect", w.addr}, in: "R\n", want: "alert unexpected message"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(c.argv[0]); err != nil {
				t.Skip(err)
			}
			cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			var out lockedBuffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if c.key != "" {
				if _, err := io.WriteString(in, c.key); err != nil {
					t.Error(err)
				}
				eventually(t, "keys are updated", func() bool { return strings.Contains(out.String(), "KEYUPDATE") })
			}
			if _, err := io.WriteString(in, c.in); err != nil {
				t.Error(err)
			}
			_ = cmd.Wait()
			if !strings.Contains(out.String(), c.want) {
				t.Errorf("got %s", out.String())
			}
		})
	}
}
