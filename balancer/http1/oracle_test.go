package http1

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// line is a field as a name and a value.
type line struct{ name, value string }

func linesOf(each func(func(name, value []byte) bool)) (all []line) {
	each(func(name, value []byte) bool {
		all = append(all, line{string(name), string(value)})
		return true
	})
	return all
}

// onlyThisHop is RFC 9110 section 7.6.1, and what this package says that names
// in Connection cannot remove, written without a look at the code under test.
func onlyThisHop(fields []line, alsoDropped ...string) (rest []line) {
	drop := map[string]bool{}
	for _, f := range fields {
		if !strings.EqualFold(f.name, "connection") {
			continue
		}
		for option := range strings.SplitSeq(f.value, ",") {
			drop[strings.ToLower(strings.Trim(option, " \t"))] = true
		}
	}
	for _, name := range []string{"host", "content-length", "transfer-encoding", "expect"} {
		delete(drop, name)
	}
	for _, name := range append(alsoDropped, "connection", "keep-alive", "proxy-connection", "te", "upgrade", "http2-settings",
		"proxy-authenticate", "proxy-authorization") {
		drop[name] = true
	}
	return slices.DeleteFunc(slices.Clone(fields), func(f line) bool { return drop[strings.ToLower(f.name)] })
}

// checkRequestEmitted is the oracle of rewriting: what was emitted parses again
// and is the same request, with the end-to-end fields in their order, plus, at
// the end, what the rewriting adds.
func checkRequestEmitted(r *Request, w *RequestRewrite, out []byte) error {
	var again Request
	var p Progress
	n, err := again.Parse(out, &p, &Limits{Head: 1 << 20, Line: 1 << 20, Fields: 1000})
	if n != len(out) || err != nil {
		return fmt.Errorf("%q does not parse: %d of %d, %w", out, n, len(out), err)
	}
	if !bytes.Equal(r.MethodText, again.MethodText) || again.Minor != 1 || again.Form == AbsoluteForm {
		return fmt.Errorf("%q is another request", out)
	}
	if !bytes.Equal(r.Host, again.Host) || !bytes.Equal(r.Path, again.Path) || !bytes.Equal(r.Query, again.Query) || r.HasQuery != again.HasQuery {
		return fmt.Errorf("%q names another target", out)
	}
	if r.Framing != again.Framing || r.Length != again.Length || r.TETrailers != again.TETrailers || again.Close {
		return fmt.Errorf("%q is framed otherwise", out)
	}
	if offers := w.Upgrade && r.Upgrade != nil; offers != (again.Upgrade != nil) || offers && !bytes.Equal(r.Upgrade, again.Upgrade) {
		return fmt.Errorf("%q offers %q instead of %q", out, again.Upgrade, r.Upgrade)
	}
	drop := []string{"host", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "via"}
	if !r.Expect {
		drop = append(drop, "expect")
	}
	disguised := func(f line) bool {
		return strings.HasPrefix(strings.ReplaceAll(strings.ToLower(f.name), "_", "-"), "x-forwarded-") && !w.Trusted ||
			strings.HasPrefix(strings.ReplaceAll(strings.ToLower(f.name), "_", "-"), "x-forwarded-") && strings.Contains(f.name, "_")
	}
	want := slices.DeleteFunc(onlyThisHop(linesOf(r.Fields), drop...), disguised)
	got := onlyThisHop(linesOf(again.Fields), drop...)
	if !slices.Equal(got, want) {
		return fmt.Errorf("%q has the fields %q instead of %q", out, got, want)
	}
	return checkForwarding(&again, w)
}

