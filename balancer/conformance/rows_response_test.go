package conformance

import "strings"

// answerRows are responses that are right, whatever their framing.
func answerRows() []row {
	const rfc = "9112 6.3"
	okay := func(name, out string, want got) row { return returns(name, rfc, out, want) }
	hello := got{status: "200", body: "hello"}
	return []row{
		okay("a body of the given length passes", response("200 OK", "hello", "Content-Length: 5"), hello),
		okay("an empty body passes", response("200 OK", "", "Content-Length: 0"), got{status: "200"}),
		okay("a length with leading noughts is that length", response("200 OK", "hello", "Content-Length: 005"), hello),
		okay("a chunked body passes", response("200 OK", "5\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: chunked"), hello),
		okay("an empty chunked body passes", response("200 OK", "0\r\n\r\n", "Transfer-Encoding: chunked"), got{status: "200"}),
		okay("many chunks pass", response("200 OK", "1\r\nh\r\n3\r\nell\r\n1\r\no\r\n0\r\n\r\n", "Transfer-Encoding: chunked"), hello),
		okay("chunked in any case is chunked", response("200 OK", "5\r\nhello\r\n0\r\n\r\n", "TRANSFER-encoding: CHUNKED"), hello),
		okay("chunk extensions are no part of the body", response("200 OK", "5;a=b\r\nhello\r\n0;c\r\n\r\n", "Transfer-Encoding: chunked"), hello),
		okay("a body may look like a response", response("200 OK", okResponse, "Content-Length: 40"), got{status: "200", body: okResponse}),
		okay("a chunk may look like the last one", response("200 OK", "5\r\n0\r\n\r\n\r\n0\r\n\r\n", "Transfer-Encoding: chunked"), got{status: "200", body: "0\r\n\r\n"}),
		okay("trailers pass", response("200 OK", "5\r\nhello\r\n0\r\nX-Check: 1\r\ny: 2\r\n\r\n", "Transfer-Encoding: chunked"), got{status: "200", body: "hello", trailers: "X-Check: 1\ny: 2"}),
		okay("an announced trailer passes", response("200 OK", "5\r\nhello\r\n0\r\nX-Check: 1\r\n\r\n", "Trailer: X-Check", "Transfer-Encoding: chunked"), got{status: "200", body: "hello", trailers: "X-Check: 1"}),
		okay("a status that nobody knows passes", response("299 Whatever", "hello", "Content-Length: 5"), got{status: "299", body: "hello"}),
		okay("an error of the backend passes", response("500 Oops", "hello", "Content-Length: 5"), got{status: "500", body: "hello"}),
		okay("a backend's own 502 passes", response("502 Bad", "hello", "Content-Length: 5"), got{status: "502", body: "hello"}),
		okay("a backend's own 503 passes", response("503 Busy", "hello", "Content-Length: 5"), got{status: "503", body: "hello"}),
		okay("a backend's 400 passes and closes nothing", response("400 Bad", "hello", "Content-Length: 5"), got{status: "400", body: "hello"}),
		okay("a backend's 408 passes", response("408 Slow", "hello", "Content-Length: 5"), got{status: "408", body: "hello"}),
		okay("a redirect passes as it is", response("302 Found", "", "Location: http://b.test/x", "Content-Length: 0"), got{status: "302", fields: "Location: http://b.test/x\nContent-Length: 0"}),
		okay("an empty reason passes", "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello", hello),
		okay("a reason with obs-text passes", "HTTP/1.1 200 d\xe9j\xe0 vu\r\nContent-Length: 5\r\n\r\nhello", hello),
		okay("a reason with a tab passes", "HTTP/1.1 200 a\tb\r\nContent-Length: 5\r\n\r\nhello", hello),
		okay("a 206 passes", response("206 Partial Content", "ell", "Content-Range: bytes 1-3/5", "Content-Length: 3"), got{status: "206", body: "ell", fields: "Content-Range: bytes 1-3/5\nContent-Length: 3"}),
		{name: "a body until the close passes", rfc: rfc, in: get(), backend: answersAndHangsUp(response("200 OK", "hello")), gets: []got{hello}, end: either},
		{name: "an empty body until the close passes", rfc: rfc, in: get(), backend: answersAndHangsUp(response("200 OK", "")), gets: []got{{status: "200"}}, end: either},
		{name: "a body until the close of a connection that says so passes", rfc: rfc, in: get(),
			backend: answersAndHangsUp(response("200 OK", "hello", "Connection: close")), gets: []got{hello}, end: either},
		{name: "the close of the backend need not close the client's connection", rfc: "9110 7.6.1", in: get() + hidden, gets: []got{hello, ok},
			backend: answersAndHangsUp(response("200 OK", "hello", "Connection: close", "Content-Length: 5")), conns: 2},
		{name: "a backend that says close is not used again although it does not close", rfc: "9112 9.6", in: get() + hidden, gets: []got{hello, ok},
			backend: answers(response("200 OK", "hello", "Connection: close", "Content-Length: 5")), conns: 2, dropped: true},
		{name: "a backend that does not say close is used again", rfc: "9112 9.3", in: get() + hidden, gets: []got{hello, ok},
			backend: answers(response("200 OK", "hello", "Content-Length: 5")), conns: 1},
		{name: "a chunked response leaves its connection for use", rfc: "9112 9.3", in: get() + hidden, gets: []got{hello, ok},
			backend: answers(response("200 OK", "5\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: chunked")), conns: 1},
		{name: "a response without a body leaves its connection for use", rfc: "9112 9.3", in: get() + hidden, gets: []got{{status: "204"}, ok},
			backend: answers(response("204 No Content", "")), conns: 1},
	}
}

