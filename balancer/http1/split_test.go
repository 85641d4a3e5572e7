package http1

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// describe writes down all that a parsed request says but its fields, those
// parts that are not as usual only.
func (r *Request) describe() string {
	var b strings.Builder
	form := [...]string{"origin", "absolute", "asterisk", "authority"}[r.Form]
	fmt.Fprintf(&b, "%d/%s/%d %s %s host=%q path=%q", r.Method, r.MethodText, r.Minor, form, r.Target, r.Host, r.Path)
	if r.HasQuery {
		fmt.Fprintf(&b, " query=%q", r.Query)
	}
	b.WriteString(describeFraming(r.Framing, r.Length))
	for _, flag := range []struct {
		name string
		on   bool
	}{{"close", r.Close}, {"keep-alive", r.KeepAlive}, {"expect", r.Expect}, {"trailers", r.TETrailers}} {
		if flag.on {
			b.WriteString(" " + flag.name)
		}
	}
	if r.Upgrade != nil {
		fmt.Fprintf(&b, " upgrade=%q", r.Upgrade)
	}
	return b.String()
}

func (r *Response) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %q 1.%d%s", r.Status, r.Reason, r.Minor, describeFraming(r.Framing, r.Length))
	if r.Close {
		b.WriteString(" close")
	}
	if r.Upgrade != nil {
		fmt.Fprintf(&b, " upgrade=%q", r.Upgrade)
	}
	return b.String()
}

func describeFraming(f Framing, length int64) string {
	text := " " + [...]string{"none", "length", "chunked", "until-close"}[f]
	if length >= 0 {
		text += fmt.Sprintf("=%d", length)
	}
	return text
}

func describeFields(h *head) string {
	var b strings.Builder
	h.each(func(name, value []byte) bool {
		fmt.Fprintf(&b, "\n%q: %q", name, value)
		return true
	})
	for i := range h.fields {
		fmt.Fprintf(&b, "\n%+v", h.fields[i])
	}
	return b.String()
}

// message is what [Request] and [Response] have in common for a test.
type message struct {
	parse func(buf []byte, p *Progress) (int, error)
	all   func() string // all that was parsed
}

func requestMessage(r *Request, limits *Limits) message {
	return message{
		func(buf []byte, p *Progress) (int, error) { return r.Parse(buf, p, limits) },
		func() string { return r.describe() + fmt.Sprint(r.Size) + describeFields(&r.head) },
	}
}

func responseMessage(r *Response, limits *Limits, method Method) message {
	return message{
		func(buf []byte, p *Progress) (int, error) { return r.Parse(buf, p, limits, method) },
		func() string { return r.describe() + fmt.Sprint(r.Size) + describeFields(&r.head) },
	}
}

// feed parses what comes in pieces that end at the cuts and at the end, each
// time in memory of its own, and returns the outcome.
func (m message) feed(text []byte, cuts ...int) string {
	var p Progress
	for _, cut := range append(cuts, len(text)) {
		n, err := m.parse(bytes.Clone(text[:cut]), &p)
		switch {
		case err != nil && p != Progress{}:
			return "a fault that leaves progress"
		case err != nil:
			return "fault: " + err.Error()
		case n > 0 && p != Progress{}:
			return "a head that leaves progress"
		case n > 0:
			return m.all()
		}
	}
	return "incomplete"
}

// everywhere is all cuts at once.
func everywhere(text []byte) []int {
	cuts := make([]int, len(text))
	for i := range cuts {
		cuts[i] = i
	}
	return cuts
}

// stride makes of all splits of a large text a sample.
func stride(text []byte) int {
	if len(text) <= 2048 {
		return 1
	}
	return len(text) / 101
}

// unsplit parses a text whole, holds that no split makes a difference, and
// returns the outcome.
func (m message) unsplit(t testing.TB, text []byte) string {
	t.Helper()
	want := m.feed(text)
	if err := m.sameWhenCut(text, want, everywhere(text)...); err != nil {
		t.Error(err)
	}
	for cut := 0; cut < len(text); cut += stride(text) {
		if err := m.sameWhenCut(text, want, cut); err != nil {
			t.Error(err)
		}
	}
	return want
}

// sameWhenCut is the oracle that cuts make no difference.
func (m message) sameWhenCut(text []byte, want string, cuts ...int) error {
	if got := m.feed(text, cuts...); got != want {
		return fmt.Errorf("%q cut after %d… bytes: %s\nwhole: %s", text, cuts[:min(len(cuts), 3)], got, want)
	}
	return nil
}

func TestAReusedParserShowsNothingOfTheMessageBefore(t *testing.T) {
	everything := crlf("POST /a?b HTTP/1.1\nHost: c\nConnection: upgrade, te, close, x-named\nX-Named: d\nX-Named: d\nX-Named: d\n" +
		"Upgrade: websocket\nTE: trailers\nExpect: 100-continue\nContent-Length: 5\n\n")
	absolute := crlf("GET http://a/b?c HTTP/1.0\nConnection: keep-alive\n\n")
	for name, test := range requestTests {
		for _, before := range [][]byte{everything, absolute, everything[:40]} {
			var fresh, reused Request
			want := requestMessage(&fresh, nil).feed(crlf(test.in))
			m := requestMessage(&reused, nil)
			m.feed(before)
			if got := m.feed(crlf(test.in)); got != want {
				t.Errorf("%s: after %q: %s\nfresh: %s", name, before, got, want)
			}
			if fresh.Size == 0 {
				continue
			}
			if a, b := reused.AppendTo(nil, &quiet), fresh.AppendTo(nil, &quiet); !bytes.Equal(a, b) {
				t.Errorf("%s: after %q it is written as %q, fresh %q", name, before, a, b)
			}
		}
	}
	switching := crlf("HTTP/1.1 101 S\nConnection: upgrade, x-named\nUpgrade: websocket\nX-Named: a\n\n")
	plain := crlf("HTTP/1.1 200 OK\nContent-Length: 5\nConnection: x-named\nX-Named: a\nX-Named: a\n\n")
	for name, test := range responseTests {
		for _, before := range [][]byte{switching, plain, plain[:30]} {
			var fresh, reused Response
			want := responseMessage(&fresh, nil, test.method).feed(crlf(test.in))
			m := responseMessage(&reused, nil, test.method)
			m.feed(before)
			if got := m.feed(crlf(test.in)); got != want {
				t.Errorf("%s: after %q: %s\nfresh: %s", name, before, got, want)
			}
		}
	}
}