// checkForwarding holds that the next hop can tell who we say the client is.
func checkForwarding(again *Request, w *RequestRewrite) error {
	count := func(name string) (n int, last string) {
		for field, value := range again.Fields {
			if strings.EqualFold(string(field), name) {
				n, last = n+1, string(value)
			}
		}
		return n, last
	}
	if !w.NoForwarded {
		n, value := count("forwarded")
		if n != 1 || !strings.Contains(value, "for=") || !w.Trusted && !strings.HasPrefix(value, "for=") {
			return fmt.Errorf("%d Forwarded, the last %q", n, value)
		}
	}
	if !w.NoXForwarded && w.Peer.IsValid() {
		n, value := count("x-forwarded-for")
		if n != 1 || !strings.HasSuffix(value, w.Peer.String()) || !w.Trusted && value != w.Peer.String() {
			return fmt.Errorf("%d X-Forwarded-For, the last %q", n, value)
		}
	}
	if n, last := count("via"); w.Via && (n == 0 || w.HTTP2 && last != "2 evenkeel") {
		return fmt.Errorf("%d Via, the last %q", n, last)
	}
	return nil
}

// checkResponseEmitted is to responses what checkRequestEmitted is to requests.
func checkResponseEmitted(r *Response, w *ResponseRewrite, method Method, out []byte) error {
	var again Response
	var p Progress
	n, err := again.Parse(out, &p, &Limits{Head: 1 << 20, Line: 1 << 20, Fields: 1000}, method)
	if r.Status == 101 && !w.Upgrade {
		if err == nil {
			return fmt.Errorf("%q switches though not asked to", out)
		}
		return nil
	}
	if n != len(out) || err != nil {
		return fmt.Errorf("%q does not parse: %d of %d, %w", out, n, len(out), err)
	}
	if r.Status != again.Status || !bytes.Equal(r.Reason, again.Reason) || again.Minor != 1 || !bytes.Equal(r.Upgrade, again.Upgrade) {
		return fmt.Errorf("%q is another response", out)
	}
	if again.Close != (w.Close && again.Upgrade == nil || again.Framing == FramingClose) {
		return fmt.Errorf("%q closes: %v", out, again.Close)
	}
	var drop []string
	framing, length := r.Framing, r.Length
	if w.Unchunk {
		drop = append(drop, "transfer-encoding", "trailer")
		if framing == FramingChunked {
			framing = FramingClose
		}
	}
	if r.Status < 200 || r.Status == 204 {
		drop, length = append(drop, "content-length"), -1
	}
	if framing != again.Framing || length != again.Length {
		return fmt.Errorf("%q is framed otherwise", out)
	}
	want := onlyThisHop(linesOf(r.Fields), drop...)
	if w.Via && w.HTTP2 {
		want = append(want, line{"Via", "2 evenkeel"})
	} else if w.Via {
		want = append(want, line{"Via", fmt.Sprintf("1.%d evenkeel", r.Minor)})
	}
	if got := onlyThisHop(linesOf(again.Fields)); !slices.Equal(got, want) {
		return fmt.Errorf("%q has the fields %q instead of %q", out, got, want)
	}
	return nil
}

// requestRewrites are some rewritings for fuzzing, picked by bits.
func requestRewrite(bits uint8) *RequestRewrite {
	w := &RequestRewrite{
		NoXForwarded: bits&1 != 0, NoForwarded: bits&2 != 0, Trusted: bits&4 != 0, Via: bits&8 != 0, Upgrade: bits&16 != 0,
	}
	w.HTTP2 = bits&128 != 0
	if bits&32 != 0 {
		w.Peer = netip.MustParseAddr("192.0.2.1")
	} else if bits&64 != 0 {
		w.Peer = netip.MustParseAddr("2001:db8::1")
	}
	return w
}

func responseRewrite(bits uint8) *ResponseRewrite {
	return &ResponseRewrite{Close: bits&1 != 0, KeepAlive: bits&2 != 0, Upgrade: bits&4 != 0, Unchunk: bits&8 != 0, Via: bits&16 != 0, HTTP2: bits&32 != 0}
}

