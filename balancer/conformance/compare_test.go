package conformance

import (
	"bufio"
	"fmt"
	"slices"
	"strings"
)

// check compares what a run recorded with its row. Nothing may run any more.
func (x *exchange) check() []string {
	faults := slices.Clone(x.faults)
	faults = append(faults, x.checkSeen()...)
	faults = append(faults, x.checkGot()...)
	if x.row.end == closed && x.ending != "FIN" && !(x.ending == "RST" && x.isLate()) {
		faults = append(faults, fmt.Sprintf("the client's connection ended by %q, want FIN", x.ending))
	}
	if x.row.conns > 0 && len(x.conns) != x.row.conns {
		faults = append(faults, fmt.Sprintf("%d connections to the backend, want %d", len(x.conns), x.row.conns))
	}
	if x.row.sent > 0 && x.sent > x.row.sent {
		faults = append(faults, fmt.Sprintf("an endless peer got rid of %d bytes, want at most %d", x.sent, x.row.sent))
	}
	return faults
}

// isLate tells whether the client may have sent what it must not send after the
// connection's end, which a reset answers (RFC 9112 section 9.6).
func (x *exchange) isLate() bool {
	last := len(x.row.in) - len(x.row.behind)
	return x.row.behind != "" && (x.plan.bytewise || x.plan.client >= last)
}

// wanted returns the requests that the backend must have seen.
func (x *exchange) wanted() []seen {
	all := slices.Clone(x.row.sees)
	if x.row.sees == nil {
		all = asSent(x.row.in)
	}
	for i := range all {
		all[i].repeats = all[i].repeats || x.row.again
	}
	if x.row.end == usable {
		all = append(all, asSent(probe)...)
	}
	return all
}

// checkSeen walks through what the backend saw in the order in which it came.
func (x *exchange) checkSeen() (faults []string) {
	rest := x.seen
	for i, want := range x.wanted() {
		diff := "it never came"
		if len(rest) > 0 {
			diff = x.diffSeen(want, rest[0])
		}
		switch {
		case diff == "":
			rest = rest[1:]
			for want.repeats && len(rest) > 0 && x.diffSeen(want, rest[0]) == "" {
				rest = rest[1:]
			}
		case want.cut != never && (len(rest) == 0 || x.laterWanted(i+1, rest[0])):
		default:
			faults = append(faults, fmt.Sprintf("request %d at the backend: %s", i+1, diff))
			rest = rest[min(1, len(rest)):]
		}
	}
	for _, m := range rest {
		faults = append(faults, fmt.Sprintf("the backend saw one request more: %s", m))
	}
	return faults
}

// laterWanted tells whether a request is the ith that is wanted.
func (x *exchange) laterWanted(i int, m *message) bool {
	all := x.wanted()
	return i < len(all) && x.diffSeen(all[i], m) == ""
}

// diffSeen says how a request differs from what is wanted, or "".
func (x *exchange) diffSeen(want seen, m *message) string {
	if strings.HasPrefix(m.end, "malformed") {
		return m.end
	}
	switch {
	case want.cut == never && !m.whole:
		return fmt.Sprintf("it is cut (%s): %s", m.end, m)
	case want.cut == always && m.whole:
		return fmt.Sprintf("it is whole, and must never be: %s", m)
	case want.head == "", m.framing == "": // there is no whole head to compare
		return ""
	}
	start, fields, _ := strings.Cut(want.head, "\n")
	if m.start != start {
		return fmt.Sprintf("request line\n      got  %q\n      want %q", m.start, start)
	}
	proxys := func(name, value string) bool {
		return isProxysInRequest(name, value) || x.row.anyExpect && name == "expect" || want.anyHost && name == "host" && value == ""
	}
	if diff := diffFields(m.fields, splitLines(fields), proxys); diff != "" {
		return diff
	}
	if diff := diffRest(m, want.body, want.trailers); diff != "" {
		return diff
	}
	if diff := diffPresence(m, want.has, want.lack, want.some); diff != "" {
		return diff
	}
	if x.row.on == trusting || x.row.on == silent || !m.whole {
		return ""
	}
	return diffForwarding(m)
}

// checkGot compares the responses.
func (x *exchange) checkGot() (faults []string) {
	if x.row.deaf {
		return nil
	}
	want := slices.Clone(x.row.gets)
	if x.row.end == usable {
		want = append(want, ok)
	}
	for i, w := range want {
		diff := "it never came"
		switch {
		case i < len(x.got):
			diff = x.diffGot(w, x.got[i], i == len(x.row.gets)-1)
		case w.cut == maybe:
			continue
		}
		if diff != "" {
			faults = append(faults, fmt.Sprintf("response %d: %s", i+1, diff))
		}
	}
	if len(x.got) > len(want) && !x.row.anyMore {
		faults = append(faults, fmt.Sprintf("the client got one response more: %s", x.got[len(want)]))
	}
	return faults
}

