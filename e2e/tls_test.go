package e2e

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"evenkeel/e2e/harness"
)

func TestACertificateOfTheRegistryIsServedByEveryNode(t *testing.T) {
	authority := harness.NewAuthority(t, "an authority")
	certificates := map[string]harness.Pair{
		"first": authority.Issue(t, "the default", "a.example"),
		"exact": authority.Issue(t, "the exact one", "www.b.example"),
		"wild":  authority.Issue(t, "the wildcard", "*.b.example"),
	}
	tlsOf := map[string]any{"certificates": []string{"first", "wild", "exact"}}
	s := startSecured(t, authority, tlsOf, certificates)
	s.waitServes(t, s.client("a.example"))

	t.Run("by the name that is asked for", func(t *testing.T) {
		for _, node := range s.Nodes {
			for name, want := range map[string]string{"a.example": "the default", "www.b.example": "the exact one", "other.b.example": "the wildcard"} {
				if got, err := s.shown(node, s.client(name)); err != nil || got != want {
					t.Errorf("%s shows %q for %s, want %q: %v", node.Name, got, name, want, err)
				}
			}
			unknown := s.client("unknown.example")
			unknown.InsecureSkipVerify = true
			if got, err := s.shown(node, unknown); err != nil || got != "the default" {
				t.Errorf("%s shows %q for an unknown name: %v", node.Name, got, err)
			}
		}
	})
	t.Run("with HTTP/2 and HTTP/1.1", s.speaksBoth)
	t.Run("and plain HTTP gets an answer that it can read", s.answersPlainHTTP)
	t.Run("and sessions resume on the other nodes", s.resumesElsewhere)
	t.Run("and a name of none is refused if so told", func(t *testing.T) {
		tlsOf["unknown_name"] = "refuse"
		s.listen(t, tlsOf)
		for _, node := range s.Nodes {
			harness.Eventually(t, node.Name+" refuses", func() error {
				// crypto/tls has no type for the alerts that a peer sends.
				if _, err := s.shown(node, s.client("unknown.example")); err == nil || !strings.HasSuffix(err.Error(), "tls: unrecognized name") {
					return fmt.Errorf("the handshake ended: %v", err)
				}
				return nil
			})
			if got, err := s.shown(node, s.client("x.b.example")); err != nil || got != "the wildcard" {
				t.Errorf("%s shows %q for a name that it knows: %v", node.Name, got, err)
			}
		}
	})
}

func (s *secured) speaksBoth(t *testing.T) {
	for _, node := range s.Nodes {
		for protocol, want := range map[string]string{"h2": "HTTP/2.0", "http/1.1": "HTTP/1.1"} {
			transport := &http.Transport{TLSClientConfig: s.client("a.example", protocol), ForceAttemptHTTP2: protocol == "h2"}
			client := &http.Client{Transport: transport, Timeout: harness.Patience}
			response, err := client.Get("https://" + s.listening[node.Name] + "/echo")
			if err != nil {
				t.Fatalf("%s: %s: %v", node.Name, protocol, err)
			}
			var echo harness.Echo
			err = json.NewDecoder(response.Body).Decode(&echo)
			response.Body.Close()
			transport.CloseIdleConnections()
			if err != nil || response.Proto != want || response.TLS.NegotiatedProtocol != protocol {
				t.Errorf("%s: %s over %q, want %s: %v", node.Name, response.Proto, response.TLS.NegotiatedProtocol, want, err)
			}
			if got := echo.Header.Get("X-Forwarded-Proto"); got != "https" {
				t.Errorf("%s: over %s the backend was told that the client came by %q", node.Name, protocol, got)
			}
		}
		if _, err := s.dial(node, s.client("a.example", "gopher")); err == nil {
			t.Errorf("%s: ALPN has no protocol in common, and the handshake passes", node.Name)
		}
	}
}

func (s *secured) answersPlainHTTP(t *testing.T) {
	for _, node := range s.Nodes {
		k := harness.Keepalive{Address: s.listening[node.Name]}
		reply, err := k.Get("/")
		k.Close()
		if err != nil || reply.Status != http.StatusBadRequest || !strings.Contains(strings.ToLower(reply.Body), "https") {
			t.Errorf("%s: plain HTTP is answered %d %q: %v", node.Name, reply.Status, reply.Body, err)
		}
	}
}

