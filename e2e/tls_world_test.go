package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

// secured is a cluster whose nodes have a listener "secure" of https, each at an
// address of its own, with one backend behind it.
type secured struct {
	*harness.Cluster
	authority *harness.Authority
	backend   *harness.Backend
	listening map[string]string // where "secure" listens, by the node's name
}

// startSecured starts a cluster of three with the listener as listener has it, and
// certificates by name.
func startSecured(t *testing.T, authority *harness.Authority, listener map[string]any, certificates map[string]harness.Pair) *secured {
	t.Helper()
	s := &secured{authority: authority, listening: map[string]string{}, Cluster: harness.Prepare(t, harness.Options{Nodes: 3})}
	for _, node := range s.Nodes {
		s.listening[node.Name] = node.Listen(t, "secure")
		node.Start(t)
	}
	s.WaitFormed(t)
	s.backend = harness.NewBackend(t, "web1")
	first := s.Nodes[0]
	first.Add(t, s.backend)
	for name, pair := range certificates {
		s.put(t, first, name, pair)
	}
	s.listen(t, listener)
	first.Write(t, http.MethodPut, "/v1/routes/secure", `{"listeners":["secure"],"pools":[{"name":"default"}]}`)
	return s
}

// put writes a certificate at a node.
func (s *secured) put(t *testing.T, at *harness.Node, name string, pair harness.Pair) {
	t.Helper()
	at.Write(t, http.MethodPut, "/v1/certificates/"+name, map[string]any{"chain": pair.Chain, "key": pair.Key})
}

// listen has the listener speak TLS so.
func (s *secured) listen(t *testing.T, listener map[string]any) {
	t.Helper()
	s.Nodes[0].Write(t, http.MethodPut, "/v1/listeners/secure", map[string]any{"address": ":443", "protocol": "https", "tls": listener})
}

// client is the TLS of a client that believes the cluster's authority and asks for
// a name.
func (s *secured) client(name string, protocols ...string) *tls.Config {
	return &tls.Config{ServerName: name, RootCAs: s.authority.Pool(), NextProtos: protocols}
}

// dial opens a connection to the node's listener "secure" and makes a handshake.
func (s *secured) dial(node *harness.Node, config *tls.Config) (*tls.Conn, error) {
	dialer := &tls.Dialer{Config: config, NetDialer: &net.Dialer{Timeout: harness.Patience}}
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	conn, err := dialer.DialContext(ctx, "tcp", s.listening[node.Name])
	if err != nil {
		return nil, err
	}
	return conn.(*tls.Conn), conn.SetDeadline(time.Now().Add(harness.Patience))
}

// shown returns the common name of the certificate that the node shows, once
// verified.
func (s *secured) shown(node *harness.Node, config *tls.Config) (string, error) {
	conn, err := s.dial(node, config)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
}

// waitShown waits until every running node shows the certificate of that common
// name.
func (s *secured) waitShown(t *testing.T, config *tls.Config, want string) {
	t.Helper()
	harness.Eventually(t, "every node shows "+want, func() error {
		for _, node := range s.Running() {
			if got, err := s.shown(node, config); err != nil || got != want {
				return fmt.Errorf("%s shows %q: %v", node.Name, got, err)
			}
		}
		return nil
	})
}

// waitServes waits until every running node answers over HTTP/1.1 from the backend.
func (s *secured) waitServes(t *testing.T, config *tls.Config) {
	t.Helper()
	harness.Eventually(t, "every node serves", func() error {
		for _, node := range s.Running() {
			if _, err := s.once(node, config); err != nil {
				return fmt.Errorf("%s: %w", node.Name, err)
			}
		}
		return nil
	})
}

// once asks for "/" on a connection of its own, which tells whether it resumed a
// session and with the tickets that it was given.
func (s *secured) once(node *harness.Node, config *tls.Config) (tls.ConnectionState, error) {
	conn, err := s.dial(node, config)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	_, err = askOn(conn, bufio.NewReader(conn), "/")
	return conn.ConnectionState(), err
}

// askOn sends a request of HTTP/1.1 and returns the body of the answer, which must
// be 200.
func askOn(conn net.Conn, reader *bufio.Reader, path string) (string, error) {
	if err := conn.SetDeadline(time.Now().Add(harness.Patience)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: a.example\r\n\r\n", path); err != nil {
		return "", err
	}
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return strings.TrimSpace(string(body)), err
}
