package tlslink

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"evenkeel/balancer/exchange"
	"evenkeel/balancer/reactor"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long tests wait for what should happen at once.
const patience = 20 * time.Second

// authority signs certificates for tests.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
}

var newAuthority = sync.OnceValue(func() *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	a := &authority{key: key, pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority of tests"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		panic(err)
	}
	a.pool.AddCert(a.cert)
	return a
})

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

var ecdsaKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

// issue returns a certificate for a name.
func issue(t testing.TB, name string, key crypto.Signer) tls.Certificate {
	t.Helper()
	a := newAuthority()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// clientConfig is that of a client that believes the authority.
func clientConfig() *tls.Config {
	return &tls.Config{RootCAs: newAuthority().pool, ServerName: "a.test"}
}

// upper is who is above a link, as a test tells it.
type upper struct {
	link      *Link
	data      func(p []byte) int
	eof       func()
	drained   func()
	failed    func(error)
	connected func()
}

func (u *upper) Connected() {
	if u.connected != nil {
		u.connected()
	}
}
func (u *upper) Data(p []byte) int { return u.data(p) }
func (u *upper) EOF() {
	if u.eof != nil {
		u.eof()
		return
	}
	u.link.Close()
}
func (u *upper) Drained() {
	if u.drained != nil {
		u.drained()
	}
}
func (u *upper) Failed(err error) {
	if u.failed != nil {
		u.failed(err)
	}
}
func (u *upper) Expired()             { u.link.Close() }
func (u *upper) Relayed(int64, error) {}

// socket is a connection of the reactor as a link.
type socket struct{ *reactor.Conn }

func (s socket) Relay(exchange.Link, int64) bool { return false }
func (s socket) Abort(uint32)                    { s.Conn.Abort() }

// world is a loop with a listening socket whose connections are of TLS.
type world struct {
	t       testing.TB
	on      *reactor.Loop
	tls     *Loop
	workers *Workers
	addr    string
	later   []exchange.Task
	serve   func(l *Link, state tls.ConnectionState) exchange.Events
	config  *Config
	within  time.Duration
	gone    chan error
}

func (w *world) Now() int64            { return w.on.Now() }
func (w *world) Later(t exchange.Task) { w.later = append(w.later, t) }
func (w *world) Post(f func()) bool    { return w.on.Post(f) }

func (w *world) batchEnded() {
	for i := 0; i < len(w.later); i++ {
		w.later[i].Run()
	}
	w.later = w.later[:0]
}

// start runs a loop; serve is called for each handshake that is done, tune may be
// nil.
func start(t testing.TB, config *tls.Config, serve func(l *Link, state tls.ConnectionState) exchange.Events, tune func(*Bounds)) *world {
	t.Helper()
	bounds := DefaultBounds()
	if tune != nil {
		tune(&bounds)
	}
	r, err := reactor.New(reactor.Config{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, on: r.Loops()[0], workers: NewWorkers(2), serve: serve, config: NewConfig(config), within: patience, gone: make(chan error, 1000)}
	w.tls = NewLoop(w, w.workers, &bounds)
	w.on.OnBatchEnd(w.batchEnded)
	ctx, stop := context.WithCancel(context.Background())
	listener, err := r.Listen(ctx, "127.0.0.1:0", []reactor.Acceptor{w})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	listener.Start()
	w.addr = listener.Addr().String()
	t.Cleanup(func() {
		w.do(w.tls.End)
		stop()
		<-ended
		w.workers.Wait()
	})
	return w
}

// do calls f on the loop and waits for it.
func (w *world) do(f func()) {
	done := make(chan struct{})
	if w.on.Post(func() { defer close(done); f() }) {
		<-done
	}
}

func (w *world) Reserve() bool { return true }
func (w *world) Release()      {}
func (w *world) Accept(c *reactor.Conn, _ netip.AddrPort) reactor.Handler {
	return w.tls.Accept(socket{c}, Accept{
		Config: w.config, Deadline: w.on.Now() + int64(w.within), Ready: w.serve,
		Gone: func(err error) { w.gone <- err },
	})
}

// echo gives back what comes, and holds the sender back if that is not taken.
func echo(l *Link, _ tls.ConnectionState) exchange.Events {
	u := &upper{link: l}
	u.data = func(p []byte) int {
		l.Write(p, false)
		if l.Buffered() > 0 {
			l.Pause()
		}
		return len(p)
	}
	u.drained = l.Resume
	u.eof = l.Close
	return u
}

func server(t testing.TB) *tls.Config {
	config := &tls.Config{Certificates: []tls.Certificate{issue(t, "a.test", ecdsaKey())}}
	config.SetSessionTicketKeys([][32]byte{{1}})
	return config
}

func (w *world) raw() net.Conn {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	return conn
}

func (w *world) dial(config *tls.Config) *tls.Conn {
	w.t.Helper()
	conn := tls.Client(w.raw(), config)
	if err := conn.Handshake(); err != nil {
		w.t.Fatal(err)
	}
	return conn
}

// says sends a text and wants it back.
func says(t testing.TB, conn io.ReadWriter, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if n, err := io.ReadFull(conn, got); err != nil || string(got) != text {
		t.Fatalf("got %q, %v; want %q", got[:n], err, text)
	}
}

func await[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
	}
	return v
}