// resumesElsewhere takes a ticket of one node to all of them.
func (s *secured) resumesElsewhere(t *testing.T) {
	for version, name := range map[uint16]string{tls.VersionTLS12: "TLS 1.2", tls.VersionTLS13: "TLS 1.3"} {
		config := s.ticket(t, s.Nodes[0], version)
		for _, node := range s.Nodes {
			if state, err := s.once(node, config); err != nil || !state.DidResume || state.Version != version {
				t.Errorf("a session of n1 is resumed on %s over %s: %v: %v", node.Name, name, state.DidResume, err)
			}
		}
	}
}

// ticket returns the TLS of a client that a node has given a session to, which it
// resumes wherever it connects.
func (s *secured) ticket(t *testing.T, of *harness.Node, version uint16) *tls.Config {
	t.Helper()
	config := s.client("a.example")
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	config.MinVersion, config.MaxVersion = version, version
	if state, err := s.once(of, config); err != nil || state.DidResume {
		t.Fatalf("a first session: resumed %v, %v", state.DidResume, err)
	}
	return config
}

// held are connections that were opened before something happens: over HTTP/1.1
// and HTTP/2, to every node.
type held struct {
	node   *harness.Node
	conn   *tls.Conn
	reader *bufio.Reader
	http2  *http.Client
	opened *[]string // the common names shown to http2
	url    string
}

// hold opens connections to every node and uses them.
func (s *secured) hold(t *testing.T) []held {
	t.Helper()
	all := make([]held, 0, len(s.Nodes))
	for _, node := range s.Nodes {
		h := held{node: node, opened: &[]string{}, url: "https://" + s.listening[node.Name] + "/"}
		var err error
		if h.conn, err = s.dial(node, s.client("a.example")); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.conn.Close() })
		h.reader = bufio.NewReader(h.conn)
		config := s.client("a.example")
		config.VerifyConnection = func(state tls.ConnectionState) error { // one call of the client at a time
			*h.opened = append(*h.opened, state.PeerCertificates[0].Subject.CommonName)
			return nil
		}
		transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
		t.Cleanup(transport.CloseIdleConnections)
		h.http2 = &http.Client{Transport: transport, Timeout: harness.Patience}
		h.use(t)
		all = append(all, h)
	}
	return all
}

