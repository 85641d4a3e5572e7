package secret

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const fixedSecret = "evenkeel-AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

func TestTokensCannotBeGuessedAndAreKnownByTheirForm(t *testing.T) {
	a, b := NewToken(), NewToken()
	if a == b || len(a) != 46 || !IsToken(a) {
		t.Errorf("got %q and %q", a, b)
	}
	for _, text := range []string{"", "ek-", a[:45], a + "A", "EK-" + a[3:], New(), strings.Repeat("a", 46)} {
		if IsToken(text) {
			t.Errorf("%q is taken for a token", text)
		}
	}
}

// Whoever wrote a token down finds it valid with the next build too, and so
// does whoever installed the authority.
func TestWhatIsDerivedForTheAPIIsForEver(t *testing.T) {
	tokens, err := BootstrapTokens([]byte(fixedSecret))
	if err != nil || len(tokens) != 1 {
		t.Fatalf("got %d tokens, %v", len(tokens), err)
	}
	if want := "ek-0S4G1F5DxfxCdptNbTTNRHOCNw03V83sFEWESO6oNpY"; tokens[0] != want {
		t.Errorf("the token is %s, want %s", tokens[0], want)
	}
	text, err := parse(t, fixedSecret).WebAuthorities()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("no PEM: %s", text)
	}
	authority := certificates(t, block.Bytes)[0]
	hash := sha256.Sum256(authority.RawSubjectPublicKeyInfo)
	if got, want := hex.EncodeToString(hash[:]), "8505c314c9f8f3e429823153debf235914aba33ccf0c205a8504eb03e92747e3"; got != want {
		t.Errorf("the authority's key has the SHA-256 %s, want %s", got, want)
	}
	if got, want := authority.Subject.String(), "CN=Evenkeel cluster 593ca7b2,O=Evenkeel"; got != want {
		t.Errorf("the authority is called %s, want %s", got, want)
	}
}

func TestEachSecretOfARingHasItsToken(t *testing.T) {
	one, two := New(), New()
	tokens, err := BootstrapTokens([]byte("# both\n" + one + "\n" + two + "\n"))
	if err != nil || len(tokens) != 2 || !IsToken(tokens[0]) || tokens[0] == tokens[1] {
		t.Fatalf("got %q, %v", tokens, err)
	}
	hashes := parse(t, two+"\n"+one).BootstrapHashes()
	if len(hashes) != 2 || hashes[0] != HashToken(tokens[1]) || hashes[1] != HashToken(tokens[0]) {
		t.Error("a node with both secrets does not know both tokens in its own order")
	}
	if got := Loopback().BootstrapHashes(); got != nil {
		t.Errorf("without a secret %d tokens are valid", len(got))
	}
	if _, err := BootstrapTokens([]byte("short-secret")); err == nil || strings.Contains(err.Error(), "short-secret") {
		t.Errorf("error %v", err)
	}
}

func TestTheAuthorityIsOneForEveryClient(t *testing.T) {
	one, two := New(), New()
	text, err := parse(t, one+"\n"+two).WebAuthorities()
	if err != nil {
		t.Fatal(err)
	}
	again, err := parse(t, one+"\n"+two).WebAuthorities()
	if err != nil || !bytes.Equal(text, again) {
		t.Errorf("the certificates are others at the next call, %v", err)
	}
	var names []string
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if !certificate.IsCA || !certificate.BasicConstraintsValid || certificate.KeyUsage&x509.KeyUsageCertSign == 0 {
			t.Errorf("%s is no authority", certificate.Subject)
		}
		if _, ok := certificate.PublicKey.(*ecdsa.PublicKey); !ok {
			t.Errorf("the key is a %T", certificate.PublicKey)
		}
		names = append(names, certificate.Subject.String())
	}
	if len(names) != 2 || names[0] == names[1] {
		t.Errorf("the authorities of two secrets are %q", names)
	}
	if _, err := Loopback().WebAuthorities(); err == nil || !strings.Contains(err.Error(), "evenkeel secret") {
		t.Errorf("without a secret: %v", err)
	}
	if _, err := Loopback().WebCertificate("n1", nil, time.Now()); err == nil {
		t.Error("without a secret a certificate was issued")
	}
}

// serveWeb serves "hello" with a certificate for 127.0.0.1 and n1, and returns
// the URL and a file with the authority.
func serveWeb(t *testing.T, ring *Ring) (url, authority string) {
	t.Helper()
	certificate, err := ring.WebCertificate("n1", []string{"n1", "127.0.0.1", "n1", "127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if leaf := certificate.Leaf; len(leaf.DNSNames) != 1 || len(leaf.IPAddresses) != 1 {
		t.Errorf("names %q and %q, want one of each", leaf.DNSNames, leaf.IPAddresses)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{*certificate}}
	server.StartTLS()
	t.Cleanup(server.Close)
	text, err := ring.WebAuthorities()
	if err != nil {
		t.Fatal(err)
	}
	authority = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return server.URL, authority
}

func TestClientsThatWeDidNotWriteTrustTheAPI(t *testing.T) {
	url, authority := serveWeb(t, parse(t, New()+"\n"+New()))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for name, command := range map[string][]string{
		"curl":    {"curl", "--silent", "--show-error", "--cacert", authority, url},
		"openssl": {"openssl", "s_client", "-brief", "-verify_return_error", "-verify_ip", "127.0.0.1", "-CAfile", authority, "-connect", strings.TrimPrefix(url, "https://")},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(command[0]); err != nil {
				t.Skip(err)
			}
			out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

func TestACertificateIsForItsHostsAndItsTimeAlone(t *testing.T) {
	ring := parse(t, New())
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	certificate, err := ring.WebCertificate("n1", []string{"n1", "10.0.0.1", "fd00::1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	text, err := ring.WebAuthorities()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("no certificates in the PEM")
	}
	for name, c := range map[string]struct {
		host string
		at   time.Time
		good bool
	}{
		"its name":                 {"n1", now, true},
		"its address":              {"10.0.0.1", now, true},
		"its address of IPv6":      {"fd00::1", now, true},
		"another name":             {"n2", now, false},
		"a clock that is behind":   {"n1", now.Add(-20 * time.Hour), true},
		"shortly before the end":   {"n1", now.Add(WebLifetime - time.Minute), true},
		"after the end":            {"n1", now.Add(WebLifetime + time.Minute), false},
		"two days before its time": {"n1", now.Add(-48 * time.Hour), false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := certificate.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: c.host, CurrentTime: c.at})
			if (err == nil) != c.good {
				t.Errorf("error %v, want one: %t", err, !c.good)
			}
		})
	}
}

func TestNeitherAuthorityIssuesForTheOther(t *testing.T) {
	ring := parse(t, New())
	web, err := ring.WebCertificate("n1", []string{"n1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	id, err := ring.Identity(alice)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := id.PeerUID(tls.ConnectionState{PeerCertificates: []*x509.Certificate{web.Leaf}}); !errors.Is(err, ErrWrongSecret) {
		t.Errorf("a certificate of the API is a peer's: %v", err)
	}
	text, err := ring.WebAuthorities()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	peer := certificates(t, id.certificate.Certificate[0])[0]
	if _, ok := peer.PublicKey.(ed25519.PublicKey); !ok {
		t.Fatalf("a peer's key is a %T", peer.PublicKey)
	}
	if _, err := peer.Verify(x509.VerifyOptions{Roots: roots}); err == nil {
		t.Error("a peer's certificate is one of the API")
	}
}
