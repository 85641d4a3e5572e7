package secret

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	alice = "0a6d0f6e-0000-4000-8000-00000000000a"
	bob   = "0a6d0f6e-0000-4000-8000-00000000000b"
)

func TestHandshake(t *testing.T) {
	older, newer, other := New(), New(), New()
	cases := []struct {
		name           string
		client, server string
		want           error
	}{
		{"one secret", newer, newer, nil},
		{"the client goes ahead in a rotation", newer + "\n" + older, older, nil},
		{"the server goes ahead in a rotation", older, newer + "\n" + older, nil},
		{"the client is at the end of a rotation", newer, older + "\n" + newer, nil},
		{"the server is at the end of a rotation", older + "\n" + newer, newer, nil},
		{"both are in the middle of a rotation", older + "\n" + newer, newer + "\n" + older, nil},
		{"another secret", newer, other, ErrWrongSecret},
		{"a retired secret", older, newer, ErrWrongSecret},
		{"the rings share none", newer + "\n" + older, other, ErrWrongSecret},
		{"no secret against one", "", newer, ErrWrongSecret},
		{"no secret on either side", "", "", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a, b := identity(t, c.client, alice), identity(t, c.server, bob)
			clientErr, serverErr := shake(t, a.Client("p", bob), b.Server("p"))
			if !errors.Is(clientErr, c.want) {
				t.Errorf("client got %v, want %v", clientErr, c.want)
			}
			if (serverErr == nil) != (c.want == nil) {
				t.Errorf("server got %v", serverErr)
			}
		})
	}
}

func TestServerRefusesWhoHasNoSecret(t *testing.T) {
	text := New()
	server := identity(t, text, bob)
	stranger := identity(t, New(), alice)
	member := identity(t, text, alice)

	careless := stranger.Client("p", "")
	careless.VerifyConnection = nil
	thief := stranger.Client("p", "")
	thief.VerifyConnection = nil
	// The certificate of a member that it met, behind one for its own key.
	stolen := tls.Certificate{PrivateKey: stranger.certificate.PrivateKey}
	stolen.Certificate = append(stolen.Certificate, stranger.certificate.Certificate[0], member.certificate.Certificate[0])
	thief.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &stolen, nil }
	anonymous := member.Client("p", "")
	anonymous.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }
	old := member.Client("p", "")
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12

	for name, client := range map[string]*tls.Config{
		"it does not care who answers": careless, "it shows a member's certificate": thief,
		"it shows no certificate": anonymous, "it speaks an old TLS": old,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := shake(t, client, server.Server("p")); err == nil {
				t.Fatal("the server let it in")
			}
		})
	}
}

func TestClientWantsTheNodeItAskedFor(t *testing.T) {
	text := New()
	clientErr, _ := shake(t, identity(t, text, alice).Client("p", alice), identity(t, text, bob).Server("p"))
	if !errors.Is(clientErr, ErrWrongPeer) || !strings.Contains(clientErr.Error(), bob) {
		t.Fatalf("got %v", clientErr)
	}
}

func TestTwoProcessesWithOneUIDAreNoticed(t *testing.T) {
	text := New()
	clientErr, _ := shake(t, identity(t, text, alice).Client("p", ""), identity(t, text, alice).Server("p"))
	if !errors.Is(clientErr, ErrSameUID) {
		t.Fatalf("got %v", clientErr)
	}
	self := identity(t, text, alice)
	clientErr, serverErr := shake(t, self.Client("p", alice), self.Server("p"))
	if clientErr != nil || serverErr != nil {
		t.Fatalf("a node cannot talk to itself: %v, %v", clientErr, serverErr)
	}
}

func TestClockDoesNotMatter(t *testing.T) {
	text := New()
	for name, now := range map[string]time.Time{
		"a clock that was never set":     time.Unix(0, 0).AddDate(-10, 0, 0),
		"a clock in the far-away future": time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		t.Run(name, func(t *testing.T) {
			client := identity(t, text, alice).Client("p", bob)
			server := identity(t, text, bob).Server("p")
			client.Time = func() time.Time { return now }
			server.Time = client.Time
			if clientErr, serverErr := shake(t, client, server); clientErr != nil || serverErr != nil {
				t.Fatalf("got %v, %v", clientErr, serverErr)
			}
		})
	}
}

func TestIdentityRefusesAnImpossibleUID(t *testing.T) {
	for _, uid := range []string{"", "a/b", "a b", "a.b", strings.Repeat("a", 65), "é"} {
		if _, err := parse(t, New()).Identity(uid); err == nil {
			t.Errorf("uid %q was accepted", uid)
		}
	}
}

func TestCertificateOfAnotherFormNamesNobody(t *testing.T) {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ring := parse(t, New())
	id := identity(t, New(), alice)
	id.trusted = []ed25519.PublicKey{ring.entries[0].authority.Public().(ed25519.PublicKey)}
	der, err := issue("not a uid", public, ring.entries[0].authority)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := id.PeerUID(tls.ConnectionState{PeerCertificates: certificates(t, der)}); !errors.Is(err, ErrWrongSecret) {
		t.Fatalf("got %v", err)
	}
	if _, err := id.PeerUID(tls.ConnectionState{}); !errors.Is(err, ErrWrongSecret) {
		t.Fatalf("without a certificate: got %v", err)
	}
}

// shake runs a handshake and one byte each way, so that both sides know how
// the other decided.
func shake(t *testing.T, client, server *tls.Config) (clientErr, serverErr error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	done := make(chan error, 1)
	go func() {
		raw, err := listener.Accept()
		if err == nil {
			err = exchange(tls.Server(raw, server), raw)
		}
		done <- err
	}()
	raw, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	clientErr = exchange(tls.Client(raw, client), raw)
	return clientErr, <-done
}

func exchange(c *tls.Conn, raw net.Conn) error {
	defer raw.Close()
	if err := raw.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	if _, err := c.Write([]byte{1}); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, 1))
	return err
}

func identity(t testing.TB, text, uid string) *Identity {
	t.Helper()
	ring := Loopback()
	if text != "" {
		ring = parse(t, text)
	}
	id, err := ring.Identity(uid)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func certificates(t testing.TB, der []byte) []*x509.Certificate {
	t.Helper()
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return []*x509.Certificate{certificate}
}

func FuzzCertificateUID(f *testing.F) {
	for _, seed := range []string{"evenkeel://node/" + alice, "evenkeel://node/", "evenkeel://node/a/b", "https://node/a", "evenkeel://u@node/a?x#y", "evenkeel://node//a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		uri, err := url.Parse(text)
		if err != nil {
			return
		}
		uid, ok := certificateUID(&x509.Certificate{URIs: []*url.URL{uri}})
		if ok && text != "evenkeel://node/"+uid && !strings.EqualFold(text, "evenkeel://node/"+uid) {
			t.Fatalf("%q names %q", text, uid)
		}
	})
}
