package conformance

import (
	"fmt"
	"strings"
	"time"
)

// pattern is n bytes of which each place can be told: blocks of numbered lines,
// each of which begins with its own number.
func pattern(n int) string {
	const lines, size = 512, 512 * 8
	var block, all strings.Builder
	for i := range lines {
		fmt.Fprintf(&block, "%07x\n", i)
	}
	for i := 0; all.Len() < n; i++ {
		fmt.Fprintf(&all, "%07d\n%s", i, block.String()[8:size])
	}
	return all.String()[:n]
}

// chunksOf is a chunked body in chunks of n bytes.
func chunksOf(text string, n int) string {
	var b strings.Builder
	for len(text) > 0 {
		size := min(n, len(text))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", size, text[:size])
		text = text[size:]
	}
	return b.String() + "0\r\n\r\n"
}

// streamRows are bodies that are large or come bit by bit.
func streamRows() []row {
	const rfc = "9112 7"
	big := pattern(3 << 20)
	whole := func(r row) row {
		r.alone = true
		return r
	}
	said := func(body string) got { return got{status: "200", body: body} }
	return []row{
		whole(passes("a body of 3 MB passes", rfc, post(big, "Content-Length: "+length(big)))),
		whole(passes("3 MB in chunks of 16 KB pass", rfc, chunkedPost(chunksOf(big, 16<<10)))),
		whole(passes("100 KB in chunks of 7 bytes pass", rfc, chunkedPost(chunksOf(pattern(100<<10), 7)))),
		whole(passes("3 MB in one chunk pass", rfc, chunkedPost(chunksOf(big, len(big))))),
		whole(returns("a response of 3 MB passes", rfc, response("200 OK", big, "Content-Length: "+length(big)), said(big))),
		whole(returns("a response of 3 MB in chunks of 16 KB passes", rfc, response("200 OK", chunksOf(big, 16<<10), "Transfer-Encoding: chunked"), said(big))),
		whole(returns("a response of 100 KB in chunks of 7 bytes passes", rfc, response("200 OK", chunksOf(pattern(100<<10), 7), "Transfer-Encoding: chunked"), said(pattern(100<<10)))),
		{name: "a response of 3 MB until the close passes", rfc: rfc, in: get(), alone: true, end: either, backend: answersAndHangsUp(response("200 OK", big)), gets: []got{said(big)}},
		{name: "3 MB both ways at once pass", rfc: rfc, alone: true, in: post(big, "Content-Length: "+length(big)), gets: []got{said(big)},
			backend: does(readHead, write(response("200 OK", big, "Content-Length: "+length(big))), readBody)},
		{name: "a large response and the next request are told apart", rfc: rfc, alone: true, in: get() + hidden, gets: []got{said(big), ok}, conns: 1,
			backend: answers(response("200 OK", big, "Content-Length: "+length(big)))},
		{name: "a slow reader gets all of a large response", rfc: rfc, alone: true, lazy: true, in: get(), gets: []got{said(big)},
			backend: answers(response("200 OK", big, "Content-Length: "+length(big)))},
		{name: "the head of a request is passed on before its body is there", rfc: rfc, sees: asSent(post("hello", "Content-Length: 5")), gets: []got{ok},
			client: []step{send(post("", "Content-Length: 5")), after("seen 1"), send("hello")}},
		{name: "a part of a request's body is passed on before the rest is there", rfc: rfc, sees: asSent(post("hello", "Content-Length: 5")), gets: []got{ok},
			client: []step{send(post("he", "Content-Length: 5")), after("some"), send("llo")}, backend: does(readHead, readSome(2), mark("some"), readBody, write(okResponse))},
		{name: "a chunk of a request is passed on before the next is there", rfc: rfc, sees: asSent(chunkedPost("5\r\nhello\r\n0\r\n\r\n")), gets: []got{ok},
			client: []step{send(chunkedPost("2\r\nhe\r\n")), after("some"), send("3\r\nllo\r\n0\r\n\r\n")}, backend: does(readHead, readSome(2), mark("some"), readBody, write(okResponse))},
		{name: "the head of a response is passed on before its body is there", rfc: rfc, sees: asSent(get()), gets: []got{said("hello")},
			client:  []step{send(get()), after("head 1"), note("go on")},
			backend: does(readRequest, write(response("200 OK", "", "Content-Length: 5")), until("go on"), write("hello"))},
		{name: "a part of a response's body is passed on before the rest is there", rfc: rfc, sees: asSent(get()), gets: []got{said("hello")},
			client:  []step{send(get()), after("part 1"), note("go on")},
			backend: does(readRequest, write(response("200 OK", "he", "Content-Length: 5")), until("go on"), write("llo"))},
		{name: "a chunk of a response is passed on before the next is there", rfc: rfc, sees: asSent(get()), gets: []got{said("hello")},
			client:  []step{send(get()), after("part 1"), note("go on")},
			backend: does(readRequest, write(response("200 OK", "2\r\nhe\r\n", "Transfer-Encoding: chunked")), until("go on"), write("3\r\nllo\r\n0\r\n\r\n"))},
		{name: "a part of a body until the close is passed on before the rest is there", rfc: rfc, sees: asSent(get()), gets: []got{said("hello")}, end: either,
			client:  []step{send(get()), after("part 1"), note("go on")},
			backend: does(readRequest, write(response("200 OK", "he")), until("go on"), write("llo"), hangUp)},
		{name: "a part of a chunked body is passed on to an HTTP/1.0 client before the rest is there", rfc: rfc, gets: []got{said("hello")}, end: closed,
			sees:    []seen{{head: "GET / HTTP/1.1\nHost: a.test"}},
			client:  []step{send("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n"), after("part 1"), note("go on")},
			backend: does(readRequest, write(response("200 OK", "2\r\nhe\r\n", "Transfer-Encoding: chunked")), until("go on"), write("3\r\nllo\r\n0\r\n\r\n"))},
		{name: "a response that never ends does not fill memory when nobody reads", rfc: rfc, deaf: true, alone: true, end: either, sent: 48 << 20, sees: asSent(get()),
			client:  []step{send(get()), after("seen 1"), pausing(300 * time.Millisecond), leave},
			backend: does(readRequest, write("HTTP/1.1 200 OK\r\n\r\n"), forever(pattern(64<<10)))},
		{name: "a request that never ends does not fill memory when nobody reads", rfc: rfc, alone: true, end: either, sent: 48 << 20, gets: []got{}, sees: []seen{{cut: always}},
			client:  []step{send(post("", "Content-Length: 1099511627776")), after("seen 1"), pour(pattern(64<<10), 300*time.Millisecond), note("left"), leave},
			backend: does(readHead, until("left"), readBody)},
	}
}