// TestTheOracleOfRewritingFindsPlantedBugs breaks what was emitted in ways in
// which an emitter could.
func TestTheOracleOfRewritingFindsPlantedBugs(t *testing.T) {
	replace := func(old, new string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, new, 1) }
	}
	requestBugs := map[string]func(string) string{
		"a field is lost":                  replace("A: b\r\n", ""),
		"a field is doubled":               replace("A: b\r\n", "A: b\r\nA: b\r\n"),
		"fields change places":             replace("A: b\r\nC: d\r\n", "C: d\r\nA: b\r\n"),
		"a name changes its case":          replace("A: b", "a: b"),
		"a value loses its end":            replace("C: d\r\n", "C: \r\n"),
		"a field of this hop is kept":      replace("A: b\r\n", "A: b\r\nConnection: close\r\n"),
		"the framing is lost":              replace("Content-Length: 5\r\n", ""),
		"the length changes":               replace("Content-Length: 5", "Content-Length: 6"),
		"the framing changes":              replace("Content-Length: 5", "Transfer-Encoding: chunked"),
		"both framings are there":          replace("Content-Length: 5", "Transfer-Encoding: chunked\r\nContent-Length: 5"),
		"the host is lost":                 replace("Host: b\r\n", ""),
		"the host is the wrong one":        replace("Host: b", "Host: a"),
		"the path changes":                 replace("/c", "/d"),
		"the query is lost":                replace("?q", ""),
		"the method changes":               replace("POST", "PUT"),
		"the version is that of the peer":  replace("HTTP/1.1", "HTTP/1.0"),
		"the target keeps its form":        replace("/c?q", "http://b/c?q"),
		"the empty line is lost":           func(s string) string { return strings.TrimSuffix(s, "\r\n") },
		"there is an empty line too many":  func(s string) string { return s + "\r\n" },
		"a line end is lost":               replace("A: b\r\n", "A: b"),
		"the client's own claim is kept":   replace("A: b\r\n", "A: b\r\nX_Forwarded_For: 1.2.3.4\r\n"),
		"its claim comes before ours":      replace("Forwarded: for=", "Forwarded: for=\"1.2.3.4\"\r\nForwarded: for="),
		"the client's address is not ours": replace("X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 192.0.2.2"),
		"Via is lost":                      replace("Via: 1.1 evenkeel\r\n", ""),
		"the offer is lost":                replace("Upgrade: websocket\r\n", ""),
	}
	w := requestRewrite(8 | 16 | 32)
	var r Request
	var p Progress
	in := "POST http://b/c?q HTTP/1.1\nHost: a\nA: b\nC: d\nContent-Length: 5\nUpgrade: websocket\nConnection: upgrade\n\n"
	if n, err := r.Parse(crlf(in), &p, nil); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	out := string(r.AppendTo(nil, w))
	if err := checkRequestEmitted(&r, w, []byte(out)); err != nil {
		t.Fatal(err)
	}
	for name, plant := range requestBugs {
		broken := plant(out)
		if broken == out {
			t.Errorf("%s: nothing was planted in %q", name, out)
		}
		if checkRequestEmitted(&r, w, []byte(broken)) == nil {
			t.Errorf("request: %s: not found in %q", name, broken)
		}
	}
	responseBugs := map[string]func(string) string{
		"a field is lost":             replace("A: b\r\n", ""),
		"fields change places":        replace("A: b\r\nC: d\r\n", "C: d\r\nA: b\r\n"),
		"a field of this hop is kept": replace("A: b\r\n", "A: b\r\nConnection: close\r\n"),
		"a field is added":            replace("A: b\r\n", "A: b\r\nKeep: c\r\n"),
		"the framing is lost":         replace("Content-Length: 5\r\n", ""),
		"the length changes":          replace("Content-Length: 5", "Content-Length: 6"),
		"the status changes":          replace("200", "201"),
		"the reason changes":          replace("OK", "KO"),
		"the version changes":         replace("HTTP/1.1", "HTTP/1.0"),
		"the empty line is lost":      func(s string) string { return strings.TrimSuffix(s, "\r\n") },
	}
	var response Response
	if n, err := response.Parse(crlf("HTTP/1.0 200 OK\nA: b\nC: d\nContent-Length: 5\n\n"), &p, nil, GET); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	out = string(response.AppendTo(nil, &ResponseRewrite{}))
	if err := checkResponseEmitted(&response, &ResponseRewrite{}, GET, []byte(out)); err != nil {
		t.Fatal(err)
	}
	for name, plant := range responseBugs {
		broken := plant(out)
		if broken == out || checkResponseEmitted(&response, &ResponseRewrite{}, GET, []byte(broken)) == nil {
			t.Errorf("response: %s: not found in %q", name, broken)
		}
	}
}

