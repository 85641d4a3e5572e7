package http2

import (
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// rule is what a client sends after the greeting, and what comes of it.
type rule struct {
	in  []send
	log string // events, joined by newlines
	out string // frames
}

// reset1 and the others are outcomes that many rules have.
const (
	reset1 = "RST_STREAM 1 PROTOCOL_ERROR"
)

// malformed are heads of requests that are reset, by what is wrong.
var malformed = map[string][]string{
	"an upper case name":                {":method: GET", ":scheme: http", ":path: /", "X-A: b"},
	"a name with a space":               {":method: GET", ":scheme: http", ":path: /", "x a: b"},
	"a value with a line feed":          {":method: GET", ":scheme: http", ":path: /", "a: b\nc"},
	"a value with a carriage return":    {":method: GET", ":scheme: http", ":path: /", "a: b\rc"},
	"a value with NUL":                  {":method: GET", ":scheme: http", ":path: /", "a: b\x00c"},
	"a value with DEL":                  {":method: GET", ":scheme: http", ":path: /", "a: b\x7fc"},
	"a value with a space before":       {":method: GET", ":scheme: http", ":path: /", "a:  b"},
	"a value with a tab behind":         {":method: GET", ":scheme: http", ":path: /", "a: b\t"},
	"an unknown pseudo-field":           {":method: GET", ":scheme: http", ":path: /", ":other: b"},
	"a response's pseudo-field":         {":method: GET", ":scheme: http", ":path: /", ":status: 200"},
	"a pseudo-field after a field":      {":method: GET", ":scheme: http", "a: b", ":path: /"},
	":method twice":                     {":method: GET", ":method: GET", ":scheme: http", ":path: /"},
	":path twice":                       {":method: GET", ":path: /", ":scheme: http", ":path: /"},
	":authority twice":                  {":method: GET", ":path: /", ":scheme: http", ":authority: a", ":authority: a"},
	"no :method":                        {":scheme: http", ":path: /"},
	"no :scheme":                        {":method: GET", ":path: /"},
	"no :path":                          {":method: GET", ":scheme: http"},
	"an empty :path":                    {":method: GET", ":scheme: http", ":path: "},
	"a :path that is relative":          {":method: GET", ":scheme: http", ":path: a"},
	"a :path of *":                      {":method: GET", ":scheme: http", ":path: *"},
	"a :path with a space":              {":method: GET", ":scheme: http", ":path: /a b"},
	"a :path with a line end":           {":method: GET", ":scheme: http", ":path: /a\r\nb: c"},
	"a :path with a fragment":           {":method: GET", ":scheme: http", ":path: /a#b"},
	"a :method with a space":            {":method: GET /", ":scheme: http", ":path: /"},
	"a :scheme with a space":            {":method: GET", ":scheme: http ", ":path: /"},
	"an :authority with a space":        {":method: GET", ":scheme: http", ":path: /", ":authority: a b"},
	"an empty :authority":               {":method: GET", ":scheme: http", ":path: /", ":authority: "},
	"Host that is not :authority":       {":method: GET", ":scheme: http", ":path: /", ":authority: a", "host: b"},
	"Host twice":                        {":method: GET", ":scheme: http", ":path: /", "host: b", "host: b"},
	"Connection":                        {":method: GET", ":scheme: http", ":path: /", "connection: close"},
	"Keep-Alive":                        {":method: GET", ":scheme: http", ":path: /", "keep-alive: timeout=5"},
	"Proxy-Connection":                  {":method: GET", ":scheme: http", ":path: /", "proxy-connection: keep-alive"},
	"Transfer-Encoding":                 {":method: GET", ":scheme: http", ":path: /", "transfer-encoding: chunked"},
	"Upgrade":                           {":method: GET", ":scheme: http", ":path: /", "upgrade: websocket"},
	"TE other than trailers":            {":method: GET", ":scheme: http", ":path: /", "te: trailers, gzip"},
	"a Content-Length that is none":     {":method: GET", ":scheme: http", ":path: /", "content-length: +1"},
	"a Content-Length beyond 63 bits":   {":method: GET", ":scheme: http", ":path: /", "content-length: 9223372036854775808"},
	"Content-Length twice":              {":method: GET", ":scheme: http", ":path: /", "content-length: 0", "content-length: 0"},
	"a Content-Length without content":  {":method: GET", ":scheme: http", ":path: /", "content-length: 1"},
	"CONNECT with :path":                {":method: CONNECT", ":authority: a:1", ":path: /"},
	"CONNECT with :scheme":              {":method: CONNECT", ":authority: a:1", ":scheme: http"},
	"CONNECT without :authority":        {":method: CONNECT"},
	":protocol where it was not agreed": {":method: CONNECT", ":scheme: http", ":path: /", ":authority: a", ":protocol: websocket"},
	":protocol without CONNECT":         {":method: GET", ":scheme: http", ":path: /", ":authority: a", ":protocol: websocket"},
}

func TestMalformedRequestsAreReset(t *testing.T) {
	for name, lines := range malformed {
		t.Run(name, func(t *testing.T) {
			w := served(t, Config{})
			if err := w.do(headers(1, true, lines...)); err != nil {
				t.Fatal(err)
			}
			same(t, "events", w.takeLog())
			same(t, "output", w.takeOutput(), reset1)
			w.do(get(3)) // the table of fields is still as the peer thinks
			same(t, "events", w.takeLog(), "3: GET http a / end")
		})
	}
}

func TestWellFormedRequests(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"Host stands for :authority":   {[]string{":method: GET", ":scheme: http", ":path: /", "host: b:1"}, `GET http b:1 / host="b:1"`},
		"Host may repeat :authority":   {[]string{":method: GET", ":scheme: http", ":path: /", ":authority: A", "host: a"}, `GET http A / host="a"`},
		"neither is left to the owner": {[]string{":method: GET", ":scheme: http", ":path: /"}, `GET http  /`},
		"TE: trailers":                 {request("GET", "/", "te: trailers"), `GET http a / te="trailers"`},
		"OPTIONS *":                    {request("OPTIONS", "*"), `OPTIONS http a *`},
		"CONNECT":                      {[]string{":method: CONNECT", ":authority: a:1"}, `CONNECT  a:1 `},
		"crumbs of cookies":            {request("GET", "/", "cookie: a=b", "cookie: c=d"), `GET http a / cookie="a=b" cookie="c=d"`},
		"an empty value":               {request("GET", "/", "a: "), `GET http a / a=""`},
		"bytes beyond ASCII":           {request("GET", "/", "a: \xe4"), `GET http a / a="\xe4"`},
		"Content-Length of 0":          {request("GET", "/", "content-length: 0"), `GET http a / length=0 content-length="0"`},
		"an extended CONNECT":          {request("CONNECT", "/c", ":protocol: websocket"), `CONNECT http a /c websocket`},
	} {
		t.Run(name, func(t *testing.T) {
			w := served(t, Config{ExtendedConnect: true})
			w.do(headers(1, true, c.lines...))
			same(t, "events", w.takeLog(), "1: "+c.want+" end")
			same(t, "output", w.takeOutput())
		})
	}
}

