package balancer

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/fsm"
)

// openKeys takes sealed keys for base64, as long as it is not locked.
type openKeys struct{ locked atomic.Bool }

func (k *openKeys) PrivateKey(_ *fsm.State, c *fsm.Certificate) (string, error) {
	if k.locked.Load() {
		return "", errors.New("no secret of this node opens it")
	}
	key, err := base64.StdEncoding.DecodeString(c.Spec.SealedKey)
	return string(key), err
}

func (k *openKeys) TicketKeys(s *fsm.State) ([][]byte, error) {
	var keys [][]byte
	for _, ticket := range s.Tickets() {
		keys = append(keys, []byte(strings.Repeat(ticket.ID, 32)[:32]))
	}
	return keys, nil
}

// ownCertificate makes a certificate for a name that is its own authority.
func ownCertificate(t testing.TB, name string) (chain, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
}

func certificatePut(name, chain, key string) fsm.Put {
	return fsm.Put{Name: name, Spec: fsm.CertificateSpec{Chain: chain, SealedKey: base64.StdEncoding.EncodeToString([]byte(key))}}
}

func httpsListener(name string, change func(*fsm.ListenerSpec)) fsm.Put {
	spec := fsm.ListenerSpec{Address: "127.0.0.1:0", Protocol: fsm.ProtocolHTTPS}
	if change != nil {
		change(&spec)
	}
	return fsm.Put{Name: name, Spec: spec}
}

