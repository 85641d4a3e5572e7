package conformance

import (
	"strings"
	"time"
)

// retryRows are requests whose backend fails before it answers.
func retryRows() []row {
	const rfc = "9112 9.3.1"
	twice := func(in string) []seen { return []seen{asSent(in)[0], asSent(in)[0]} }
	body := post("hello", "Content-Length: 5")
	// second kills a connection that has served one request, when the next one
	// has arrived on it.
	second := func(last act) [][]act { return does(readRequest, write(okResponse), readRequest, last) }
	// pooled is a request on such a connection, in the profile "on".
	pooled := func(name, in string, last act, on string, want got) row {
		r := row{name: name, rfc: rfc, on: on, alone: true, client: []step{send(get()), after("got 1"), send(in)}, backend: second(last),
			gets: []got{ok, want}, sees: append(asSent(get()), asSent(in)[0])}
		if !want.own {
			r.sees = append(r.sees, asSent(in)[0])
		}
		if on == paired { // backends take turns
			r.client = append([]step{send(get()), after("got 1")}, send(get()), after("got 2"), send(in))
			r.gets, r.sees = append([]got{ok}, r.gets...), append(asSent(get()), r.sees...)
		}
		return r
	}
	dying := func(name, in string, want got) row { return pooled(name, in, hangUp, plain, want) }
	unsafe := func(name, in string) row { return dying(name, in, own("502")) }
	safe := func(name, method string) row {
		r := dying(name, request(method+" / HTTP/1.1"), got{status: "200", body: "ok"})
		if method == "HEAD" {
			r.backend = [][]act{r.backend[0], answers(response("200 OK", "", "Content-Length: 2"))[0]}
			r.gets[1] = got{status: "200", head: true}
		}
		return r
	}
	return []row{
		{name: "a backend that refuses is passed over", rfc: "9110 9.2.2", on: halfDead, in: get() + get(), alone: true},
		{name: "a body is sent to another backend when the first refuses", rfc: "9110 9.2.2", on: halfDead, in: body + body, alone: true},
		{name: "chunks are sent to another backend when the first refuses", rfc: "9110 9.2.2", on: halfDead, in: strings.Repeat(chunkedPost("5\r\nhello\r\n0\r\nX: y\r\n\r\n"), 2), alone: true},
		{name: "a large body is sent whole to another backend when the first refuses", rfc: "9110 9.2.2", on: halfDead, alone: true,
			in: strings.Repeat(post(pattern(1<<20), "Content-Length: 1048576"), 2)},
		{name: "a pipeline passes over a backend that refuses", rfc: "9110 9.2.2", on: halfDead, in: strings.Repeat(body+get(), 10), alone: true},
		safe("a GET on a connection that dies is sent again", "GET"),
		safe("a HEAD on a connection that dies is sent again", "HEAD"),
		safe("an OPTIONS on a connection that dies is sent again", "OPTIONS"),
		pooled("a GET on a connection that resets is sent again", get(), reset, plain, ok),
		pooled("a GET on a connection that dies is sent to whichever backend", get(), hangUp, paired, ok),
		unsafe("a POST on a connection that dies is not sent again", body),
		unsafe("a POST without a body on a connection that dies is not sent again", post("", "Content-Length: 0")),
		unsafe("a chunked POST on a connection that dies is not sent again", chunkedPost("5\r\nhello\r\n0\r\n\r\n")),
		unsafe("a PATCH on a connection that dies is not sent again", request("PATCH / HTTP/1.1", "Content-Length: 5")+"hello"),
		unsafe("an unknown method on a connection that dies is not sent again", request("FROBNICATE / HTTP/1.1")),
		unsafe("a method in lower case on a connection that dies is not sent again", request("get / HTTP/1.1")),
		pooled("a POST on a connection that resets is not sent again", body, reset, plain, own("502")),
		pooled("a POST is not sent to another backend either", body, hangUp, paired, own("502")),
		{name: "a POST on a connection that had ended before is sent on another one", rfc: rfc, alone: true, gets: []got{ok, ok}, conns: 2,
			client: []step{send(get()), after("got 1"), after("gone"), send(body)}, sees: append(asSent(get()), asSent(body)[0]),
			backend: does(readRequest, write(okResponse), endWrite, expectEnd, mark("gone"), hangUp)},
		{name: "a GET whose response has begun is not sent again", rfc: rfc, alone: true, end: either, gets: []got{ok, {status: "200|502", body: "he", cut: unless502}},
			client: []step{send(get()), after("got 1"), send(get())}, sees: twice(get()),
			backend: does(readRequest, write(okResponse), readRequest, write(response("200 OK", "he", "Content-Length: 5")), hangUp)},
		{name: "a GET behind a 103 of which the connection died is not answered twice", rfc: rfc, alone: true, end: either,
			gets:   []got{ok, {status: "502", own: true, anyInterim: true}},
			client: []step{send(get()), after("got 1"), send(get())}, sees: twice(get()),
			backend: does(readRequest, write(okResponse), readRequest, write(response("103 Early Hints", "")), hangUp)},
		{name: "a GET that every backend dies of is a bad gateway, not an endless loop", rfc: "9110 15.6.3", alone: true, again: true, in: get(), gets: []got{own("502")}, end: either,
			backend: [][]act{{readRequest, hangUp}, {readRequest, hangUp}, {readRequest, hangUp}, {readRequest, hangUp}, {readRequest, hangUp}, {readRequest, hangUp}, {readRequest, hangUp}, {readRequest, hangUp},
				{readRequest, hangUp}, {readRequest, hangUp}}},
		{name: "a response that comes before it is asked for is not the next one's", rfc: "9112 9.3", alone: true, gets: []got{ok, ok}, conns: 2, dropped: true,
			client: []step{send(get()), after("got 1"), after("gone"), send(get())}, sees: twice(get()),
			backend: does(readRequest, write(okResponse), write(response("200 OK", "evil!", "Content-Length: 5")), waitGone, mark("gone"))},
		{name: "a 408 that a backend sends on an idle connection is no response", rfc: "9110 15.5.9", alone: true, gets: []got{ok, ok}, conns: 2, dropped: true,
			client: []step{send(get()), after("got 1"), after("gone"), send(get())}, sees: twice(get()),
			backend: does(readRequest, write(okResponse), write(response("408 Request Timeout", "", "Connection: close", "Content-Length: 0")), endWrite, waitGone, mark("gone"))},
		{name: "a backend that answers before it is asked gets no request wrong", rfc: "9112 9.3", alone: true, in: get(), end: either, gets: []got{{status: "200|502", own: true}},
			again: true, sees: []seen{{head: "GET / HTTP/1.1\nHost: a.test", cut: maybe}}, backend: does(write(response("200 OK", "early", "Content-Length: 5")), readRequest, stall)},
		{name: "a request is tried once where one attempt is allowed", rfc: "9110 9.2.2", on: single, alone: true, in: get() + get(), end: either,
			sees: asSent(get()), gets: []got{{status: "200|503", own: true}, {status: "200|503", own: true}}},
	}
}

