package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

// siteCertificate returns a certificate that is its own authority, and its key, in PEM.
func siteCertificate(t testing.TB, host string) (chain, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
}

func TestABackupWithCertificatesIsRestoredByWhoHasItsSecret(t *testing.T) {
	dir := t.TempDir()
	file, secret, address := filepath.Join(dir, "saved"), filepath.Join(dir, "secret"), harness.FreeAddress(t)
	chain, key := siteCertificate(t, "site.example")
	// shown is nil if handshakes with the node's listener come to something.
	shown := func() error {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(chain))
		conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: "site.example"})
		if err == nil {
			err = conn.Close()
		}
		return err
	}
	t.Run("saved", func(t *testing.T) {
		cluster := harness.NewCluster(t, harness.Options{Nodes: 1})
		if err := os.WriteFile(secret, []byte(cluster.Secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		harness.Eventually(t, "the certificate is written", func() error {
			_, err := cluster.Nodes[0].Call(http.MethodPut, "/v1/certificates/site", map[string]any{"chain": chain, "key": key})
			return err
		})
		cluster.Nodes[0].Write(t, http.MethodPut, "/v1/listeners/secure", map[string]any{"address": address, "protocol": "https"})
		harness.Eventually(t, "the listener speaks TLS", shown)
		if said, code := commandLine(t, "snapshot", "save", file, "--api", cluster.Nodes[0].Address); code != 0 {
			t.Fatalf("save: exit %d: %s", code, said)
		}
		if said, code := commandLine(t, "snapshot", "inspect", file); code != 0 || !strings.Contains(said, "sealed under secret") {
			t.Errorf("inspect: exit %d: %s", code, said)
		}
	})
	t.Run("restored", func(t *testing.T) {
		if _, err := os.Stat(file); err != nil {
			t.Fatal(err)
		}
		cluster := harness.NewCluster(t, harness.Options{Nodes: 1})
		restore := func(more ...string) (said string, code int) {
			return commandLine(t, append([]string{"snapshot", "restore", file, "--yes", "--api", cluster.Nodes[0].Address}, more...)...)
		}
		harness.Eventually(t, "it is refused for its keys", func() error {
			said, code := restore()
			if code == 0 {
				t.Fatalf("it was restored without the secret: %s", said)
			}
			if !strings.Contains(said, "(site)") || !strings.Contains(said, "--old-secret-file") || !strings.Contains(said, "nothing was changed") {
				return errors.New(said)
			}
			return nil
		})
		if answer, err := cluster.Nodes[0].Call(http.MethodGet, "/v1/listeners/secure", nil); err != nil || answer.Status != http.StatusNotFound {
			t.Errorf("something was restored: %v, %v", answer, err)
		}
		wrong := filepath.Join(dir, "wrong")
		if err := os.WriteFile(wrong, []byte(cluster.Secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if said, code := restore("--old-secret-file", wrong); code == 0 || !strings.Contains(said, "does not open the snapshot's private keys") {
			t.Errorf("another secret: exit %d: %s", code, said)
		}
		if said, code := restore("--old-secret-file", secret); code != 0 {
			t.Fatalf("restore: exit %d: %s", code, said)
		}
		harness.Eventually(t, "the certificate is shown", shown)
	})
}
