package conformance

import "strings"

// fieldRows are requests with all kinds of field lines.
func fieldRows() []row {
	same := func(name, rfc string, fields ...string) row { return passes(name, rfc, get(fields...)) }
	bad := func(name, rfc string, fields ...string) row { return refused(name, rfc, get(fields...)) }
	choice := func(name, line string) row {
		return row{name: name, rfc: "9110 5.5", in: get(line), end: either,
			sees: []seen{{head: "GET / HTTP/1.1\nHost: a.test\n" + line, cut: maybe}}, gets: []got{{status: "200|400", body: "ok", own: true}}}
	}
	return []row{
		same("fields keep their order", "9110 5.3", "B: 1", "A: 2", "C: 3"),
		same("names keep their case", "9110 5.1", "x-LOWER: 1", "X-Upper: 2", "x-upper: 3"),
		same("repeated fields stay apart and in order", "9110 5.3", "Accept: a", "X: y", "Accept: b", "accept: a"),
		same("repeated cookies stay apart", "6265 5.4", "Cookie: a=b", "Cookie: c=d"),
		same("an empty value passes", "9110 5.5", "X:", "Y: "),
		same("a list is left as it is", "9110 5.6.1", "X: a,b ,  c,,d"),
		same("a comma in quotes is left as it is", "9110 5.6.4", `X: "a, b" , "c\"d"`),
		same("spaces within a value are left as they are", "9110 5.5", "X: a  b   c"),
		same("a tab within a value is left as it is", "9110 5.5", "X: a\tb"),
		same("white space around a value is none of it", "9112 5.1", "X: \t y \t "),
		same("a value needs no space before it", "9112 5.1", "X:y"),
		same("a colon in a value is part of it", "9112 5", "X: a:b::c"),
		same("obs-text in a value is left as it is", "9110 5.5", "X: \x80\xe9\xff"),
		same("UTF-8 in a value is left as it is", "9110 5.5", "X: caf\xc3\xa9 \xf0\x9f\x98\x80"),
		same("a name may have every sign of a token", "9110 5.6.2", "A!#$%&'*+-.^_`|~9: x"),
		same("a name may be a number", "9110 5.1", "1: x"),
		same("a name may be one letter", "9110 5.1", "x: x"),
		same("authentication passes", "9110 11.6.2", "Authorization: Basic YTpi"),
		same("conditions pass", "9110 13.1", `If-None-Match: "a", W/"b"`, "If-Modified-Since: Sat, 29 Oct 1994 19:43:31 GMT"),
		same("a range passes", "9110 14.2", "Range: bytes=0-4, 9-"),
		same("what a client accepts passes", "9110 12.5", "Accept-Encoding: gzip;q=1.0, *;q=0", "User-Agent: x/1 (y)"),
		same("a date that is none passes", "9110 5.6.7", "Date: yesterday"),
		same("a value of 8,000 bytes passes", "9110 5.4", "X: "+strings.Repeat("y", 8000)).once(),
		choice("a control byte in a value", "X: a\x01b"),
		choice("a DEL in a value", "X: a\x7fb"),
		choice("a vertical tab in a value", "X: a\vb"),
		bad("a NUL in a value is refused", "9110 5.5", "X: a\x00b"),
		bad("a NUL at the end of a value is refused", "9110 5.5", "X: a\x00"),
		bad("a bare CR in a value is refused", "9112 2.2", "X: a\rb"),
		bad("a bare CR at the end of a value is refused", "9112 2.2", "X: a\r"),
		bad("a bare LF in a value is refused", "9112 2.2", "X: a\nY: b"),
		bad("a CR before the name is refused", "9112 2.2", "\rX: a"),
		bad("a space before the colon is refused", "9112 5.1", "X : y"),
		bad("a tab before the colon is refused", "9112 5.1", "X\t: y"),
		bad("a space within a name is refused", "9110 5.1", "X Y: z"),
		bad("a folded line is refused", "9112 5.2", "X: a", " b"),
		bad("a line folded with a tab is refused", "9112 5.2", "X: a", "\tb"),
		bad("a fold of an empty value is refused", "9112 5.2", "X:", " a"),
		bad("a fold that is empty is refused", "9112 5.2", "X: a", " "),
		refused("a fold before the first field is refused", "9112 2.2", "GET / HTTP/1.1\r\n X: y\r\nHost: a.test\r\n\r\n"),
		refused("a fold at the end of the head is refused", "9112 5.2", "GET / HTTP/1.1\r\nHost: a.test\r\n \r\n\r\n"),
		bad("a line without a colon is refused", "9112 5", "X"),
		bad("a line without a name is refused", "9110 5.1", ": x"),
		bad("a line that is a colon is refused", "9110 5.1", ":"),
		bad("a name with an at sign is refused", "9110 5.1", "X@Y: z"),
		bad("a name with a parenthesis is refused", "9110 5.1", "X(Y: z"),
		bad("a name with a slash is refused", "9110 5.1", "X/Y: z"),
		bad("a name with brackets is refused", "9110 5.1", "X[Y]: z"),
		bad("a name with curly brackets is refused", "9110 5.1", "X{Y}: z"),
		bad("a name with quotes is refused", "9110 5.1", `"X": z`),
		bad("a name with a comma is refused", "9110 5.1", "X,Y: z"),
		bad("a name with a semicolon is refused", "9110 5.1", "X;Y: z"),
		bad("a name with an equals sign is refused", "9110 5.1", "X=Y: z"),
		bad("a name with a backslash is refused", "9110 5.1", `X\Y: z`),
		bad("a name with a NUL is refused", "9110 5.1", "X\x00Y: z"),
		bad("a name with a control byte is refused", "9110 5.1", "X\x01Y: z"),
		bad("a name with a DEL is refused", "9110 5.1", "X\x7fY: z"),
		bad("a name with obs-text is refused", "9110 5.1", "X\xe9: z"),
		bad("a name with a vertical tab is refused", "9110 5.1", "X\v: z"),
		bad("a fullwidth colon is no colon", "9112 5", "X\xef\xbc\x9a y"),
	}
}

