package conformance

import (
	"strings"
	"time"
)

// pipelineRows are several requests on one connection.
func pipelineRows() []row {
	const rfc = "9112 9.3.2"
	at := func(path string) string { return request("GET " + path + " HTTP/1.1") }
	body := func(path, text string) string {
		return request("POST "+path+" HTTP/1.1", "Content-Length: "+length(text)) + text
	}
	said := func(text string) string { return response("200 OK", text, "Content-Length: "+length(text)) }
	saw := func(path string) seen { return seen{head: "GET " + path + " HTTP/1.1\nHost: a.test"} }
	gave := func(text string) got { return got{status: "200", body: text} }
	three := answers(said("one"), said("two!"), said("three"))
	return []row{
		{name: "three requests at once are answered in order", rfc: rfc, in: at("/1") + at("/2") + at("/3"), backend: three, gets: []got{gave("one"), gave("two!"), gave("three")}, conns: 1},
		{name: "requests with bodies are told apart", rfc: rfc, in: body("/1", "hello") + body("/2", "") + body("/3", hidden), backend: three, gets: []got{gave("one"), gave("two!"), gave("three")}},
		{name: "requests with chunks are told apart", rfc: rfc, in: chunkedPost("5\r\nhello\r\n0\r\n\r\n") + chunkedPost("0\r\n\r\n") + at("/3"), backend: three, gets: []got{gave("one"), gave("two!"), gave("three")}},
		{name: "a hundred requests at once are answered", rfc: rfc, in: strings.Repeat(at("/x"), 100), alone: true},
		{name: "several hundred small requests with bodies are answered", rfc: rfc, in: strings.Repeat(body("/x", "hello"), 300), alone: true},
		{name: "a response to HEAD between others has no body", rfc: rfc, in: at("/1") + request("HEAD /2 HTTP/1.1") + at("/3"),
			backend: answers(said("one"), response("200 OK", "", "Content-Length: 4"), said("three")), gets: []got{gave("one"), {status: "200", head: true}, gave("three")}},
		{name: "a 204 between others has no body", rfc: rfc, in: at("/1") + at("/2") + at("/3"),
			backend: answers(said("one"), response("204 No Content", ""), said("three")), gets: []got{gave("one"), {status: "204"}, gave("three")}},
		{name: "an error of a backend between others changes nothing", rfc: rfc, in: at("/1") + at("/2") + at("/3"),
			backend: answers(said("one"), response("500 Oops", "no", "Content-Length: 2"), said("three")), gets: []got{gave("one"), {status: "500", body: "no"}, gave("three")}},
		{name: "chunked and plain responses are in order", rfc: rfc, in: at("/1") + at("/2") + at("/3"),
			backend: answers(response("200 OK", "3\r\none\r\n0\r\n\r\n", "Transfer-Encoding: chunked"), said("two!"), response("200 OK", "5\r\nthree\r\n0\r\n\r\n", "Transfer-Encoding: chunked")),
			gets:    []got{gave("one"), gave("two!"), gave("three")}},
		{name: "a malformed request in the middle is answered in its turn", rfc: rfc, in: at("/1") + "GET /2 HTTP/1.1\r\nHost : x\r\n\r\n" + at("/3"), backend: three,
			sees: []seen{saw("/1")}, gets: []got{gave("one"), own("400")}, end: closed},
		{name: "a request of two framings in the middle ends the pipeline", rfc: rfc, in: at("/1") + post("0\r\n\r\n", "Content-Length: 5", "Transfer-Encoding: chunked") + at("/3"), backend: three,
			sees: []seen{saw("/1")}, gets: []got{gave("one"), own("400")}, end: closed},
		{name: "a bad chunk in the middle ends the pipeline", rfc: rfc, in: at("/1") + chunkedPost("x\r\n\r\n") + at("/3"), backend: three,
			sees: []seen{saw("/1"), {cut: always}}, gets: []got{gave("one"), own("400")}, end: closed},
		{name: "garbage behind a request is answered in its turn", rfc: rfc, in: at("/1") + "garbage\r\n\r\n", backend: three,
			sees: []seen{saw("/1")}, gets: []got{gave("one"), own("400")}, end: closed},
		{name: "a request behind one that says close is not served", rfc: "9112 9.6", in: at("/1") + request("GET /2 HTTP/1.1", "Connection: close") + at("/3"), behind: at("/3"), backend: three,
			sees: []seen{saw("/1"), saw("/2")}, gets: []got{gave("one"), {status: "200", body: "two!", has: []string{"Connection: close"}}}, end: closed},
		{name: "garbage behind a request that says close is not read", rfc: "9112 9.6", in: request("GET /1 HTTP/1.1", "Connection: close") + "garbage\r\n\r\n", behind: "garbage\r\n\r\n", backend: three,
			sees: []seen{saw("/1")}, gets: []got{gave("one")}, end: closed},
		{name: "a CONNECT in the middle ends the pipeline", rfc: "9110 9.3.6", in: at("/1") + request("CONNECT a.test:443 HTTP/1.1") + at("/3"), backend: three,
			sees: []seen{saw("/1")}, gets: []got{gave("one"), own("400|405|501")}, end: closed},
		{name: "a faulty response in the middle leaves the others", rfc: rfc, in: at("/1") + at("/2") + at("/3"), alone: true,
			backend: [][]act{answers(said("one"), response("200 OK", "", "Content-Length: x"))[0], answers(said("three"))[0]},
			gets:    []got{gave("one"), own("502"), gave("three")}},
		{name: "a cut response in the middle ends the pipeline", rfc: rfc, in: at("/1") + at("/2") + at("/3"), alone: true, end: either, anyMore: true,
			backend: does(readRequest, write(said("one")), readRequest, write(response("200 OK", "half", "Content-Length: 10")), hangUp),
			sees:    []seen{saw("/1"), saw("/2"), {head: saw("/3").head, cut: maybe}}, gets: []got{gave("one"), {status: "200", body: "half", cut: unless502}}},
		{name: "a response that closes the backend's connection leaves the others", rfc: "9112 9.6", in: at("/1") + at("/2"), alone: true,
			backend: [][]act{answersAndHangsUp(response("200 OK", "one", "Connection: close", "Content-Length: 3"))[0], answers(said("two!"))[0]},
			gets:    []got{gave("one"), gave("two!")}, conns: 2},
		{name: "a second request waits for the first one's response", rfc: rfc, client: []step{send(at("/1") + at("/2")), after("got 2")},
			backend: does(readRequest, pauseFor(30*time.Millisecond), write(said("one")), readRequest, write(said("two!"))),
			sees:    []seen{saw("/1"), saw("/2")}, gets: []got{gave("one"), gave("two!")}},
		{name: "a pipeline that half-closes is answered to its end", rfc: "9112 9.6", client: []step{send(at("/1") + at("/2") + body("/3", "hello")), halfClose}, backend: three,
			sees: []seen{saw("/1"), saw("/2"), asSent(body("/3", "hello"))[0]}, gets: []got{gave("one"), gave("two!"), gave("three")}, end: closed},
		{name: "a pipeline that ends within a head is answered up to there", rfc: "9112 8", client: []step{send(at("/1") + "GET /2 HTTP/1.1\r\nHo"), halfClose}, backend: three,
			sees: []seen{saw("/1")}, gets: []got{gave("one")}, end: either, anyMore: true},
		{name: "requests that come one by one are answered one by one", rfc: "9112 9.3", backend: three, conns: 1,
			client: []step{send(at("/1")), after("got 1"), send(at("/2")), after("got 2"), send(at("/3")), after("got 3")},
			sees:   []seen{saw("/1"), saw("/2"), saw("/3")}, gets: []got{gave("one"), gave("two!"), gave("three")}},
		{name: "a request may come while the last response is under way", rfc: rfc,
			client:  []step{send(at("/1")), after("part 1"), send(at("/2")), note("more")},
			backend: does(readRequest, write(response("200 OK", "hel", "Content-Length: 5")), until("more"), write("lo"), readRequest, write(said("two!"))),
			sees:    []seen{saw("/1"), saw("/2")}, gets: []got{gave("hello"), gave("two!")}},
	}
}

