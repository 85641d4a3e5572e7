package conformance

import "strings"

// methodRows are requests with all kinds of methods.
func methodRows() []row {
	const rfc = "9110 9.1"
	passing := func(name, method string) row { return passes(name, rfc, request(method+" /m HTTP/1.1")) }
	bad := func(name, method string) row { return refused(name, rfc, request(method+" /m HTTP/1.1")) }
	return []row{
		passing("GET passes", "GET"),
		passing("DELETE passes", "DELETE"),
		passing("OPTIONS passes", "OPTIONS"),
		passing("PATCH passes", "PATCH"),
		passing("PROPFIND passes", "PROPFIND"),
		passing("a method that nobody knows passes", "FROBNICATE"),
		passing("a method of one letter passes", "X"),
		passing("a method is case-sensitive and passes in lower case", "get"),
		passing("a method in mixed case passes", "Get"),
		passing("a method may have every sign of a token", "A!#$%&'*+-.^_`|~9"),
		bad("a method with a parenthesis is refused", "G(T"),
		bad("a method with an at sign is refused", "G@T"),
		bad("a method with a slash is refused", "G/T"),
		bad("a method with a colon is refused", "GET:"),
		bad("a method with quotes is refused", `"GET"`),
		bad("a method with a comma is refused", "GET,POST"),
		bad("a method with a NUL is refused", "GE\x00T"),
		bad("a method with a control byte is refused", "GE\x01T"),
		bad("a method with DEL is refused", "GE\x7fT"),
		bad("a method with obs-text is refused", "G\xc9T"),
		bad("a method behind a tab is refused", "\tGET"),
		bad("a method behind a space is refused", " GET"),
		bad("an empty method is refused", ""),
		refusedWith("400|405|501", "CONNECT is refused", "9110 9.3.6", request("CONNECT a.test:443 HTTP/1.1")),
		refusedWith("400|405|501", "CONNECT to a path is refused", "9110 9.3.6", request("CONNECT / HTTP/1.1")),
		refusedWith("400|405|501", "CONNECT in HTTP/1.0 is refused", "9110 9.3.6", "CONNECT a.test:443 HTTP/1.0\r\n\r\n"),
		becomes("an OPTIONS takes one hop less from here", "9110 7.6.2", request("OPTIONS /m HTTP/1.1", "Max-Forwards: 7"), "OPTIONS /m HTTP/1.1\nHost: a.test\nMax-Forwards: 6"),
		becomes("Max-Forwards beyond any number is cut down", "9110 7.6.2", request("OPTIONS /m HTTP/1.1", "max-forwards: 99999999999999999999999"), "OPTIONS /m HTTP/1.1\nHost: a.test\nMax-Forwards: 4294967294"),
		becomes("Max-Forwards that is no number is not read", "9110 7.6.2", request("OPTIONS /m HTTP/1.1", "Max-Forwards: -0"), "OPTIONS /m HTTP/1.1\nHost: a.test\nMax-Forwards: -0"),
		becomes("Max-Forwards is ignored for other methods", "9110 7.6.2", request("GET /m HTTP/1.1", "Max-Forwards: 0"), "GET /m HTTP/1.1\nHost: a.test\nMax-Forwards: 0"),
		{name: "an OPTIONS that may go no further is answered", rfc: "9110 7.6.2", in: request("OPTIONS /m HTTP/1.1", "Max-Forwards: 0"),
			sees: nothing, gets: []got{{status: "204", has: []string{"Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, TRACE, PATCH"}}}},
		{name: "a TRACE that may go no further is answered and not reflected", rfc: "9110 7.6.2", in: request("TRACE /m HTTP/1.1", "Max-Forwards: 0"),
			sees: nothing, gets: []got{own("405")}},
		{name: "TRACE is passed on or refused, never answered from within", rfc: "9110 9.3.8", in: request("TRACE /t HTTP/1.1"), end: either,
			sees: []seen{{head: "TRACE /t HTTP/1.1\nHost: a.test", cut: maybe}}, gets: []got{{status: "200|405|501", body: "ok", own: true}}},
	}
}