// clientOf returns a client of a node that believes the chains, asks for a name and
// keeps its connections.
func clientOf(t testing.TB, address, serverName string, http2 bool, chains ...string) *http.Client {
	roots := x509.NewCertPool()
	for _, chain := range chains {
		roots.AppendCertsFromPEM([]byte(chain))
	}
	transport := &http.Transport{
		ForceAttemptHTTP2: http2, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: serverName},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// asked is the answer to a request, with what the test looks at.
type asked struct {
	text, protocol string
	shown          *x509.Certificate
}

func securely(t testing.TB, client *http.Client, host string) asked {
	t.Helper()
	response, err := client.Get("https://" + host + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return asked{fmt.Sprintf("%d %s", response.StatusCode, body), response.Proto, response.TLS.PeerCertificates[0]}
}

func tellScheme(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s from %s", r.Header.Get("X-Forwarded-Proto"), r.Proto)
}

func TestAListenerOfHTTPSShowsTheCertificatesOfTheRegistry(t *testing.T) {
	r, keys := withBackend(t, backend(t, tellScheme)), new(openKeys)
	chainA, keyA := ownCertificate(t, "a.test")
	chainB, keyB := ownCertificate(t, "b.test")
	r.do(certificatePut("a", chainA, keyA), certificatePut("b", chainB, keyB), httpsListener("web", nil),
		httpsListener("old", func(s *fsm.ListenerSpec) { s.HTTP2 = &fsm.ListenerHTTP2{Disabled: true} }),
		httpsListener("new", func(s *fsm.ListenerSpec) { s.HTTP2 = &fsm.ListenerHTTP2{Only: true} }))
	n := run(t, Config{Keys: keys}, r)
	web, old, newest := n.listening("web"), n.listening("old"), n.listening("new")

	open := clientOf(t, web, "a.test", false, chainA)
	for name, chain := range map[string]string{"a.test": chainA, "b.test": chainB} {
		for _, c := range []struct {
			address, protocol string
			http2             bool
		}{{web, "HTTP/2.0", true}, {web, "HTTP/1.1", false}, {old, "HTTP/1.1", true}} {
			got := securely(t, clientOf(t, c.address, name, c.http2, chain), name)
			if got.text != "200 https from HTTP/1.1" || got.protocol != c.protocol || got.shown.Subject.CommonName != name {
				t.Errorf("%s at %s: %+v, want %s", name, c.address, got, c.protocol)
			}
		}
	}
	if got := securely(t, clientOf(t, newest, "a.test", true, chainA), "a.test"); got.protocol != "HTTP/2.0" {
		t.Errorf("where HTTP/2 is all: %+v", got)
	}
	if response, err := clientOf(t, newest, "a.test", false, chainA).Get("https://a.test/"); err == nil {
		response.Body.Close()
		t.Errorf("where HTTP/2 is all, HTTP/1.1 got %s", response.Status)
	}
	before := securely(t, open, "a.test").shown
	for _, stats := range n.Stats().Listeners {
		if stats.Name == "web" && (stats.Spoken["http1"] != 3 || stats.Spoken["http2"] != 2 || stats.FullHandshakes != 5 || stats.HTTP2 != 2) {
			t.Errorf("counted %+v", stats)
		}
	}

	nextChain, nextKey := ownCertificate(t, "a.test")
	r.do(certificatePut("a", nextChain, nextKey))
	eventually(t, "new connections see the new certificate", func() bool {
		response, err := clientOf(t, web, "a.test", false, nextChain).Get("https://a.test/")
		if err == nil {
			response.Body.Close()
		}
		return err == nil
	})
	if after := securely(t, open, "a.test").shown; !after.Equal(before) {
		t.Error("the connection that was open was made anew")
	}
}

func TestAListenerWhoseKeysCannotBeOpenedRefusesHandshakesUntilTheyCan(t *testing.T) {
	r, keys := withBackend(t, backend(t, tellScheme)), new(openKeys)
	keys.locked.Store(true)
	chain, key := ownCertificate(t, "a.test")
	wrap := func(secret string) fsm.SetDataKey {
		return fsm.SetDataKey{Key: fsm.DataKey{ID: "k1", Wraps: []fsm.KeyWrap{{Secret: secret, Sealed: "aGVsbG8="}}}}
	}
	r.do(wrap("s1"), certificatePut("a", chain, key), httpsListener("web", nil))
	n := run(t, Config{Keys: keys}, r)
	web := func() ListenerStatus { return n.Listeners()["web"] }
	eventually(t, "it says why it refuses", func() bool {
		return web().State == StateFailed && strings.Contains(web().Error, `certificate "a" cannot be shown: no secret of this node opens it`)
	})
	address := web().Address
	client := clientOf(t, address, "a.test", false, chain)
	if _, err := client.Get("https://a.test/"); err == nil || !strings.Contains(err.Error(), "tls: ") {
		t.Errorf("without its key a certificate was shown: %v", err)
	}
	if !strings.Contains(n.log.String(), "no secret of this node opens it") {
		t.Error("nobody is told why")
	}
	r.do(fsm.Put{Name: "p", Spec: fsm.PoolSpec{Strategy: fsm.StrategyRoundRobin, TLS: &fsm.PoolTLS{Certificate: "a", Insecure: true}}})
	eventually(t, "so does the pool", func() bool { return strings.Contains(n.PoolFaults()["p"], "no secret of this node opens it") })
	keys.locked.Store(false)
	r.do(wrap("s2"))
	eventually(t, "the key is opened", func() bool {
		response, err := client.Get("https://a.test/")
		if err == nil {
			response.Body.Close()
		}
		return err == nil
	})
	if web().State != StateListening || web().Error != "" || len(n.PoolFaults()) > 0 {
		t.Errorf("it says %+v, the pool %v", web(), n.PoolFaults())
	}
	keys.locked.Store(true)
	other, otherKey := ownCertificate(t, "b.test")
	r.do(certificatePut("b", other, otherKey))
	eventually(t, "it says which one it cannot show", func() bool {
		return web().State == StateListening && strings.Contains(web().Error, `certificate "b" cannot be shown`)
	})
}

func TestAListenerWithoutACertificateSaysSo(t *testing.T) {
	r := withBackend(t, backend(t, tellScheme))
	r.do(httpsListener("web", nil))
	n := run(t, Config{Keys: new(openKeys)}, r)
	eventually(t, "it says so", func() bool {
		status := n.Listeners()["web"]
		return status.State == StateFailed && strings.Contains(status.Error, "there is no certificate to show")
	})
	chain, key := ownCertificate(t, "a.test")
	r.do(certificatePut("a", chain, key))
	n.listening("web")
}

func TestACertificateForNoRouteIsWarnedOf(t *testing.T) {
	r := withBackend(t, backend(t, tellScheme))
	chain, key := ownCertificate(t, "a.test")
	route := func(host string) fsm.Put {
		return fsm.Put{Name: "r", Spec: fsm.RouteSpec{Match: fsm.RouteMatch{Host: host}, Pools: []fsm.WeightedPool{{Name: "p", Weight: 1}}}}
	}
	r.do(certificatePut("a", chain, key), httpsListener("web", nil), route("a.test"))
	n := run(t, Config{Keys: new(openKeys)}, r)
	n.listening("web")
	warned := func() bool { return strings.Contains(n.log.String(), "certificate=a fault=no-name") }
	eventually(t, "the certificate is looked at", func() bool {
		n.secure.mu.Lock()
		defer n.secure.mu.Unlock()
		return n.secure.told["a"] == "expires soon" // it has an hour
	})
	n.secure.mu.Lock()
	n.secure.looked = time.Time{}
	n.secure.mu.Unlock()
	r.do(route("other.test"))
	eventually(t, "it is warned of", warned)
}

func TestASessionOfTLSIsResumedOnAnotherNode(t *testing.T) {
	r, keys := withBackend(t, backend(t, hello)), new(openKeys)
	chain, key := ownCertificate(t, "a.test")
	r.do(certificatePut("a", chain, key), fsm.RotateTickets{Ticket: fsm.Ticket{ID: "t1", Sealed: "aGVsbG8="}}, httpsListener("web", nil))
	one := run(t, Config{Keys: keys}, r)
	first := one.listening("web")
	other := run(t, Config{Keys: keys, ListenerAddrs: map[string]string{"web": "127.0.0.1:0"}}, r)
	second := other.listening("web")

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(chain))
	config := &tls.Config{RootCAs: roots, ServerName: "a.test", ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	connect := func(address string) bool {
		t.Helper()
		conn, err := tls.Dial("tcp", address, config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n") // tickets come with the response
		if body, err := io.ReadAll(conn); err != nil || !strings.HasSuffix(string(body), "hello") {
			t.Fatalf("%q, %v", body, err)
		}
		return conn.ConnectionState().DidResume
	}
	if connect(first) {
		t.Fatal("the first handshake resumed something")
	}
	if !connect(second) {
		t.Error("the other node does not know the session")
	}
	r.do(fsm.RotateTickets{Ticket: fsm.Ticket{ID: "t2", Sealed: "aGVsbG8="}, After: "t1"})
	eventually(t, "both know the new key", func() bool {
		connect(first)
		return connect(second)
	})
}

func TestAPoolSpeaksToItsBackendsAsItIsSaid(t *testing.T) {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	start := func(secure bool) (address, authority string) {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %v", r.Proto, r.TLS != nil)
		}))
		server.Config.Protocols = &protocols
		if secure {
			server.EnableHTTP2 = true
			server.StartTLS()
			authority = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
		} else {
			server.Start()
		}
		t.Cleanup(server.Close)
		return server.Listener.Addr().String(), authority
	}
	plain, _ := start(false)
	secure, authority := start(true)
	r := withBackend(t, plain)
	r.do(listener("web", "127.0.0.1:0"))
	n := run(t, Config{Keys: new(openKeys)}, r)
	address := n.listening("web")
	put := func(change func(*fsm.PoolSpec), to string) {
		spec := fsm.PoolSpec{Strategy: fsm.StrategyRoundRobin}
		change(&spec)
		r.do(fsm.Put{Name: "p", Spec: spec}, fsm.Put{Pool: "p", Name: "b", Spec: fsm.BackendSpec{Address: to, Weight: 1, AdminState: fsm.AdminReady}})
	}
	for _, step := range []struct {
		name, to string
		change   func(*fsm.PoolSpec)
		want     string
	}{
		{"in clear text", plain, func(*fsm.PoolSpec) {}, "200 HTTP/1.1 false"},
		{"HTTP/2 in clear text", plain, func(s *fsm.PoolSpec) { s.Protocol = fsm.PoolHTTP2 }, "200 HTTP/2.0 false"},
		{"in clear text again", plain, func(*fsm.PoolSpec) {}, "200 HTTP/1.1 false"},
		{"TLS", secure, func(s *fsm.PoolSpec) { s.TLS = &fsm.PoolTLS{CA: authority, ServerName: "example.com"} }, "200 HTTP/1.1 true"},
		{"HTTP/2 over TLS", secure, func(s *fsm.PoolSpec) {
			s.Protocol, s.TLS = fsm.PoolHTTP2, &fsm.PoolTLS{CA: authority, ServerName: "example.com"}
		}, "200 HTTP/2.0 true"},
		{"any certificate", secure, func(s *fsm.PoolSpec) { s.TLS = &fsm.PoolTLS{Insecure: true} }, "200 HTTP/1.1 true"},
		{"whom it does not believe", secure, func(s *fsm.PoolSpec) { s.TLS = &fsm.PoolTLS{CA: authority, ServerName: "other.test"} },
			"503 Evenkeel: no backend is available for this request.\n"},
	} {
		put(step.change, step.to)
		revision := r.state.Revision()
		eventually(t, step.name+" is in force", func() bool { return n.Served() >= revision })
		for range 3 { // the later ones over what the first left
			if got, err := get(http.DefaultClient, address); err != nil || got != step.want {
				t.Errorf("%s: %q, %v; want %q", step.name, got, err, step.want)
			}
		}
	}
}

