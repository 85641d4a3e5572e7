package http1

import (
	"testing"
)

// Bodies that follow the heads of the tables as seeds.
var seedBodies = []string{"", "hello", "5\r\nhello\r\n0\r\nA: b\r\n\r\nGET / HTTP/1.1\r\n\r\n"}

// FuzzRequest holds requests against four oracles: splits make no difference,
// net/http sees the same, and what is emitted is the same request to us and to
// net/http.
func FuzzRequest(f *testing.F) {
	i := uint8(0)
	for _, test := range requestTests {
		for _, body := range seedBodies {
			f.Add(append(crlf(test.in), body...), i, uint16(i))
			i += 7
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, bits uint8, cut uint16) { checkRequest(t, text, bits, int(cut)) })
}

// checkRequest holds a text against the oracles of FuzzRequest, and tells
// whether it was accepted as a request.
func checkRequest(t *testing.T, text []byte, bits uint8, cut int) bool {
	t.Helper()
	var r Request
	limits := &Limits{Head: 4000, Line: 1000, Fields: 20}
	m := requestMessage(&r, limits)
	want := m.feed(text)
	for _, cuts := range [][]int{{cut % (len(text) + 1)}, everywhere(text)} {
		if err := m.sameWhenCut(text, want, cuts...); err != nil {
			t.Error(err)
		}
	}
	var p Progress
	n, err := r.Parse(text, &p, limits)
	if n == 0 || err != nil {
		return false
	}
	if err := checkRequestWithNetHTTP(&r, text); err != nil {
		t.Errorf("%q: %v", text, err)
	}
	w := requestRewrite(bits)
	out := r.AppendTo(nil, w)
	if err := checkRequestEmitted(&r, w, out); err != nil {
		t.Errorf("%q: %v", text, err)
	}
	var again Request
	body := append(out, text[n:]...)
	if n, err := again.Parse(body, &p, &Limits{Head: 1 << 20, Line: 1 << 20, Fields: 1000}); n != len(out) || err != nil {
		t.Fatalf("%q: %d, %v", body, n, err)
	}
	if err := checkRequestWithNetHTTP(&again, body); err != nil {
		t.Errorf("%q: %v", body, err)
	}
	return true
}

// FuzzResponse does the same with responses.
func FuzzResponse(f *testing.F) {
	i := uint8(0)
	for _, test := range responseTests {
		for _, body := range seedBodies {
			f.Add(append(crlf(test.in), body...), uint8(test.method), i, uint16(i))
			i += 7
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, number, bits uint8, cut uint16) {
		checkResponse(t, text, Method(number%uint8(len(methodNames))), bits, int(cut))
	})
}

func checkResponse(t *testing.T, text []byte, method Method, bits uint8, cut int) bool {
	t.Helper()
	var r Response
	limits := &Limits{Head: 4000, Line: 1000, Fields: 20}
	m := responseMessage(&r, limits, method)
	want := m.feed(text)
	for _, cuts := range [][]int{{cut % (len(text) + 1)}, everywhere(text)} {
		if err := m.sameWhenCut(text, want, cuts...); err != nil {
			t.Error(err)
		}
	}
	var p Progress
	n, err := r.Parse(text, &p, limits, method)
	if n == 0 || err != nil {
		return false
	}
	if err := checkResponseWithNetHTTP(&r, method, methodNames[method], text); err != nil {
		t.Errorf("%q: %v", text, err)
	}
	w := responseRewrite(bits)
	if err := checkResponseEmitted(&r, w, method, r.AppendTo(nil, w)); err != nil {
		t.Errorf("%q: %v", text, err)
	}
	return true
}

// FuzzBody holds bodies of every framing: Advance and Payload agree, and splits
// make no difference. What net/http makes of them FuzzRequest and FuzzResponse
// ask.
func FuzzBody(f *testing.F) {
	for _, test := range chunkTests {
		f.Add(crlf(test.in), uint8(FramingChunked), int64(-1), uint16(3), uint16(5))
	}
	f.Add([]byte("hello"), uint8(FramingLength), int64(4), uint16(1), uint16(2))
	f.Add([]byte("hello"), uint8(FramingClose), int64(-1), uint16(1), uint16(2))
	f.Fuzz(func(t *testing.T, text []byte, number uint8, length int64, cut, more uint16) {
		framing := Framing(number % 4)
		if framing == FramingLength && length < 0 {
			return
		}
		want := walkFresh(t, framing, length, text)
		first := int(cut) % (len(text) + 1)
		second := first + int(more)%(len(text)-first+1)
		if got := walkFresh(t, framing, length, text, first, second); got != want {
			t.Errorf("%q cut at %d and %d: %s\nwhole: %s", text, first, second, got, want)
		}
		if got := walkFresh(t, framing, length, text, everywhere(text)...); got != want {
			t.Errorf("%q byte by byte: %s\nwhole: %s", text, got, want)
		}
	})
}

// FuzzChunked holds chunked bodies against net/http's reader.
func FuzzChunked(f *testing.F) {
	for _, test := range chunkTests {
		f.Add(crlf(test.in))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var r Request
		var p Progress
		text := append(crlf("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n"), body...)
		if n, err := r.Parse(text, &p, nil); n == 0 || err != nil {
			t.Fatal(n, err)
		}
		if err := checkRequestWithNetHTTP(&r, text); err != nil {
			t.Errorf("%q: %v", body, err)
		}
	})
}
