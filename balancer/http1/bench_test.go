package http1

import (
	"net/netip"
	"strings"
	"testing"
)

// small is a GET of 150 bytes with 4 fields, as load generators send it.
const small = "GET /api/v1/items/4711?page=2 HTTP/1.1\r\n" +
	"Host: www.shop.example\r\n" +
	"User-Agent: bench/1.0 (linux)\r\n" +
	"Accept: application/json\r\n" +
	"Connection: keep-alive\r\n\r\n"

// browser is a GET of about 1 KB with 12 fields, as browsers send it.
var browser = "GET /products/category/outdoor/tents?sort=price&order=asc&page=3 HTTP/1.1\r\n" +
	"Host: www.shop.example\r\n" +
	"Connection: keep-alive\r\n" +
	"Cache-Control: max-age=0\r\n" +
	"Upgrade-Insecure-Requests: 1\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n" +
	"Sec-Fetch-Site: same-origin\r\n" +
	"Sec-Fetch-Mode: navigate\r\n" +
	"Referer: https://www.shop.example/products/category/outdoor?sort=price&order=asc&page=2\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Accept-Language: de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7\r\n" +
	"Cookie: session=" + strings.Repeat("0123456789abcdef", 18) + "; theme=dark; consent=yes\r\n\r\n"

const answer = "HTTP/1.1 200 OK\r\n" +
	"Server: backend/1.0\r\n" +
	"Date: Thu, 26 Nov 2026 12:00:00 GMT\r\n" +
	"Content-Type: application/json\r\n" +
	"Content-Length: 1024\r\n" +
	"Connection: keep-alive\r\n\r\n"

func benchmarkParse(b *testing.B, text string) {
	var r Request
	var p Progress
	buf := []byte(text)
	limits := Limits{}.WithDefaults()
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if n, err := r.Parse(buf, &p, &limits); n != len(buf) || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkParseRequest(b *testing.B)        { benchmarkParse(b, small) }
func BenchmarkParseBrowserRequest(b *testing.B) { benchmarkParse(b, browser) }

func benchmarkRewrite(b *testing.B, text string, w *RequestRewrite) {
	var r Request
	var p Progress
	if n, err := r.Parse([]byte(text), &p, nil); n != len(text) || err != nil {
		b.Fatal(n, err)
	}
	dst := make([]byte, 0, 8<<10)
	b.ReportAllocs()
	for b.Loop() {
		dst = r.AppendTo(dst[:0], w)
	}
}

func BenchmarkRewriteRequest(b *testing.B) {
	benchmarkRewrite(b, small, &RequestRewrite{Peer: netip.MustParseAddr("198.51.100.7"), Proto: "http"})
}

func BenchmarkRewriteRequestBare(b *testing.B) {
	benchmarkRewrite(b, small, &RequestRewrite{NoXForwarded: true, NoForwarded: true})
}

func BenchmarkRewriteBrowserRequest(b *testing.B) {
	benchmarkRewrite(b, browser, &RequestRewrite{Peer: netip.MustParseAddr("198.51.100.7"), Proto: "http"})
}

func BenchmarkParseResponse(b *testing.B) {
	var r Response
	var p Progress
	buf := []byte(answer)
	limits := Limits{}.WithDefaults()
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if n, err := r.Parse(buf, &p, &limits, GET); n != len(buf) || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkRewriteResponse(b *testing.B) {
	var r Response
	var p Progress
	if n, err := r.Parse([]byte(answer), &p, nil, GET); n != len(answer) || err != nil {
		b.Fatal(n, err)
	}
	dst := make([]byte, 0, 8<<10)
	b.ReportAllocs()
	for b.Loop() {
		dst = r.AppendTo(dst[:0], &ResponseRewrite{})
	}
}

// BenchmarkChunks goes through 64 KiB of data in chunks of 1 KiB.
func BenchmarkChunks(b *testing.B) {
	buf := []byte(strings.Repeat("400\r\n"+strings.Repeat("x", 1024)+"\r\n", 64) + "0\r\n\r\n")
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		var body Body
		body.Reset(FramingChunked, -1)
		if n, err := body.Advance(buf); n != len(buf) || err != nil || !body.Done() {
			b.Fatal(n, err)
		}
	}
}