// earlyRows are backends that answer before they have read the request, and
// clients that go away.
func earlyRows() []row {
	const rfc, huge = "9112 9.6", 8 << 20
	many := pattern(huge)
	upload := post("", fmt.Sprint("Content-Length: ", huge))
	tooLarge := response("413 Content Too Large", "no", "Connection: close", "Content-Length: 2")
	cutUpload := []seen{{head: fmt.Sprint("POST /p HTTP/1.1\nHost: a.test\nContent-Length: ", huge), body: many, cut: maybe}}
	early := func(name string, want got, end ending, script ...act) row {
		return row{name: name, rfc: rfc, alone: true, sees: cutUpload, gets: []got{want}, end: end, anyMore: true,
			client: []step{send(upload), send(many)}, backend: does(script...)}
	}
	refusedEarly := got{status: "413", body: "no"}
	return []row{
		early("an early refusal reaches a client that is still sending", refusedEarly, either, readHead, readSome(1), write(tooLarge), readBody),
		early("an early refusal whose backend hangs up reaches the client", refusedEarly, either, readHead, readSome(1), write(tooLarge), hangUp),
		early("an early refusal whose backend ends its side reaches the client", refusedEarly, either, readHead, readSome(1), write(tooLarge), endWrite, readBody),
		early("an early refusal whose backend reads nothing more reaches the client", refusedEarly, either, readHead, write(tooLarge), until("got 1"), readBody),
		early("an early refusal without close reaches the client", got{status: "403", body: "no"}, either, readHead, write(response("403 No", "no", "Content-Length: 2")), readBody),
		early("an early chunked refusal reaches the client", refusedEarly, either, readHead, write(response("413 No", "2\r\nno\r\n0\r\n\r\n", "Connection: close", "Transfer-Encoding: chunked")), hangUp),
		{name: "an early response whose upload goes on to its end leaves the connection in order", rfc: rfc, alone: true, sees: asSent(post("hello", "Content-Length: 5")), gets: []got{ok}, end: either,
			client: []step{send(post("he", "Content-Length: 5")), after("got 1"), send("llo")}, backend: does(readHead, write(okResponse), readBody)},
		{name: "an upload behind an early response is no request", rfc: rfc, alone: true, end: either, anyMore: true, gets: []got{ok},
			sees:   []seen{{head: "POST /p HTTP/1.1\nHost: a.test\nContent-Length: 38", body: hidden, cut: maybe}},
			client: []step{send(post("", "Content-Length: 38")), after("got 1"), send(hidden), pausing(20 * time.Millisecond)}, backend: does(readHead, write(okResponse), readBody)},
		{name: "a response that begins early and ends late passes", rfc: rfc, alone: true, sees: asSent(post("hello", "Content-Length: 5")), gets: []got{{status: "200", body: "hello"}}, end: either,
			client:  []step{send(post("he", "Content-Length: 5")), after("part 1"), send("llo")},
			backend: does(readHead, write(response("200 OK", "he", "Content-Length: 5")), readBody, write("llo"))},
		{name: "a client that half-closes behind its request is answered", rfc: rfc, sees: asSent(get()), gets: []got{ok}, end: closed, client: []step{send(get()), halfClose}},
		{name: "a client that half-closes behind its request waits for a slow answer", rfc: rfc, sees: asSent(get()), gets: []got{ok}, end: closed,
			client: []step{send(get()), halfClose}, backend: does(readRequest, pauseFor(100*time.Millisecond), write(okResponse))},
		{name: "a client that half-closes behind its body is answered", rfc: rfc, sees: asSent(post("hello", "Content-Length: 5")), gets: []got{ok}, end: closed,
			client: []step{send(post("hello", "Content-Length: 5")), halfClose}},
		{name: "a client that half-closes while it is answered gets the rest", rfc: rfc, sees: asSent(get()), gets: []got{{status: "200", body: "hello"}}, end: closed,
			client:  []step{send(get()), after("part 1"), halfClose, pausing(20 * time.Millisecond), note("go on")},
			backend: does(readRequest, write(response("200 OK", "he", "Content-Length: 5")), until("go on"), write("llo"))},
		{name: "a head that ends in the middle passes nothing on", rfc: "9112 8", sees: nothing, gets: []got{}, end: either, anyMore: true,
			client: []step{send("GET / HTTP/1.1\r\nHost: a.te"), halfClose, afterEnd}},
		{name: "a connection without a request passes nothing on", rfc: "9112 8", sees: nothing, gets: []got{}, end: closed, client: []step{halfClose}},
		{name: "a body that ends before its length is never whole", rfc: "9112 8", sees: []seen{{cut: always}}, gets: []got{}, end: either, anyMore: true, blame: blameless,
			client: []step{send(post("hel", "Content-Length: 5")), after("seen 1"), halfClose, afterEnd}},
		{name: "a chunked body that ends within a chunk is never whole", rfc: "9112 8", sees: []seen{{cut: always}}, gets: []got{}, end: either, anyMore: true, blame: blameless,
			client: []step{send(chunkedPost("5\r\nhel")), after("seen 1"), halfClose, afterEnd}},
		{name: "a chunked body that ends between two chunks is never whole", rfc: "9112 8", sees: []seen{{cut: always}}, gets: []got{}, end: either, anyMore: true, blame: blameless,
			client: []step{send(chunkedPost("5\r\nhello\r\n")), after("seen 1"), halfClose, afterEnd}},
		{name: "a chunked body that lacks its last line is never whole", rfc: "9112 8", sees: []seen{{cut: always}}, gets: []got{}, end: either, anyMore: true, blame: blameless,
			client: []step{send(chunkedPost("5\r\nhello\r\n0\r\n")), after("seen 1"), halfClose, afterEnd}},
		{name: "a client that resets within its body leaves no whole request", rfc: "9112 8", sees: []seen{{cut: always}}, gets: []got{}, end: either, blame: blameless,
			client: []step{send(post("hel", "Content-Length: 5")), after("seen 1"), abort}},
		{name: "a client that goes away while it waits ends the backend's connection", rfc: "9112 9.6", sees: asSent(get()), gets: []got{}, end: either, dropped: true, blame: blameless,
			client: []step{send(get()), after("seen 1"), abort}, backend: does(readRequest, stall)},
		{name: "a client that goes away while it is answered ends the backend's connection", rfc: "9112 9.6", sees: asSent(get()),
			end: either, dropped: true, blame: blameless, deaf: true,
			client: []step{send(get()), after("seen 1"), abort}, backend: does(readRequest, write("HTTP/1.1 200 OK\r\n\r\n"), forever(pattern(64<<10)))},
	}
}

