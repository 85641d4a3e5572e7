package http1

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// Pieces of heads that matter to each other, to make random ones of.
var (
	randomRequestLines = []string{"GET / HTTP/1.1", "POST /a?b HTTP/1.1", "GET http://b.example:80/c HTTP/1.1", "OPTIONS * HTTP/1.1",
		"OPTIONS http://b HTTP/1.1", "GET /a HTTP/1.0", "HEAD / HTTP/1.0", "PUT /%41 HTTP/1.1", "CONNECT a:443 HTTP/1.1"}
	randomStatusLines = []string{"HTTP/1.1 200 OK", "HTTP/1.0 200 OK", "HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified",
		"HTTP/1.1 100 Continue", "HTTP/1.1 101 Switching Protocols", "HTTP/1.1 103 Early Hints", "HTTP/1.1 500", "HTTP/1.1 426 "}
	randomFields = []string{"Host: a.example", "Host: a.example", "host:b:80", "Host: ", "Content-Length: 5", "content-length:0", "Content-Length: 5",
		"Transfer-Encoding: chunked", "transfer-encoding:CHUNKED", "Connection: close", "Connection: keep-alive", "Connection: upgrade",
		"Connection: x-a, Host, Content-Length, keep-alive", "Connection: X-Forwarded-For, te", "Connection: transfer-encoding, expect, x-b",
		"Upgrade: websocket", "Upgrade: h2c", "TE: trailers", "TE: gzip", "Trailer: X-T", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive",
		"HTTP2-Settings: AAM", "Proxy-Authorization: Basic a", "Expect: 100-continue", "Expect: tea", "X-Forwarded-For: 192.0.2.9",
		"X-Forwarded-For: 192.0.2.8, 192.0.2.7", "X-Forwarded-Proto: https", "X-Forwarded-Host:", "X_Forwarded_For: 6.6.6.6", "X-Forwarded-Port: 1",
		"Forwarded: for=192.0.2.9", "Forwarded: for=\"a", "Via: 1.0 fred", "X-A: 1", "x-a:2", "X-B:\t3 ", "X-Empty:", "Cookie: a=b; c=d",
		"Set-Cookie: a=b", "User-Agent: Mozilla/5.0 (X11; Linux x86_64)", "Pragma: no-cache", "Cache-Control: no-store"}
	randomBodies = []string{"", "hello", "helloGET / HTTP/1.1\r\n", "5\r\nhello\r\n0\r\n\r\n", "1;a=\"b\"\r\nx\r\n0\r\nX-T: y\r\n\r\nnext", "5\r\nhel"}
)

// randomHead makes a head of a start line and fields. One in four has a byte
// changed, lost or doubled.
func randomHead(rng *rand.Rand, startLines []string) []byte {
	pick := func(from []string) string { return from[rng.IntN(len(from))] }
	var b strings.Builder
	b.WriteString(pick(startLines) + "\r\n")
	for range rng.IntN(8) {
		b.WriteString(pick(randomFields) + "\r\n")
	}
	b.WriteString("\r\n")
	text := []byte(b.String())
	if at := rng.IntN(len(text)); rng.IntN(4) == 0 {
		switch rng.IntN(3) {
		case 0:
			text[at] = "\r\n \t:,;\x00\x7f\xff0a"[rng.IntN(12)]
		case 1:
			text = append(text[:at], text[at+1:]...)
		default:
			text = slices.Insert(text, at, text[at])
		}
	}
	return append(text, pick(randomBodies)...)
}

const randomHeads = 4_000

func TestRandomRequestsPassAllOracles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	for range randomHeads {
		text, bits, cut := randomHead(rng, randomRequestLines), uint8(rng.Uint32()), rng.IntN(1000)
		if checkRequest(t, text, bits, cut) {
			accepted++
		}
	}
	if accepted < randomHeads/10 {
		t.Errorf("only %d of %d were accepted: that says little", accepted, randomHeads)
	}
}

func TestRandomResponsesPassAllOracles(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	accepted := 0
	for range randomHeads {
		text, method, bits, cut := randomHead(rng, randomStatusLines), Method(rng.IntN(int(CONNECT))), uint8(rng.Uint32()), rng.IntN(1000)
		if checkResponse(t, text, method, bits, cut) {
			accepted++
		}
	}
	if accepted < randomHeads/10 {
		t.Errorf("only %d of %d were accepted: that says little", accepted, randomHeads)
	}
}
