package main

import (
	"fmt"
	"strings"
)

// Shape is what a request asks for.
type Shape string

// The shapes of requests.
const (
	GetSmall Shape = "get"  // 1 KB
	PostForm Shape = "post" // 4 KB there, 1 KB back
	GetBig   Shape = "big"  // 1 MB
)

const (
	smallSize = 1 << 10
	postSize  = 4 << 10
	bigSize   = 1 << 20

	smallPath = "/small"
	bigPath   = "/big"
	postPath  = "/upload"

	// checksumField carries the checksum of a request's body to the backend.
	checksumField = "X-Body-Checksum"
)

// answerSize is the length of the body that the request is answered with.
func (s Shape) answerSize() int {
	if s == GetBig {
		return bigSize
	}
	return smallSize
}

// request returns the whole request as a browser would frame it. With closes
// it asks that the connection be closed afterwards.
func (s Shape) request(p pattern, closes bool) []byte {
	method, path, body := "GET", smallPath, []byte(nil)
	switch s {
	case GetBig:
		path = bigPath
	case PostForm:
		method, path, body = "POST", postPath, p.body(postSize)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", method, path)
	b.WriteString("Host: www.example.com\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n" +
		"Accept-Language: en-US,en;q=0.5\r\n" +
		"Accept-Encoding: gzip, deflate, br\r\n" +
		"Referer: http://www.example.com/catalogue/index.html\r\n" +
		"Cookie: session=5f0c1d6a9b7e4c33a1f2; theme=dark\r\n")
	if body != nil {
		fmt.Fprintf(&b, "Content-Type: application/octet-stream\r\nContent-Length: %d\r\n%s: %08x\r\n", len(body), checksumField, checksum(body))
	}
	if closes {
		b.WriteString("Connection: close\r\n")
	}
	b.WriteString("\r\n")
	return append([]byte(b.String()), body...)
}
