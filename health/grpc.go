package health

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/net/http2"
)

// maxGRPC is how much a gRPC check reads of a connection in all, frames of
// settings and of fields included: an answer takes some hundred bytes.
const maxGRPC = 64 << 10

// grpcMethod is what a gRPC check calls.
const grpcMethod = "/grpc.health.v1.Health/Check"

// alpnHTTP2 is how TLS calls HTTP/2 (RFC 9113, section 3.1).
const alpnHTTP2 = "h2"

// grpcTransport has no connections of its own: each probe brings one.
//
// It is not net/http's, which deadlocks in Go 1.26 when a backend overflows the
// window of a stream: that probe would never end, and its backend be probed no more.
//
//lint:ignore SA1019 see above
var grpcTransport = &http2.Transport{
	//lint:ignore SA1019 see above
	AllowHTTP: true, DisableCompression: true, MaxHeaderListSize: maxHead,
	//lint:ignore SA1019 see above
	MaxReadFrameSize: 16 << 10, // the least that the protocol allows
}

// grpcProber passes a backend that answers grpc.health.v1.Health/Check with
// SERVING, over HTTP/2 by prior knowledge or as TLS agrees on it, on a connection
// of the probe's own.
type grpcProber struct {
	prober
	host string // the request's authority
}

// Probe implements [Prober].
func (p *grpcProber) Probe(ctx context.Context) (int, error) {
	return 0, p.endpoints.each(ctx, func(ctx context.Context, to netip.AddrPort) error {
		conn, release, err := p.open(ctx, to)
		if err != nil {
			return err
		}
		defer release()
		if secure, ok := conn.(*tls.Conn); ok && secure.ConnectionState().NegotiatedProtocol != alpnHTTP2 {
			return fmt.Errorf("TLS with %s: the server does not agree on HTTP/2, which gRPC needs: let it offer %q by ALPN", to, alpnHTTP2)
		}
		heard := &hearing{Conn: conn, left: maxGRPC}
		if err := p.call(ctx, heard); err != nil {
			return fmt.Errorf("%s at %s: %w", strings.TrimPrefix(grpcMethod, "/"), to, err)
		}
		return nil
	})
}

// call asks once. The goroutine that reads the connection ends when that is closed.
func (p *grpcProber) call(ctx context.Context, conn *hearing) error {
	//lint:ignore SA1019 see grpcTransport
	client, err := grpcTransport.NewClientConn(conn)
	if err != nil {
		return conn.explain(ctx, err)
	}
	defer client.Close() // closes the connection, of which nothing is wanted any more
	response, err := client.RoundTrip(p.ask(ctx))
	if err != nil {
		return conn.explain(ctx, err)
	}
	defer response.Body.Close() // has nothing to flush
	if err := judgeGRPCHead(response); err != nil {
		return err
	}
	// The fields behind the body are known once it has ended.
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return conn.explain(ctx, err)
	}
	if err := p.judgeStatus(response); err != nil {
		return err
	}
	message, err := unframe(body)
	if err != nil {
		return err
	}
	status, err := readServing(message)
	if err != nil {
		return err
	}
	return p.judgeServing(status)
}

func (p *grpcProber) ask(ctx context.Context) *http.Request {
	scheme := "http"
	if p.config != nil {
		scheme = "https"
	}
	framed := healthRequest(p.check.Service)
	request := &http.Request{
		Method: http.MethodPost, URL: &url.URL{Scheme: scheme, Host: p.host, Path: grpcMethod}, Host: p.host,
		Header: http.Header{
			"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "User-Agent": {p.userAgent},
		},
		Body: io.NopCloser(bytes.NewReader(framed)), ContentLength: int64(len(framed)),
	}
	return request.WithContext(ctx)
}

// judgeGRPCHead fails what is no answer of gRPC.
func judgeGRPCHead(response *http.Response) error {
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d, where gRPC always has 200: what answers there is no gRPC server, or a proxy before one", response.StatusCode)
	}
	kind := strings.ToLower(response.Header.Get("Content-Type"))
	rest, is := strings.CutPrefix(kind, "application/grpc")
	if !is || rest != "" && rest[0] != '+' && rest[0] != ';' {
		return fmt.Errorf("the answer's content-type is %q, not application/grpc: what answers there is no gRPC server", excerpt(kind))
	}
	return nil
}

