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
func stride(text []byte) int { return 1 + len(text)/2048 }

// unsplit parses a text whole, holds that no split makes a difference, and
// returns the outcome.
func (m message) unsplit(t testing.TB, text []byte) string {
	t.Helper()
	want := m.feed(text)
	if got := m.feed(text, everywhere(text)...); got != want {
		t.Errorf("byte by byte: %s\nwhole: %s", got, want)
	}
	for cut := 0; cut < len(text); cut += stride(text) {
		if got := m.feed(text, cut); got != want {
			t.Errorf("cut after %q: %s\nwhole: %s", text[:cut], got, want)
		}
	}
	return want
}
