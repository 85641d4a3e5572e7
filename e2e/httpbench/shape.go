package main

import (
	"fmt"
	"net/http"
	"strings"
)

const (
	unarySize = 100 // bytes of a message of gRPC
	unaryPath = "/bench.Echo/Say"
)

// Shape is what a request asks for.
type Shape string

// The shapes of requests.
const (
	GetSmall Shape = "get"   // 1 KB
	PostForm Shape = "post"  // 4 KB there, 1 KB back
	GetBig   Shape = "big"   // 1 MB
	GetHuge  Shape = "huge"  // 1 GB
	Unary    Shape = "unary" // of gRPC, 100 B there and back; by HTTP/2 alone
)

const (
	smallSize = 1 << 10
	postSize  = 4 << 10
	bigSize   = 1 << 20
	hugeSize  = 1 << 30

	smallPath = "/small"
	bigPath   = "/big"
	hugePath  = "/huge"
	postPath  = "/upload"

	// checksumField carries the checksum of a request's body to the backend.
	checksumField = "X-Body-Checksum"
)

// answerSize is the length of the body that the request is answered with.
func (s Shape) answerSize() int {
	switch s {
	case GetBig:
		return bigSize
	case GetHuge:
		return hugeSize
	case Unary:
		return unarySize
	}
	return smallSize
}

// request returns the whole request as a browser would frame it. With closes
// it asks that the connection be closed afterwards; forwarded is what a balancer
// would say.
func (s Shape) request(p pattern, closes, forwarded bool) []byte {
	method, body := "GET", []byte(nil)
	if s == PostForm {
		method, body = "POST", p.body(postSize)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, s.path(), serverName)
	fields := browserFields()
	for i := 0; i < len(fields); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", http.CanonicalHeaderKey(fields[i]), fields[i+1])
	}
	if forwarded {
		b.WriteString("X-Forwarded-For: 127.0.0.1\r\n")
	}
	if body != nil {
		fmt.Fprintf(&b, "Content-Type: application/octet-stream\r\nContent-Length: %d\r\n%s: %08x\r\n", len(body), checksumField, checksum(body))
	}
	if closes {
		b.WriteString("Connection: close\r\n")
	}
	b.WriteString("\r\n")
	return append([]byte(b.String()), body...)
}

// path is where the shape is asked for.
func (s Shape) path() string {
	switch s {
	case GetBig:
		return bigPath
	case GetHuge:
		return hugePath
	case PostForm:
		return postPath
	case Unary:
		return unaryPath
	}
	return smallPath
}

// serverName is the host of all requests.
const serverName = "www.example.com"

// browserFields are names and values of what a browser sends along.
func browserFields() []string {
	return []string{
		"user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
		"accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
		"accept-language", "en-US,en;q=0.5",
		"accept-encoding", "gzip, deflate, br",
		"referer", "http://www.example.com/catalogue/index.html",
		"cookie", "session=5f0c1d6a9b7e4c33a1f2; theme=dark",
	}
}
