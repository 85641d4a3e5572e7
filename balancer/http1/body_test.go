package http1

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// chunkTests are bodies with their section of RFC 9112 unless another is named;
// line feeds as in requestTests. What comes after a body is the next message.
var chunkTests = map[string]struct {
	section string
	in      string
	data    string
	after   string // what is left
	fault   *Fault
}{
	"an empty body":                      {"7.1", "0\n\n", "", "", nil},
	"one chunk":                          {"7.1", "5\nhello\n0\n\n", "hello", "", nil},
	"two chunks and the next message":    {"7.1", "5\nhello\n1\n!\n0\n\nGET", "hello!", "GET", nil},
	"a size in either case":              {"7.1", "a\n0123456789\nA\n0123456789\n0\n\n", "01234567890123456789", "", nil},
	"leading zeros":                      {"7.1", "0000000000000005\nhello\n0000\n\n", "hello", "", nil},
	"data that looks like framing":       {"7.1", "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "\r\n0\r\n\r\n", "", nil},
	"too many leading zeros":             {"7.1", "00000000000000005\n", "", "", FaultChunkSize},
	"the greatest size":                  {"7.1", "7fffffffffffffff\na", "a", "cut", nil},
	"a size that overflows":              {"7.1.1", "8000000000000000\n", "", "", FaultChunkSize},
	"a size that overflows 64 bits":      {"7.1.1", "10000000000000000\n", "", "", FaultChunkSize},
	"no size":                            {"7.1", "\nhello\n", "", "", FaultChunkSize},
	"an extension without a size":        {"7.1", ";a=b\n", "", "", FaultChunkSize},
	"a size with 0x":                     {"7.1", "0x5\nhello\n", "", "", FaultChunkSize},
	"a negative size":                    {"7.1", "-5\nhello\n", "", "", FaultChunkSize},
	"a size with a plus":                 {"7.1", "+5\nhello\n", "", "", FaultChunkSize},
	"a size after a space":               {"7.1", " 5\nhello\n", "", "", FaultChunkSize},
	"a size with an underscore":          {"7.1", "1_0\nhello\n", "", "", FaultChunkSize},
	"a size of letters":                  {"7.1", "g\n", "", "", FaultChunkSize},
	"a size with a NUL":                  {"7.1", "5\x00\nhello\n", "", "", FaultChunkSize},
	"a space after the size":             {"7.1", "5 \nhello\n", "", "", FaultChunkExtension},
	"a tab after the size":               {"7.1", "5\t\nhello\n", "", "", FaultChunkExtension},
	"a bare LF after the size":           {"2.2", "5\nhello\r\n", "", "", FaultBareLF},
	"a bare CR after the size":           {"2.2", "5\rhello\r\n", "", "", FaultBareCR},
	"two CRs after the size":             {"2.2", "5\r\r\nhello\r\n", "", "", FaultBareCR},
	"data longer than its size":          {"7.1", "5\nhello!\n0\n\n", "hello", "", FaultChunkEnd},
	"data shorter than its size":         {"7.1", "7\r\nhello\r\n0\r\n\r\n", "hello\r\n", "", FaultChunkEnd},
	"data that ends with a bare LF":      {"2.2", "5\r\nhello\n0\r\n\r\n", "hello", "", FaultChunkEnd},
	"data that ends with a bare CR":      {"2.2", "5\r\nhello\r0\r\n\r\n", "hello", "", FaultChunkEnd},
	"no line end after the data":         {"7.1", "5\nhello0\n\n", "hello", "", FaultChunkEnd},
	"an extension":                       {"7.1.1", "5;a=b\nhello\n0;c\n\n", "hello", "", nil},
	"several extensions":                 {"7.1.1", "5;a;b=c;d=\"e\";f\nhello\n0\n\n", "hello", "", nil},
	"an extension with white space":      {"7.1.1", "5 \t; a\t = b ;c =\"d\" \t; e\nhello\n0\n\n", "hello", "", nil},
	"a quoted extension":                 {"7.1.1", "5;a=\"b;c \t\\\"\\\\\xff\"\nhello\n0\n\n", "hello", "", nil},
	"an empty quoted extension":          {"7.1.1", "5;a=\"\"\nhello\n0\n\n", "hello", "", nil},
	"white space after an extension":     {"7.1.1", "5;a \n", "", "", FaultChunkExtension},
	"white space after a value":          {"7.1.1", "5;a=b \n", "", "", FaultChunkExtension},
	"white space after a quoted value":   {"7.1.1", "5;a=\"b\" \n", "", "", FaultChunkExtension},
	"an extension without a name":        {"7.1.1", "5;\n", "", "", FaultChunkExtension},
	"an extension of white space":        {"7.1.1", "5; \n", "", "", FaultChunkExtension},
	"an extension without a value":       {"7.1.1", "5;a=\n", "", "", FaultChunkExtension},
	"an extension with two values":       {"7.1.1", "5;a=b=c\n", "", "", FaultChunkExtension},
	"an extension of two words":          {"7.1.1", "5;a b\n", "", "", FaultChunkExtension},
	"a value of two words":               {"7.1.1", "5;a=b c\n", "", "", FaultChunkExtension},
	"more after a quoted value":          {"7.1.1", "5;a=\"b\"c\n", "", "", FaultChunkExtension},
	"a quoted name":                      {"7.1.1", "5;\"a\"\n", "", "", FaultChunkExtension},
	"a line end in quotes":               {"7.1.1", "5;a=\"b\n", "", "", FaultChunkExtension},
	"an escaped line end":                {"7.1.1", "5;a=\"b\\\nc\"\n", "", "", FaultChunkExtension},
	"a bare LF in an extension":          {"2.2", "5;a=b\nhello\r\n", "", "", FaultBareLF},
	"a bare CR in an extension":          {"2.2", "5;a=b\rc\r\n", "", "", FaultBareCR},
	"a control in an extension":          {"7.1.1", "5;a\x01\n", "", "", FaultChunkExtension},
	"a control in a quoted value":        {"7.1.1", "5;a=\"\x00\"\n", "", "", FaultChunkExtension},
	"a bracket in an extension":          {"7.1.1", "5;[a]\n", "", "", FaultChunkExtension},
	"extensions that are too long":       {"7.1.1", "5;" + strings.Repeat("a", 1024) + "\nhello\n", "", "", FaultChunkTooLong},
	"the longest that are let in":        {"7.1.1", "1;" + strings.Repeat("a", 1023) + "\nb\n1;" + strings.Repeat("a", 1023) + "\nb\n0\n\n", "bb", "", nil},
	"trailers":                           {"7.1.2", "0\nA: b\nGrpc-Status: 0\n\nnext", "", "next", nil},
	"a trailer of any value":             {"RFC 9110 5.5", "0\nA:\t b \xff\t\nB:\nC:d\n\n", "", "", nil},
	"a trailer without a colon":          {"5", "0\nA\n\n", "", "", FaultNoColon},
	"a trailer with a space":             {"5.1", "0\nA : b\n\n", "", "", FaultNameSpace},
	"a trailer without a name":           {"5", "0\n: b\n\n", "", "", FaultFieldName},
	"a trailer with a bad name":          {"5", "0\nA(: b\n\n", "", "", FaultFieldName},
	"a folded trailer":                   {"5.2", "0\nA: b\n c\n\n", "", "", FaultFolded},
	"a control in a trailer":             {"RFC 9110 5.5", "0\nA: b\x00\n\n", "", "", FaultControl},
	"a bare CR in a trailer":             {"2.2", "0\r\nA: b\rc\r\n\r\n", "", "", FaultBareCR},
	"a bare LF in a trailer":             {"2.2", "0\r\nA: b\nC: d\r\n\r\n", "", "", FaultBareLF},
	"a bare LF after a trailer's name":   {"2.2", "0\r\nA\n", "", "", FaultNoColon},
	"a body that ends with a bare LF":    {"2.2", "0\r\n\n", "", "", FaultBareLF},
	"a body that ends with a bare CR":    {"2.2", "0\r\n\rX", "", "", FaultBareCR},
	"a last size that ends in a bare CR": {"2.2", "0\rA: b\r\n", "", "", FaultBareCR},
	"too many trailers":                  {"7.1.2", "0\n" + strings.Repeat("A: b\n", 65), "", "", FaultTrailerTooMany},
	"as many trailers as are let in":     {"7.1.2", "0\n" + strings.Repeat("A: b\n", 64) + "\n", "", "", nil},
	"a trailer section that is too large": {"7.1.2", "0\nA: " + strings.Repeat("b", 16<<10) + "\n\n", "", "",
		FaultTrailerTooLarge},
	"a trailer that frames":             {"RFC 9110 6.5.1", "0\nContent-Length: 5\n\n", "", "", FaultTrailerName},
	"a trailer that frames, hidden":     {"RFC 9110 6.5.1", "0\nA: b\ncontent_LENGTH: 5\n\n", "", "", FaultTrailerName},
	"a trailer that names a coding":     {"RFC 9110 6.5.1", "0\nTransfer-Encoding: chunked\n\n", "", "", FaultTrailerName},
	"a trailer that routes":             {"RFC 9110 6.5.1", "0\nHost: a\n\n", "", "", FaultTrailerName},
	"a trailer of the connection":       {"RFC 9110 6.5.1", "0\nConnection: close\n\n", "", "", FaultTrailerName},
	"a trailer that authenticates":      {"RFC 9110 6.5.1", "0\nAuthorization: a\n\n", "", "", FaultTrailerName},
	"a trailer that names a client":     {"RFC 9110 6.5.1", "0\nX-Forwarded-For: a\n\n", "", "", FaultTrailerName},
	"a trailer that names a client, so": {"RFC 9110 6.5.1", "0\nx_forwarded_anything: a\n\n", "", "", FaultTrailerName},
	"trailers that are nearly refused": {"RFC 9110 6.5.1", "0\nContent-Lengt: 1\nContent-Length2: 1\nX-Forwarded: 1\nT: e\nTEA: 1\nHosts: 1\n\n",
		"", "", nil},
	"a body that is cut before its end":  {"8", "5\nhello\n0\n", "hello", "cut", nil},
	"a body that is cut in its data":     {"8", "5\nhel", "hel", "cut", nil},
	"a body that is cut in its size":     {"8", "5", "", "cut", nil},
	"a body that is cut before anything": {"8", "", "", "cut", nil},
}

// follower is a Body, or one with a bug.
type follower interface {
	Advance(p []byte) (int, error)
	Payload(p []byte) (int, []byte, error)
	Done() bool
}

// walk takes a text through both ways of reading a body, a and b, in pieces that
// end at the cuts and at the end, and returns the outcome; the error is where
// the two disagree.
func walk(a, b follower, text []byte, cuts ...int) (outcome string, err error) {
	var data []byte
	taken, from := 0, 0
	for _, cut := range append(cuts, len(text)) {
		n, fault := a.Advance(text[from:cut])
		m, piece, fault2 := payloads(b, text[from:cut])
		if n != m || fault != fault2 || a.Done() != b.Done() {
			return "", fmt.Errorf("%q: Advance took %d, %v, done: %v; Payload took %d, %v, done: %v",
				text[from:cut], n, fault, a.Done(), m, fault2, b.Done())
		}
		data = append(data, piece...)
		taken += n
		switch {
		case fault != nil:
			return fmt.Sprintf("%q, %d bytes, fault: %v", data, taken, fault), nil
		case a.Done():
			return fmt.Sprintf("%q, %d bytes, done", data, taken), nil
		case n != cut-from:
			return "", fmt.Errorf("took %d of %d bytes and is not done", n, cut-from)
		}
		from = cut
	}
	return fmt.Sprintf("%q, %d bytes, not done", data, taken), nil
}

// payloads takes all of p that belongs to the body.
func payloads(b follower, p []byte) (n int, data []byte, err error) {
	for n < len(p) && !b.Done() {
		k, piece, err := b.Payload(p[n:])
		if n += k; err != nil {
			return n, data, err
		}
		if k == 0 {
			return n, data, errors.New("Payload took nothing of something")
		}
		data = append(data, piece...)
	}
	return n, data, nil
}

// walkFresh walks with new bodies and the bytes in memory of their own.
func walkFresh(t testing.TB, framing Framing, length int64, text []byte, cuts ...int) string {
	t.Helper()
	var a, b Body
	a.Reset(framing, length)
	b.Reset(framing, length)
	outcome, err := walk(&a, &b, bytes.Clone(text), cuts...)
	if err != nil {
		t.Error(err)
	}
	return outcome
}

// unsplitBody walks through a text whole, holds that no split makes a
// difference, and returns the outcome.
func unsplitBody(t testing.TB, framing Framing, length int64, text []byte) string {
	t.Helper()
	want := walkFresh(t, framing, length, text)
	if got := walkFresh(t, framing, length, text, everywhere(text)...); got != want {
		t.Errorf("byte by byte: %s\nwhole: %s", got, want)
	}
	for cut := 0; cut < len(text); cut += stride(text) {
		if got := walkFresh(t, framing, length, text, cut); got != want {
			t.Errorf("cut after %q: %s\nwhole: %s", text[:cut], got, want)
		}
	}
	return want
}

func TestChunkedBodies(t *testing.T) {
	for name, test := range chunkTests {
		t.Run(name, func(t *testing.T) {
			text := crlf(test.in)
			got := unsplitBody(t, FramingChunked, -1, text)
			want := fmt.Sprintf("%q, %d bytes, ", test.data, len(text)-len(test.after))
			switch {
			case test.fault != nil: // up to the byte at fault
				want, got = "fault: "+test.fault.Reason, got[strings.LastIndex(got, "fault"):]
			case test.after == "cut":
				want = fmt.Sprintf("%q, %d bytes, not done", test.data, len(text))
			default:
				want += "done"
			}
			if got != want {
				t.Errorf("section %s: %q:\n got %s\nwant %s", test.section, text, got, want)
			}
		})
	}
}

func TestOtherBodies(t *testing.T) {
	tests := map[string]struct {
		framing Framing
		length  int64
		in      string
		want    string
	}{
		"no body takes nothing":                  {FramingNone, 5, "GET", `"", 0 bytes, done`},
		"a length of 0 takes nothing":            {FramingLength, 0, "GET", `"", 0 bytes, done`},
		"a length takes as many bytes":           {FramingLength, 5, "helloGET", `"hello", 5 bytes, done`},
		"a length wants as many bytes":           {FramingLength, 5, "hell", `"hell", 4 bytes, not done`},
		"until the connection ends takes all":    {FramingClose, -1, "hello\r\n\x00", `"hello\r\n\x00", 8 bytes, not done`},
		"the greatest length can be counted":     {FramingLength, 1<<63 - 1, "a", `"a", 1 bytes, not done`},
		"a length of a framing without it is no": {FramingChunked, 5, "0\r\n\r\n", `"", 5 bytes, done`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := unsplitBody(t, test.framing, test.length, []byte(test.in))
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestEveryRefusedTrailerIsRefusedAndNoNeighbour(t *testing.T) {
	outcome := func(name string) error {
		var b Body
		b.Reset(FramingChunked, -1)
		_, err := b.Advance([]byte("0\r\n" + name + ": a\r\n\r\n"))
		return err
	}
	for _, name := range refusedTrailers {
		if name == xForwarded {
			name += "by"
		}
		for _, spelled := range []string{name, strings.ToUpper(name), strings.ReplaceAll(name, "-", "_")} {
			if err := outcome(spelled); err != FaultTrailerName {
				t.Errorf("%s: %v", spelled, err)
			}
		}
		for _, neighbour := range []string{"a" + name, name[:len(name)-1] + "~"} {
			if !strings.HasPrefix(neighbour, xForwarded) && outcome(neighbour) != nil {
				t.Errorf("%s: %v", neighbour, outcome(neighbour))
			}
		}
		if !strings.HasPrefix(name, xForwarded) && name != "te" && outcome(name+"s") != nil {
			t.Errorf("%ss: %v", name, outcome(name+"s"))
		}
	}
	if len(refusedTrailers) > reflect.TypeOf(Body{}.names).Bits() {
		t.Errorf("%d names do not fit into the set", len(refusedTrailers))
	}
}

func TestBytesOfALengthBodyMayBeRelayedBlindly(t *testing.T) {
	var b Body
	b.Reset(FramingLength, 10)
	if n, err := b.Advance([]byte("abc")); n != 3 || err != nil || b.Left() != 7 {
		t.Fatalf("took %d, %v, %d left", n, err, b.Left())
	}
	b.Skip(6)
	if b.Left() != 1 || b.Done() {
		t.Fatalf("%d left, done: %v", b.Left(), b.Done())
	}
	b.Skip(1)
	if b.Left() != 0 || !b.Done() || b.End() != nil {
		t.Fatalf("%d left, done: %v", b.Left(), b.Done())
	}
	b.Reset(FramingLength, 10)
	b.Skip(11)
	if !b.Done() {
		t.Fatal("more than all is not all")
	}
	for _, f := range []Framing{FramingNone, FramingChunked, FramingClose} {
		b.Reset(f, 10)
		if b.Left() != 0 {
			t.Errorf("framing %d: %d left", f, b.Left())
		}
		before := b
		if b.Skip(5); b != before {
			t.Errorf("framing %d: skipped", f)
		}
	}
}

func TestTheEndOfTheConnectionCompletesABodyOrCutsIt(t *testing.T) {
	tests := map[string]struct {
		framing Framing
		length  int64
		in      string
		want    error
	}{
		"no body":                        {FramingNone, -1, "", nil},
		"a whole length":                 {FramingLength, 1, "a", nil},
		"half a length":                  {FramingLength, 2, "a", FaultCutShort},
		"until close":                    {FramingClose, -1, "a", nil},
		"whole chunks":                   {FramingChunked, -1, "0\r\n\r\n", nil},
		"chunks without the last":        {FramingChunked, -1, "1\r\na\r\n", FaultCutShort},
		"chunks without their last line": {FramingChunked, -1, "0\r\n", FaultCutShort},
		"chunks at fault":                {FramingChunked, -1, "x", FaultCutShort},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var b Body
			b.Reset(test.framing, test.length)
			_, _ = b.Advance([]byte(test.in)) // the fault is not what is asked
			if err := b.End(); err != test.want && !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if b.Done() != (test.want == nil) {
				t.Errorf("done: %v", b.Done())
			}
		})
	}
}

func TestADoneBodyTakesNothing(t *testing.T) {
	var b Body
	for range 2 {
		if n, p, err := b.Payload([]byte("GET")); n != 0 || p != nil || err != nil || !b.Done() {
			t.Fatalf("took %d, %q, %v", n, p, err)
		}
		b.Reset(FramingLength, 0)
	}
}

func TestABodyAtFaultStaysSo(t *testing.T) {
	var b Body
	b.Reset(FramingChunked, -1)
	if n, err := b.Advance([]byte("5x")); n != 1 || err != FaultChunkSize {
		t.Fatalf("took %d, %v", n, err)
	}
	if n, err := b.Advance([]byte("\r\nhello")); n != 0 || err != FaultBroken || b.Done() {
		t.Fatalf("took %d, %v, done: %v", n, err, b.Done())
	}
	if n, p, err := b.Payload([]byte("\r\nhello")); n != 0 || p != nil || err != FaultBroken {
		t.Fatalf("took %d, %q, %v", n, p, err)
	}
}

func TestThePayloadOfARunCannotGrowIntoTheNextBytes(t *testing.T) {
	text := []byte("5\r\nhello\r\n0\r\n\r\n")
	var b Body
	b.Reset(FramingChunked, -1)
	_, p, err := b.Payload(text)
	if err != nil || string(p) != "hello" {
		t.Fatalf("%q, %v", p, err)
	}
	_ = append(p, "!!"...)
	if !bytes.HasPrefix(text, []byte("5\r\nhello\r\n")) {
		t.Errorf("the buffer is now %q", text)
	}
}

func TestPerConnectionStateIsSmall(t *testing.T) {
	if size := reflect.TypeOf(Body{}).Size(); size > 32 {
		t.Errorf("a Body has %d bytes", size)
	}
	if size := reflect.TypeOf(Progress{}).Size(); size > 16 {
		t.Errorf("a Progress has %d bytes", size)
	}
}