// upgradeRows are connections that become something else.
func upgradeRows() []row {
	const rfc = "9110 7.8"
	ask := get("Connection: Upgrade", "Upgrade: echo/1")
	agreed := response("101 Switching Protocols", "", "Connection: Upgrade", "Upgrade: echo/1")
	asked := []seen{{head: "GET / HTTP/1.1\nHost: a.test\nUpgrade: echo/1", has: []string{"Connection: Upgrade"}}}
	switched := []got{{status: "101", has: []string{"Upgrade: echo/1"}}}
	declined := func(r row) row {
		r.rfc, r.in, r.sees = rfc, ask, asked
		return r
	}
	talk := func(name string, client []step, script ...act) row {
		return row{name: name, rfc: rfc, sees: asked, gets: switched, end: tunnel, client: client, backend: does(script...)}
	}
	return []row{
		talk("bytes right behind the client's head pass", []step{send(ask + "ping"), afterTail("pong"), leave}, readRequest, write(agreed), expect("ping"), write("pong"), expectEnd),
		talk("bytes right behind the backend's head pass", []step{send(ask), afterTail("hello"), send("ping"), afterTail("hellopong"), leave}, readRequest, write(agreed+"hello"), expect("ping"), write("pong"), expectEnd),
		talk("bytes that look like HTTP pass as they are", []step{send(ask), after("got 1"), send(hidden), afterTail(okResponse), leave}, readRequest, write(agreed), expect(hidden), write(okResponse), expectEnd),
		talk("any bytes pass", []step{send(ask), after("got 1"), send("\x00\xff\r\n\n\r"), afterTail("\x00\x01\xfe"), leave}, readRequest, write(agreed), expect("\x00\xff\r\n\n\r"), write("\x00\x01\xfe"), expectEnd),
		talk("much passes both ways", []step{send(ask), after("got 1"), send(pattern(1 << 20)), afterTail(pattern(1 << 20)), leave}, readRequest, write(agreed), expect(pattern(1<<20)), write(pattern(1<<20)), expectEnd),
		talk("a client may end its side first", []step{send(ask), after("got 1"), send("bye"), halfClose, afterTail("still here"), afterEnd}, readRequest, write(agreed), expect("bye"), expectEnd, write("still here"), hangUp),
		talk("a backend may end its side first", []step{send(ask), afterTail("bye"), send("still here"), halfClose, afterEnd}, readRequest, write(agreed+"bye"), endWrite, expect("still here"), expectEnd),
		talk("a backend that goes away ends the client's connection", []step{send(ask), afterTail("bye"), afterEnd}, readRequest, write(agreed+"bye"), hangUp),
		talk("a client that resets ends the backend's connection", []step{send(ask), after("got 1"), abort}, readRequest, write(agreed), stall),
		{name: "the names of the protocols pass as they are", rfc: rfc, in: get("connection: keep-alive, upgrade", "upgrade: ECHO/1, Other"), backend: does(readRequest, write(agreed), stall),
			sees: []seen{{head: "GET / HTTP/1.1\nHost: a.test\nupgrade: ECHO/1, Other"}}, gets: []got{{status: "101"}}, end: tunnel},
		{name: "a WebSocket's fields pass", rfc: "6455 4", in: get("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"), end: tunnel,
			sees:    []seen{{head: "GET / HTTP/1.1\nHost: a.test\nUpgrade: websocket\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13", has: []string{"Connection: Upgrade"}}},
			gets:    []got{{status: "101", has: []string{"Upgrade: websocket", "Sec-WebSocket-Accept: x"}}},
			backend: does(readRequest, write(response("101 Switching Protocols", "", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: x")), stall)},
		declined(row{name: "an upgrade that is declined leaves the connection in order"}),
		declined(row{name: "an upgrade that is declined with 403 leaves the connection in order", backend: answers(response("403 No", "no", "Content-Length: 2")), gets: []got{{status: "403", body: "no"}}}),
		declined(row{name: "an upgrade that is declined with 426 passes", backend: answers(response("426 Upgrade Required", "no", "Connection: Upgrade", "Upgrade: x", "Content-Length: 2")), gets: []got{{status: "426", body: "no"}}}),
		declined(row{name: "an upgrade to another protocol than asked for is a fault", backend: answers(response("101 Switching Protocols", "", "Connection: Upgrade", "Upgrade: other")), gets: []got{own("502")}, end: either, dropped: true}),
		declined(row{name: "an upgrade that names no protocol is a fault", backend: answers(response("101 Switching Protocols", "")), gets: []got{own("502")}, end: either, dropped: true}),
		declined(row{name: "a backend that hangs up instead of an upgrade is a bad gateway", backend: does(readRequest, hangUp), gets: []got{own("502")}, end: either, again: true, alone: true}),
		{name: "requests behind an upgrade that is declined are served", rfc: rfc, in: ask + hidden, sees: []seen{asked[0], {head: "GET /hidden HTTP/1.1\nHost: a.test"}}, gets: []got{ok, ok}},
		{name: "a 103 before the 101 passes", rfc: rfc, sees: asked, gets: []got{{status: "101", interim: []string{"103"}}}, end: tunnel,
			client: []step{send(ask), afterTail("hello"), leave}, backend: does(readRequest, write(response("103 Early Hints", "")+agreed+"hello"), stall)},
		{name: "an Upgrade that Connection does not name is none", rfc: rfc, in: get("Upgrade: echo/1"), sees: []seen{{head: "GET / HTTP/1.1\nHost: a.test", lack: []string{"Upgrade"}}}, gets: []got{ok}},
		{name: "a Connection that names an Upgrade that is not there means nothing", rfc: rfc, in: get("Connection: Upgrade"), sees: []seen{{head: "GET / HTTP/1.1\nHost: a.test", lack: []string{"Upgrade"}}}, gets: []got{ok}},
		{name: "HTTP/2 is not let through", rfc: rfc, in: get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA"), gets: []got{ok},
			sees: []seen{{head: "GET / HTTP/1.1\nHost: a.test", lack: []string{"Upgrade", "HTTP2-Settings"}}}},
	}
}
