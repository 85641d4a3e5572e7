package httpapi

import (
	"bytes"
	"fmt"
	"net"
)

// Listener returns a listener for the API's connections on which the refusals
// of net/http itself (a malformed request line, a head that is too large) say
// which node gave them, as every other answer does. net/http writes those
// without asking the handler.
func (a *API) Listener(of net.Listener) net.Listener { return refusalListener{of, a} }

type refusalListener struct {
	net.Listener
	api *API
}

// Accept implements [net.Listener].
func (l refusalListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return refusalConn{conn, l.api}, nil
}

type refusalConn struct {
	net.Conn
	api *API
}

// refusalHead follows the status line of each of those refusals, which are one
// write each. Answers of the API's own never begin so.
var refusalHead = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")

// Write implements [net.Conn].
func (c refusalConn) Write(p []byte) (int, error) {
	end := bytes.IndexByte(p, '\r')
	if end < 0 || !bytes.HasPrefix(p, []byte("HTTP/1.1 ")) || !bytes.HasPrefix(p[end:], refusalHead) {
		return c.Conn.Write(p)
	}
	a := c.api
	own := fmt.Appendf(nil, "\r\n%s: %s\r\n%s: %d", headerNode, a.config.NodeName, headerRevision, a.config.Cluster.State().Revision())
	if n, err := c.Conn.Write(bytes.Join([][]byte{p[:end], own, p[end:]}, nil)); err != nil {
		return min(n, len(p)), err
	}
	return len(p), nil
}
