package conformance

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// request2 is a request of HTTP/2 and what a backend of HTTP/1.1 makes of it.
type request2 struct {
	rfc      string
	fields   string // "name: value" lines, pseudo-fields first; "" and "+ ..." are those of a GET, and more
	data     []string
	trailers string
	// status is that of the answer; "reset" is one of the stream, after which the
	// connection goes on.
	status string
	// sees is the head that the backend gets, without its forwarding fields, body what
	// follows; "" if it gets no whole request.
	sees, body, trailed string
}

const getFields = ":method: GET\n:scheme: http\n:authority: a.test\n:path: /"
const postFields = ":method: POST\n:scheme: http\n:authority: a.test\n:path: /p"

// smuggled is what an attacker would have the backend take for a request.
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"

func requests2() map[string]request2 {
	rows := map[string]request2{
		"a GET":                       {"9113 8.3.1", getFields, nil, "", "200", "GET / HTTP/1.1\nhost: a.test", "", ""},
		"Host in place of :authority": {"9113 8.3.1", ":method: GET\n:scheme: http\n:path: /\nhost: b.test", nil, "", "200", "GET / HTTP/1.1\nhost: b.test", "", ""},
		"Host that repeats it":        {"9113 8.3.1", getFields + "\nhost: a.test", nil, "", "200", "GET / HTTP/1.1\nhost: a.test", "", ""},
		"Host that is another":        {"9113 8.3.1", getFields + "\nhost: b.test", nil, "", "reset", "", "", ""},
		"neither":                     {"9112 3.2", ":method: GET\n:scheme: http\n:path: /", nil, "", "400", "", "", ""},
		"user information":            {"9113 8.3.1", ":method: GET\n:scheme: http\n:authority: me@a.test\n:path: /", nil, "", "400", "", "", ""},
		"crumbs of cookies":           {"9113 8.2.3", getFields + "\ncookie: a=b\ncookie: c=d\ncookie: e=f", nil, "", "200", "GET / HTTP/1.1\nhost: a.test\ncookie: a=b; c=d; e=f", "", ""},
		"TE: trailers":                {"9110 10.1.4", getFields + "\nte: trailers", nil, "", "200", "GET / HTTP/1.1\nhost: a.test\nConnection: te\nTE: trailers", "", ""},
		"content of a known length":   {"9113 8.1.1", postFields + "\ncontent-length: 5", []string{"he", "llo"}, "", "200", "POST /p HTTP/1.1\nhost: a.test\ncontent-length: 5", "hello", ""},
		"content of an unknown one":   {"9113 8.1", postFields, []string{"he", "llo"}, "", "200", "POST /p HTTP/1.1\nhost: a.test\ntransfer-encoding: chunked", "hello", ""},
		"no content of a POST":        {"9110 8.6", postFields, nil, "", "200", "POST /p HTTP/1.1\nhost: a.test\ncontent-length: 0", "", ""},
		"trailers":                    {"9113 8.1", postFields, []string{"hello"}, "x-late: b", "200", "POST /p HTTP/1.1\nhost: a.test\ntransfer-encoding: chunked", "hello", "x-late: b"},
		"announced trailers":          {"9110 6.6.2", postFields + "\ncontent-length: 5\ntrailer: x-late", []string{"hello"}, "x-late: b", "200", "POST /p HTTP/1.1\nhost: a.test\ntransfer-encoding: chunked\ntrailer: x-late", "hello", "x-late: b"},
		"trailers that have no place": {"9110 6.5.1", postFields + "\ncontent-length: 5", []string{"hello"}, "x-late: b", "200", "POST /p HTTP/1.1\nhost: a.test\ncontent-length: 5", "hello", ""},
		"a length as a trailer":       {"9110 6.5.1", postFields, []string{"hello"}, "content-length: 5\nx-late: b", "200", "POST /p HTTP/1.1\nhost: a.test\ntransfer-encoding: chunked", "hello", "x-late: b"},
		"less content than it says":   {"9113 8.1.1", postFields + "\ncontent-length: 5", []string{"hell"}, "", "reset", "", "", ""},
		"more content than it says":   {"9113 8.1.1", postFields + "\ncontent-length: 5", []string{"hello", "!"}, "", "reset", "", "", ""},
		"none though it says":         {"9113 8.1.1", postFields + "\ncontent-length: 5", nil, "", "reset", "", "", ""},
		"a request for content":       {"9113 8.1.1", postFields + "\ncontent-length: 0", []string{smuggled}, "", "reset", "", "", ""},
		"chunks within content":       {"9112 7.1", postFields, []string{"0\r\n\r\n" + smuggled}, "", "200", "POST /p HTTP/1.1\nhost: a.test\ntransfer-encoding: chunked", "0\r\n\r\n" + smuggled, ""},
		"a large field":               {"9110 5.4", getFields + "\na: " + strings.Repeat("b", 100<<10), nil, "", "431", "", "", ""},
		"many fields":                 {"9110 5.4", getFields + strings.Repeat("\na: b", 2000), nil, "", "431", "", "", ""},
		"a method of its own":         {"9110 9.1", strings.Replace(getFields, "GET", "LOOK", 1), nil, "", "200", "LOOK / HTTP/1.1\nhost: a.test", "", ""},
		"CONNECT":                     {"9113 8.5", ":method: CONNECT\n:authority: a.test:1", nil, "", "405", "", "", ""},
		"an unknown scheme":           {"9113 8.3.1", strings.Replace(getFields, "http", "ftp", 1), nil, "", "200", "GET / HTTP/1.1\nhost: a.test", "", ""},
		"dots in a :path":             {"3986 5.2.4", strings.Replace(getFields, ":path: /", ":path: /a/../b", 1), nil, "", "200", "GET /a/../b HTTP/1.1\nhost: a.test", "", ""},
	}
	for name, line := range map[string]string{
		"a line feed in a value":            "a: b\nx: c",
		"a carriage return in a value":      "a: b\rx: c",
		"a head's end in a value":           "a: b\r\n\r\n" + smuggled,
		"NUL in a value":                    "a: b\x00",
		"a space around a value":            "a:  b ",
		"a colon in a name":                 "a:b: c",
		"a space in a name":                 "a b: c",
		"a line end in a name":              "a\r\nx: c",
		"a name in upper case":              "A: b",
		"an empty name":                     ": b",
		"Transfer-Encoding":                 "transfer-encoding: chunked",
		"Connection":                        "connection: transfer-encoding",
		"Keep-Alive":                        "keep-alive: 5",
		"Proxy-Connection":                  "proxy-connection: keep-alive",
		"Upgrade":                           "upgrade: h2c",
		"TE other than trailers":            "te: gzip",
		"a Content-Length that is a list":   "content-length: 0, 0",
		"a Content-Length with a sign":      "content-length: +0",
		"a pseudo-field behind fields":      ":path: /other",
		"a pseudo-field that is not there":  ":other: a",
		"a response's pseudo-field":         ":status: 200",
		":protocol for what is not CONNECT": ":protocol: websocket",
	} {
		rows[name] = request2{"9113 8.2", getFields + "\n" + escaped(line), nil, "", "reset", "", "", ""}
	}
	for name, change := range map[string][2]string{
		"a line end in :path":      {":path: /", ":path: / HTTP/1.1\r\nx: c"},
		"a request in :path":       {":path: /", ":path: / HTTP/1.1\r\nHost: a.test\r\n\r\n" + smuggled},
		"a space in :path":         {":path: /", ":path: / HTTP/1.1"},
		"NUL in :path":             {":path: /", ":path: /\x00"},
		"a line end in :method":    {"GET", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\nGET"},
		"a space in :method":       {"GET", "GET /smuggled"},
		"a line end in :authority": {"a.test", "a.test\r\nx: c"},
		"a space in :authority":    {"a.test", "a.test b"},
		"a line end in :scheme":    {"http", "http\r\nx: c"},
		"a :path that is absolute": {":path: /", ":path: http://b.test/"},
		"an empty :path":           {":path: /", ":path: "},
		"an empty :method":         {"GET", ""},
	} {
		rows[name] = request2{"9113 8.3.1", strings.Replace(getFields, change[0], escaped(change[1]), 1), nil, "", "reset", "", "", ""}
	}
	return rows
}

// escaped lets a line hold line feeds among others.
func escaped(text string) string { return strings.ReplaceAll(text, "\n", "\x01") }

func split2(lines string) (fields []hpack.HeaderField) {
	if lines == "" {
		return nil
	}
	for line := range strings.SplitSeq(lines, "\n") {
		line = strings.ReplaceAll(line, "\x01", "\n")
		at := strings.Index(line[min(1, len(line)):], ": ") + 1
		fields = append(fields, hpack.HeaderField{Name: line[:at], Value: line[at+len(": "):]})
	}
	return fields
}

// TestRequestsOverHTTP2 has a backend of HTTP/1.1 get what a client of HTTP/2 asked
// for and nothing else, whatever is in it; a request behind it on the same connection
// is answered.
func TestRequestsOverHTTP2(t *testing.T) {
	w := theWorld(t)
	for name, r := range requests2() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := <-w.slots[plain]
			defer func() { w.slots[plain] <- s }()
			x := newExchange(&row{}, plan{})
			s.current.Store(x)
			status, next, err := r.send(s.address)
			s.current.Store(nil)
			close(x.over)
			x.endConns()
			if err != nil {
				t.Fatalf("RFC %s: %v", r.rfc, err)
			}
			if status != r.status || next != "200" {
				t.Errorf("RFC %s: %s, want %s; the next one %s", r.rfc, status, r.status, next)
			}
			if diff := r.diff(x.seen); diff != "" {
				t.Errorf("RFC %s: %s", r.rfc, diff)
			}
			if !w.awaitQuiet(s) {
				t.Error("a request is still under way")
			}
		})
	}
}