// nobodyRows are requests that no backend can be asked for.
func nobodyRows() []row {
	body := post("hello", "Content-Length: 5")
	return []row{
		{name: "when all backends refuse there is no service", rfc: "9110 15.6.4", on: dead, in: get() + body, sees: nothing, gets: []got{own("503"), own("503")}, end: either},
		{name: "without a backend there is no service", rfc: "9110 15.6.4", on: empty, in: get() + get(), sees: nothing, gets: []got{own("503"), own("503")}, end: either},
		{name: "without a backend a body does no harm", rfc: "9110 15.6.4", on: empty, alone: true, in: body + chunkedPost("5\r\nhello\r\n0\r\n\r\n") + get(), sees: nothing, gets: []got{own("503"), own("503"), own("503")}, end: either},
		{name: "without a route nothing is found", rfc: "9110 15.5.5", on: unrouted, alone: true, in: get() + body + get(), sees: nothing, gets: []got{own("404"), own("404"), own("404")}, end: either},
		{name: "without a route a HEAD has no body", rfc: "9110 9.3.2", on: unrouted, in: request("HEAD / HTTP/1.1") + get(), sees: nothing, gets: []got{{status: "404", own: true, head: true}, own("404")}, end: either},
		{name: "without a route an HTTP/1.0 client is closed", rfc: "9112 9.3", on: unrouted, in: "GET / HTTP/1.0\r\n\r\n", sees: nothing, gets: []got{own("404")}, end: closed},
		{name: "without a route close closes", rfc: "9112 9.6", on: unrouted, in: get("Connection: close"), sees: nothing, gets: []got{own("404")}, end: closed},
		{name: "without a route a body that looks like a request is none", rfc: "9112 6.3", on: unrouted, in: post(hidden, "Content-Length: 38"), sees: nothing, gets: []got{own("404")}, end: either},
		{name: "without a route a bad chunk is refused all the same", rfc: "9112 7.1", on: unrouted, in: chunkedPost("x\r\n\r\n") + hidden, sees: nothing, gets: []got{own("400|404")}, end: either, anyMore: true},
	}
}