// oldRows are clients and backends of HTTP/1.0.
func oldRows() []row {
	const rfc, request10 = "9112 9.3", "GET / HTTP/1.0\r\nHost: a.test\r\n\r\n"
	const kept = "GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n"
	chunked := response("200 OK", "5\r\nhello\r\n6\r\n world\r\n0\r\nX: y\r\n\r\n", "Transfer-Encoding: chunked")
	saw := []seen{{head: "GET / HTTP/1.1\nHost: a.test"}}
	hello := got{status: "200", body: "hello world"}
	plainOne := got{status: "200", body: "ok", lack: []string{"Transfer-Encoding"}}
	return []row{
		{name: "an HTTP/1.0 client's connection closes", rfc: rfc, in: request10, sees: saw, gets: []got{plainOne}, end: closed},
		{name: "an HTTP/1.0 client may keep its connection", rfc: rfc, in: kept, sees: saw, gets: []got{{status: "200", body: "ok", has: []string{"Connection: keep-alive"}}}},
		{name: "an HTTP/1.0 client may keep its connection in capitals", rfc: rfc, in: strings.Replace(kept, "keep-alive", "KEEP-ALIVE", 1), sees: saw, gets: []got{ok}},
		{name: "an HTTP/1.0 client that says close and keep-alive is closed", rfc: rfc, in: strings.Replace(kept, "keep-alive", "keep-alive, close", 1), sees: saw, gets: []got{ok}, end: closed},
		{name: "two HTTP/1.0 requests on one connection are both answered", rfc: rfc, in: kept + kept, sees: []seen{saw[0], saw[0]}, gets: []got{ok, ok}},
		{name: "a second HTTP/1.0 request without keep-alive before it is not served", rfc: rfc, in: request10 + kept, behind: kept, sees: saw, gets: []got{ok}, end: closed},
		{name: "an HTTP/1.0 client needs no Host", rfc: "9112 3.2", in: "GET / HTTP/1.0\r\n\r\n", sees: []seen{{head: "GET / HTTP/1.1", anyHost: true}}, gets: []got{ok}, end: closed},
		{name: "an HTTP/1.0 client's body of the given length passes", rfc: rfc, in: "POST /p HTTP/1.0\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello",
			sees: []seen{{head: "POST /p HTTP/1.1\nHost: a.test\nContent-Length: 5", body: "hello"}}, gets: []got{ok}, end: closed},
		{name: "an HTTP/1.0 client gets chunks decoded", rfc: "9112 7.1", in: request10, backend: answers(chunked), sees: saw, gets: []got{{status: "200", body: "hello world", framing: untilClose}}, end: closed},
		{name: "an HTTP/1.0 client that is kept alive gets chunks decoded", rfc: "9112 7.1", in: kept, backend: answers(chunked), sees: saw, end: either,
			gets: []got{{status: "200", body: "hello world", lack: []string{"Transfer-Encoding"}}}},
		{name: "an HTTP/1.0 client gets many chunks decoded", rfc: "9112 7.1", in: request10, alone: true, sees: saw, gets: []got{{status: "200", body: strings.Repeat("hello", 5000), framing: untilClose}}, end: closed,
			backend: answers(response("200 OK", strings.Repeat("5\r\nhello\r\n", 5000)+"0\r\n\r\n", "Transfer-Encoding: chunked"))},
		{name: "an HTTP/1.0 client gets a body until the close", rfc: rfc, in: request10, backend: answersAndHangsUp(response("200 OK", "hello world")), sees: saw, gets: []got{hello}, end: closed},
		{name: "an HTTP/1.0 client's HEAD has no body", rfc: rfc, in: "HEAD / HTTP/1.0\r\nHost: a.test\r\n\r\n", backend: answers(response("200 OK", "", "Content-Length: 5")),
			sees: []seen{{head: "HEAD / HTTP/1.1\nHost: a.test"}}, gets: []got{{status: "200", head: true}}, end: closed},
		{name: "an HTTP/1.0 client cannot upgrade", rfc: "9110 7.8", in: "GET / HTTP/1.0\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
			sees: []seen{{head: "GET / HTTP/1.1\nHost: a.test", lack: []string{"Upgrade"}}}, gets: []got{ok}, end: closed},
		{name: "an HTTP/1.0 client's faults are refused", rfc: "9112 5.1", in: "GET / HTTP/1.0\r\nX : y\r\n\r\n", sees: nothing, gets: []got{own("400")}, end: closed},
		{name: "an HTTP/1.0 backend's body until the close passes", rfc: rfc, in: get(), backend: answersAndHangsUp("HTTP/1.0 200 OK\r\n\r\nhello world"), gets: []got{hello}, end: either},
		{name: "an HTTP/1.0 backend's body of the given length passes", rfc: rfc, in: get(), backend: answersAndHangsUp("HTTP/1.0 200 OK\r\nContent-Length: 11\r\n\r\nhello world"), gets: []got{hello}},
		{name: "an HTTP/1.0 backend is not used again", rfc: rfc, in: get() + hidden, backend: answers("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"), gets: []got{ok, ok}, conns: 2, dropped: true},
		{name: "an HTTP/1.0 backend that keeps its connection is used again", rfc: rfc, in: get() + hidden, gets: []got{ok, ok}, conns: 1,
			backend: answers("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")},
		{name: "an HTTP/1.0 backend that says close is not used again", rfc: rfc, in: get() + hidden, gets: []got{ok, ok}, conns: 2, dropped: true,
			backend: answers("HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")},
		{name: "an HTTP/1.0 backend's 204 has no body", rfc: rfc, in: get(), backend: answersAndHangsUp("HTTP/1.0 204 No Content\r\n\r\n"), gets: []got{{status: "204"}}},
		{name: "a higher minor version of a backend is HTTP/1.1", rfc: "9110 2.5", in: get(), backend: answers("HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok"), gets: []got{{status: "200", body: "ok", or502: true}}, end: either},
	}
}