// bodilessRows are responses that have no body whatever their fields say, and
// some that may have one.
func bodilessRows() []row {
	const rfc = "9112 6.3"
	head := func(name, out, fields string) row {
		return row{name: name, rfc: rfc, in: request("HEAD / HTTP/1.1"), backend: answers(out), out: len(out), conns: 1,
			gets: []got{{status: "200", head: true, fields: fields}}}
	}
	none := func(name, out, status string) row { return returns(name, rfc, out, got{status: status}) }
	// more has bytes behind the end of its response, which are no response.
	more := func(name, method, out string, want got) row {
		return row{name: name, rfc: "9112 6.3", in: request(method + " / HTTP/1.1"), backend: answers(out), alone: true,
			gets: []got{want}, dropped: true, conns: 2}
	}
	return []row{
		head("HEAD with a length has no body and keeps the length", response("200 OK", "", "Content-Length: 5"), "Content-Length: 5"),
		head("HEAD with chunked has no body", response("200 OK", "", "Transfer-Encoding: chunked", "X: y"), "X: y"),
		head("HEAD without framing has no body", response("200 OK", "", "X: y"), "X: y"),
		head("HEAD with a length of 2^40 has no body", response("200 OK", "", "Content-Length: 1099511627776"), "Content-Length: 1099511627776"),
		none("a 204 has no body", response("204 No Content", ""), "204"),
		none("a 204 with a length of 0 has no body", response("204 No Content", "", "Content-Length: 0"), "204"),
		none("a 304 has no body", response("304 Not Modified", "", "ETag: \"a\""), "304"),
		returns("a 304 with a length has no body and keeps the length", "9110 15.4.5", response("304 Not Modified", "", "Content-Length: 5", "ETag: \"a\""), got{status: "304", fields: "Content-Length: 5\nETag: \"a\""}),
		returns("a 304 with chunked has no body", "9110 15.4.5", response("304 Not Modified", "", "Transfer-Encoding: chunked"), got{status: "304"}),
		returns("a 205 with a length of 0 passes", "9110 15.3.6", response("205 Reset Content", "", "Content-Length: 0"), got{status: "205"}),
		returns("a 205 with an empty chunked body passes", "9110 15.3.6", response("205 Reset Content", "0\r\n\r\n", "Transfer-Encoding: chunked"), got{status: "205"}),
		more("bytes behind a response to HEAD are no response", "HEAD", response("200 OK", "hello", "Content-Length: 5"), got{status: "200", head: true}),
		more("bytes behind a 204 are no response", "GET", response("204 No Content", "hello", "Content-Length: 5"), got{status: "204", or502: true}),
		more("chunks behind a 204 are no response", "GET", response("204 No Content", "5\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: chunked"), got{status: "204", or502: true}),
		more("bytes behind a 304 are no response", "GET", response("304 Not Modified", "hello", "Content-Length: 5"), got{status: "304"}),
		more("a second response that nobody asked for is no response", "GET", okResponse+response("200 OK", "evil!", "Content-Length: 5"), ok),
		more("bytes behind a body are no response", "GET", response("200 OK", "ok and more", "Content-Length: 2"), ok),
		more("bytes behind a last chunk are no response", "GET", response("200 OK", "2\r\nok\r\n0\r\n\r\nmore", "Transfer-Encoding: chunked"), ok),
	}
}