// send sends the request, and another one once that is answered.
func (r *request2) send(address string) (status, next string, err error) {
	conn, err := dial(address)
	if err != nil {
		return "", "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(3 * patience)); err != nil {
		return "", "", err
	}
	var out, block bytes.Buffer
	framer := http2.NewFramer(&out, conn)
	framer.AllowIllegalWrites = true
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	encoder := hpack.NewEncoder(&block)
	out.WriteString(http2.ClientPreface)
	head := func(id uint32, fields []hpack.HeaderField, end bool) {
		block.Reset()
		for _, field := range fields {
			_ = encoder.WriteField(field) // to a buffer
		}
		rest := block.Bytes()
		part := rest[:min(len(rest), 16<<10)]
		rest = rest[len(part):]
		_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: part, EndHeaders: len(rest) == 0, EndStream: end})
		for len(rest) > 0 {
			part = rest[:min(len(rest), 16<<10)]
			rest = rest[len(part):]
			_ = framer.WriteContinuation(id, len(rest) == 0, part)
		}
	}
	_ = framer.WriteSettings()
	head(1, split2(r.fields), len(r.data) == 0 && r.trailers == "")
	for i, data := range r.data {
		_ = framer.WriteData(1, i == len(r.data)-1 && r.trailers == "", []byte(data))
	}
	if r.trailers != "" {
		head(1, split2(r.trailers), true)
	}
	if _, err := io.Copy(conn, &out); err != nil {
		return "", "", err
	}
	if status, err = statusOf(framer, 1); err != nil {
		return "", "", err
	}
	head(3, split2(strings.Replace(getFields, ":path: /", ":path: /next", 1)), true)
	if _, err := io.Copy(conn, &out); err != nil {
		return "", "", err
	}
	next, err = statusOf(framer, 3)
	return status, next, err
}

