package health

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"evenkeel/fsm"
)

// script is a connection whose peer sends a text and leaves.
type script struct {
	io.Reader
	read int
}

func (s *script) Write(p []byte) (int, error) { return len(p), nil }

func (s *script) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	s.read += n
	return n, err
}

// Whatever a backend answers, the check comes to an end, reads no more than its
// bounds and blames nobody else.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{
		"", "HTTP/1.1 200 OK\r\n\r\nok", "HTTP/1.1 302 Found\r\nLocation: ://%\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX:\r\nx: 7\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 301 Moved\r\nLocation: /\r\nX: 101\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length:  2 \r\nX: 40%\r\nConnection: keep-alive\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nA\r\nxxxxxxxxxx\r\n0\r\n\r\n", "HTTP/1.0 404 Not here\r\n\r\nok", "HTTP/1.1 304 Same\r\nContent-Length: 7\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n1;a=b\r\nx\r\n0\r\nX: y\r\n\r\n", "\x16\x03\x01\x02\x00",
	} {
		f.Add([]byte(text), 1)
	}
	checks := []fsm.Check{
		{Type: fsm.CheckHTTP}, {Type: fsm.CheckHTTP, Method: "HEAD", WeightField: "X"}, {Type: fsm.CheckHTTP, Expect: "200-399", WeightField: "X"},
		{Type: fsm.CheckHTTP, ExpectText: "ok", ExpectRegexp: "^o(k|x{1,9})$"}, {Type: fsm.CheckTCP, Send: "hi", Receive: "ok"},
	}
	f.Fuzz(func(t *testing.T, text []byte, times int) {
		for _, check := range checks {
			prober, err := NewProber(check, "10.0.0.1:80", "", "evenkeel")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			conn := &script{Reader: bytes.NewReader(bytes.Repeat(text, max(1, times%64)))}
			most, spared := maxWindow, 0
			switch prober := prober.(type) {
			case *httpProber:
				most = maxHead + 8*maxBody
				spared, err = prober.get(ctx, conn, func(context.Context) (io.ReadWriter, func(), error) {
					return &script{Reader: bytes.NewReader(text)}, func() {}, nil
				})
			case *tcpProber:
				err = prober.converse(ctx, conn)
			}
			if prober, ok := prober.(*httpProber); ok {
				agree(t, prober, text, spared, err, times)
			}
			if err != nil && (Void(err) || len(shorten(err.Error())) > maxReason) {
				t.Errorf("%+v: got %v", check, err)
			}
			if conn.read > most || spared < untoldWeight || spared > 100 {
				t.Errorf("%+v: read %d bytes, reduction %d", check, conn.read, spared)
			}
		}
	})
}

// agree fails if the engine's reader judges an answer otherwise than the general
// one did, wherever the answer is cut.
func agree(t *testing.T, prober *httpProber, text []byte, spared int, err error, times int) {
	if times > 1 { // the general way read it more than once in a row
		return
	}
	for end := range len(text) + 1 {
		v, is := prober.hear(bytes.Clone(text[:end]), end == len(text))
		if is == unusual || is == unfinished && end < len(text) {
			continue
		}
		if is == unfinished {
			t.Errorf("%q has ended and is unfinished", text)
			return
		}
		if !alike(v.err, err) || v.reduction != spared {
			t.Errorf("%q: the engine says %v and %d of the first %d bytes, the general way %v and %d", text, v.err, v.reduction, end, err, spared)
		}
		return
	}
}