// echo answers each connection with a name, and then with what it is sent.
func echo(t testing.TB, name string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprintln(conn, name)
				_, _ = io.Copy(conn, conn) // until the other side ends
			}()
		}
	}()
	return l.Addr().String()
}

func TestConnectionsAreForwardedByTheirListenersRoutes(t *testing.T) {
	r := withBackend(t, echo(t, "raw"))
	secret, key := ownCertificate(t, "s.test")
	pair, err := tls.X509KeyPair([]byte(secret), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	named := httptest.NewUnstartedServer(http.HandlerFunc(hello))
	named.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	named.StartTLS()
	t.Cleanup(named.Close)
	pool := fsm.PoolSpec{Strategy: fsm.StrategyRoundRobin}
	announcing := pool
	announcing.ProxyProtocol = fsm.ProxyV1
	tcp := func(name, protocol string, proxies ...string) fsm.Put {
		spec := fsm.ListenerSpec{Address: "127.0.0.1:0", Protocol: protocol}
		if len(proxies) > 0 {
			spec.ProxyProtocol = &fsm.ListenerProxyProtocol{Trusted: proxies}
		}
		return fsm.Put{Name: name, Spec: spec}
	}
	route := func(listener, pool, serverName string) fsm.Put {
		return fsm.Put{Name: listener + "-" + pool, Spec: fsm.RouteSpec{
			Listeners: []string{listener}, Match: fsm.RouteMatch{SNI: serverName}, Pools: []fsm.WeightedPool{{Name: pool, Weight: 1}},
		}}
	}
	r.do(fsm.Put{Name: "named", Spec: pool}, fsm.Put{Name: "announcing", Spec: announcing},
		fsm.Put{Pool: "named", Name: "b", Spec: fsm.BackendSpec{Address: named.Listener.Addr().String(), Weight: 1, AdminState: fsm.AdminReady}},
		fsm.Put{Pool: "announcing", Name: "b", Spec: fsm.BackendSpec{Address: echo(t, "announced"), Weight: 1, AdminState: fsm.AdminReady}},
		tcp("raw", fsm.ProtocolTCP), tcp("names", fsm.ProtocolTLSPassthrough), tcp("proxied", fsm.ProtocolTCP, "127.0.0.0/8"), tcp("strange", fsm.ProtocolTCP, "192.0.2.0/24"),
		route("raw", "p", ""), route("names", "named", "s.test"), route("proxied", "announcing", ""), route("strange", "p", ""))
	n := run(t, Config{}, r)

	say := func(listener, text string) string {
		t.Helper()
		conn, err := net.Dial("tcp", n.listening(listener))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, text)
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			return "closed"
		}
		got, err := io.ReadAll(bufio.NewReader(conn))
		if err != nil {
			return "closed"
		}
		return string(got)
	}
	if got := say("raw", "hello"); got != "raw\nhello" {
		t.Errorf("the listener of TCP: %q", got)
	}
	if got := say("proxied", "PROXY TCP4 198.51.100.7 198.51.100.8 1234 80\r\nhello"); got != "announced\nPROXY TCP4 198.51.100.7 198.51.100.8 1234 80\r\nhello" {
		t.Errorf("the listener behind a proxy: %q", got)
	}
	if got := say("proxied", "hello, this is no header\r\n"); got != "" && got != "closed" {
		t.Errorf("a connection without a header: %q", got)
	}
	if got := say("strange", "PROXY TCP4 198.51.100.7 198.51.100.8 1234 80\r\nhello"); got != "" && got != "closed" {
		t.Errorf("a proxy that nobody trusts: %q", got)
	}
	if got := securely(t, clientOf(t, n.listening("names"), "s.test", false, secret), "s.test"); got.text != "200 hello" {
		t.Errorf("by its server name: %+v", got)
	}
	if _, err := clientOf(t, n.listening("names"), "other.test", false, secret).Get("https://other.test/"); err == nil {
		t.Error("a server name of no route was forwarded")
	}
}
