package httpapi_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"evenkeel/httpapi"
)

// selfSigned issues a certificate that names its hosts and trusts itself.
func selfSigned(t testing.TB, name string, hosts []string, now time.Time) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(90 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func writePair(t testing.TB, dir string, pair *tls.Certificate) (certPath, keyPath string) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certPath, keyPath = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{certPath: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, keyPath: {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certPath, keyPath
}

// safeBuffer is a log that one goroutine writes and another reads.
type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func subject(t testing.TB, files *httpapi.CertificateFiles) string {
	t.Helper()
	pair, err := files.Certificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf.Subject.CommonName
}

func TestANewCertificateIsTakenWithoutARestartAndABadOneIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		certPath, keyPath := writePair(t, dir, selfSigned(t, "first", nil, time.Now()))
		log := &safeBuffer{}
		files, err := httpapi.OpenCertificate(certPath, keyPath, slog.New(slog.NewTextHandler(log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { files.Run(ctx) })
		// later lets the files be looked at some times.
		later := func() {
			time.Sleep(10 * time.Second) // of the bubble's clock
			synctest.Wait()
		}
		wants := func(name string, lines int, last string) {
			t.Helper()
			later()
			if got := subject(t, files); got != name {
				t.Errorf("%s is served, want %s", got, name)
			}
			if got := strings.Count(log.String(), "\n"); got != lines || !strings.Contains(log.String(), last) {
				t.Errorf("%d lines in the log, want %d, the last with %q:\n%s", got, lines, last, log.String())
			}
		}
		wants("first", 0, "")
		writePair(t, dir, selfSigned(t, "second", nil, time.Now()))
		wants("second", 1, "a new one")
		if err := os.WriteFile(certPath, []byte("no certificate"), 0o600); err != nil {
			t.Fatal(err)
		}
		wants("second", 2, "cannot be served")
		if err := os.Remove(keyPath); err != nil {
			t.Fatal(err)
		}
		wants("second", 3, "cannot be read")
		writePair(t, dir, selfSigned(t, "third", nil, time.Now()))
		wants("third", 4, "third")
		writePair(t, dir, selfSigned(t, "old", nil, time.Now().Add(-time.Hour*24*365)))
		wants("third", 5, "has expired")
		stop()
		running.Wait()
	})
}

func TestAnIssuedCertificateNamesTheNodeAndIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		issued := 0
		c := &httpapi.IssuedCertificate{
			Hosts: func() []string { return []string{"n1", "10.9.8.7", "not a host", "fe80::1%eth0"} },
			Issue: func(hosts []string, now time.Time) (*tls.Certificate, error) {
				issued++
				asked = hosts
				return selfSigned(t, "n1", hosts, now), nil
			},
		}
		take := func(want int) {
			t.Helper()
			if _, err := c.Certificate(nil); err != nil || issued != want {
				t.Fatalf("%d were issued, want %d; error %v", issued, want, err)
			}
		}
		take(1)
		for _, host := range []string{"localhost", "127.0.0.1", "::1", "n1", "10.9.8.7"} {
			if !slices.Contains(asked, host) {
				t.Errorf("%s is not among %q", host, asked)
			}
		}
		if slices.Contains(asked, "not a host") || slices.Contains(asked, "fe80::1%eth0") {
			t.Errorf("what is no host is among %q", asked)
		}
		take(1)
		time.Sleep(29 * 24 * time.Hour) // of the bubble's clock
		take(1)
		time.Sleep(2 * 24 * time.Hour)
		take(2)
	})
}

func TestTheAPISpeaksTLSAndTellsWhoDoesNot(t *testing.T) {
	c := &httpapi.IssuedCertificate{
		Hosts: func() []string { return nil },
		Issue: func(hosts []string, now time.Time) (*tls.Certificate, error) {
			return selfSigned(t, "n1", hosts, now), nil
		},
	}
	api := httpapi.New(httpapi.Config{Cluster: newFakeCluster(t), NodeName: "n1", Version: "test"})
	listener := listen(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- httpapi.Serve(ctx, api.Listener(httpapi.TLSListener(listener, c.Certificate)), api.Handler(), slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	address := listener.Addr().String()
	certificate, err := c.Certificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate.Leaf)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	response, err := client.Get("https://" + address + "/v1/pools")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 200 || response.Header.Get("X-Evenkeel-Node") != "n1" {
		t.Errorf("got %s %v", response.Status, response.Header)
	}

	raw, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if err := raw.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	io.WriteString(raw, "GET /v1/pools HTTP/1.1\r\nHost: localhost\r\n\r\n")
	text, _ := io.ReadAll(raw) // what came before a reset counts
	if !strings.HasPrefix(string(text), "HTTP/1.1 400 Bad Request\r\n") || !strings.Contains(string(text), "https://") {
		t.Errorf("plain HTTP got %q", text)
	}
}
