package conformance

import "time"

// interimRows are responses with 1xx before them.
func interimRows() []row {
	const rfc = "9110 15.2"
	hints := response("103 Early Hints", "", "Link: </a>; rel=preload", "link: </b>; rel=\xe9")
	const hinted = "103\nLink: </a>; rel=preload\nlink: </b>; rel=\xe9"
	with := func(name, out string, interim ...string) row {
		return returns(name, rfc, out, got{status: "200", body: "ok", interim: interim})
	}
	return []row{
		with("a 103 passes with its fields", hints+okResponse, hinted),
		with("two 103 pass in order", hints+hints+okResponse, hinted, hinted),
		with("a 102 passes", response("102 Processing", "")+okResponse, "102"),
		with("a 1xx that nobody knows passes", response("199 Whatever", "", "X: y")+okResponse, "199\nX: y"),
		with("several kinds pass in order", response("102 Processing", "")+hints+okResponse, "102", "103"),
		with("a 103 with a length has no body", response("103 Early Hints", "", "Content-Length: 5")+okResponse, "103").or502(),
		with("a 103 with a coding has no body", response("103 Early Hints", "", "Transfer-Encoding: chunked")+okResponse, "103").or502(),
		{name: "a 100 that nobody asked for does no harm", rfc: "9110 15.2.1", in: get(), alone: true,
			backend: answers(response("100 Continue", "") + okResponse), gets: []got{{status: "200", body: "ok", anyInterim: true}}},
		{name: "a 103 passes before the response is there", rfc: "8297 2", gets: []got{{status: "200", body: "ok", interim: []string{"103"}}},
			sees: asSent(get()), client: []step{send(get()), after("interim 1"), note("hinted")},
			backend: does(readRequest, write(hints), until("hinted"), write(okResponse))},
		{name: "a 103 before a HEAD's response passes", rfc: rfc, in: request("HEAD / HTTP/1.1"), backend: answers(hints + response("200 OK", "", "Content-Length: 5")), out: 60,
			gets: []got{{status: "200", head: true, interim: []string{"103"}}}},
		{name: "a 103 before an error passes", rfc: rfc, in: get(), backend: answers(hints + response("404 Not Found", "no", "Content-Length: 2")), out: 60,
			gets: []got{{status: "404", body: "no", interim: []string{"103"}}}},
		{name: "an HTTP/1.0 client gets no 103", rfc: rfc, in: "GET / HTTP/1.0\r\nHost: a.test\r\n\r\n", backend: answers(hints + okResponse), gets: []got{ok}, end: closed,
			sees: []seen{{head: "GET / HTTP/1.1\nHost: a.test"}}},
		{name: "an HTTP/1.0 client that is kept alive gets no 103", rfc: rfc, in: "GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n", backend: answers(hints + okResponse), gets: []got{ok},
			sees: []seen{{head: "GET / HTTP/1.1\nHost: a.test"}}},
		{name: "1xx without end are not passed for ever", rfc: rfc, in: get(), alone: true, end: either, sent: 32 << 20, gets: []got{{status: "502", own: true, anyInterim: true, cut: maybe}},
			backend: does(readRequest, forever(hints))},
		{name: "100s without end are not read for ever", rfc: rfc, in: get(), alone: true, end: either, sent: 32 << 20, gets: []got{{status: "502", own: true, anyInterim: true, cut: maybe}},
			backend: does(readRequest, forever(response("100 Continue", "")))},
		faulty("a 101 that nobody asked for is a fault", "9110 15.2.2", response("101 Switching Protocols", "", "Connection: Upgrade", "Upgrade: websocket")),
		faulty("a 101 without an Upgrade is a fault", "9110 15.2.2", response("101 Switching Protocols", "")),
		faulty("a 103 with a bad field is a fault", "9112 5", response("103 Early Hints", "", "X Y: z")+okResponse),
		faulty("a 103 with a bare LF is a fault", "9112 2.2", "HTTP/1.1 103 Early Hints\nX: y\r\n\r\n"+okResponse),
		{name: "a malformed response behind a 103 is a fault", rfc: rfc, in: get(), alone: true, backend: answers(hints + "HTTP/1.1 200 OK\r\nX : y\r\n\r\n"),
			gets: []got{{status: "502", own: true, anyInterim: true}}, end: either, dropped: true},
	}
}

