package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// view is what a parser sees of a message; two that agree on it agree on where
// the next one begins.
type view struct {
	start  string // method, target and host, or status and reason
	close  bool
	fields map[string][]string // in canonical case
	body   string
	rest   string // after the message
	whole  bool   // the body has ended
	spaced bool   // ends at what may be white space after a chunk's size
}

// errStricter is what net/http knowingly refuses and we do not:
//   - targets whose escapes are malformed, and hosts with escapes: they frame
//     nothing, and are for the router to read or refuse;
//   - white space between the size of a chunk and its extension, which RFC 9112
//     section 7.1.1 wants recipients to bear with;
//   - a Trailer field that announces what a trailer must not be: what matters
//     is what comes, and that is refused.
var errStricter = errors.New("net/http is knowingly stricter")

// fieldsOf groups fields as net/http does, without those that it moves
// elsewhere, and with the one that it adds.
func fieldsOf(fields []line, request, chunked bool) map[string][]string {
	h := map[string][]string{}
	for _, f := range fields {
		name := textproto.CanonicalMIMEHeaderKey(f.name)
		h[name] = append(h[name], f.value)
	}
	if request {
		delete(h, "Host")
	}
	if chunked {
		delete(h, "Transfer-Encoding")
		delete(h, "Trailer")
	}
	if p := h["Pragma"]; len(p) > 0 && p[0] == "no-cache" && h["Cache-Control"] == nil {
		h["Cache-Control"] = []string{"no-cache"}
	}
	return h
}

// bodyOf follows a body to its end or that of the text.
func bodyOf(f Framing, length int64, text []byte) (body, rest string, whole bool, err error) {
	var b Body
	b.Reset(f, length)
	n, data, err := payloads(&b, text)
	if f == FramingClose && err == nil {
		err = b.End()
	}
	return string(data), string(text[n:]), b.Done(), err
}

func viewRequest(r *Request, text []byte) (v view, err error) {
	v.start = fmt.Sprintf("%s %s %s", r.MethodText, r.Target, r.Host)
	if r.Form == AuthorityForm {
		v.start = fmt.Sprintf("%s %s", r.MethodText, r.Target)
	}
	v.close = r.Close
	v.fields = fieldsOf(linesOf(r.Fields), true, r.Framing == FramingChunked)
	v.body, v.rest, v.whole, err = bodyOf(r.Framing, r.Length, text[r.Size:])
	v.spaced = bytes.Contains(text, []byte(" ;")) || bytes.Contains(text, []byte("\t;"))
	return v, err
}

func viewResponse(r *Response, text []byte) (v view, err error) {
	v.start = strings.TrimRight(fmt.Sprintf("%03d %s", r.Status, r.Reason), " ") // which net/http may have cut off
	v.close = r.Close
	chunked := r.head.seen&seenChunked != 0
	v.fields = fieldsOf(linesOf(r.Fields), false, chunked)
	delete(v.fields, "Connection") // which net/http sometimes deletes, too
	v.body, v.rest, v.whole, err = bodyOf(r.Framing, r.Length, text[r.Size:])
	v.spaced = bytes.Contains(text, []byte(" ;")) || bytes.Contains(text, []byte("\t;"))
	return v, err
}

// readRequest is what net/http sees; text begins with the request line.
func readRequest(text []byte) (v view, err error) {
	br := bufio.NewReaderSize(bytes.NewReader(text), 1<<20)
	r, err := http.ReadRequest(br)
	if err != nil {
		return v, stricter(err)
	}
	v.start = fmt.Sprintf("%s %s %s", r.Method, r.RequestURI, r.Host)
	if r.Method == "CONNECT" {
		v.start = fmt.Sprintf("%s %s", r.Method, r.RequestURI)
	}
	v.close = r.Close
	v.fields = r.Header
	return readBody(v, r.Body, br)
}

func readResponse(text []byte, method string) (v view, err error) {
	br := bufio.NewReaderSize(bytes.NewReader(text), 1<<20)
	r, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		return v, stricter(err)
	}
	v.start = strings.TrimRight(r.Status, " ")
	v.close = r.Close
	v.fields = r.Header
	delete(v.fields, "Connection")
	return readBody(v, r.Body, br)
}

func readBody(v view, body io.ReadCloser, br *bufio.Reader) (view, error) {
	data, err := io.ReadAll(body)
	v.body, v.whole = string(data), err == nil
	if err != nil && strings.Contains(err.Error(), "invalid byte in chunk length") {
		v.spaced = true
	}
	rest, err := io.ReadAll(br)
	v.rest = string(rest)
	return v, err
}

func stricter(err error) error {
	var escape url.EscapeError
	var host url.InvalidHostError
	if errors.As(err, &escape) || errors.As(err, &host) || strings.Contains(err.Error(), "bad trailer key") {
		return errStricter
	}
	return err
}