// boundRows are requests at and beyond the bounds of a head.
func boundRows() []row {
	const rfc = "9110 5.4"
	many := func(n int) []string {
		return strings.Split(strings.TrimSuffix(strings.Repeat("X: y\n", n), "\n"), "\n")
	}
	narrowed := func(r row) row {
		r.on = narrow
		return r.once()
	}
	return []row{
		passes("a hundred fields pass", rfc, get(many(100)...)).once(),
		refusedWith("431", "200 fields are too many", rfc, get(many(200)...)).once(),
		refusedWith("431", "a field line of 20,000 bytes is too long", rfc, get("X: "+strings.Repeat("y", 20_000))).once(),
		refusedWith("431", "a field name of 20,000 bytes is too long", rfc, get(strings.Repeat("x", 20_000)+": y")).once(),
		passes("a head of 48 KB passes", rfc, get("A: "+strings.Repeat("y", 12_000), "B: "+strings.Repeat("y", 12_000),
			"C: "+strings.Repeat("y", 12_000), "D: "+strings.Repeat("y", 12_000))).once(),
		refusedWith("431", "a head of 75 KB is too large", rfc, get("A: "+strings.Repeat("y", 15_000), "B: "+strings.Repeat("y", 15_000),
			"C: "+strings.Repeat("y", 15_000), "D: "+strings.Repeat("y", 15_000), "E: "+strings.Repeat("y", 15_000))).once(),
		{name: "fields without end are not read for ever", rfc: rfc, alone: true, sees: nothing, gets: []got{own("431")}, end: closed,
			client: []step{send("GET / HTTP/1.1\r\nHost: a.test\r\n"), flood(strings.Repeat("X: y\r\n", 8<<10), 64)}},
		{name: "a value without end is not read for ever", rfc: rfc, alone: true, sees: nothing, gets: []got{own("431")}, end: closed,
			client: []step{send("GET / HTTP/1.1\r\nHost: a.test\r\nX: "), flood(strings.Repeat("y", 64<<10), 64)}},
		{name: "a name without end is not read for ever", rfc: rfc, alone: true, sees: nothing, gets: []got{own("400|431")}, end: closed,
			client: []step{send("GET / HTTP/1.1\r\nHost: a.test\r\n"), flood(strings.Repeat("y", 64<<10), 64)}},
		narrowed(passes("as many fields as the listener allows pass", rfc, get(many(7)...))),
		narrowed(refusedWith("431", "one field more than the listener allows is refused", rfc, get(many(8)...))),
		narrowed(passes("a line below the listener's bound passes", rfc, get("X: "+strings.Repeat("y", 240)))),
		narrowed(refusedWith("431", "a line beyond the listener's bound is refused", rfc, get("X: "+strings.Repeat("y", 260)))),
		narrowed(passes("a request line below the listener's bound passes", rfc, request("GET /"+strings.Repeat("a", 230)+" HTTP/1.1"))),
		narrowed(refusedWith("414", "a request line beyond the listener's bound is refused", "9112 3", request("GET /"+strings.Repeat("a", 260)+" HTTP/1.1"))),
		narrowed(passes("a head below the listener's bound passes", rfc, get("A: "+strings.Repeat("y", 200), "B: "+strings.Repeat("y", 200), "C: "+strings.Repeat("y", 200), "D: "+strings.Repeat("y", 200)))),
		narrowed(refusedWith("431", "a head beyond the listener's bound is refused", rfc, get("A: "+strings.Repeat("y", 240), "B: "+strings.Repeat("y", 240),
			"C: "+strings.Repeat("y", 240), "D: "+strings.Repeat("y", 240), "E: "+strings.Repeat("y", 240)))),
		{name: "each head of a connection has its own bound", rfc: rfc, on: narrow, in: strings.Repeat(get("A: "+strings.Repeat("y", 200), "B: "+strings.Repeat("y", 200)), 5), alone: true},
		{name: "a body is not bounded by what bounds heads", rfc: rfc, on: narrow, alone: true,
			in: post(strings.Repeat("x", 5000), "Content-Length: 5000")},
		{name: "a response's head is not bounded by the listener", rfc: rfc, on: narrow, alone: true, in: get(),
			backend: answers(response("200 OK", "ok", "Content-Length: 2", "A: "+strings.Repeat("y", 2000)))},
	}
}