// or502 allows an own 502 instead of the response.
func (r row) or502() row {
	r.gets[0].or502, r.end = true, either
	return r
}

// expectRows are requests that wait for a 100 before they send their body.
func expectRows() []row {
	const rfc = "9110 10.1.1"
	head := post("", "Expect: 100-continue", "Content-Length: 5")
	goOn := response("100 Continue", "")
	hello := []seen{{head: "POST /p HTTP/1.1\nHost: a.test\nExpect: 100-continue\nContent-Length: 5", body: "hello"}}
	maybeHello := []seen{{head: hello[0].head, body: "hello", cut: maybe}}
	fine := []got{{status: "200", body: "ok", interim: []string{"100"}}}
	quiet := []got{{status: "200", body: "ok", anyInterim: true}}
	return []row{
		{name: "a client that waits for a 100 gets the backend's", rfc: rfc, sees: hello, gets: fine,
			client: []step{send(head), after("interim 1"), send("hello")}, backend: does(readHead, write(goOn), readBody, write(okResponse))},
		{name: "chunks that wait for a 100 are sent behind it", rfc: rfc, gets: fine,
			sees:    []seen{{head: "POST /p HTTP/1.1\nHost: a.test\nExpect: 100-continue", body: "hello"}},
			client:  []step{send(post("", "Expect: 100-continue", "Transfer-Encoding: chunked")), after("interim 1"), send("5\r\nhello\r\n0\r\n\r\n")},
			backend: does(readHead, write(goOn), readBody, write(okResponse))},
		{name: "the expectation may be in any case", rfc: rfc, gets: fine,
			sees:    []seen{{head: "POST /p HTTP/1.1\nHost: a.test\nexpect: 100-CONTINUE\nContent-Length: 5", body: "hello"}},
			client:  []step{send(post("", "expect: 100-CONTINUE", "Content-Length: 5")), after("interim 1"), send("hello")},
			backend: does(readHead, write(goOn), readBody, write(okResponse))},
		{name: "a client that does not wait is served as well", rfc: rfc, in: head + "hello", gets: quiet, sees: hello, alone: true,
			backend: does(readHead, write(goOn), readBody, write(okResponse))},
		{name: "a client that does not wait is served by a backend that sends no 100", rfc: rfc, in: head + "hello", gets: quiet, sees: hello},
		{name: "a client that waits in vain may send its body", rfc: rfc, sees: hello, gets: quiet,
			client: []step{send(head), after("seen 1"), pausing(50 * time.Millisecond), send("hello")}},
		{name: "a client that sends its body together with the 100 is served", rfc: rfc, sees: hello, gets: quiet,
			client: []step{send(head), after("asked"), send("hello")}, backend: does(readHead, mark("asked"), write(goOn), readBody, write(okResponse))},
		{name: "a refusal comes instead of the 100", rfc: rfc, sees: maybeHello, end: either, gets: []got{{status: "417", body: "no"}},
			client: []step{send(head)}, backend: does(readHead, write(response("417 Expectation Failed", "no", "Content-Length: 2")), readBody)},
		{name: "a body that was refused is no request", rfc: rfc, end: either, gets: []got{{status: "401", body: "no"}},
			sees:    []seen{{head: "POST /p HTTP/1.1\nHost: a.test\nExpect: 100-continue\nContent-Length: 38", body: hidden, cut: maybe}},
			client:  []step{send(post("", "Expect: 100-continue", "Content-Length: 38")), after("got 1"), send(hidden), pausing(20 * time.Millisecond)},
			backend: does(readHead, write(response("401 Unauthorized", "no", "Content-Length: 2")), readBody)},
		{name: "a body that was refused and what follows it are told apart", rfc: rfc, end: either, anyMore: true, gets: []got{{status: "401", body: "no"}},
			sees: []seen{{head: "POST /p HTTP/1.1\nHost: a.test\nExpect: 100-continue\nContent-Length: 5", body: "hello", cut: maybe},
				{head: "GET /hidden HTTP/1.1\nHost: a.test", cut: maybe}},
			client:  []step{send(post("", "Expect: 100-continue", "Content-Length: 5")), after("got 1"), send("hello" + hidden), pausing(20 * time.Millisecond)},
			backend: does(readHead, write(response("401 Unauthorized", "no", "Content-Length: 2")), readBody)},
		{name: "a refusal of a backend that hangs up passes", rfc: rfc, sees: maybeHello, end: either, gets: []got{{status: "413", body: "no"}},
			client: []step{send(head)}, backend: does(readHead, write(response("413 Content Too Large", "no", "Connection: close", "Content-Length: 2")), hangUp)},
		{name: "a final 200 without a 100 passes", rfc: rfc, sees: maybeHello, end: either, gets: []got{ok},
			client: []step{send(head)}, backend: does(readHead, write(okResponse), readBody)},
		{name: "a 100 and a 103 pass in order", rfc: rfc, sees: hello, gets: []got{{status: "200", body: "ok", interim: []string{"100", "103"}}},
			client: []step{send(head), after("interim 1"), send("hello")}, backend: does(readHead, write(goOn), readBody, write(response("103 Early Hints", "")+okResponse))},
		{name: "an expectation of a request without a body does no harm", rfc: rfc, in: get("Expect: 100-continue"), anyExpect: true, gets: quiet},
		{name: "an expectation of a request whose body is empty does no harm", rfc: rfc, in: post("", "Expect: 100-continue", "Content-Length: 0"), anyExpect: true, gets: quiet},
		{name: "an HTTP/1.0 client's expectation is ignored", rfc: rfc, in: "POST /p HTTP/1.0\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
			anyExpect: true, sees: []seen{{head: "POST /p HTTP/1.1\nHost: a.test\nContent-Length: 5", body: "hello"}}, gets: []got{ok}, end: closed},
		{name: "an HTTP/1.0 client gets no 100", rfc: "9110 15.2", in: "POST /p HTTP/1.0\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", alone: true,
			anyExpect: true, sees: []seen{{head: "POST /p HTTP/1.1\nHost: a.test\nContent-Length: 5", body: "hello"}}, gets: []got{ok}, end: closed,
			backend: does(readHead, write(goOn), readBody, write(okResponse))},
		{name: "an expectation that nobody knows passes or is refused", rfc: rfc, in: post("hello", "Expect: 200-ok", "Content-Length: 5"), end: either,
			sees: []seen{{head: "POST /p HTTP/1.1\nHost: a.test\nExpect: 200-ok\nContent-Length: 5", body: "hello", cut: maybe}}, gets: []got{{status: "200|400|417", own: true}}},
		{name: "a client that goes away instead of sending its body leaves nothing behind", rfc: rfc, end: either, gets: []got{}, blame: blameless,
			sees:   []seen{{head: hello[0].head, cut: always}},
			client: []step{send(head), after("interim 1"), leave}, backend: does(readHead, write(goOn), readBody)},
		{name: "a body with a bad chunk behind a 100 is refused", rfc: rfc, end: closed, sees: []seen{{cut: always}}, gets: []got{{status: "400", own: true, interim: []string{"100"}}},
			client:  []step{send(post("", "Expect: 100-continue", "Transfer-Encoding: chunked")), after("interim 1"), send("x\r\nhello\r\n0\r\n\r\n")},
			backend: does(readHead, write(goOn), readBody, write(okResponse))},
	}
}
