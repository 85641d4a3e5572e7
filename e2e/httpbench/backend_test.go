//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// newTestBackend starts the backend's process and returns a connection to it.
func newTestBackend(t *testing.T) net.Conn {
	t.Helper()
	b := newTestBench(t)
	address, err := b.freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.again("backend", modeBackend, []int{anyCore(t)}, address); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			t.Cleanup(func() { conn.Close() })
			if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			return conn
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		if err := pause(t.Context(), 5*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

// forwarded is a request as a balancer passes it on.
func forwarded(request []byte) string {
	return strings.Replace(string(request), "\r\n", "\r\nX-Forwarded-For: 127.0.0.1\r\n", 1)
}

// readAnswer reads one answer and checks its framing.
func readAnswer(t *testing.T, in *bufio.Reader) (status int, body string) {
	t.Helper()
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode == http.StatusOK {
		if _, err := http.ParseTime(response.Header.Get("Date")); err != nil {
			t.Errorf("Date: %v", err)
		}
	}
	return response.StatusCode, string(content)
}

func TestTheBackendAnswersWhatIsRight(t *testing.T) {
	p := newPattern()
	get, post, big := forwarded(GetSmall.request(p, false, false)), forwarded(PostForm.request(p, false, false)), forwarded(GetBig.request(p, false, false))
	for name, c := range map[string]struct {
		pieces []string
		want   []int // lengths of the answers' bodies
	}{
		"a request":                      {[]string{get}, []int{smallSize}},
		"a body in the same piece":       {[]string{post}, []int{smallSize}},
		"a head in pieces":               {[]string{get[:5], get[5:100], get[100 : len(get)-1], get[len(get)-1:]}, []int{smallSize}},
		"a body in pieces":               {[]string{post[:len(post)-postSize], post[len(post)-postSize : len(post)-7], post[len(post)-7:]}, []int{smallSize}},
		"one after the other":            {[]string{get + post, get}, []int{smallSize, smallSize, smallSize}},
		"more while a large one is sent": {[]string{big + get, big + post[:50], post[50:]}, []int{bigSize, smallSize, bigSize, smallSize}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := newTestBackend(t)
			for _, piece := range c.pieces {
				if _, err := io.WriteString(conn, piece); err != nil {
					t.Fatal(err)
				}
			}
			in := bufio.NewReader(conn)
			for i, want := range c.want {
				if status, body := readAnswer(t, in); status != http.StatusOK || body != string(p.body(want)) {
					t.Errorf("answer %d: status %d, %d bytes; want 200 and the %d right ones", i, status, len(body), want)
				}
			}
		})
	}
}

func TestTheBackendCatchesABalancersFaults(t *testing.T) {
	p := newPattern()
	get, post := forwarded(GetSmall.request(p, false, false)), forwarded(PostForm.request(p, false, false))
	changed := post[:len(post)-50] + "?" + post[len(post)-49:]
	shorter := strings.Replace(post[:len(post)-1], fmt.Sprintf("Content-Length: %d", postSize), fmt.Sprintf("Content-Length: %d", postSize-1), 1)
	for name, c := range map[string]struct{ request, fault string }{
		"a changed byte of a body":         {changed, "the body's checksum is"},
		"a body that is shorter":           {shorter, "a body of 4095 bytes, want 4096"},
		"no X-Forwarded-For":               {string(GetSmall.request(p, false, false)), "no X-Forwarded-For"},
		"another path":                     {strings.Replace(get, smallPath, "/other", 1), "nothing is at GET /other"},
		"another method":                   {strings.Replace(get, "GET", "PUT", 1), "nothing is at PUT"},
		"a body where there was none":      {strings.Replace(get, "\r\n\r\n", "\r\nContent-Length: 1\r\n\r\nx", 1), "nothing is at GET"},
		"chunks where a length was":        {strings.Replace(get, "\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n", 1), "Transfer-Encoding"},
		"HTTP/1.0, without keep-alive":     {strings.Replace(get, "HTTP/1.1", "HTTP/1.0", 1), "not of HTTP/1.1"},
		"a fault after a request in order": {get + changed, "the body's checksum is"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := newTestBackend(t)
			if _, err := io.WriteString(conn, c.request); err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(conn)
			status, body := readAnswer(t, in)
			if status == http.StatusOK && strings.HasPrefix(c.request, get) {
				status, body = readAnswer(t, in)
			}
			if status != http.StatusBadRequest || !strings.Contains(body, c.fault) {
				t.Errorf("status %d: %q, want 400 with %q", status, body, c.fault)
			}
			if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
				t.Errorf("%d bytes and %v after it, want the end", len(rest), err)
			}
		})
	}
}

func TestTheBackendClosesAsAsked(t *testing.T) {
	conn := newTestBackend(t)
	if _, err := io.WriteString(conn, forwarded(GetSmall.request(newPattern(), true, false))); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	if status, _ := readAnswer(t, in); status != http.StatusOK {
		t.Errorf("status %d, want 200", status)
	}
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		t.Errorf("%d bytes and %v after it, want the end", len(rest), err)
	}
}
