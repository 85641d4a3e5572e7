package engine

import (
	"crypto/tls"
	"strings"
	"testing"

	"evenkeel/balancer/exchange"
	"evenkeel/balancer/proxyproto"
)

const announcedText = "PROXY TCP4 192.0.2.7 198.51.100.1 4000 443\r\n"

// announcedFirst is a backend that wants a PROXY header, and TLS behind it, over
// which the script talks.
func announcedFirst(t testing.TB, script func(p *peerConn)) string {
	_, shown := theIssuer().issue(t, "backend", "127.0.0.1")
	return scripted(t, func(p *peerConn) {
		header := make([]byte, len(announcedText))
		for read := 0; read < len(header); { // no byte more, which would be of TLS
			n, err := p.Conn.Read(header[read : read+1])
			if err != nil {
				t.Errorf("%v after %q", err, header[:read])
				return
			}
			read += n
		}
		if string(header) != announcedText {
			t.Errorf("the backend got %q", header)
		}
		conn := tls.Server(p.Conn, &tls.Config{Certificates: []tls.Certificate{shown}})
		if err := conn.HandshakeContext(t.Context()); err != nil {
			t.Error(err)
			return
		}
		script(newPeer(t, conn))
		conn.Close()
	})
}

// A header goes beneath TLS on either side, and names the client all the same.
func TestHeadersGoBeforeTLS(t *testing.T) {
	backend := announcedFirst(t, func(p *peerConn) {
		request := p.request()
		p.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" + request.Header.Get("X-Forwarded-For"))
		_, _ = p.end()
	})
	w := newForwarder(t, securing(t, nil, upstream(t, nil)), func(s *exchange.Settings) {
		believing("127.0.0.0/8")(s)
		s.Protocol = exchange.ProtocolHTTP
	}, backend)
	w.sendsHeader(proxyproto.V1)
	plain := w.dial()
	plain.send(announcedText)
	conn := tls.Client(plain.Conn, trusting())
	if err := conn.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if body, _, err := exchangeOnce(newPeer(t, conn)); body != "192.0.2.7" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
}

// What is forwarded may be put into TLS on its way.
func TestAForwardedConnectionGoesOnByTLS(t *testing.T) {
	message := strings.Repeat("much", 256<<10)
	backend := announcedFirst(t, func(p *peerConn) {
		p.expect(message)
		p.send(message)
	})
	w := newForwarder(t, upstream(t, nil), believing("127.0.0.0/8"), backend)
	w.sendsHeader(proxyproto.V1)
	client := w.dial()
	client.send(announcedText + message)
	client.expect(message)
	if rest, err := client.end(); rest != "" || err != nil {
		t.Errorf("%d bytes more, %v", len(rest), err)
	}
	client.Close()
	w.atRest()
}
