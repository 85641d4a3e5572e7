package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestAnAnswersHeadIsReadOrRefused(t *testing.T) {
	for name, c := range map[string]struct {
		head  string
		want  answer
		fault string
	}{
		"as the backend sends it":       {"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n", answer{200, 1024}, ""},
		"names are of any case":         {"HTTP/1.1 200 OK\r\ncontent-length:1024 \r\n\r\n", answer{200, 1024}, ""},
		"an error":                      {"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", answer{502, 0}, ""},
		"no length":                     {"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", answer{}, "no Content-Length"},
		"two lengths":                   {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", answer{}, "a second one"},
		"a length that is none":         {"HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n\r\n", answer{}, "is no number"},
		"chunks where a length was":     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", answer{}, "Transfer-Encoding"},
		"another version":               {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", answer{}, "not of HTTP/1.1"},
		"no status":                     {"HTTP/1.1 OK\r\nContent-Length: 1\r\n\r\n", answer{}, "not of HTTP/1.1"},
		"a status that is none":         {"HTTP/1.1 2x0 OK\r\nContent-Length: 1\r\n\r\n", answer{}, "status line"},
		"a line that is no field":       {"HTTP/1.1 200 OK\r\nrubbish\r\n\r\n", answer{}, "no colon"},
		"a head that is not whole":      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n", answer{}, "before its empty line"},
		"a body that is no part of it":  {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nrubbish\r\n", answer{200, 1}, ""},
		"the rest of another message":   {"\r\n\r\n", answer{}, "not of HTTP/1.1"},
		"a field whose value has colon": {"HTTP/1.1 200 OK\r\nA: b:c\r\nContent-Length: 2\r\n\r\n", answer{200, 2}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseAnswer([]byte(c.head))
			if fault := fmt.Sprint(err); c.fault != "" && !strings.Contains(fault, c.fault) {
				t.Errorf("fault %q, want one with %q", fault, c.fault)
			}
			if c.fault == "" && (err != nil || got != c.want) {
				t.Errorf("%+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestARequestsHeadIsRead(t *testing.T) {
	p := newPattern()
	for name, c := range map[string]struct {
		head string
		want request
	}{
		"GET as it is sent": {string(GetSmall.request(p, false, false)), request{method: "GET", path: smallPath}},
		"GET that closes":   {string(GetBig.request(p, true, false)), request{method: "GET", path: bigPath, closes: true}},
		"POST as it is sent": {strings.Replace(string(PostForm.request(p, false, false)), "\r\n", "\r\nX-Forwarded-For: 127.0.0.1\r\n", 1),
			request{method: "POST", path: postPath, length: postSize, checksum: checksum(p.body(postSize)), forwarded: true}},
		"a checksum that is none": {"POST / HTTP/1.1\r\n" + checksumField + ": x\r\n\r\n", request{method: "POST", path: "/"}},
	} {
		head, _, _ := strings.Cut(c.head, "\r\n\r\n")
		if got, err := parseRequest([]byte(head + "\r\n\r\n")); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
	for _, head := range []string{"GET / HTTP/1.0\r\n\r\n", "GET /\r\n\r\n", "GET /  HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"} {
		if got, err := parseRequest([]byte(head)); err == nil {
			t.Errorf("%q: %+v, want a fault", head, got)
		}
	}
}

func TestABodyThatIsMovedOrChangedDoesNotMatch(t *testing.T) {
	p := newPattern()
	body := p.body(bigSize)
	for _, offset := range []int{0, 1, patternPeriod - 1, patternPeriod, bigSize - readSize} {
		if !p.matches(body[offset:offset+readSize], offset) {
			t.Errorf("at %d the body does not match itself", offset)
		}
		for _, moved := range []int{1, 1024, 4096, 16 << 10, 64 << 10} {
			if offset+moved+1024 <= bigSize && p.matches(body[offset+moved:offset+moved+1024], offset) {
				t.Errorf("the bytes at %d match those at %d", offset+moved, offset)
			}
		}
	}
	changed := append([]byte(nil), body[:1024]...)
	changed[1023] ^= 1
	if p.matches(changed, 0) {
		t.Error("a changed bit matches")
	}
}

func TestEveryDateFitsIntoThePage(t *testing.T) {
	page := newPage([]byte("body"), 4)
	before := len(page.whole)
	page.setDate(time.Date(2026, 11, 26, 10, 5, 3, 0, time.FixedZone("", 3600)))
	if want := "Date: Thu, 26 Nov 2026 09:05:03 GMT\r\n"; len(page.whole) != before || !strings.Contains(string(page.whole), want) {
		t.Errorf("page %q, want one of %d bytes with %q", page.whole, before, want)
	}
	head, body, _ := strings.Cut(string(page.whole), "\r\n\r\n")
	if got, err := parseAnswer([]byte(head + "\r\n\r\n")); err != nil || got != (answer{200, len(body)}) {
		t.Errorf("%+v, %v; want status 200 and %d bytes", got, err, len(body))
	}
}