// streamRules are about streams and their states.
var streamRules = map[string]rule{
	"content comes with its end": {
		in:  []send{post(1), data(1, "abc", false), data(1, "de", true)},
		log: "1: POST http a /\n1: data abcde end",
	},
	"content may end without a byte": {
		in:  []send{post(1), data(1, "abc", false), data(1, "", true)},
		log: "1: POST http a /\n1: data abc end",
	},
	"padding is no content": {
		in:  []send{post(1), padded(1, "abc", 200, false), padded(1, "", 3, true)},
		log: "1: POST http a /\n1: data abc end",
	},
	"trailers end a stream": {
		in:  []send{post(1), data(1, "abc", false), headers(1, true, "a: b", "c: d")},
		log: "1: POST http a /\n1: data abc\n1: trailers a=\"b\" c=\"d\"",
	},
	"a head continues": {
		in:  []send{open(1, true, request("GET", "/")...), continuation(1, false, "a: b"), continuation(1, true, "c: d")},
		log: "1: GET http a / a=\"b\" c=\"d\" end",
	},
	"streams come one between the other": {
		in:  []send{post(1), post(3), data(3, "c", false), data(1, "a", true), data(3, "d", true)},
		log: "1: POST http a /\n3: POST http a /\n3: data c\n1: data a end\n3: data d end",
	},
	"trailers have no pseudo-fields": {
		in:  []send{post(1), headers(1, true, ":method: GET")},
		log: "1: POST http a /\n1: reset PROTOCOL_ERROR: pseudo-field that is unknown, or not for this kind of head", out: reset1,
	},
	"trailers end a stream or are a fault": {
		in:  []send{post(1), headers(1, false, "a: b")},
		log: "1: POST http a /\n1: reset PROTOCOL_ERROR: trailers that do not end the stream", out: reset1,
	},
	"trailers of an interrupted length": {
		in:  []send{post(1, "content-length: 3"), data(1, "ab", false), headers(1, true, "a: b")},
		log: "1: POST http a / length=3 content-length=\"3\"\n1: data ab\n1: reset PROTOCOL_ERROR: less content than Content-Length says", out: reset1,
	},
	"less content than was said": {
		in:  []send{post(1, "content-length: 3"), data(1, "ab", true)},
		log: "1: POST http a / length=3 content-length=\"3\"\n1: reset PROTOCOL_ERROR: less content than Content-Length says", out: reset1,
	},
	"more content than was said": {
		in:  []send{post(1, "content-length: 3"), data(1, "ab", false), data(1, "cd", false)},
		log: "1: POST http a / length=3 content-length=\"3\"\n1: data ab\n1: reset PROTOCOL_ERROR: more content than Content-Length says", out: reset1,
	},
	"data after the end": {
		in:  []send{get(1), data(1, "a", false)},
		log: "1: GET http a / end\n1: reset STREAM_CLOSED: DATA after the end", out: "RST_STREAM 1 STREAM_CLOSED",
	},
	"a head after the end": {
		in:  []send{get(1), get(1)},
		log: "1: GET http a / end\n1: reset STREAM_CLOSED: HEADERS after the end", out: "RST_STREAM 1 STREAM_CLOSED",
	},
	"the peer resets": {
		in:  []send{get(1), reset(1, Cancel)},
		log: "1: GET http a / end\n1: reset CANCEL remote",
	},
	"a reset stream may be named once more by what was on its way": {
		in:  []send{get(1), reset(1, Cancel), update(1, 1), reset(1, Cancel), raw(framePriority, 0, 1, 0, 0, 0, 0, 5)},
		log: "1: GET http a / end\n1: reset CANCEL remote",
	},
	"data after a reset by the peer": {
		in:  []send{post(1), reset(1, Cancel), data(1, "a", false)},
		log: "1: POST http a /\n1: reset CANCEL remote", out: "RST_STREAM 1 STREAM_CLOSED",
	},
	"a stream that depends on itself": {
		in: []send{func(p *peer) {
			p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.fields(request("GET", "/")),
				EndHeaders: true, Priority: http2.PriorityParam{StreamDep: 1}})
		}},
		out: reset1,
	},
	"a priority is no matter": {
		in: []send{func(p *peer) {
			p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.fields(request("GET", "/")),
				EndHeaders: true, EndStream: true, PadLength: 7, Priority: http2.PriorityParam{StreamDep: 3, Exclusive: true}})
		}, raw(framePriority, 0, 9, 0, 0, 0, 7, 5)},
		log: "1: GET http a / end",
	},
	"an open stream that comes to depend on itself": {
		in:  []send{get(1), raw(framePriority, 0, 1, 0, 0, 0, 1, 5)},
		log: "1: GET http a / end\n1: reset PROTOCOL_ERROR: stream that depends on itself", out: reset1,
	},
	"PRIORITY of a wrong size": {
		in:  []send{get(1), raw(framePriority, 0, 1, 0, 0, 0, 1)},
		log: "1: GET http a / end\n1: reset FRAME_SIZE_ERROR: PRIORITY whose length is not 5", out: "RST_STREAM 1 FRAME_SIZE_ERROR",
	},
	"an update by 0": {
		in:  []send{get(1), update(1, 0)},
		log: "1: GET http a / end\n1: reset PROTOCOL_ERROR: WINDOW_UPDATE by 0", out: reset1,
	},
	"an update beyond 2^31-1": {
		in:  []send{get(1), update(1, 1<<31-1)},
		log: "1: GET http a / end\n1: reset FLOW_CONTROL_ERROR: WINDOW_UPDATE that makes a window exceed 2^31-1", out: "RST_STREAM 1 FLOW_CONTROL_ERROR",
	},
	"an update to just 2^31-1": {
		in:  []send{get(1), update(1, 1<<31-1-65535), update(0, 1<<31-1-65535)},
		log: "1: GET http a / end",
	},
	"pings are answered": {
		in:  []send{raw(framePing, 0, 0, []byte("12345678")...), raw(framePing, flagAck, 0, []byte("evenkeel")...)},
		out: "PING ack 12345678",
	},
	"unknown frames are ignored": {
		in:  []send{raw(0x42, 0xff, 0, 1, 2, 3), get(1), raw(0x10, 0, 1, []byte(strings.Repeat("x", MaxFrame))...)},
		log: "1: GET http a / end",
	},
	"unknown settings and flags are ignored": {
		in:  []send{settingsFrame(http2.Setting{ID: 0xff, Val: 7}), raw(frameHeaders, 0xd2|flagEndHeaders|flagEndStream, 1, 0x82, 0x84, 0x86)},
		log: "1: GET http  / end", out: "SETTINGS ack",
	},
	"a client's GOAWAY": {
		in:  []send{get(1), goAway(0, NoError, "bye")},
		log: "1: GET http a / end\nGOAWAY 0 NO_ERROR \"bye\"",
	},
}