// statusOf reads until the stream has ended.
func statusOf(framer *http2.Framer, id uint32) (status string, err error) {
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return "", err
		}
		ended := false
		switch f := frame.(type) {
		case *http2.GoAwayFrame:
			return "", fmt.Errorf("%v: %s", f, f.DebugData())
		case *http2.RSTStreamFrame:
			if f.StreamID == id && status == "" {
				return "reset", nil
			}
			ended = f.StreamID == id
		case *http2.MetaHeadersFrame:
			if f.StreamID == id {
				status, ended = f.PseudoValue("status"), f.StreamEnded()
			}
		case *http2.DataFrame:
			ended = f.StreamID == id && f.StreamEnded()
		}
		if ended {
			return status, nil
		}
	}
}

// diff says how what the backend saw is not as wanted, or "".
func (r *request2) diff(seen []*message) string {
	var whole []*message
	for _, m := range seen {
		switch {
		case strings.Contains(m.start, "smuggled"):
			return fmt.Sprintf("the backend got %q", m.start)
		case m.whole:
			whole = append(whole, m)
		}
	}
	want := 1
	if r.sees != "" {
		want = 2
	}
	if len(whole) != want || whole[want-1].start != "GET /next HTTP/1.1" {
		return fmt.Sprintf("the backend got %d whole requests, want %d: %v", len(whole), want, whole)
	}
	if r.sees == "" {
		return ""
	}
	m := whole[0]
	got := []string{m.start}
	for _, field := range m.fields {
		if name, _, _ := strings.Cut(field, ":"); !strings.HasPrefix(name, "X-Forwarded-") && name != "Forwarded" {
			got = append(got, field)
		}
	}
	if head := strings.Split(r.sees, "\n"); !slices.Equal(got, head) || string(m.body) != r.body || strings.Join(m.trailers, "\n") != r.trailed {
		return fmt.Sprintf("the backend got %q, %q, %q", got, m.body, m.trailers)
	}
	return ""
}