// diffGot says how a response differs from what is wanted, or "".
func (x *exchange) diffGot(want got, m *message, last bool) string {
	if strings.HasPrefix(m.end, "malformed") {
		return fmt.Sprintf("%s: %s", m.end, m)
	}
	if (want.cut == unless502 || want.or502) && m.whole && m.status() == "502" {
		return ""
	}
	switch mayBeCut := want.cut != never; {
	case !slices.Contains(strings.Split(want.status, "|"), m.status()):
		return fmt.Sprintf("status %s, want %s: %s", m.status(), want.status, m)
	case !m.whole && !mayBeCut:
		return fmt.Sprintf("it is cut (%s): %s", m.end, m)
	case m.whole && (want.cut == always || want.cut == unless502):
		return fmt.Sprintf("it looks complete, and is not: %s", m)
	case want.own && m.framing != byLength && !want.head:
		return fmt.Sprintf("an own response framed by %q: %s", m.framing, m)
	case want.framing != "" && m.framing != want.framing:
		return fmt.Sprintf("framed by %q, want %q: %s", m.framing, want.framing, m)
	case want.own && last && x.row.end == closed && !hasToken(m.values("Connection"), "close"):
		return fmt.Sprintf("the connection is closed, and the response does not say so: %s", m)
	case want.own:
		return ""
	}
	if diff := diffInterim(want.interim, m.interim); diff != "" && !want.anyInterim {
		return diff
	}
	if want.fields != "" {
		if diff := diffFields(m.fields, splitLines(want.fields), isProxysInResponse); diff != "" {
			return diff
		}
	}
	if diff := diffPresence(m, want.has, want.lack, want.some); diff != "" {
		return diff
	}
	return diffRest(m, want.body, want.trailers)
}

// diffInterim compares the 1xx responses, and the fields of those where fields
// are wanted.
func diffInterim(want []string, got []*message) string {
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) {
			return fmt.Sprintf("%d interim responses %v, want %q", len(got), got, want)
		}
		status, fields, some := strings.Cut(want[i], "\n")
		if got[i].status() != status {
			return fmt.Sprintf("interim response %d: %s, want %q", i+1, got[i], want[i])
		}
		if diff := diffFields(got[i].fields, splitLines(fields), isProxysInResponse); some && diff != "" {
			return fmt.Sprintf("interim response %d: %s", i+1, diff)
		}
	}
	return ""
}

// diffRest compares what stands behind the head.
func diffRest(m *message, body, trailers string) string {
	if m.whole && string(m.body) != body || !strings.HasPrefix(body, string(m.body)) {
		return diffBytes("body", string(m.body), body)
	}
	if got := joinLines(m.trailers); m.whole && got != trailers {
		return fmt.Sprintf("trailers\n      got  %q\n      want %q", got, trailers)
	}
	return ""
}

// diffPresence compares fields in any place.
func diffPresence(m *message, has, lack []string, some string) string {
	for _, line := range has {
		name, token, _ := strings.Cut(line, ": ")
		if name == "Connection" && hasToken(m.values(name), token) {
			continue
		}
		if !slices.ContainsFunc(m.fields, func(f string) bool { return sameField(f, line) }) {
			return fmt.Sprintf("field %q is missing: %s", line, m)
		}
	}
	for _, name := range lack {
		if values := m.values(name); len(values) > 0 {
			return fmt.Sprintf("field %s must not be there: %q", name, values)
		}
	}
	if !strings.Contains(joinLines(m.fields), some) {
		return fmt.Sprintf("%q is in no field: %s", some, m)
	}
	return ""
}

// diffFields compares the fields that are not the proxy's to write, in order.
func diffFields(got, want []string, proxys func(name, value string) bool) string {
	got, want = without(got, proxys), without(want, proxys)
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("field %q is missing, got %q", want[i], got)
		case i >= len(want):
			return fmt.Sprintf("field %q is too much, want %q", got[i], want)
		case !sameField(got[i], want[i]):
			return fmt.Sprintf("field %d\n      got  %q\n      want %q", i+1, got[i], want[i])
		}
	}
	return ""
}

func without(fields []string, proxys func(name, value string) bool) (kept []string) {
	for _, line := range fields {
		name, value, _ := strings.Cut(line, ":")
		if !proxys(strings.ToLower(name), strings.TrimSpace(value)) {
			kept = append(kept, line)
		}
	}
	return kept
}

// isProxysInRequest tells whether a field of a request is the proxy's to write:
// those of the hop, and those that say who the client was.
func isProxysInRequest(name, value string) bool {
	switch name {
	case "connection", "transfer-encoding", "via", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "trailer":
		return true
	case "te":
		return value == "trailers"
	}
	return false
}

func isProxysInResponse(name, _ string) bool {
	switch name {
	case "connection", "transfer-encoding", "via", "date", "trailer":
		return true
	}
	return false
}

// diffBytes points at the first byte that differs.
func diffBytes(what, got, want string) string {
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	return fmt.Sprintf("%s of %d bytes differs from the wanted %d at byte %d\n      got  %q\n      want %q",
		what, len(got), len(want), at, clip(got[at:]), clip(want[at:]))
}

func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "..."
	}
	return s
}

func splitLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func joinLines(all []string) string { return strings.Join(all, "\n") }

func hasToken(values []string, token string) bool {
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// String shows a message in a report.
func (m *message) String() string {
	state := "whole"
	if !m.whole {
		state = "cut by " + m.end
	}
	return fmt.Sprintf("%q %q, body %q by %s (%s)", m.start, m.fields, clip(string(m.body)), m.framing, state)
}

// asSent returns the requests of a byte stream as a backend must get them: with
// the fields as they are.
func asSent(in string) (all []seen) {
	r := bufio.NewReader(strings.NewReader(in))
	for {
		m := &message{}
		if err := m.readHead(r); err != nil {
			return all
		}
		body, err := newBodyReader(m, r, false, noBody)
		if err != nil || body.all() != nil {
			return all
		}
		head := joinLines(append([]string{m.start}, m.fields...))
		all = append(all, seen{head: head, body: string(m.body), trailers: joinLines(m.trailers)})
	}
}