func TestStreams(t *testing.T) {
	for name, r := range streamRules {
		t.Run(name, func(t *testing.T) {
			w := served(t, Config{})
			if err := w.do(r.in...); err != nil {
				t.Fatal(err)
			}
			same(t, "events", w.takeLog(), r.log)
			same(t, "output", w.takeOutput(), r.out)
		})
	}
}

// fatal are faults of the connection: what is sent after the greeting, and the
// GOAWAY.
var fatal = map[string]rule{
	"a frame beyond the size":              {in: []send{get(1), raw(frameData, 0, 1, make([]byte, MaxFrame+1)...)}, out: "1 FRAME_SIZE_ERROR frame larger than 16,384 bytes"},
	"a head beyond the size":               {in: []send{raw(frameHeaders, 0, 1, make([]byte, MaxFrame+1)...)}, out: "0 FRAME_SIZE_ERROR frame larger than 16,384 bytes"},
	"DATA without a stream":                {in: []send{data(0, "a", false)}, out: "0 PROTOCOL_ERROR DATA without a stream"},
	"DATA of an idle stream":               {in: []send{data(1, "a", false)}, out: "0 PROTOCOL_ERROR DATA of a stream that was not opened"},
	"DATA of an even stream":               {in: []send{get(3), data(2, "a", false)}, out: "3 PROTOCOL_ERROR DATA of a stream that was not opened"},
	"too much padding":                     {in: []send{post(1), raw(frameData, flagPadded, 1, 2, 0)}, out: "1 PROTOCOL_ERROR DATA with more padding than it has room for"},
	"padding without its length":           {in: []send{post(1), raw(frameData, flagPadded, 1)}, out: "1 PROTOCOL_ERROR DATA with more padding than it has room for"},
	"HEADERS without a stream":             {in: []send{get(0)}, out: "0 PROTOCOL_ERROR HEADERS without a stream"},
	"HEADERS of an even stream":            {in: []send{get(2)}, out: "0 PROTOCOL_ERROR HEADERS of a stream that was not opened"},
	"HEADERS of a lower stream":            {in: []send{get(5), get(3)}, out: "5 PROTOCOL_ERROR HEADERS of a stream that a later one closed"},
	"HEADERS with too much padding":        {in: []send{raw(frameHeaders, flagPadded|flagEndHeaders, 1, 4, 0x82, 0x84, 0x86)}, out: "0 PROTOCOL_ERROR HEADERS with more padding than it has room for"},
	"HEADERS without room for a priority":  {in: []send{raw(frameHeaders, flagPriority|flagEndHeaders, 1, 0, 0, 0, 0)}, out: "0 PROTOCOL_ERROR HEADERS with more padding than it has room for"},
	"CONTINUATION alone":                   {in: []send{get(1), continuation(1, true)}, out: "1 PROTOCOL_ERROR CONTINUATION without a head"},
	"CONTINUATION of another stream":       {in: []send{open(1, true), continuation(3, true)}, out: "1 PROTOCOL_ERROR a head that is interrupted by another frame"},
	"a head that is interrupted":           {in: []send{open(1, true), raw(framePing, 0, 0, make([]byte, 8)...)}, out: "1 PROTOCOL_ERROR a head that is interrupted by another frame"},
	"a head that an unknown interrupts":    {in: []send{open(1, true), raw(0x99, 0, 0)}, out: "1 PROTOCOL_ERROR a head that is interrupted by another frame"},
	"PRIORITY without a stream":            {in: []send{raw(framePriority, 0, 0, 0, 0, 0, 1, 2)}, out: "0 PROTOCOL_ERROR PRIORITY without a stream"},
	"an idle stream depends on itself":     {in: []send{raw(framePriority, 0, 1, 0, 0, 0, 1, 2)}, out: "0 PROTOCOL_ERROR stream that depends on itself"},
	"RST_STREAM without a stream":          {in: []send{reset(0, Cancel)}, out: "0 PROTOCOL_ERROR RST_STREAM of a stream that never was open"},
	"RST_STREAM of an idle stream":         {in: []send{reset(1, Cancel)}, out: "0 PROTOCOL_ERROR RST_STREAM of a stream that never was open"},
	"RST_STREAM of a wrong size":           {in: []send{get(1), raw(frameReset, 0, 1, 0, 0, 0)}, out: "1 FRAME_SIZE_ERROR RST_STREAM whose length is not 4"},
	"SETTINGS on a stream":                 {in: []send{raw(frameSettings, 0, 1)}, out: "0 PROTOCOL_ERROR SETTINGS on a stream"},
	"SETTINGS of a wrong size":             {in: []send{raw(frameSettings, 0, 0, 1, 2, 3, 4, 5)}, out: "0 FRAME_SIZE_ERROR SETTINGS whose length is no multiple of 6"},
	"an acknowledgement with a payload":    {in: []send{raw(frameSettings, flagAck, 0, 0, 1, 0, 0, 0, 0)}, out: "0 FRAME_SIZE_ERROR acknowledgement of SETTINGS with a payload"},
	"SETTINGS_ENABLE_PUSH of 2":            {in: []send{settingsFrame(http2.Setting{ID: 2, Val: 2})}, out: "0 PROTOCOL_ERROR SETTINGS_ENABLE_PUSH that is not allowed"},
	"SETTINGS_INITIAL_WINDOW_SIZE of 2^31": {in: []send{settingsFrame(http2.Setting{ID: 4, Val: 1 << 31})}, out: "0 FLOW_CONTROL_ERROR SETTINGS_INITIAL_WINDOW_SIZE beyond 2^31-1"},
	"SETTINGS_MAX_FRAME_SIZE too small":    {in: []send{settingsFrame(http2.Setting{ID: 5, Val: 16383})}, out: "0 PROTOCOL_ERROR SETTINGS_MAX_FRAME_SIZE out of range"},
	"SETTINGS_MAX_FRAME_SIZE too large":    {in: []send{settingsFrame(http2.Setting{ID: 5, Val: 1 << 24})}, out: "0 PROTOCOL_ERROR SETTINGS_MAX_FRAME_SIZE out of range"},
	"SETTINGS_ENABLE_CONNECT_PROTOCOL 2":   {in: []send{settingsFrame(http2.Setting{ID: 8, Val: 2})}, out: "0 PROTOCOL_ERROR SETTINGS_ENABLE_CONNECT_PROTOCOL that is not allowed"},
	"a window that settings make too wide": {
		in:  []send{get(1), update(1, 1<<30), settingsFrame(http2.Setting{ID: 4, Val: 1<<31 - 1})},
		out: "1 FLOW_CONTROL_ERROR SETTINGS_INITIAL_WINDOW_SIZE that makes a window exceed 2^31-1",
	},
	"PUSH_PROMISE":                        {in: []send{get(1), raw(framePushPromise, flagEndHeaders, 1, 0, 0, 0, 2)}, out: "1 PROTOCOL_ERROR PUSH_PROMISE"},
	"PING on a stream":                    {in: []send{raw(framePing, 0, 1, make([]byte, 8)...)}, out: "0 PROTOCOL_ERROR PING on a stream"},
	"PING of a wrong size":                {in: []send{raw(framePing, 0, 0, make([]byte, 7)...)}, out: "0 FRAME_SIZE_ERROR PING whose length is not 8"},
	"GOAWAY on a stream":                  {in: []send{raw(frameGoAway, 0, 1, make([]byte, 8)...)}, out: "0 PROTOCOL_ERROR GOAWAY on a stream"},
	"GOAWAY of a wrong size":              {in: []send{raw(frameGoAway, 0, 0, make([]byte, 7)...)}, out: "0 FRAME_SIZE_ERROR GOAWAY whose length is below 8"},
	"WINDOW_UPDATE of an idle stream":     {in: []send{update(1, 1)}, out: "0 PROTOCOL_ERROR WINDOW_UPDATE of a stream that never was open"},
	"WINDOW_UPDATE of a wrong size":       {in: []send{raw(frameWindowUpdate, 0, 0, 0, 0, 1)}, out: "0 FRAME_SIZE_ERROR WINDOW_UPDATE whose length is not 4"},
	"WINDOW_UPDATE by 0":                  {in: []send{update(0, 0)}, out: "0 PROTOCOL_ERROR WINDOW_UPDATE by 0"},
	"WINDOW_UPDATE beyond 2^31-1":         {in: []send{update(0, 1<<31-1)}, out: "0 FLOW_CONTROL_ERROR WINDOW_UPDATE that makes the connection's window exceed 2^31-1"},
	"an index that is not in the table":   {in: []send{raw(frameHeaders, flagEndHeaders, 1, 0xff, 0x7f)}, out: "1 COMPRESSION_ERROR decoding error: invalid indexed representation index 254"},
	"a head that ends within a field":     {in: []send{raw(frameHeaders, flagEndHeaders, 1, 0x82, 0x40, 5, 'a')}, out: "1 COMPRESSION_ERROR decoding error: truncated headers"},
	"a table larger than was granted":     {in: []send{raw(frameHeaders, flagEndHeaders, 1, 0x3f, 0xe2, 0x1f)}, out: "1 COMPRESSION_ERROR decoding error: dynamic table size update too large"},
	"DATA of a stream that both ended":    {in: []send{get(7), data(7, "a", false), data(9, "a", false)}, out: "7 PROTOCOL_ERROR DATA of a stream that was not opened"},
	"a fault of a head in a later stream": {in: []send{get(1), open(3, false, ":method: GET"), get(5)}, out: "3 PROTOCOL_ERROR a head that is interrupted by another frame"},
}