// use asks on both connections, which must be the first ones still.
func (h held) use(t *testing.T) {
	t.Helper()
	if _, err := askOn(h.conn, h.reader, "/"); err != nil {
		t.Errorf("%s: an open connection of HTTP/1.1: %v", h.node.Name, err)
	}
	response, err := h.http2.Get(h.url)
	if err != nil {
		t.Errorf("%s: an open connection of HTTP/2: %v", h.node.Name, err)
		return
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK || response.ProtoMajor != 2 {
		t.Errorf("%s: an open connection of HTTP/2: %s %s: %v", h.node.Name, response.Proto, response.Status, err)
	}
	if len(*h.opened) != 1 {
		t.Errorf("%s: the client of HTTP/2 opened connections to %q, want one", h.node.Name, *h.opened)
	}
}

// TestCertificatesAndSessionsOutliveWhatHappensToNodes replaces a certificate under
// load, restarts a node, kills the leader and in the end stops all nodes.
func TestCertificatesAndSessionsOutliveWhatHappensToNodes(t *testing.T) {
	authority := harness.NewAuthority(t, "an authority")
	s := startSecured(t, authority, nil, map[string]harness.Pair{"site": authority.Issue(t, "the old one", "a.example")})
	s.waitServes(t, s.client("a.example"))
	session := s.ticket(t, s.Nodes[0], tls.VersionTLS13)

	open := s.hold(t)
	load := s.load(t)
	s.put(t, s.Followers(t)[0], "site", authority.Issue(t, "the new one", "a.example"))
	s.waitShown(t, s.client("a.example"), "the new one")
	load.waitRequests(t, 20)
	load.stopClean(t)
	for _, h := range open {
		h.use(t)
	}

	restarted := s.Followers(t)[1]
	restarted.Stop(t)
	restarted.Start(t)
	s.WaitFormed(t)
	s.waitShown(t, s.client("a.example"), "the new one")
	s.waitResumes(t, session)

	dead := s.Leader(t)
	dead.Kill()
	s.Leader(t)
	s.waitResumes(t, session)
	// What the next leader's followers seal is opened by all.
	s.put(t, s.Followers(t)[0], "site", authority.Issue(t, "the newest", "a.example"))
	s.waitShown(t, s.client("a.example"), "the newest")
	dead.Start(t)
	s.WaitFormed(t)
	s.waitShown(t, s.client("a.example"), "the newest")
	s.waitResumes(t, session)

	for _, node := range s.Nodes {
		node.Kill()
	}
	for _, node := range s.Nodes {
		node.Start(t)
	}
	s.WaitFormed(t)
	s.waitShown(t, s.client("a.example"), "the newest")
	s.waitResumes(t, session)
	s.waitServes(t, s.client("a.example", "http/1.1"))
}

// waitResumes waits until every running node resumes the session, and answers.
func (s *secured) waitResumes(t *testing.T, session *tls.Config) {
	t.Helper()
	harness.Eventually(t, "every node resumes a session", func() error {
		for _, node := range s.Running() {
			if state, err := s.once(node, session); err != nil || !state.DidResume {
				return fmt.Errorf("%s: resumed %v: %v", node.Name, state.DidResume, err)
			}
		}
		return nil
	})
}

func TestClientsShowCertificatesWhereTheListenerAsksForThem(t *testing.T) {
	authority, users := harness.NewAuthority(t, "an authority"), harness.NewAuthority(t, "of users")
	ann, stranger := users.Issue(t, "ann"), authority.Issue(t, "mallory")
	s := startSecured(t, authority, map[string]any{"client_auth": map[string]any{"ca": users.PEM}},
		map[string]harness.Pair{"site": authority.Issue(t, "the server", "a.example")})
	with := func(pair *harness.Pair) *tls.Config {
		config := s.client("a.example", "http/1.1")
		if pair != nil { // whatever the server says that it takes
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair.TLS, nil }
		}
		return config
	}
	s.waitServes(t, with(&ann))
	for _, node := range s.Nodes {
		s.wantSubject(t, node, with(&ann), []string{"CN=ann,O=Evenkeel"})
		s.wantRefused(t, node, with(nil), "certificate required")
		s.wantRefused(t, node, with(&stranger), "unknown certificate authority")
	}

	s.listen(t, map[string]any{"client_auth": map[string]any{"ca": users.PEM, "mode": "optional"}})
	s.waitServes(t, with(nil))
	for _, node := range s.Nodes {
		s.wantSubject(t, node, with(&ann), []string{"CN=ann,O=Evenkeel"})
		s.wantSubject(t, node, with(nil), nil)
		s.wantRefused(t, node, with(&stranger), "unknown certificate authority")
	}
}

// wantSubject asks what the backend is told of the client's certificate, which the
// client itself says too.
func (s *secured) wantSubject(t *testing.T, node *harness.Node, config *tls.Config, want []string) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.listening[node.Name]+"/echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Client-Cert-Subject", "CN=forged")
	response, err := (&http.Client{Transport: transport, Timeout: harness.Patience}).Do(request)
	if err != nil {
		t.Errorf("%s: %v", node.Name, err)
		return
	}
	defer response.Body.Close()
	var echo harness.Echo
	if err := json.NewDecoder(response.Body).Decode(&echo); err != nil {
		t.Errorf("%s: %v", node.Name, err)
	}
	if got := echo.Header["X-Client-Cert-Subject"]; !slices.Equal(got, want) {
		t.Errorf("%s: the backend was told of %q, want %q", node.Name, got, want)
	}
}

// wantRefused makes a handshake that the node ends with an alert of that text. Over
// TLS 1.3 a client learns of it when it reads.
func (s *secured) wantRefused(t *testing.T, node *harness.Node, config *tls.Config, alert string) {
	t.Helper()
	if _, err := s.once(node, config); err == nil || !strings.Contains(err.Error(), alert) {
		t.Errorf("%s: the client is not refused with %q: %v", node.Name, alert, err)
	}
}
