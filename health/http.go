package health

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Bounds of what an HTTP check reads.
const (
	maxHead = 32 << 10
	maxBody = 1 << 20
)

// httpProber passes a backend that answers the check's request with a complete
// response of an expected status and content: its head within 32 KiB, its body
// within 1 MiB. Redirects are followed only as far as it takes to see a circle, see
// redirect.go. Connections are reused by the engine alone.
//
// It speaks through a connection of its own rather than an [http.Client]: one
// request needs neither a pool nor the two goroutines that come with it, and
// with thousands of backends that is most of the cost.
type httpProber struct {
	prober
	host string // of the request
}

// Probe implements [Prober]. Of a name with several addresses one of those that
// passed says the reduction.
func (p *httpProber) Probe(ctx context.Context) (int, error) {
	var reduction atomic.Int32
	err := p.endpoints.each(ctx, func(ctx context.Context, to netip.AddrPort) error {
		conn, release, err := p.open(ctx, to)
		if err != nil {
			return err
		}
		defer release()
		spared, err := p.get(ctx, conn, p.dialer(to))
		if err != nil {
			return p.at(to, err)
		}
		reduction.Store(int32(spared))
		return nil
	})
	return int(reduction.Load()), err
}

// at says what was asked where.
func (p *httpProber) at(to netip.AddrPort, err error) error {
	return fmt.Errorf("%s %s at %s: %w", p.check.Method, p.target.RequestURI(), to, err)
}

// readers keeps the buffers, so that probing many backends makes no garbage to
// speak of.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4<<10) }}

func (p *httpProber) get(ctx context.Context, conn io.ReadWriter, again dialer) (reduction int, err error) {
	if err := p.request(conn); err != nil {
		return 0, plainError(ctx, err)
	}
	return p.carryOn(ctx, conn, again)
}

// say implements [direct].
func (p *httpProber) say(to []byte, kept bool) []byte {
	to = append(append(to, p.before...), p.host...)
	if kept {
		return append(to, p.afterKept...)
	}
	return append(to, p.after...)
}

// hear implements [direct]. An expression may take long, and is for others.
func (p *httpProber) hear(seen []byte, ended bool) (v verdict, is state) {
	if p.pattern != nil && (len(seen) > 0 || ended) {
		return v, unusual
	}
	answer, is := p.readPlain(seen, ended)
	if is != finished {
		return v, is
	}
	v.reduction, v.err = p.judgePlain(&answer)
	v.keep = answer.keep
	return v, finished
}

// carryOn implements [direct]: it reads and judges the answer.
func (p *httpProber) carryOn(ctx context.Context, conn io.Reader, again dialer) (reduction int, err error) {
	input := &io.LimitedReader{R: conn, N: maxHead}
	reader := readers.Get().(*bufio.Reader)
	reader.Reset(input)
	defer func() {
		reader.Reset(nil)
		readers.Put(reader)
	}()
	response, err := p.readHead(reader)
	if err != nil {
		return 0, explain(ctx, err, input, fmt.Sprintf("the head of the answer is over %d KiB", maxHead>>10))
	}
	if err := p.judge(response); err != nil {
		return 0, err
	}
	// Chunks of one byte each take six.
	input.N = 8 * maxBody
	if err := p.readBody(ctx, response, input); err != nil {
		return 0, err
	}
	return p.spared(response), p.follow(ctx, response, again)
}

// request sends what each backend is asked, in one write.
func (p *httpProber) request(conn io.Writer) error {
	buffer := windows.Get().(*bytes.Buffer)
	defer func() {
		buffer.Reset()
		windows.Put(buffer)
	}()
	_, err := conn.Write(p.say(buffer.AvailableBuffer(), false))
	return err
}

// What a prober returns instead of a reduction.
const (
	unreadWeight = -1 // the field that has the weight is there and holds none
	untoldWeight = -2 // it is not there
)

// spared returns how many percent of its weight the backend wants to be spared,
// or one of the constants above.
func (r *recipe) spared(response *http.Response) int {
	if r.check.WeightField == "" {
		return 0
	}
	values := response.Header.Values(r.check.WeightField)
	if len(values) == 0 {
		return untoldWeight
	}
	return sparedBy(values[0])
}

func sparedBy(text string) int {
	text = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "%"))
	weight, err := strconv.ParseUint(text, 10, 8)
	if err != nil || weight > 100 {
		return unreadWeight
	}
	return 100 - int(weight)
}

// readHead skips interim answers (RFC 9110, section 15.2). The bound on what
// is read is the bound on their number.
func (r *recipe) readHead(reader *bufio.Reader) (*http.Response, error) {
	var asked *http.Request // nil: GET
	if r.check.Method == http.MethodHead {
		asked = &http.Request{Method: http.MethodHead} // its answer has no body
	}
	for {
		begins, err := beginning(reader)
		if err != nil {
			return nil, err
		}
		isHTTP, text := isStatusLine(begins), ""
		if !isHTTP {
			text = string(begins) // which reading on takes
		}
		response, err := http.ReadResponse(reader, asked)
		if err != nil && !isHTTP && !isOfConnection(err) {
			return nil, fmt.Errorf("the answer is not HTTP/1: it begins with %q", text)
		}
		if err != nil || response.StatusCode >= 200 || response.StatusCode == http.StatusSwitchingProtocols {
			return response, err
		}
	}
}

// maxBeginning is how much of an answer that is no HTTP a reason quotes.
const maxBeginning = 32

// beginning returns the first bytes of what comes next, as many as came at once.
func beginning(reader *bufio.Reader) ([]byte, error) {
	if _, err := reader.Peek(1); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	begins, err := reader.Peek(min(reader.Buffered(), maxBeginning)) // is there already
	return begins, err
}

// isStatusLine tells whether an answer begins as one of HTTP/1 does (RFC 9112,
// section 4), as far as it goes.
func isStatusLine(begins []byte) bool {
	const form = "HTTP/1.d ddd "
	for i, c := range begins[:min(len(begins), len(form))] {
		switch digit := c >= '0' && c <= '9'; {
		case form[i] == 'd' && digit, form[i] == c:
		case i == len(form)-1 && c == '\r': // without a reason
		default:
			return false
		}
	}
	return true
}

// isOfConnection tells whether reading ended for the connection's sake, or with
// it, and not for what was read.
func isOfConnection(err error) bool {
	_, of := errors.AsType[net.Error](err)
	return of || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// judge decides by the head alone.
func (p *httpProber) judge(response *http.Response) error {
	code := response.StatusCode
	if !p.expect.Has(code) {
		return p.unexpected(code)
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
		return errClosed
	}
	return plainError(ctx, err)
}