func TestFaultsOfTheConnection(t *testing.T) {
	for name, r := range fatal {
		t.Run(name, func(t *testing.T) {
			w := served(t, Config{})
			if err := w.do(r.in...); err == nil {
				t.Error("Receive returns no error")
			}
			out := w.takeOutput()
			if i := strings.Index(out, "GOAWAY "); i < 0 || out[i:] != "GOAWAY "+r.out {
				t.Errorf("output:\n%s\nwant at the end: GOAWAY %s", out, r.out)
			}
			if w.conn.Streams() != 0 {
				t.Errorf("%d streams are open", w.conn.Streams())
			}
			w.takeLog()
			if err := w.do(get(101)); err == nil {
				t.Error("Receive returns no error after a fault")
			}
			same(t, "events after the fault", w.takeLog())
			same(t, "output after the fault", w.takeOutput())
		})
	}
}

func TestGreetings(t *testing.T) {
	text := func(s string) send { return func(p *peer) { p.WriteString(s) } }
	for name, c := range map[string]struct {
		in   []send
		want string
	}{
		"HTTP/1 is no preface":      {[]send{text("GET / HTTP/1.1\r\n\r\n")}, "PROTOCOL_ERROR: the preface is not that of HTTP/2"},
		"the first byte may be it":  {[]send{text("X")}, "PROTOCOL_ERROR: the preface is not that of HTTP/2"},
		"a late byte may be it":     {[]send{text(preface[:23] + "X")}, "PROTOCOL_ERROR: the preface is not that of HTTP/2"},
		"SETTINGS come first":       {[]send{text(preface), get(1)}, "PROTOCOL_ERROR: the first frame is not SETTINGS"},
		"an acknowledgement is not": {[]send{text(preface), settingsAck()}, "PROTOCOL_ERROR: the first frame is not SETTINGS"},
		"nor is an unknown frame":   {[]send{text(preface), raw(0x77, 0, 0)}, "PROTOCOL_ERROR: the first frame is not SETTINGS"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, false, Config{})
			err := w.do(c.in...)
			if err == nil || err.Error() != c.want {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

func TestTheFirstOutput(t *testing.T) {
	w := newWorld(t, false, Config{Streams: 7, ExtendedConnect: true, HeadBytes: 1000, ConnWindow: 100000})
	same(t, "a server's", w.takeOutput(),
		"SETTINGS MAX_CONCURRENT_STREAMS=7 ENABLE_CONNECT_PROTOCOL=1 MAX_HEADER_LIST_SIZE=1000", "WINDOW_UPDATE 0 34465")
	if w.flushes != 0 || !w.conn.Unsettled() || w.conn.Heard() {
		t.Error("a connection that has heard nothing says otherwise")
	}
	w.do(greeting(), settingsAck())
	if w.flushes != 1 || w.conn.Unsettled() || !w.conn.Heard() {
		t.Error("a connection that was greeted says otherwise")
	}
	same(t, "a server's answer", w.takeOutput(), "SETTINGS ack")
	w = newWorld(t, true, Config{})
	if out := w.conn.Output(); !strings.HasPrefix(string(out), preface) {
		t.Errorf("a client begins with %q", out)
	}
	same(t, "a client's", w.takeOutput(), "SETTINGS ENABLE_PUSH=0 MAX_HEADER_LIST_SIZE=65536", "WINDOW_UPDATE 0 983041")
}
