package health

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"evenkeel/fsm"
)

// The headers as the specification has them (section 2.1 and 2.2).
var headers = map[string]string{
	fsm.ProxyV1: "PROXY UNKNOWN\r\n",
	fsm.ProxyV2: "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x20\x00\x00\x00",
}

// after has a connection begin with a text, and closes others.
func after(text string, met *atomic.Int64, handle func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		got := make([]byte, len(text))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != text {
			return
		}
		met.Add(1)
		handle(conn)
	}
}

func TestAProbeBeginsWithThePoolsHeader(t *testing.T) {
	_, certificate := authority(t, "web.example")
	greets := func(conn net.Conn) {
		if _, err := io.ReadFull(conn, make([]byte, 4)); err == nil {
			_, _ = io.WriteString(conn, "+PONG") // the prober may have left
		}
	}
	for name, c := range map[string]struct {
		check  fsm.Check
		handle func(net.Conn)
	}{
		"a connect":          {fsm.Check{Type: fsm.CheckTCP}, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }},
		"a text":             {fsm.Check{Type: fsm.CheckTCP, Send: "PING", Receive: "PONG"}, greets},
		"HTTP":               {fsm.Check{Type: fsm.CheckHTTP}, answer(good)},
		"HTTP and a pattern": {fsm.Check{Type: fsm.CheckHTTP, ExpectRegexp: "ok"}, answer(good)},
		"HTTP over TLS":      {fsm.Check{Type: fsm.CheckHTTP, TLS: &fsm.CheckTLS{Insecure: true}}, overTLS(certificate, answer(good))},
	} {
		for version, header := range headers {
			t.Run(name+" "+version, func(t *testing.T) {
				var met atomic.Int64
				address := serve(t, after(header, &met, c.handle))
				for _, with := range []string{version, ""} {
					c.check.Timeout = fsm.Duration(20 * time.Second)
					if with == "" { // the backend waits for the header
						c.check.Timeout = fsm.Duration(100 * time.Millisecond)
					}
					prober, err := NewProber(c.check, address, with, "evenkeel/test")
					if err != nil {
						t.Fatal(err)
					}
					before := met.Load()
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(c.check.Timeout))
					_, err = prober.Probe(ctx)
					cancel()
					results := []error{err}
					if e := openEngine(t); e != nil && prober.(direct).line() != nil {
						results = append(results, e.probe(t, &target{check: &c.check, prober: prober}, false).err)
					}
					for _, err := range results {
						if wants := with == version; wants && err != nil || !wants && err == nil && name != "a connect" {
							t.Errorf("with the header %q: %v", with, err)
						}
					}
					if with == version { // one that only connects does not wait for it
						until(t, "the headers came", func() bool { return met.Load() == before+int64(len(results)) })
					}
				}
			})
		}
	}
}

func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !is(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func TestAHeaderBeginsAConnectionAndNotARequest(t *testing.T) {
	e := needEngine(t)
	s := &site{act: says(good)}
	var met atomic.Int64
	s.address = serve(t, after(headers[fsm.ProxyV2], &met, s.talk))
	check := reusing()
	prober, err := NewProber(check, s.address, fsm.ProxyV2, "evenkeel/test")
	if err != nil {
		t.Fatal(err)
	}
	at := &target{check: &check, prober: prober}
	prober.(direct).line().uses = freshEvery // as if there had been one
	for range 2 * int(freshEvery) {
		if r := e.probe(t, at, false); r.err != nil {
			t.Fatal(r.err)
		}
	}
	if met.Load() != 2 || s.requests.Load() != 2*int64(freshEvery) {
		t.Errorf("%d headers before %d requests", met.Load(), s.requests.Load())
	}
}

// The header is of the port of the traffic.
func TestACheckOfItsOwnPortHasNoHeader(t *testing.T) {
	address := netip.MustParseAddrPort(serve(t, answer(good)))
	check := fsm.Check{Type: fsm.CheckHTTP, Port: int(address.Port()), Timeout: fsm.Duration(20 * time.Second)}
	prober, err := NewProber(check, "127.0.0.1:1", fsm.ProxyV1, "evenkeel/test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := prober.Probe(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAPoolsHeaderIsTakenUpByItsChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		o := newObserver(w)
		next := o.newProber
		var asked []string
		o.newProber = func(pool *fsm.Pool, address string) (Prober, error) {
			asked = append(asked, pool.Spec.ProxyProtocol)
			return next(pool, address)
		}
		r.must(backends(0, 1)...)
		run(t, o, r)
		time.Sleep(10 * time.Second)
		pool := r.current().Pool("default").Spec
		pool.ProxyProtocol = fsm.ProxyV2
		r.must(fsm.Put{Name: "default", Spec: pool})
		synctest.Wait()
		if got := r.health("b0"); got != fsm.HealthUp {
			t.Errorf("health is %s as the header is added", got)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := strings.Join(asked, ","); got != ","+fsm.ProxyV2 {
			t.Errorf("probers were made for %q", got)
		}
		if got := r.health("b0"); got != fsm.HealthUp {
			t.Errorf("health is %s", got)
		}
	})
}
