package http1

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestLimitsHaveDefaultsAndBounds(t *testing.T) {
	tests := map[string]struct{ in, want Limits }{
		"none":          {Limits{}, Limits{64 << 10, 16 << 10, 128}},
		"negative":      {Limits{-1, -1, -1}, Limits{64 << 10, 16 << 10, 128}},
		"own":           {Limits{1000, 100, 10}, Limits{1000, 100, 10}},
		"line over all": {Limits{100, 1000, 10}, Limits{100, 100, 10}},
		"too large":     {Limits{1<<31 - 1, 1<<31 - 1, 1 << 20}, Limits{1 << 30, 1 << 30, 65535}},
	}
	for name, test := range tests {
		if got := test.in.WithDefaults(); got != test.want {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
	}
}

func TestLimitsHoldToTheByte(t *testing.T) {
	target := func(line int) string { // a request line of so many bytes
		return "GET /" + strings.Repeat("a", line-len("GET / HTTP/1.1\r\n")) + " HTTP/1.1\r\n"
	}
	field := func(line int) string { return "X: " + strings.Repeat("a", line-len("X: \r\n")) + "\r\n" }
	const host = "Host: a\r\n"
	tests := map[string]struct {
		limits Limits
		in     string
		want   string // the fault, "" for none
	}{
		"a request line at the limit":        {Limits{Line: 100}, target(100) + host + "\r\n", ""},
		"a request line over it":             {Limits{Line: 100}, target(101) + host + "\r\n", FaultTargetTooLong.Reason},
		"a request line without an end":      {Limits{Line: 100}, strings.Repeat("G", 100), FaultTargetTooLong.Reason},
		"one that could still end":           {Limits{Line: 100}, strings.Repeat("G", 99), "incomplete"},
		"an empty line does not count to it": {Limits{Line: 100}, "\r\n" + target(100) + host + "\r\n", ""},
		"a long line that is bad besides":    {Limits{Line: 100}, "GET /\x00" + strings.Repeat("a", 100) + "\r\n", FaultTargetTooLong.Reason},
		"a field line at the limit":          {Limits{Line: 100}, target(20) + host + field(100) + "\r\n", ""},
		"a field line over it":               {Limits{Line: 100}, target(20) + host + field(101) + "\r\n", FaultLineTooLong.Reason},
		"a field line without an end":        {Limits{Line: 100}, target(20) + strings.Repeat("X", 100), FaultLineTooLong.Reason},
		"a long field line that is bad too":  {Limits{Line: 100}, target(20) + "\x00" + field(100), FaultLineTooLong.Reason},
		"a head at the limit":                {Limits{Head: 100}, target(20) + host + field(100-20-9-2) + "\r\n", ""},
		"a head over it":                     {Limits{Head: 100}, target(20) + host + field(100-20-9-1) + "\r\n", FaultHeadTooLarge.Reason},
		"a head whose last line is over it":  {Limits{Head: 100}, target(20) + host + field(100-20-9+1) + "\r\n", FaultHeadTooLarge.Reason},
		"a head that lacks its empty line":   {Limits{Head: 100}, target(20) + host + field(100-20-9), FaultHeadTooLarge.Reason},
		"a head without an end":              {Limits{Head: 100}, target(20) + strings.Repeat("X: a\r\n", 20), FaultHeadTooLarge.Reason},
		"a request line larger than a head":  {Limits{Head: 100}, target(101), FaultHeadTooLarge.Reason},
		"what comes after does not count":    {Limits{Head: 100}, target(20) + host + "\r\n" + strings.Repeat("a", 200), ""},
		"as many fields as the limit":        {Limits{Fields: 3}, target(20) + host + "A: b\r\nC: d\r\n\r\n", ""},
		"more fields":                        {Limits{Fields: 3}, target(20) + host + "A: b\r\nC: d\r\nE: f\r\n", FaultTooManyFields.Reason},
		"as many options as the limit":       {Limits{Fields: 3}, target(20) + host + "Connection: a, b, c\r\n\r\n", ""},
		"more options":                       {Limits{Fields: 3}, target(20) + host + "Connection: a, b, c, d\r\n", FaultTooManyOptions.Reason},
		"more options over several fields":   {Limits{Fields: 4}, target(20) + host + "Connection: a, b\r\nConnection: c,d,e\r\n", FaultTooManyOptions.Reason},
		"the default of lines":               {Limits{}, target(20) + host + field(16<<10) + "\r\n", ""},
		"a line over the default":            {Limits{}, target(20) + host + field(16<<10+1), FaultLineTooLong.Reason},
		"a request line over the default":    {Limits{}, target(16<<10 + 1), FaultTargetTooLong.Reason},
		"a head over the default":            {Limits{}, target(20) + host + strings.Repeat(field(10<<10), 7), FaultHeadTooLarge.Reason},
		"more fields than the default":       {Limits{}, target(20) + host + strings.Repeat("A: b\r\n", 128), FaultTooManyFields.Reason},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var r Request
			got := requestMessage(&r, &test.limits).unsplit(t, []byte(test.in))
			switch {
			case test.want == "" && r.Size == 0, test.want == "incomplete" && got != test.want,
				test.want != "" && test.want != "incomplete" && got != "fault: "+test.want:
				t.Errorf("got %s, want %q", got, test.want)
			}
		})
	}
}