// compareViews is the oracle that net/http sees the same message as we, as far
// as it came.
func compareViews(ours, theirs view) error {
	switch {
	case ours.start != theirs.start:
		return fmt.Errorf("start is %q, net/http says %q", ours.start, theirs.start)
	case ours.close != theirs.close:
		return fmt.Errorf("close is %v, net/http says %v", ours.close, theirs.close)
	case theirs.spaced && ours.spaced:
		return nil
	case ours.whole != theirs.whole:
		return fmt.Errorf("whole is %v, net/http says %v", ours.whole, theirs.whole)
	case ours.body != theirs.body && ours.whole, !strings.HasPrefix(ours.body, theirs.body):
		return fmt.Errorf("body is %q, net/http says %q", ours.body, theirs.body)
	case ours.whole && ours.rest != theirs.rest:
		return fmt.Errorf("the next message begins at %q, net/http says %q", ours.rest, theirs.rest)
	}
	for name, values := range theirs.fields {
		if !slices.Equal(values, ours.fields[name]) {
			return fmt.Errorf("%s is %q, net/http says %q", name, ours.fields[name], values)
		}
	}
	if len(ours.fields) != len(theirs.fields) {
		return fmt.Errorf("fields are %q, net/http says %q", ours.fields, theirs.fields)
	}
	return nil
}

// checkRequestWithNetHTTP holds what we accepted against net/http. A body at
// fault is not compared: we are the stricter ones there.
func checkRequestWithNetHTTP(r *Request, text []byte) error {
	ours, err := viewRequest(r, text)
	if err != nil {
		return nil
	}
	theirs, err := readRequest(text[r.head.start:])
	if err == errStricter {
		return nil
	} else if err != nil {
		return fmt.Errorf("net/http refuses: %w", err)
	}
	return compareViews(ours, theirs)
}

func checkResponseWithNetHTTP(r *Response, method Method, name string, text []byte) error {
	ours, err := viewResponse(r, text)
	if err != nil || method == CONNECT { // whose 200 begins a tunnel
		return nil
	}
	theirs, err := readResponse(text, name)
	if err == errStricter {
		return nil
	} else if err != nil {
		return fmt.Errorf("net/http refuses: %w", err)
	}
	return compareViews(ours, theirs)
}

func TestNetHTTPSeesWhatWeSee(t *testing.T) {
	bodies := []string{"", "hello, world", "5\r\nhello\r\n0\r\nA: b\r\n\r\nnext", "5\r\nhello\r\n"}
	for name, test := range requestTests {
		for _, body := range bodies {
			text := append(crlf(test.in), body...)
			var r Request
			var p Progress
			if n, err := r.Parse(text, &p, nil); n == 0 || err != nil {
				continue
			}
			if err := checkRequestWithNetHTTP(&r, text); err != nil {
				t.Errorf("%s: %q: %v", name, text, err)
			}
		}
	}
	for name, test := range responseTests {
		for _, body := range bodies {
			text := append(crlf(test.in), body...)
			var r Response
			var p Progress
			if n, err := r.Parse(text, &p, nil, test.method); n == 0 || err != nil {
				continue
			}
			if err := checkResponseWithNetHTTP(&r, test.method, methodNames[test.method], text); err != nil {
				t.Errorf("%s: %q: %v", name, text, err)
			}
		}
	}
}

var methodNames = [...]string{"OTHER", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT"}

// TestTheOracleOfNetHTTPFindsPlantedBugs shows it views that a parser with a bug
// would have.
func TestTheOracleOfNetHTTPFindsPlantedBugs(t *testing.T) {
	text := crlf("POST http://b/c HTTP/1.1\nHost: a\nA: b\nA: c\nContent-Length: 5\n\nhellonext")
	var r Request
	var p Progress
	if n, err := r.Parse(text, &p, nil); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	bugs := map[string]func(v *view){
		"the host is that of the field":  func(v *view) { v.start = "POST http://b/c a" },
		"the connection stays":           func(v *view) { v.close = !v.close },
		"the body is a byte longer":      func(v *view) { v.body, v.rest = v.body+v.rest[:1], v.rest[1:] },
		"the body is a byte shorter":     func(v *view) { v.body, v.rest = v.body[:4], "o"+v.rest },
		"the next message is elsewhere":  func(v *view) { v.rest = v.rest[1:] },
		"the body has not ended":         func(v *view) { v.whole = false },
		"a value has white space":        func(v *view) { v.fields["A"][0] += " " },
		"fields change places":           func(v *view) { slices.Reverse(v.fields["A"]) },
		"a field is lost":                func(v *view) { delete(v.fields, "A") },
		"a field is made up":             func(v *view) { v.fields["B"] = []string{"c"} },
		"a line of several fields is on": func(v *view) { v.fields["A"] = []string{"b\r\nA: c"} },
	}
	theirs, err := readRequest(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, plant := range bugs {
		ours, err := viewRequest(&r, text)
		if err != nil || compareViews(ours, theirs) != nil {
			t.Fatal(err, compareViews(ours, theirs))
		}
		if plant(&ours); compareViews(ours, theirs) == nil {
			t.Errorf("%s: not found", name)
		}
	}
}
