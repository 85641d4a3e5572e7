package http1

import (
	"net/netip"
	"testing"
)

// TestNothingIsAllocatedPerMessage goes through messages of all sorts with
// reused parsers and buffers.
func TestNothingIsAllocatedPerMessage(t *testing.T) {
	requests := [][]byte{
		[]byte(small), []byte(browser),
		crlf("GET http://[2001:db8::1]:80?a HTTP/1.1\nHost: b\nX-Forwarded-For: c\nForwarded: for=\"d\"\nX_Forwarded_For: e\n\n"),
		crlf("POST / HTTP/1.0\nContent-Length: 5\nExpect: 100-continue\nConnection: keep-alive, a, b, c\nA: 1\nB: 2\n\n"),
		crlf("GET / HTTP/1.1\nHost: a\nConnection: upgrade, te\nUpgrade: websocket\nTE: trailers\n\n"),
		crlf("GET / HTTP/1.1\nHost: a@b\n\n"),
		crlf("GET / HTTP/1.1\nX: \x00\n\n"),
	}
	responses := [][]byte{
		[]byte(answer),
		crlf("HTTP/1.0 200 OK\nConnection: x\nX: y\n\n"),
		crlf("HTTP/1.1 101 S\nConnection: upgrade\nUpgrade: websocket\n\n"),
		crlf("HTTP/1.1 200 OK\nTransfer-Encoding: gzip\n\n"),
	}
	bodies := [][]byte{crlf("5;a=\"b\"\nhello\n0\nA: b\n\n"), crlf("5\nhello\n0\nHost: b\n\n")}
	trusting := RequestRewrite{
		Host: []byte("a"), Peer: netip.MustParseAddr("2001:db8::7"), Trusted: true, Upgrade: true, Via: true,
		Edits: []Edit{{EditSet, "A", "b"}, {EditRemove, "X-Forwarded-For-A-Name-That-Is-Long", ""}, {EditAdd, "C", "d"}},
	}
	rewrites := []*RequestRewrite{{Peer: netip.MustParseAddr("::ffff:192.0.2.1")}, {Peer: netip.MustParseAddr("fe80::1%eth0")}, &trusting}
	answers := []*ResponseRewrite{{}, {Close: true, Via: true, Edits: trusting.Edits, Extra: []byte("A: b\r\n")}, {Upgrade: true}}

	var request Request
	var response Response
	var p Progress
	dst := make([]byte, 0, 16<<10)
	round := func() {
		for _, text := range requests {
			for _, cut := range []int{len(text) / 2, len(text)} {
				n, err := request.Parse(text[:cut], &p, nil)
				if n == 0 || err != nil {
					continue
				}
				for _, w := range rewrites {
					dst = request.AppendTo(dst[:0], w)
				}
				request.Field("Accept")
			}
		}
		for _, text := range responses {
			for _, cut := range []int{len(text) / 2, len(text)} {
				n, err := response.Parse(text[:cut], &p, nil, GET)
				if n == 0 || err != nil {
					continue
				}
				for _, w := range answers {
					dst = response.AppendTo(dst[:0], w)
				}
			}
		}
		for _, text := range bodies {
			var a, b Body
			a.Reset(FramingChunked, -1)
			b.Reset(FramingChunked, -1)
			if _, err := a.Advance(text); err == nil && a.End() != nil {
				t.Error("a body that does not end")
			}
			for rest := text; len(rest) > 0; {
				n, _, err := b.Payload(rest)
				if rest = rest[n:]; err != nil {
					break
				}
			}
		}
	}
	round() // the tables of fields grow once
	if allocations := testing.AllocsPerRun(100, round); allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}
