package certificates

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// lines is a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestACertificateThatNeedsAStapleHasOne(t *testing.T) {
	a := theAuthority()
	var broken atomic.Bool
	status := ocsp.Good
	responder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		question, err := io.ReadAll(r.Body)
		if err != nil || broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		asked, err := ocsp.ParseRequest(question)
		if err != nil {
			t.Error(err)
			return
		}
		answer, err := ocsp.CreateResponse(a.cert, a.cert, ocsp.Response{
			Status: status, SerialNumber: asked.SerialNumber, ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour),
			RevokedAt: time.Now(),
		}, a.key)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(answer)
	}))
	defer responder.Close()
	must := func(c *x509.Certificate) {
		c.OCSPServer = []string{responder.URL}
		c.ExtraExtensions = []pkix.Extension{{Id: featureExtension, Value: []byte{0x30, 3, 2, 1, 5}}}
	}
	key := newECDSA()
	fresh := func() *Certificate {
		c, err := Parse("one", a.chain(t, key, must, "one.test"), keyPEM(t, key))
		if err != nil || !c.MustStaple {
			t.Fatalf("it needs no staple: %v", err)
		}
		return c
	}
	log := new(lines)
	s := NewStapler(slog.New(slog.NewTextHandler(log, nil)))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	client := &tls.Config{RootCAs: a.pool(), ServerName: "one.test"}
	one := fresh()
	s.Follow([]*Certificate{one, a.issue(t, "needs none", newECDSA(), "two.test")})
	until(t, "there is a staple", func() bool {
		seen, _, err := meet(t, serverOf(t, Settings{Certificates: []*Certificate{one}}), client)
		if err != nil {
			t.Fatal(err)
		}
		return len(seen.OCSPResponse) > 0
	})
	broken.Store(true)
	other := fresh()
	s.Follow([]*Certificate{other})
	until(t, "it is told", func() bool { return strings.Contains(log.String(), "500") })
	if seen, _, err := meet(t, serverOf(t, Settings{Certificates: []*Certificate{other}}), client); err != nil || len(seen.OCSPResponse) > 0 {
		t.Errorf("without a staple the handshake ended with %v", err)
	}
	if _, _, err := s.fetch(t.Context(), a.issue(t, "mute", key, "a.test")); !has(err, "names no OCSP server") {
		t.Error(err)
	}
	broken.Store(false)
	status = ocsp.Revoked
	if _, _, err := s.fetch(t.Context(), other); !has(err, "was revoked") {
		t.Error(err)
	}
}

// until polls.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Second, errors.New(what))
	defer cancel()
	for !holds() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("never came true: %v", context.Cause(ctx))
		}
	}
}