// waitGone reads until the proxy has ended the connection.
func waitGone(c *backendConn) error {
	if err := stall(c); err != errFinished {
		return err
	}
	return nil
}

// timeRows are peers that are too slow.
func timeRows() []row {
	at := func(on string, r row) row {
		r.on, r.alone = on, true
		return r
	}
	post5 := post("hello", "Content-Length: 5")
	return []row{
		at(patient, row{name: "a backend that never answers is a gateway timeout", rfc: "9110 15.6.5", in: get(), backend: does(readRequest, stall), gets: []got{own("504")}, end: either, dropped: true, again: true}),
		at(patient, row{name: "a POST that is never answered is sent once", rfc: "9110 15.6.5", in: post5, backend: does(readRequest, stall), gets: []got{own("504")}, end: either, dropped: true}),
		at(patient, row{name: "a backend whose head never ends is a gateway timeout", rfc: "9110 15.6.5", in: post5, backend: does(readRequest, write("HTTP/1.1 200 OK\r\nX: "), stall), gets: []got{own("502|504")}, end: either, dropped: true}),
		at(patient, row{name: "a backend that trickles its head is a gateway timeout", rfc: "9110 15.6.5", in: post5, backend: does(readRequest, write("HTTP/1.1 200 OK\r\nX: "), drip("y", 20*time.Millisecond)), gets: []got{own("502|504")}, end: either}),
		at(patient, row{name: "a backend that sends 103s for ever is bounded in time", rfc: "9110 15.6.5", in: post5, end: either,
			backend: does(readRequest, drip(response("103 Early Hints", ""), 20*time.Millisecond)), gets: []got{{status: "502|504", own: true, anyInterim: true, cut: maybe}}}),
		at(patient, row{name: "a client that is timed out may go on", rfc: "9110 15.6.5", client: []step{send(post5), after("got 1"), send(get())}, sees: []seen{asSent(post5)[0], asSent(get())[0]},
			backend: does(readRequest, stall), gets: []got{own("504"), ok}}),
		at(hasty, row{name: "a response that stands still is cut", rfc: "9112 8", in: get(), backend: does(readRequest, write(response("200 OK", "he", "Content-Length: 5")), stall),
			gets: []got{{status: "200|502|504", body: "he", cut: always}}, end: either, dropped: true}),
		at(hasty, row{name: "a chunked response that stands still is cut", rfc: "9112 8", in: get(), backend: does(readRequest, write(response("200 OK", "5\r\nhello\r\n", "Transfer-Encoding: chunked")), stall),
			gets: []got{{status: "200", body: "hello", cut: always}}, end: either, dropped: true}),
		at(hasty, row{name: "a response until the close that stands still is cut", rfc: "9112 8", in: get(), backend: does(readRequest, write(response("200 OK", "hello")), stall),
			gets: []got{{status: "200", body: "hello", cut: always}}, end: either, dropped: true}),
		at(hasty, row{name: "a response for an HTTP/1.0 client that stands still is cut", rfc: "9112 8", in: "GET / HTTP/1.0\r\n\r\n", sees: []seen{{head: "GET / HTTP/1.1", anyHost: true}},
			backend: does(readRequest, write(response("200 OK", "5\r\nhello\r\n", "Transfer-Encoding: chunked")), stall), gets: []got{{status: "200", body: "hello", cut: always}}, end: either, dropped: true}),
		at(hasty, row{name: "a response that goes on slowly is not cut", rfc: "9112 8", in: get(), end: either,
			backend: does(readRequest, write(response("200 OK", "", "Content-Length: 5")), slowly("hello", 100*time.Millisecond)), gets: []got{{status: "200", body: "hello"}}}),
		at(hasty, row{name: "a head that stands still is given up", rfc: "9110 15.5.9", client: []step{send("GET / HTTP/1.1\r\nHo"), afterEnd}, sees: nothing, gets: []got{own("408")}, end: closed}),
		at(hasty, row{name: "a head that is trickled is given up", rfc: "9110 15.5.9", client: []step{trickle("GET / HTTP/1.1\r\nX: "+strings.Repeat("y", 200), 20*time.Millisecond), afterEnd}, sees: nothing, gets: []got{own("408")}, end: either}),
		at(hasty, row{name: "a head that begins slowly on a used connection is given up", rfc: "9110 15.5.9", client: []step{send(get()), after("got 1"), send("GE"), afterEnd}, sees: asSent(get()), gets: []got{ok, own("408")}, end: closed}),
		at(hasty, row{name: "a connection without a request is closed in silence", rfc: "9112 9.5", client: []step{afterEnd}, sees: nothing, gets: []got{}, end: closed, anyMore: true}),
		at(hasty, row{name: "a connection without a further request is closed in silence", rfc: "9112 9.5", client: []step{send(get()), after("got 1"), afterEnd}, sees: asSent(get()), gets: []got{ok}, end: closed}),
		at(hasty, row{name: "a body that stands still is given up", rfc: "9110 15.5.9", client: []step{send(post("he", "Content-Length: 5")), afterEnd}, sees: []seen{{cut: always}}, gets: []got{own("408")}, end: closed, blame: blameless}),
		at(hasty, row{name: "a chunked body that stands still is given up", rfc: "9110 15.5.9", client: []step{send(chunkedPost("2\r\nhe\r\n")), afterEnd}, sees: []seen{{cut: always}}, gets: []got{own("408")}, end: closed, blame: blameless}),
		at(hasty, row{name: "a body that goes on slowly is not given up", rfc: "9110 15.5.9", client: []step{send(post("", "Content-Length: 5")), trickle("hello", 100*time.Millisecond)}, sees: asSent(post5), gets: []got{ok}, end: either}),
		at(hasty, row{name: "a client that reads nothing is given up", rfc: "9112 9.5", deaf: true, sent: 48 << 20, sees: asSent(get()), end: either, dropped: true,
			client: []step{send(get()), after("dropped")}, backend: does(readRequest, write("HTTP/1.1 200 OK\r\n\r\n"), forever(pattern(64<<10)))}),
		at(hasty, row{name: "a silent upgraded connection is given up", rfc: "9110 7.8", client: []step{send(get("Connection: Upgrade", "Upgrade: x")), afterEnd}, end: tunnel, gets: []got{{status: "101"}}, dropped: true,
			sees: []seen{{head: "GET / HTTP/1.1\nHost: a.test\nUpgrade: x"}}, backend: does(readRequest, write(response("101 Switching Protocols", "", "Connection: Upgrade", "Upgrade: x")), stall)}),
		at(hasty, row{name: "an idle connection to a backend is given up", rfc: "9112 9.5", in: get(), end: either, dropped: true}),
		at(unanswerable, row{name: "a backend that takes no connection is no service", rfc: "9110 15.6.4", in: get(), sees: nothing, gets: []got{own("503|504")}, end: either}),
		at(brief, row{name: "a request that takes too long as a whole is a gateway timeout", rfc: "9110 15.6.5", in: post5, backend: does(readRequest, stall), gets: []got{own("504")}, end: either, dropped: true}),
		at(brief, row{name: "a response that takes too long as a whole is cut", rfc: "9112 8", in: get(), end: either, backend: does(readRequest, write(response("200 OK", "", "Transfer-Encoding: chunked")), drip("1\r\nx\r\n", 20*time.Millisecond)),
			gets: []got{{status: "200", body: strings.Repeat("x", 4000), cut: always}}}),
		at(deadline, row{name: "a route's own bound on a request holds", rfc: "9110 15.6.5", in: post5, backend: does(readRequest, stall), gets: []got{own("504")}, end: either, dropped: true}),
	}
}

// slowly sends text byte by byte with a pause before each.
func slowly(text string, pause time.Duration) act {
	return func(c *backendConn) error {
		for i := range len(text) {
			c.x.pause(pause)
			if err := c.send(text[i : i+1]); err != nil {
				return err
			}
		}
		return nil
	}
}
