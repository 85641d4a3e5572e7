package engine

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"evenkeel/balancer/certificates"
	"evenkeel/balancer/exchange"
	"evenkeel/fsm"
)

// counted are the handshakes and connections of a world, without what is 0.
func (w *world) counted() map[string]uint64 {
	counts := map[string]uint64{}
	add := func(name string, n uint64) {
		if n > 0 {
			counts[name] = n
		}
	}
	add("full", w.counters.FullHandshakes.Load())
	add("resumed", w.counters.Resumed.Load())
	for fault := range exchange.HandshakeFaults {
		add(fault.String(), w.counters.BadHandshakes[fault].Load())
	}
	for spoken := range exchange.SpokenCount {
		add(spoken.String(), w.counters.Connections[spoken].Load())
	}
	return counts
}

func TestHandshakesAreCountedByWhatBecameOfThem(t *testing.T) {
	asksClients := func(s *certificates.Settings) { s.ClientCA = theIssuer().pem }
	failing := func(config *tls.Config) func(w *world, p *peerConn) {
		return func(w *world, p *peerConn) {
			conn := tls.Client(p.Conn, config)
			err := conn.Handshake()
			if err == nil { // TLS 1.3 tells a client later that its certificate was refused
				_, err = conn.Read(make([]byte, 1))
			}
			if err == nil {
				t.Error("the handshake succeeded")
			}
		}
	}
	saying := func(text string) func(w *world, p *peerConn) {
		return func(_ *world, p *peerConn) { p.send(text) }
	}
	until12 := func(config *tls.Config) *tls.Config {
		config.MaxVersion = tls.VersionTLS12
		return config
	}
	_, selfSigned := newIssuer().issue(t, "somebody", "client.test")
	stranger := trusting()
	stranger.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &selfSigned, nil }
	for name, c := range map[string]struct {
		change func(*certificates.Settings)
		does   func(w *world, p *peerConn)
		want   string // "": nothing
	}{
		"plain HTTP":                      {nil, saying("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "plain_http"},
		"no TLS at all":                   {nil, saying("\x16\x03\x01\x00\x05hello"), "protocol"},
		"one that stalls":                 {nil, func(w *world, p *peerConn) { p.send("\x16"); _, _ = p.end() }, "timeout"},
		"one that leaves":                 {nil, func(w *world, p *peerConn) { p.send("\x16\x03\x01"); p.Conn.Close() }, "client_left"},
		"a look whether the port is open": {nil, func(w *world, p *peerConn) { p.Conn.Close() }, ""},
		"a client that does not believe":  {nil, failing(&tls.Config{RootCAs: newIssuer().pool(), ServerName: "example.com"}), "refused_by_client"},
		"a look that ends with a reset": {nil, func(w *world, p *peerConn) {
			eventually(t, "it is accepted", func() bool { return w.connections() == 1 })
			_ = p.Conn.(*net.TCPConn).SetLinger(0)
			p.Conn.Close()
		}, ""},
		"an unknown name":                    {func(s *certificates.Settings) { s.RefuseUnknown = true }, failing(&tls.Config{ServerName: "other.test"}), "no_certificate"},
		"a listener without certificates":    {func(s *certificates.Settings) { s.Certificates = nil }, failing(trusting()), "no_certificate"},
		"an old version":                     {func(s *certificates.Settings) { s.Policy = certificates.PolicyModern }, failing(until12(trusting())), "protocol"},
		"no certificate of the client's":     {asksClients, failing(trusting()), "client_certificate"},
		"none with TLS 1.2":                  {asksClients, failing(until12(trusting())), "client_certificate"},
		"one of the client's from elsewhere": {asksClients, failing(stranger), "client_certificate"},
		"one from elsewhere with TLS 1.2":    {asksClients, failing(until12(stranger.Clone())), "client_certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, securing(t, c.change, func(l *tuning) {
				if c.want == "timeout" {
					l.listener.ClientHead = fsm.Duration(300 * time.Millisecond)
				}
			}), answering(t, "x"))
			c.does(w, w.dial())
			if c.want == "" { // what comes behind it is counted, and no more
				w.dial().send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				c.want = "plain_http"
			}
			eventually(t, "it is counted as "+c.want, func() bool { return w.counted()[c.want] == 1 && w.connections() == 0 })
			got := w.counted()
			if delete(got, "full"); len(got) > 1 {
				t.Errorf("counted %v", got)
			}
		})
	}
}

func TestConnectionsAreCountedByWhatTheySpeak(t *testing.T) {
	w := newWorld(t, securing(t, nil), answering(t, "x"))
	sessions := trusting()
	sessions.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for range 2 { // the second resumes; two requests are one connection
		p := w.dialTLS(sessions)
		for range 2 {
			if _, _, err := exchangeOnce(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: trusting(), ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	for range 3 {
		response, err := client.Get("https://" + w.addr + "/")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	if got := w.counted(); got["http1"] != 2 || got["http2"] != 1 || got["full"] != 2 || got["resumed"] != 1 || len(got) != 4 {
		t.Errorf("counted %v", got)
	}
	plain := newWorld(t, nil, answering(t, "x"))
	if status, _ := plain.get("/"); status != 200 {
		t.Error(status)
	}
	response, err := plain.h2Client().Get(plain.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if got := plain.counted(); got["http1"] != 1 || got["http2"] != 1 || len(got) != 2 {
		t.Errorf("without TLS: counted %v", got)
	}
}