// framingFaultRows are responses whose framing is in doubt.
func framingFaultRows() []row {
	const rfc = "9112 6.3"
	bad := func(name string, fields ...string) row {
		return faulty(name, rfc, response("200 OK", "5\r\nhello\r\n0\r\n\r\n", fields...))
	}
	return []row{
		bad("a length with a coding is a fault", "Content-Length: 5", "Transfer-Encoding: chunked"),
		bad("a coding with a length is a fault", "Transfer-Encoding: chunked", "Content-Length: 5"),
		bad("a length with an unknown coding is a fault", "Transfer-Encoding: x", "Content-Length: 5"),
		bad("two lengths that differ are a fault", "Content-Length: 5", "Content-Length: 6"),
		bad("a list of lengths is a fault", "Content-Length: 5, 6"),
		bad("a list of one length is a fault", "Content-Length: 5, 5"),
		bad("the same length twice is a fault", "Content-Length: 5", "Content-Length: 5"),
		bad("an empty length is a fault", "Content-Length:"),
		bad("a negative length is a fault", "Content-Length: -1"),
		bad("a length with a plus is a fault", "Content-Length: +5"),
		bad("a length that is a word is a fault", "Content-Length: five"),
		bad("a hexadecimal length is a fault", "Content-Length: 0x5"),
		bad("a length with a space in it is a fault", "Content-Length: 1 0"),
		bad("a length of 2^64 + 5 is a fault", "Content-Length: 18446744073709551621"),
		bad("a length with a NUL is a fault", "Content-Length: 5\x00"),
		bad("chunked twice is a fault", "Transfer-Encoding: chunked, chunked"),
		bad("chunked on two lines is a fault", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
		bad("identity is a fault", "Transfer-Encoding: identity"),
		bad("gzip alone is a fault", "Transfer-Encoding: gzip"),
		bad("gzip before chunked is a fault", "Transfer-Encoding: gzip, chunked"),
		bad("gzip behind chunked is a fault", "Transfer-Encoding: chunked, gzip"),
		bad("an unknown coding is a fault", "Transfer-Encoding: xchunked"),
		bad("an empty coding is a fault", "Transfer-Encoding:"),
		bad("chunked with a parameter is a fault", "Transfer-Encoding: chunked;q=1"),
		bad("chunked behind a vertical tab is a fault", "Transfer-Encoding: \vchunked"),
		bad("a coding with a space before the colon is a fault", "Transfer-Encoding : chunked"),
		bad("a coding behind a bare LF is a fault", "X: y\nTransfer-Encoding: chunked"),
		bad("a coding on a folded line is a fault", "Transfer-Encoding:\r\n chunked"),
		faulty("a coding in HTTP/1.0 is a fault", "9112 6.1", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
		faulty("both framings of an error are a fault", rfc, response("500 Oops", "5\r\nhello\r\n0\r\n\r\n", "Content-Length: 5", "Transfer-Encoding: chunked")),
		{name: "both framings of a response to HEAD are a fault", rfc: rfc, in: request("HEAD / HTTP/1.1"), alone: true, end: either, dropped: true,
			backend: answers(response("200 OK", "", "Content-Length: 5", "Transfer-Encoding: chunked")), gets: []got{{status: "502", own: true, head: true}}},
	}
}

// headFaultRows are responses whose head is malformed.
func headFaultRows() []row {
	const rfc = "9112 4"
	line := func(name, text string) row { return faulty(name, rfc, text+"\r\nContent-Length: 5\r\n\r\nhello") }
	field := func(name, rfc, text string) row {
		return faulty(name, rfc, response("200 OK", "hello", "Content-Length: 5", text))
	}
	choice := func(r row) row {
		r.gets, r.dropped = []got{{status: "200|502|999", body: "hello", own: true}}, false
		return r
	}
	return []row{
		line("garbage is a fault", "garbage"),
		line("a status line without a version is a fault", "200 OK"),
		line("ICY is a fault", "ICY 200 OK"),
		line("a version in lower case is a fault", "http/1.1 200 OK"),
		line("HTTP/2 is a fault", "HTTP/2 200 OK"),
		line("HTTP/2.0 is a fault", "HTTP/2.0 200 OK"),
		line("HTTP/0.9 is a fault", "HTTP/0.9 200 OK"),
		line("HTTP/1.10 is a fault", "HTTP/1.10 200 OK"),
		line("HTTP/11.1 is a fault", "HTTP/11.1 200 OK"),
		line("HTTP/1 is a fault", "HTTP/1 200 OK"),
		line("a status of two digits is a fault", "HTTP/1.1 20 OK"),
		line("a status of four digits is a fault", "HTTP/1.1 2000 OK"),
		line("a status with a letter is a fault", "HTTP/1.1 2x0 OK"),
		line("a status below 100 is a fault", "HTTP/1.1 099 OK"),
		line("a status with a sign is a fault", "HTTP/1.1 +20 OK"),
		line("a missing status is a fault", "HTTP/1.1 OK"),
		line("two spaces before the status are a fault", "HTTP/1.1  200 OK"),
		line("a tab before the status is a fault", "HTTP/1.1\t200 OK"),
		line("a tab behind the status is a fault", "HTTP/1.1 200\tOK"),
		line("a space before the version is a fault", " HTTP/1.1 200 OK"),
		line("a NUL in the reason is a fault", "HTTP/1.1 200 O\x00K"),
		line("a bare CR in the reason is a fault", "HTTP/1.1 200 O\rK"),
		line("a request is no response", "GET / HTTP/1.1"),
		faulty("a status line that ends with LF alone is a fault", "9112 2.2", "HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello"),
		faulty("a head that ends with LF alone is a fault", "9112 2.2", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\nhello"),
		faulty("a head whose lines end with LF alone is a fault", "9112 2.2", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"),
		choice(line("a status without a reason and its space", "HTTP/1.1 200")),
		choice(line("a status of 600 or more", "HTTP/1.1 999 X")),
		choice(faulty("an empty line before the response", "9112 2.2", "\r\n"+response("200 OK", "hello", "Content-Length: 5"))),
		choice(field("a control byte in a value", "9110 5.5", "X: a\x01b")),
		field("a NUL in a value is a fault", "9110 5.5", "X: a\x00b"),
		field("a bare CR in a value is a fault", "9112 2.2", "X: a\rb"),
		field("a bare LF in a value is a fault", "9112 2.2", "X: a\nY: b"),
		field("a field line that ends with LF alone is a fault", "9112 2.2", "X: a\nY: b"),
		field("a folded line is a fault", "9112 5.2", "X: a\r\n b"),
		field("a line folded with a tab is a fault", "9112 5.2", "X: a\r\n\tb"),
		field("a space before the colon is a fault", "9112 5.1", "X : y"),
		field("a tab before the colon is a fault", "9112 5.1", "X\t: y"),
		field("a line without a colon is a fault", "9112 5", "X"),
		field("a line without a name is a fault", "9112 5", ": y"),
		field("a name with a space is a fault", "9110 5.1", "X Y: z"),
		field("a name with an at sign is a fault", "9110 5.1", "X@Y: z"),
		field("a name with a NUL is a fault", "9110 5.1", "X\x00: z"),
		field("a name with obs-text is a fault", "9110 5.1", "X\xe9: z"),
		faulty("a fold before the first field is a fault", "9112 2.2", "HTTP/1.1 200 OK\r\n X: y\r\nContent-Length: 5\r\n\r\nhello"),
		{name: "a head without end is not read for ever", rfc: "9110 5.4", in: get(), alone: true, gets: []got{own("502")}, end: either, sent: 32 << 20,
			backend: does(readRequest, write("HTTP/1.1 200 OK\r\n"), forever(strings.Repeat("X: y\r\n", 4<<10)))},
		{name: "a field without end is not read for ever", rfc: "9110 5.4", in: get(), alone: true, gets: []got{own("502")}, end: either, sent: 32 << 20,
			backend: does(readRequest, write("HTTP/1.1 200 OK\r\nX: "), forever(strings.Repeat("y", 16<<10)))},
		{name: "a reason without end is not read for ever", rfc: "9112 4", in: get(), alone: true, gets: []got{own("502")}, end: either, sent: 32 << 20,
			backend: does(readRequest, write("HTTP/1.1 200 "), forever(strings.Repeat("y", 16<<10)))},
		{name: "garbage without end is not read for ever", rfc: "9112 4", in: get(), alone: true, gets: []got{own("502")}, end: either, sent: 32 << 20,
			backend: does(readRequest, forever(strings.Repeat("y", 16<<10)))},
	}
}

// passedOnRows are heads of responses, as the client must get them.
func passedOnRows() []row {
	same := func(name, rfc string, fields ...string) row {
		return returns(name, rfc, response("200 OK", "ok", append(fields, "Content-Length: 2")...),
			got{status: "200", body: "ok", fields: joinLines(append(fields, "Content-Length: 2"))})
	}
	drops := func(name string, fields []string, kept string, lack ...string) row {
		r := returns(name, "9110 7.6.1", response("200 OK", "ok", append(fields, "Content-Length: 2")...), got{status: "200", body: "ok", lack: lack})
		r.gets[0].fields = strings.TrimPrefix(kept+"\nContent-Length: 2", "\n")
		return r
	}
	return []row{
		same("fields keep their order", "9110 5.3", "B: 1", "A: 2", "C: 3"),
		same("names keep their case", "9110 5.1", "x-LOWER: 1", "X-Upper: 2", "etag: \"a\""),
		same("cookies stay apart and in order", "6265 3", "Set-Cookie: a=b; Path=/", "X: y", "Set-Cookie: c=d; Expires=Wed, 09 Jun 2021 10:18:14 GMT"),
		same("repeated fields stay apart", "9110 5.3", "X: 1", "x: 2", "X: 1"),
		same("an empty value passes", "9110 5.5", "X:"),
		same("obs-text passes", "9110 5.5", "X: \xe9\x80"),
		same("authentication passes", "9110 11.6.1", `WWW-Authenticate: Basic realm="a, b"`, "WWW-Authenticate: Negotiate"),
		same("a Server passes", "9110 10.2.4", "Server: x/1"),
		same("a Content-Type passes, and none is made up", "9110 8.3", "X: y"),
		same("an Alt-Svc passes", "7838 3", `Alt-Svc: h3=":443"`),
		returns("a backend's Date passes", "9110 6.6.1", response("200 OK", "ok", "Date: Sat, 29 Oct 1994 19:43:31 GMT", "Content-Length: 2"),
			got{status: "200", body: "ok", has: []string{"Date: Sat, 29 Oct 1994 19:43:31 GMT"}}),
		drops("a field that Connection names is removed", []string{"Connection: X-Hop", "X-Hop: 1", "Y: 2"}, "Y: 2", "X-Hop"),
		drops("several names are removed", []string{"A: 1", "Connection: b, a", "B: 2", "C: 3"}, "C: 3", "A", "B"),
		drops("Keep-Alive is removed", []string{"Connection: keep-alive", "Keep-Alive: timeout=5, max=100"}, "", "Keep-Alive"),
		drops("Proxy-Connection is removed", []string{"Proxy-Connection: keep-alive"}, "", "Proxy-Connection"),
		drops("an Upgrade that Connection does not name is removed", []string{"Upgrade: h2c"}, "", "Upgrade"),
		{name: "an Upgrade with a 426 passes", rfc: "9110 15.5.22", in: get(), alone: true,
			backend: answers(response("426 Upgrade Required", "ok", "Connection: Upgrade", "Upgrade: websocket", "Content-Length: 2")),
			gets:    []got{{status: "426", body: "ok"}}},
		{name: "Connection may not take a response's length away", rfc: "9110 7.6.1", in: get(), end: either, alone: true,
			backend: answers(response("200 OK", "ok", "Connection: Content-Length", "Content-Length: 2")), gets: []got{{status: "200|502", own: true}}},
		{name: "Connection may not take a response's coding away", rfc: "9110 7.6.1", in: get(), end: either, alone: true,
			backend: answers(response("200 OK", "2\r\nok\r\n0\r\n\r\n", "Connection: Transfer-Encoding", "Transfer-Encoding: chunked")), gets: []got{{status: "200|502", body: "ok"}}},
	}
}
