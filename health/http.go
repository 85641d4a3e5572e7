package health

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"

	"evenkeel/fsm"
)

// Bounds of what an HTTP check reads.
const (
	maxHead = 32 << 10
	maxBody = 1 << 20
)

// httpProber passes a backend that answers a GET with a complete response of
// an expected status: its head within 32 KiB, its body within 1 MiB. Redirects
// are not followed, connections not reused.
//
// It speaks through a connection of its own rather than an [http.Client]: one
// request needs neither a pool nor the two goroutines that come with it, and
// with thousands of backends that is most of the cost.
type httpProber struct {
	endpoints *endpoints
	target    url.URL
	request   string
	expect    fsm.StatusSet
	expected  string // as a person wrote it
	strict    bool   // the statuses are the user's choice, not the default
}

func newHTTPProber(check fsm.Check, address, userAgent string, endpoints *endpoints) (*httpProber, error) {
	expect, err := fsm.ParseExpect(check.Expect)
	if err != nil {
		return nil, fmt.Errorf("expected status: %w", err)
	}
	target, err := url.ParseRequestURI(cmp.Or(check.Path, "/"))
	if err != nil || target.Host != "" {
		return nil, fmt.Errorf("check path %q: is not a path such as \"/healthz\"", check.Path)
	}
	target.Scheme, target.Host = "http", address
	p := &httpProber{
		endpoints: endpoints,
		target:    *target,
		expect:    expect,
		expected:  cmp.Or(check.Expect, fsm.DefaultExpect),
		strict:    check.Expect != "",
	}
	p.request = "GET " + target.RequestURI() + " HTTP/1.1\r\nHost: " + address + "\r\nUser-Agent: " + userAgent +
		"\r\nAccept: */*\r\nConnection: close\r\n\r\n"
	return p, nil
}

// Probe implements [Prober].
func (p *httpProber) Probe(ctx context.Context) error {
	return p.endpoints.each(ctx, func(ctx context.Context, to netip.AddrPort) error {
		conn, release, err := dial(ctx, to)
		if err != nil {
			return err
		}
		defer release()
		if err := p.get(ctx, conn); err != nil {
			return fmt.Errorf("GET %s at %s: %w", p.target.RequestURI(), to, err)
		}
		return nil
	})
}

// readers keeps the buffers, so that probing many backends makes no garbage to
// speak of.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4<<10) }}

func (p *httpProber) get(ctx context.Context, conn io.ReadWriter) error {
	if _, err := io.WriteString(conn, p.request); err != nil {
		return plainError(ctx, err)
	}
	input := &io.LimitedReader{R: conn, N: maxHead}
	reader := readers.Get().(*bufio.Reader)
	reader.Reset(input)
	defer func() {
		reader.Reset(nil)
		readers.Put(reader)
	}()
	response, err := readHead(reader)
	if err != nil {
		return explain(ctx, err, input, fmt.Sprintf("the head of the answer is over %d KiB", maxHead>>10))
	}
	if err := p.judge(response); err != nil {
		return err
	}
	// Chunks of one byte each take six.
	input.N = 8 * maxBody
	return readBody(ctx, response, input)
}

// readHead skips interim answers (RFC 9110, section 15.2). The bound on what
// is read is the bound on their number.
func readHead(reader *bufio.Reader) (*http.Response, error) {
	for {
		response, err := http.ReadResponse(reader, nil)
		if err != nil || response.StatusCode >= 200 || response.StatusCode == http.StatusSwitchingProtocols {
			return response, err
		}
	}
}

// judge decides by the head alone.
func (p *httpProber) judge(response *http.Response) error {
	code := response.StatusCode
	if !p.expect.Has(code) {
		return fmt.Errorf("status %d, expected %s", code, p.expected)
	}
	if !p.strict && p.redirectsToItself(response) {
		return fmt.Errorf("status %d redirects the check to its own URL, for ever", code)
	}
	return nil
}

// redirectsToItself tells a loop of one step, which no client would ever leave,
// although its status is within the default expectation. Longer loops need
// following to be seen, and a check follows nothing.
func (p *httpProber) redirectsToItself(response *http.Response) bool {
	location := response.Header.Get("Location")
	if response.StatusCode/100 != 3 || location == "" {
		return false
	}
	to, err := p.target.Parse(location)
	if err != nil {
		return false
	}
	return to.Scheme == p.target.Scheme && to.RequestURI() == p.target.RequestURI() &&
		strings.EqualFold(strings.TrimSuffix(to.Host, ":80"), strings.TrimSuffix(p.target.Host, ":80"))
}

// readBody reads the answer to its end: a server that cannot finish it does
// not work, and one that is cut off in the middle would log an error.
func readBody(ctx context.Context, response *http.Response, input *io.LimitedReader) error {
	tooLong := fmt.Sprintf("the body of the answer is over %d MiB: let the check ask for something smaller", maxBody>>20)
	if response.ContentLength > maxBody {
		return errors.New(tooLong)
	}
	n, err := io.Copy(io.Discard, io.LimitReader(response.Body, maxBody+1))
	if n > maxBody {
		return errors.New(tooLong)
	}
	if err != nil {
		return explain(ctx, err, input, tooLong)
	}
	return nil
}

// explain says what an error of reading means; exhausted is what it means when
// the input was cut at its bound.
func explain(ctx context.Context, err error, input *io.LimitedReader, exhausted string) error {
	switch {
	case input.N <= 0:
		return errors.New(exhausted)
	case ctx.Err() == nil && errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the connection was closed before the answer was complete")
	}
	return plainError(ctx, err)
}
