package conformance

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"syscall"
)

// message is one request or response as its receiver read it. The reader is
// strict: what the proxy emits must leave no room for doubt.
type message struct {
	start    string   // request line or status line
	fields   []string // lines, in order
	body     []byte   // decoded
	trailers []string
	framing  framing
	whole    bool   // it ended as its framing says
	end      string // how the bytes ended if it is not whole
	conn     int    // at a backend: which of its connections
	interim  []*message
}

// framing is how a body's end is found (RFC 9112 section 6.3).
type framing string

const (
	noBody     framing = "none"
	byLength   framing = "length"
	byChunks   framing = "chunked"
	untilClose framing = "close"
)

// malformed is a fault of what was received, as opposed to one of the socket.
type malformed string

func (m malformed) Error() string { return "malformed: " + string(m) }

// endOf says how a byte stream ended.
func endOf(err error) string {
	var fault malformed
	switch {
	case errors.As(err, &fault):
		return err.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "FIN"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "RST"
	}
	return err.Error()
}

// readLine reads up to CRLF and returns what stands before it.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return line, err
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		return line, malformed(fmt.Sprintf("bare LF behind %q", text))
	}
	if i := strings.IndexAny(text, "\r\x00"); i >= 0 {
		return line, malformed(fmt.Sprintf("byte %#02x in line %q", text[i], text))
	}
	return text, nil
}

// readHead reads start line and fields.
func (m *message) readHead(r *bufio.Reader) (err error) {
	if m.start, err = readLine(r); err != nil {
		return err
	}
	m.fields, err = readFields(r)
	return err
}

func readFields(r *bufio.Reader) (fields []string, err error) {
	for {
		line, err := readLine(r)
		if err != nil || line == "" {
			return fields, err
		}
		fields = append(fields, line)
		name, _, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) {
			return fields, malformed(fmt.Sprintf("field line %q", line))
		}
	}
}

// isToken is RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) || c >= 0x80 {
			return false
		}
	}
	return s != ""
}

// values returns the values of all fields of that name.
func (m *message) values(name string) (all []string) {
	for _, line := range m.fields {
		if n, v, _ := strings.Cut(line, ":"); strings.EqualFold(n, name) {
			all = append(all, strings.Trim(v, " \t"))
		}
	}
	return all
}

// frame decides how the body ends. Whatever is not plain is a fault.
func (m *message) frame(unframed framing) (length int, err error) {
	lengths, codings := m.values("Content-Length"), m.values("Transfer-Encoding")
	switch {
	case len(lengths)+len(codings) > 1:
		return 0, malformed(fmt.Sprintf("Content-Length %q with Transfer-Encoding %q", lengths, codings))
	case len(codings) == 1:
		if !strings.EqualFold(codings[0], "chunked") {
			return 0, malformed(fmt.Sprintf("Transfer-Encoding %q", codings[0]))
		}
		m.framing = byChunks
	case len(lengths) == 1:
		m.framing = byLength
		if length, err = strconv.Atoi(lengths[0]); err != nil || strings.Trim(lengths[0], "0123456789") != "" {
			return 0, malformed(fmt.Sprintf("Content-Length %q", lengths[0]))
		}
	default:
		m.framing = unframed
	}
	return length, nil
}

// bodyReader reads a body piece by piece.
type bodyReader struct {
	m    *message
	r    *bufio.Reader
	rest int // of a body with a length
}

// newBodyReader frames the body of a message whose head was read. bodiless
// says that there is none whatever the head says.
func newBodyReader(m *message, r *bufio.Reader, bodiless bool, unframed framing) (*bodyReader, error) {
	if bodiless {
		m.framing = noBody
		return &bodyReader{m: m, r: r}, nil
	}
	length, err := m.frame(unframed)
	return &bodyReader{m: m, r: r, rest: length}, err
}

// next reads one more piece into the message, or finds that it is whole.
func (b *bodyReader) next() error {
	switch b.m.framing {
	case byChunks:
		return b.chunk()
	case byLength:
		n, err := b.some(b.rest)
		b.rest -= n
		b.m.whole = b.rest == 0
		return err
	case untilClose:
		if _, err := b.some(32 << 10); err != nil {
			b.m.whole = errors.Is(err, io.EOF)
			return err
		}
	default:
		b.m.whole = true
	}
	return nil
}

// some reads up to n bytes, whatever there is.
func (b *bodyReader) some(n int) (int, error) {
	if n == 0 {
		return 0, nil
	}
	buffer := make([]byte, min(n, 32<<10))
	got, err := b.r.Read(buffer)
	b.m.body = append(b.m.body, buffer[:got]...)
	return got, err
}

// chunk reads one chunk, or the last one and the trailers (RFC 9112 section
// 7.1).
func (b *bodyReader) chunk() error {
	line, err := readLine(b.r)
	if err != nil {
		return err
	}
	digits, _, extended := strings.Cut(line, ";")
	if extended { // section 7.1.1 allows white space before an extension
		digits = strings.TrimRight(digits, " \t")
	}
	size, err := strconv.ParseUint(digits, 16, 31)
	if err != nil {
		return malformed(fmt.Sprintf("chunk size %q", line))
	}
	if size == 0 {
		if b.m.trailers, err = readFields(b.r); err == nil {
			b.m.whole = true
		}
		return err
	}
	data := make([]byte, size)
	n, err := io.ReadFull(b.r, data)
	b.m.body = append(b.m.body, data[:n]...)
	if err != nil {
		return err
	}
	if line, err = readLine(b.r); err == nil && line != "" {
		err = malformed(fmt.Sprintf("%q behind a chunk", line))
	}
	return err
}

// all reads what is left of the body.
func (b *bodyReader) all() error {
	for !b.m.whole {
		if err := b.next(); err != nil && !b.m.whole {
			return err
		}
	}
	return nil
}

// status is the status code of a response.
func (m *message) status() string {
	_, rest, _ := strings.Cut(m.start, " ")
	code, _, _ := strings.Cut(rest, " ")
	return code
}

// bodiless tells whether a response has no body whatever its fields say (RFC
// 9112 section 6.3).
func (m *message) bodiless(head bool) bool {
	status := m.status()
	return head || strings.HasPrefix(status, "1") || status == "204" || status == "304"
}

// checkStatusLine is RFC 9112 section 4; a proxy sends its own version (RFC
// 9110 section 2.5).
func (m *message) checkStatusLine() error {
	rest, ok := strings.CutPrefix(m.start, "HTTP/1.1 ")
	if !ok || len(rest) < 4 || rest[3] != ' ' || strings.Trim(rest[:3], "0123456789") != "" {
		return malformed(fmt.Sprintf("status line %q", m.start))
	}
	return nil
}