// judgeStatus judges grpc-status, which follows the body, or stands in the head of
// an answer without any.
func (p *grpcProber) judgeStatus(response *http.Response) error {
	fields := response.Trailer
	if response.Header.Get("Grpc-Status") != "" {
		fields = response.Header
	}
	text := fields.Get("Grpc-Status")
	if text == "" {
		return errors.New("the answer has no grpc-status: what stands before the server may drop the fields behind a body (trailers)")
	}
	status, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return fmt.Errorf("the answer's grpc-status %q is no number", excerpt(text))
	}
	switch status {
	case 0:
		return nil
	case 5:
		return p.notKnown()
	case 12:
		return errors.New("the server has no health service (gRPC status 12, UNIMPLEMENTED): register grpc.health.v1.Health with it, or use a check of type tcp")
	}
	name := "which gRPC does not define"
	if status < uint64(len(grpcStatuses)) {
		name = grpcStatuses[status]
	}
	if message := fields.Get("Grpc-Message"); message != "" {
		return fmt.Errorf("gRPC status %d, %s: %q", status, name, excerpt(percentDecoded(message)))
	}
	return fmt.Errorf("gRPC status %d, %s", status, name)
}

// grpcStatuses are the names of the statuses, by their numbers.
var grpcStatuses = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
	"DATA_LOSS", "UNAUTHENTICATED",
}

// percentDecoded returns the text of a grpc-message, or the field as it came if
// it is not escaped as it should be.
func percentDecoded(field string) string {
	if text, err := url.PathUnescape(field); err == nil {
		return text
	}
	return field
}

func (p *grpcProber) judgeServing(status serving) error {
	switch status {
	case servingYes:
		return nil
	case servingNo:
		return fmt.Errorf("%s is NOT_SERVING", p.subject())
	case servingServiceUnknown:
		return p.notKnown()
	case servingUnknown:
		return fmt.Errorf("the state of %s is UNKNOWN: the server has not set it", p.subject())
	}
	return fmt.Errorf("the state of %s is %d, which grpc.health.v1 does not define", p.subject(), status)
}

// subject names what the check asks about.
func (p *grpcProber) subject() string {
	if p.check.Service == "" {
		return "the server"
	}
	return fmt.Sprintf("service %q", excerpt(p.check.Service))
}

func (p *grpcProber) notKnown() error {
	if p.check.Service == "" {
		return errors.New("the server's health service does not know of the server as a whole: set a state for \"\" there, or name a service in the check")
	}
	return fmt.Errorf("%s is not known to the server's health service: correct the check's service, or set a state for it there", p.subject())
}

// hearing is a connection of which so much is read and no more, and whose first
// bytes are kept: they tell what the backend speaks, if it is not HTTP/2. Reads
// must not overlap; explain may be called at any time.
type hearing struct {
	net.Conn
	mu     sync.Mutex // guards what follows
	left   int
	begins []byte
}

// Read implements [io.Reader].
func (h *hearing) Read(p []byte) (int, error) {
	h.mu.Lock()
	left := h.left
	h.mu.Unlock()
	if left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := h.Conn.Read(p[:min(len(p), left)])
	h.mu.Lock()
	defer h.mu.Unlock()
	h.left -= n
	h.begins = append(h.begins, p[:min(n, maxBeginning-len(h.begins))]...)
	return n, err
}

// explain says what an error of a call means.
func (h *hearing) explain(ctx context.Context, err error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return plainError(ctx, err)
	case len(h.begins) > 0 && !beginsHTTP2(h.begins):
		return fmt.Errorf("the answer is not HTTP/2, which gRPC needs: it begins with %q", h.begins)
	case h.left == 0:
		return fmt.Errorf("the answer is over %d KiB", maxGRPC>>10)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errClosed
	}
	return plainError(ctx, err)
}

// beginsHTTP2 tells whether a server's first bytes are of a SETTINGS frame, as
// they must be (RFC 9113, section 3.4), as far as they go.
func beginsHTTP2(begins []byte) bool {
	const kindAt, settings = 3, 4
	return len(begins) <= kindAt || begins[kindAt] == settings
}