// lineRows are request lines with faults in their shape.
func lineRows() []row {
	const rfc = "9112 3"
	bad := func(name, line string) row { return refused(name, rfc, request(line)) }
	return []row{
		bad("two spaces before the target are refused", "GET  / HTTP/1.1"),
		bad("two spaces behind the target are refused", "GET /  HTTP/1.1"),
		bad("a tab for a space is refused", "GET\t/ HTTP/1.1"),
		bad("a tab before the version is refused", "GET /\tHTTP/1.1"),
		bad("a vertical tab for a space is refused", "GET\v/ HTTP/1.1"),
		bad("a form feed for a space is refused", "GET /\fHTTP/1.1"),
		bad("a bare CR for a space is refused", "GET\r/ HTTP/1.1"),
		bad("a space at the end is refused", "GET / HTTP/1.1 "),
		bad("a tab at the end is refused", "GET / HTTP/1.1\t"),
		bad("a CR more at the end is refused", "GET / HTTP/1.1\r"),
		bad("a line without a target is refused", "GET HTTP/1.1"),
		bad("a line with an empty target is refused", "GET  HTTP/1.1"),
		bad("a line of one word is refused", "GET"),
		bad("a line with four words is refused", "GET / x HTTP/1.1"),
		bad("a line that is a response's is refused", "HTTP/1.1 200 OK"),
		bad("a line that is a field is refused", "Host: a.test"),
		refused("a line that ends with LF alone is refused", "9112 2.2", "GET / HTTP/1.1\nHost: a.test\r\n\r\n"),
		refused("a head that ends its lines with LF alone is refused", "9112 2.2", "GET / HTTP/1.1\nHost: a.test\n\n"),
		refused("a head whose last line ends with LF alone is refused", "9112 2.2", "GET / HTTP/1.1\r\nHost: a.test\r\n\n"),
		refused("a field line that ends with LF alone is refused", "9112 2.2", "GET / HTTP/1.1\r\nHost: a.test\nX: y\r\n\r\n"),
		refused("an empty line that is CR CR LF is refused", "9112 2.2", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\r\n\r\n"),
		refused("white space between the request line and the fields is refused", "9112 2.2", "GET / HTTP/1.1\r\n \r\nHost: a.test\r\n\r\n"),
		refused("a TLS hello is refused", rfc, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
		refused("what is not quite the preface of HTTP/2 is refused", "9113 3.4", "PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n").orStatus("505"),
		refused("a PROXY line is refused where none is configured", rfc, "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n"+get()),
		becomes("an empty line before the request is skipped", "9112 2.2", "\r\n"+get(), "GET / HTTP/1.1\nHost: a.test"),
		{name: "an empty line between two requests is skipped", rfc: "9112 2.2",
			in: post("hello", "Content-Length: 5") + "\r\n" + hidden, gets: []got{ok, ok},
			sees: []seen{{head: "POST /p HTTP/1.1\nHost: a.test\nContent-Length: 5", body: "hello"}, {head: "GET /hidden HTTP/1.1\nHost: a.test"}}},
		refused("an empty line that is LF alone is refused", "9112 2.2", "\n"+get()),
		refused("an empty line that is CR alone is refused", "9112 2.2", "\r"+get()),
		refused("a NUL before the request is refused", "9112 2.2", "\x00"+get()),
		{name: "empty lines without end are not read for ever", rfc: "9112 2.2", alone: true, sees: nothing, gets: []got{own("400|408|431")}, end: closed,
			client: []step{flood(strings.Repeat("\r\n", 16<<10), 64)}},
	}
}

// versionRows are requests with all kinds of versions.
func versionRows() []row {
	const rfc = "9112 2.3"
	bad := func(name, version string) row { return refused(name, rfc, request("GET / "+version)) }
	return []row{
		bad("HTTP/2.0 is refused", "HTTP/2.0").orStatus("505"),
		bad("HTTP/3.0 is refused", "HTTP/3.0").orStatus("505"),
		bad("HTTP/0.9 is refused", "HTTP/0.9").orStatus("505"),
		bad("HTTP/2 is refused", "HTTP/2").orStatus("505"),
		bad("HTTP/9.9 is refused", "HTTP/9.9").orStatus("505"),
		bad("HTTP/1.10 is refused", "HTTP/1.10"),
		bad("HTTP/1.01 is refused", "HTTP/1.01"),
		bad("HTTP/01.1 is refused", "HTTP/01.1"),
		bad("HTTP/11.1 is refused", "HTTP/11.1"),
		bad("HTTP/1. is refused", "HTTP/1."),
		bad("HTTP/.1 is refused", "HTTP/.1"),
		bad("HTTP/1 is refused", "HTTP/1"),
		bad("HTTP/1,1 is refused", "HTTP/1,1"),
		bad("HTTP/1x1 is refused", "HTTP/1x1"),
		bad("HTTP/x.1 is refused", "HTTP/x.1"),
		bad("HTTP/1.x is refused", "HTTP/1.x"),
		bad("HTTP/-1.1 is refused", "HTTP/-1.1"),
		bad("HTTP/1.1x is refused", "HTTP/1.1x"),
		bad("HTTP/ 1.1 is refused", "HTTP/ 1.1"),
		bad("HTTP /1.1 is refused", "HTTP /1.1"),
		bad("http/1.1 is refused", "http/1.1"),
		bad("Http/1.1 is refused", "Http/1.1"),
		bad("HTTPS/1.1 is refused", "HTTPS/1.1"),
		bad("HTP/1.1 is refused", "HTP/1.1"),
		bad("a version with a NUL is refused", "HTTP/1.1\x00"),
		bad("a version with digits that are not ASCII is refused", "HTTP/\xd9\xa1.1"),
		refused("a request without a version is refused", rfc, "GET /\r\n\r\n").orStatus("505"),
		refused("a request without a version and with fields is refused", rfc, "GET /\r\nHost: a.test\r\n\r\n").orStatus("505"),
		{name: "a higher minor version is that of HTTP/1.1, or refused", rfc: "9110 2.5", in: request("GET / HTTP/1.2"), end: either,
			sees: []seen{{head: "GET / HTTP/1.1\nHost: a.test", cut: maybe}}, gets: []got{{status: "200|400|505", body: "ok", own: true}}},
	}
}

// orStatus allows one more status of a refusal.
func (r row) orStatus(status string) row {
	r.gets = []got{own(r.gets[0].status + "|" + status)}
	return r
}
