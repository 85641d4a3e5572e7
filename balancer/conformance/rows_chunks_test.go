package conformance

import "strings"

// chunkRows are requests with a chunked body.
func chunkRows() []row {
	const rfc = "9112 7.1"
	passesAs := func(name, body string) row { return passes(name, rfc, chunkedPost(body)) }
	bad := func(name, body string) row { return badBody(name, rfc, chunkedPost(body)) }
	return []row{
		passesAs("one chunk passes", "5\r\nhello\r\n0\r\n\r\n"),
		passesAs("no chunk at all passes", "0\r\n\r\n"),
		passesAs("many chunks pass", "1\r\nh\r\n2\r\nel\r\n2\r\nlo\r\n0\r\n\r\n"),
		passesAs("a size may be in capitals or not", "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"),
		passesAs("a size may have leading noughts", "00000005\r\nhello\r\n0\r\n\r\n"),
		passesAs("the last chunk may have several noughts", "5\r\nhello\r\n000\r\n\r\n"),
		passesAs("a chunk may hold what looks like a last chunk", "5\r\n0\r\n\r\n\r\n0\r\n\r\n"),
		passesAs("a chunk may hold a request", "26\r\n"+hidden+"\r\n0\r\n\r\n"),
		bad("an empty size is refused", "\r\nhello\r\n0\r\n\r\n"),
		bad("a size that is no hexadecimal digit is refused", "g\r\nhello\r\n0\r\n\r\n"),
		bad("a size with 0x is refused", "0x5\r\nhello\r\n0\r\n\r\n"),
		bad("a size with a plus is refused", "+5\r\nhello\r\n0\r\n\r\n"),
		bad("a negative size is refused", "-5\r\nhello\r\n0\r\n\r\n"),
		bad("a size behind a space is refused", " 5\r\nhello\r\n0\r\n\r\n"),
		bad("a size behind a tab is refused", "\t5\r\nhello\r\n0\r\n\r\n"),
		bad("a size with an underscore is refused", "0_5\r\nhello\r\n0\r\n\r\n"),
		bad("a size with a space in it is refused", "0 5\r\nhello\r\n0\r\n\r\n"),
		bad("a size with a fraction is refused", "5.0\r\nhello\r\n0\r\n\r\n"),
		bad("a size with a NUL is refused", "5\x00\r\nhello\r\n0\r\n\r\n"),
		bad("a size with a vertical tab is refused", "5\v\r\nhello\r\n0\r\n\r\n"),
		bad("a size of 2^64 + 5, which would wrap to 5, is refused", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
		bad("a size of 2^64 is refused", "10000000000000000\r\n\r\n"),
		bad("a size of 2^64 - 1 is refused", "ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
		bad("a size of 2^63 is refused", "8000000000000000\r\nhello\r\n0\r\n\r\n"),
		bad("a size of many noughts that turns out bad is refused", strings.Repeat("0", 4000)+"g\r\nhello\r\n0\r\n\r\n"),
		bad("a size line that ends with LF alone is refused", "5\nhello\r\n0\r\n\r\n"),
		bad("a size line that ends with CR alone is refused", "5\rhello\r\n0\r\n\r\n"),
		bad("a size line that ends with CR CR LF is refused", "5\r\r\nhello\r\n0\r\n\r\n"),
		bad("a size line that ends with LF CR is refused", "5\n\rhello\r\n0\r\n\r\n"),
		bad("a chunk without CRLF behind it is refused", "5\r\nhello0\r\n\r\n"),
		bad("a chunk that is longer than its size is refused", "5\r\nhello!\r\n0\r\n\r\n"),
		bad("a chunk that is shorter than its size is refused", "7\r\nhello\r\n0\r\n\r\n"),
		bad("a chunk with LF alone behind it is refused", "5\r\nhello\n0\r\n\r\n"),
		bad("a chunk with CR alone behind it is refused", "5\r\nhello\r0\r\n\r\n"),
		bad("a chunk with two bytes behind it that are not CRLF is refused", "5\r\nhelloXX0\r\n\r\n"),
		bad("a last chunk that ends with LF alone is refused", "5\r\nhello\r\n0\n\r\n"),
		bad("an end that is LF alone is refused", "5\r\nhello\r\n0\r\n\n"),
		bad("an end that is CR and another byte is refused", "5\r\nhello\r\n0\r\n\rX\r\n\r\n"),
		bad("a size that is a comment is refused", "# 5\r\nhello\r\n0\r\n\r\n"),
		bad("a body that is not chunked at all is refused", "hello world\r\n"),
	}
}

// extensionRows are chunks with extensions and trailers.
func extensionRows() []row {
	const rfc = "9112 7.1.1"
	ext := func(name, size string) row {
		return passes(name, rfc, chunkedPost("5"+size+"\r\nhello\r\n0\r\n\r\n"))
	}
	bad := func(name, size string) row { return badBody(name, rfc, chunkedPost("5"+size+"\r\nhello\r\n0\r\n\r\n")) }
	choice := func(r row) row {
		r.sees, r.gets, r.end = []seen{{head: "POST /p HTTP/1.1\nHost: a.test", body: "hello", cut: maybe}}, []got{{status: "200|400", body: "ok", own: true}}, either
		r.follow = false
		return r
	}
	return []row{
		ext("an extension is no part of the body", ";name=value"),
		ext("an extension without a value is allowed", ";name"),
		ext("an extension may be quoted", `;name="a;b=c"`),
		ext("several extensions are allowed", ";a=1;b=2;c"),
		ext("an extension may hold a quoted pair", `;name="a\"b"`),
		passes("the last chunk may have an extension", rfc, chunkedPost("5\r\nhello\r\n0;last\r\n\r\n")),
		choice(ext("a space before an extension is bad white space", " ;name=value")),
		choice(ext("a space behind the size is bad white space", " ")),
		choice(ext("an extension may have spaces around its parts", " ; name = value")),
		bad("an extension with LF alone in it is refused", ";a\nb"),
		bad("an extension with CR alone in it is refused", ";a\rb"),
		bad("an extension that ends with LF alone is refused", ";a\n"),
		bad("a quoted LF in an extension is refused", ";a=\"\n\""),
		bad("a NUL in an extension is refused", ";a=\x00"),
		bad("a quoted CRLF in an extension ends the line", ";a=\"\r\n\""),
		{name: "an extension without end is not read for ever", rfc: rfc, alone: true, end: closed, gets: []got{own("400|413|431")}, sees: []seen{{cut: always}},
			client: []step{send(chunkedPost("5;")), flood(strings.Repeat("x", 64<<10), 64)}},
		{name: "many chunks with long extensions and little data are bounded", rfc: rfc, alone: true, end: either,
			sees: []seen{{head: "POST /p HTTP/1.1\nHost: a.test", body: strings.Repeat("x", 200), cut: maybe}}, gets: []got{{status: "200|400|413", body: "ok", own: true}},
			in: chunkedPost(strings.Repeat("1;"+strings.Repeat("e", 500)+"\r\nx\r\n", 200) + "0\r\n\r\n")},
	}
}

// trailerRows are requests with fields behind a chunked body.
func trailerRows() []row {
	const rfc = "9112 7.1.2"
	with := func(trailers ...string) string { return chunkedPost("5\r\nhello\r\n0\r\n" + lines(trailers) + "\r\n") }
	bad := func(name string, trailers ...string) row { return badBody(name, rfc, with(trailers...)) }
	// A trailer that must not be merged is dropped, or the request is refused
	// (RFC 9110 section 6.5.1).
	never := func(name, trailer string) row {
		return row{name: name, rfc: "9110 6.5.1", in: with(trailer), end: either,
			sees: []seen{{head: "POST /p HTTP/1.1\nHost: a.test", body: "hello", cut: maybe}},
			gets: []got{{status: "200|400", body: "ok", own: true}}}
	}
	return []row{
		passes("a trailer passes", rfc, with("X-Check: 1")),
		passes("trailers keep order, case and repetition", rfc, with("x-B: 1", "X-a: 2", "x-B: 3")),
		passes("a trailer may be empty", rfc, with("X-Check:")),
		passes("a trailer may hold obs-text", rfc, with("X-Check: \xe9")),
		passes("a trailer that is announced passes", "9110 6.6.2", post("5\r\nhello\r\n0\r\nX-Check: 1\r\n\r\n", "Trailer: X-Check", "Transfer-Encoding: chunked")),
		passes("the next request begins right behind the trailers", "9112 9.3", with("X-Check: 1")+hidden),
		never("a length as trailer has no effect", "Content-Length: 3"),
		never("a coding as trailer has no effect", "Transfer-Encoding: chunked"),
		never("a host as trailer has no effect", "Host: b.test"),
		never("a Connection as trailer has no effect", "Connection: close"),
		never("a forwarding field as trailer has no effect", "X-Forwarded-For: 10.0.0.1"),
		bad("a trailer with a space before the colon is refused", "X-Check : 1"),
		bad("a trailer without a colon is refused", "X-Check"),
		bad("a trailer without a name is refused", ": 1"),
		bad("a trailer with a bad name is refused", "X(Check: 1"),
		bad("a folded trailer is refused", "X-Check: 1", " 2"),
		bad("a trailer that begins with a space is refused", " X-Check: 1"),
		bad("a trailer with a NUL is refused", "X-Check: \x00"),
		bad("a trailer with a bare CR is refused", "X-Check: a\rb"),
		bad("a trailer with a bare LF is refused", "X-Check: a\nY: b"),
		{name: "trailers without end are not read for ever", rfc: "9110 5.4", alone: true, end: closed, gets: []got{own("400|413|431")}, sees: []seen{{cut: always}},
			client: []step{send(chunkedPost("5\r\nhello\r\n0\r\n")), flood(strings.Repeat("X: y\r\n", 8<<10), 64)}},
		{name: "one trailer without end is not read for ever", rfc: "9110 5.4", alone: true, end: closed, gets: []got{own("400|413|431")}, sees: []seen{{cut: always}},
			client: []step{send(chunkedPost("5\r\nhello\r\n0\r\nX: ")), flood(strings.Repeat("x", 64<<10), 64)}},
	}
}