// TestTheOracleOfSplitsFindsPlantedBugs parses with bugs that only show when a
// head comes in pieces.
func TestTheOracleOfSplitsFindsPlantedBugs(t *testing.T) {
	text := crlf("GET / HTTP/1.1\nHost: a\nA: b\n\n")
	var r Request
	good := requestMessage(&r, nil)
	bugs := map[string]func(buf []byte, p *Progress) (int, error){
		"what came before is forgotten": func(buf []byte, p *Progress) (int, error) { return good.parse(buf[min(p.line, 1):], p) },
		"the end is never seen": func(buf []byte, p *Progress) (int, error) {
			if p.line > 0 {
				return 0, nil
			}
			return good.parse(buf, p)
		},
		"a line is refused before it is whole": func(buf []byte, p *Progress) (int, error) {
			if bytes.HasSuffix(buf, []byte("\r")) {
				return 0, FaultBareCR
			}
			return good.parse(buf, p)
		},
		"progress is kept after the head": func(buf []byte, p *Progress) (int, error) {
			n, err := good.parse(buf, p)
			if n > 0 {
				p.line = 1
			}
			return n, err
		},
	}
	for name, parse := range bugs {
		bad := message{parse, good.all}
		want := bad.feed(text)
		found := bad.sameWhenCut(text, want, everywhere(text)...) != nil || strings.Contains(want, "progress")
		for cut := range text {
			found = found || bad.sameWhenCut(text, want, cut) != nil
		}
		if !found {
			t.Errorf("%s: not found", name)
		}
	}
}

// buggy is a Body with a bug in one of its two ways.
type buggy struct {
	Body
	advance func(b *Body, p []byte) (int, error)
}

func (b *buggy) Advance(p []byte) (int, error) { return b.advance(&b.Body, p) }

// TestTheOracleOfBodiesFindsPlantedBugs walks with an Advance that differs from
// Payload.
func TestTheOracleOfBodiesFindsPlantedBugs(t *testing.T) {
	bugs := map[string]func(b *Body, p []byte) (int, error){
		"a byte too few":   func(b *Body, p []byte) (int, error) { n, err := b.Advance(p); return max(n-1, 0), err },
		"takes everything": func(b *Body, p []byte) (int, error) { _, err := b.Advance(p); return len(p), err },
		"finds no fault": func(b *Body, p []byte) (int, error) {
			if n, err := b.Advance(p); err == nil {
				return n, nil
			}
			return len(p), nil
		},
		"finds another fault": func(b *Body, p []byte) (int, error) {
			n, err := b.Advance(p)
			if err != nil {
				err = FaultBroken
			}
			return n, err
		},
		"is never done": func(b *Body, p []byte) (int, error) {
			n, err := b.Advance(p)
			if b.Done() {
				b.Reset(FramingChunked, -1)
			}
			return n, err
		},
	}
	for name, advance := range bugs {
		found := false
		for _, text := range []string{"5\r\nhello\r\n0\r\n\r\nnext", "5\r\nhello\r\nx\r\n"} {
			bad, good := buggy{advance: advance}, Body{}
			bad.Reset(FramingChunked, -1)
			good.Reset(FramingChunked, -1)
			_, err := walk(&bad, &good, []byte(text))
			found = found || err != nil
		}
		if !found {
			t.Errorf("%s: not found", name)
		}
	}
}
