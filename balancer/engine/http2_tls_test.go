package engine

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"evenkeel/balancer/certificates"
	"evenkeel/balancer/table"
)

// TestHTTP2OverTLSOnBothSides has ALPN say what is spoken, and drains a listener
// under load.
func TestHTTP2OverTLSOnBothSides(t *testing.T) {
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		body, err := io.ReadAll(in.Body)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(out, "%s %s %q", in.Proto, in.Header.Get("X-Forwarded-Proto"), body)
	}))
	backend.EnableHTTP2 = true
	backend.StartTLS()
	t.Cleanup(backend.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: backend.Certificate().Raw})
	upstream, err := certificates.NewUpstream(certificates.UpstreamSettings{
		Pool: "p", CA: string(ca), ServerName: "example.com", Protocols: []string{certificates.HTTP2},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(with *tuning) {
		with.http2 = func(p *table.Pool) { p.HTTP2, p.TLS = true, upstream }
	}, backend.Listener.Addr().String())
	secure := *w.server.listener.Settings.Load()
	secure.Scheme = "https"
	w.server.listener.Settings.Store(&secure)
	w.server.tls.Store(w.engine.NewListenerTLS(&tls.Config{
		Certificates: backend.TLS.Certificates, NextProtos: []string{certificates.HTTP2, "http/1.1"},
	}))
	roots := x509.NewCertPool()
	roots.AddCert(backend.Certificate())
	var clients sync.WaitGroup
	var served atomic.Int64
	for range 2 {
		transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com"}}
		t.Cleanup(transport.CloseIdleConnections)
		client := &http.Client{Transport: transport}
		for range 4 {
			clients.Go(func() {
				for {
					response, err := client.Post("https://"+w.addr+"/", "", strings.NewReader("hello"))
					if err != nil {
						if !strings.Contains(err.Error(), "connection refused") {
							t.Error(err)
						}
						return
					}
					body, err := io.ReadAll(response.Body)
					response.Body.Close()
					if response.Proto != "HTTP/2.0" || string(body) != `HTTP/2.0 https "hello"` || err != nil {
						t.Errorf("%s, %q, %v", response.Proto, body, err)
						return
					}
					served.Add(1)
				}
			})
		}
	}
	eventually(t, "there is traffic", func() bool { return served.Load() > 200 })
	w.stop()
	clients.Wait()
	await(t, w.stopped, "the end of the listener")
	if got := w.counters.HTTP2.Load(); got < 200 {
		t.Errorf("%d requests over HTTP/2", got)
	}
}