func TestAResponseHasTheSameLimits(t *testing.T) {
	limits := Limits{Head: 200, Line: 100, Fields: 2}
	tests := map[string]struct{ in, want string }{
		"a status line over the limit": {"HTTP/1.1 200 " + strings.Repeat("a", 100) + "\r\n", FaultStatusTooLong.Reason},
		"a field line over the limit":  {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 100) + "\r\n", FaultLineTooLong.Reason},
		"a head over the limit": {"HTTP/1.1 200 " + strings.Repeat("a", 80) + "\r\nX: " + strings.Repeat("a", 80) + "\r\nX: " +
			strings.Repeat("a", 80) + "\r\n", FaultHeadTooLarge.Reason},
		"too many fields": {"HTTP/1.1 200 OK\r\nA: b\r\nA: b\r\nA: b\r\n", FaultTooManyFields.Reason},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var r Response
			if got := responseMessage(&r, &limits, GET).unsplit(t, []byte(test.in)); got != "fault: "+test.want {
				t.Errorf("got %s, want %q", got, test.want)
			}
		})
	}
}

// TestWorkIsLinearInTheBytes feeds large heads byte by byte. That takes some
// 0.1 s each, and far longer than 10 s if each call looked at all bytes again.
func TestWorkIsLinearInTheBytes(t *testing.T) {
	const size = 1 << 20
	limits := Limits{Head: size + 1000, Line: size + 1000, Fields: 1 << 16}
	tests := map[string]string{
		"a long value":       "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", size),
		"a long name":        "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("a", size),
		"a long target":      "GET /" + strings.Repeat("a", size),
		"many fields":        "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: "+strings.Repeat("a", 120)+"\r\n", 8000),
		"many options named": "GET / HTTP/1.1\r\nHost: a\r\nConnection: " + strings.Repeat("a,", 65000),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			var r Request
			var p Progress
			begin, buf := time.Now(), []byte(text)
			for i := range buf {
				if n, err := r.Parse(buf[:i], &p, &limits); n != 0 || err != nil {
					t.Fatalf("after %d bytes: %d, %v", i, n, err)
				}
				if i%1000 == 0 && time.Since(begin) > 10*time.Second {
					t.Fatalf("%d of %d bytes after %v", i, len(buf), time.Since(begin))
				}
			}
		})
	}
}

func TestFewerBytesThanBeforeStartOver(t *testing.T) {
	var r Request
	var p Progress
	text := "GET / HTTP/1.1\r\nHost: a\r\nX: b"
	if n, err := r.Parse([]byte(text), &p, nil); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := r.Parse([]byte(text[:20]), &p, nil); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := r.Parse([]byte(text+"\r\n\r\n"), &p, nil); n != len(text)+4 || err != nil {
		t.Fatal(n, err)
	}
}

func TestFaultsSayWhatARequestIsAnswered(t *testing.T) {
	for in, want := range map[string]int{
		"GET /" + strings.Repeat("a", 16<<10) + " HTTP/1.1\r\n":                                414,
		"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("A: b\r\n", 128):                      431,
		"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 16<<10) + "\r\n":              431,
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n": 400,
	} {
		var r Request
		var p Progress
		_, err := r.Parse([]byte(in), &p, nil)
		fault, ok := err.(*Fault)
		if !ok || fault.Status != want || fmt.Sprint(err) == "" {
			t.Errorf("%.40q…: %v, want status %d", in, err, want)
		}
	}
}
