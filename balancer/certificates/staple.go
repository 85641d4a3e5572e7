package certificates

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/crypto/ocsp"
)

const (
	// stapleWithin is how long one question for a staple may take.
	stapleWithin = 10 * time.Second
	// stapleAgain is when a question that was not answered is asked again at first,
	// and stapleLatest when it is after many that were not.
	stapleAgain  = time.Minute
	stapleLatest = time.Hour
	// stapleDefault is how long an answer is good that does not say so.
	stapleDefault = time.Hour
	stapleBytes   = 64 << 10 // of an answer
)

// Stapler gets, for certificates that clients want a staple with, the word of
// their issuers that they were not revoked (RFC 6960), and keeps it fresh. Until
// there is one, handshakes go on without, which such clients refuse.
type Stapler struct {
	client *http.Client
	logger *slog.Logger
	wake   chan struct{}

	mu     sync.Mutex // guards what follows
	wanted []*Certificate
}

// NewStapler returns one that knows of no certificate; [Stapler.Run] starts it.
func NewStapler(logger *slog.Logger) *Stapler {
	return &Stapler{
		client: &http.Client{Timeout: stapleWithin, Transport: &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment}},
		logger: logger, wake: make(chan struct{}, 1),
	}
}

// Follow sets which certificates are in use. It does not wait.
func (s *Stapler) Follow(certificates []*Certificate) {
	var wanted []*Certificate
	for _, c := range certificates {
		if c.MustStaple {
			wanted = append(wanted, c)
		}
	}
	s.mu.Lock()
	s.wanted = wanted
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // it is about to look
	}
}

// stapling is what is known of one certificate's staple.
type stapling struct {
	next   time.Time     // when it is asked for
	pause  time.Duration // after the next failure
	until  time.Time     // when the present one ends
	failed bool          // and somebody was told
}

// Run asks until ctx ends, one issuer at a time.
func (s *Stapler) Run(ctx context.Context) error {
	known := map[*Certificate]*stapling{}
	timer := time.NewTimer(stapleLatest)
	defer timer.Stop()
	for ctx.Err() == nil {
		s.mu.Lock()
		wanted := s.wanted
		s.mu.Unlock()
		last := known
		known = make(map[*Certificate]*stapling, len(wanted))
		rest := stapleLatest
		for _, c := range wanted {
			at := last[c]
			if at == nil {
				at = new(stapling)
			}
			known[c] = at
			if now := time.Now(); !now.Before(at.next) {
				s.renew(ctx, c, at)
			}
			rest = min(rest, max(time.Until(at.next), 0))
		}
		timer.Reset(rest)
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-timer.C:
		}
	}
	return nil
}

// renew asks for a staple and plans when to ask again: in the middle of the time
// that it is good for.
func (s *Stapler) renew(ctx context.Context, c *Certificate, at *stapling) {
	raw, until, err := s.fetch(ctx, c)
	now := time.Now()
	if err == nil {
		c.staple(raw)
		*at = stapling{next: now.Add(max(until.Sub(now)/2, stapleAgain)), until: until}
		return
	}
	if ctx.Err() != nil {
		return
	}
	if !at.failed {
		s.logger.Warn("certificate has no fresh staple, without which clients may refuse it", "certificate", c.Name, "error", err)
	}
	if now.After(at.until) {
		c.staple(nil)
	}
	at.failed = true
	at.pause = min(max(2*at.pause, stapleAgain), stapleLatest)
	at.next = now.Add(at.pause)
}

// staple has handshakes that begin later show a staple, or none.
func (c *Certificate) staple(raw []byte) {
	last := c.shown.Load()
	c.shown.Store(&tls.Certificate{Certificate: last.Certificate, PrivateKey: last.PrivateKey, Leaf: last.Leaf, OCSPStaple: raw})
}

// fetch asks the issuer, by POST (RFC 6960 appendix A.1).
func (s *Stapler) fetch(ctx context.Context, c *Certificate) (raw []byte, until time.Time, err error) {
	switch {
	case len(c.leaf.OCSPServer) == 0:
		return nil, until, fmt.Errorf("certificate %q names no OCSP server to ask", c.Name)
	case c.issuer == nil:
		return nil, until, fmt.Errorf("the chain of certificate %q ends with the leaf: add its issuer's certificate", c.Name)
	}
	question, err := ocsp.CreateRequest(c.leaf, c.issuer, nil)
	if err != nil {
		return nil, until, fmt.Errorf("ask for the staple of certificate %q: %w", c.Name, err)
	}
	if raw, err = s.post(ctx, c.leaf.OCSPServer[0], question); err != nil {
		return nil, until, fmt.Errorf("ask for the staple of certificate %q: %w", c.Name, err)
	}
	answer, err := ocsp.ParseResponseForCert(raw, c.leaf, c.issuer)
	if err != nil {
		return nil, until, fmt.Errorf("read the staple of certificate %q: %w", c.Name, err)
	}
	until, now := answer.NextUpdate, time.Now()
	if until.IsZero() {
		until = now.Add(stapleDefault)
	}
	switch {
	case answer.Status == ocsp.Revoked:
		return nil, until, fmt.Errorf("certificate %q was revoked at %s: replace it", c.Name, answer.RevokedAt.UTC().Format(time.RFC3339))
	case answer.Status != ocsp.Good:
		return nil, until, fmt.Errorf("the issuer of certificate %q does not know it", c.Name)
	case now.After(until):
		return nil, until, fmt.Errorf("the staple of certificate %q ended at %s", c.Name, until.UTC().Format(time.RFC3339))
	}
	return raw, until, nil
}

func (s *Stapler) post(ctx context.Context, url string, question []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(question))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/ocsp-request")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", url, response.Status)
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, stapleBytes+1))
	if err == nil && len(answer) > stapleBytes {
		err = fmt.Errorf("%s answered with more than %d bytes", url, stapleBytes)
	}
	return answer, err
}
