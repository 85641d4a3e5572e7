package httpapi

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
)

// TLSListener returns a listener whose connections speak TLS 1.2 or newer with
// the certificate that the function returns. The handshake is made by the first
// read, so it is bounded as the head of a request is.
func TLSListener(of net.Listener, certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) net.Listener {
	return tlsListener{of, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: certificate,
	}}
}

type tlsListener struct {
	net.Listener
	config *tls.Config
}

// Accept implements [net.Listener].
func (l tlsListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tlsConn{tls.Server(conn, l.config)}, nil
}

type tlsConn struct{ *tls.Conn }

// plainRefusal answers a client that forgot the s of https.
const plainRefusal = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n" +
	"This API speaks TLS: ask it by https://\n"

// Read implements [net.Conn].
func (c tlsConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if plain := (tls.RecordHeaderError{}); errors.As(err, &plain) && plain.Conn != nil && looksLikeHTTP(plain.RecordHeader) {
		_, _ = io.WriteString(plain.Conn, plainRefusal) // the connection is closed in any case
		return n, io.EOF
	}
	return n, err
}

// looksLikeHTTP tells whether what came instead of a TLS record begins a request.
func looksLikeHTTP(head [5]byte) bool {
	switch string(head[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "PATCH", "DELET", "OPTIO":
		return true
	}
	return false
}
