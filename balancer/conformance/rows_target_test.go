package conformance

import "strings"

// targetRows are requests with all kinds of targets.
func targetRows() []row {
	const rfc = "9112 3.2.1"
	same := func(name, target string) row { return passes(name, rfc, request("GET "+target+" HTTP/1.1")) }
	bad := func(name, target string) row { return refused(name, "9112 3.2", request("GET "+target+" HTTP/1.1")) }
	choice := func(name, target string) row {
		return row{name: name, rfc: "3986 2", in: request("GET " + target + " HTTP/1.1"), end: either,
			sees: []seen{{head: "GET " + target + " HTTP/1.1\nHost: a.test", cut: maybe}}, gets: []got{{status: "200|400", body: "ok", own: true}}}
	}
	return []row{
		same("a path passes", "/a/b"),
		same("a query passes", "/a?b=c&d"),
		same("an empty query passes", "/a?"),
		same("a query with a question mark passes", "/a?b?c"),
		same("a query with a slash passes", "/a?/b"),
		same("an escape passes as it is", "/a%20b"),
		same("an escaped slash passes as it is", "/a%2fb%2Fc"),
		same("an escape of what needs none passes as it is", "/%61%7E"),
		same("an escaped NUL passes as it is", "/a%00b"),
		same("an escaped line end passes as it is", "/a%0d%0aX:%20y"),
		same("dot segments pass as they are", "/a/../b/./c"),
		same("escaped dot segments pass as they are", "/a/%2e%2e/b"),
		same("empty segments pass as they are", "//a//b/"),
		same("a path that looks like an address passes as it is", "//b.test/c"),
		same("a path that looks like a URL passes as it is", "/http://b.test/"),
		same("a path with a parameter passes", "/a;b=c/d"),
		same("all signs that a path may have pass", "/-._~!$&'()*+,;=:@"),
		same("a path with a colon in its first segment passes", "/a:b"),
		choice("an escape that is none", "/a%zz"),
		choice("an escape that is cut off", "/a%2"),
		choice("curly brackets", "/{a}"),
		choice("a vertical bar", "/a?b|c"),
		choice("a caret", "/a^b"),
		choice("a backslash", `/a\b`),
		choice("a quote", `/a"b`),
		choice("angle brackets", "/<a>"),
		choice("square brackets in the query", "/a?b[]=c"),
		bad("a fragment is refused", "/a#b"),
		bad("a space in the target is refused", "/a b"),
		bad("a tab in the target is refused", "/a\tb"),
		bad("a NUL in the target is refused", "/a\x00b"),
		bad("a control byte in the target is refused", "/a\x01b"),
		bad("a DEL in the target is refused", "/a\x7fb"),
		bad("a bare CR in the target is refused", "/a\rb"),
		bad("a bare LF in the target is refused", "/a\nb"),
		bad("a vertical tab in the target is refused", "/a\vb"),
		bad("obs-text in the target is refused", "/\xc3\xa9"),
		bad("a target that begins with no slash is refused", "a/b"),
		bad("a target that is a query is refused", "?a"),
		bad("a target that is a dot is refused", "./a"),
		bad("a target that is an authority is refused", "a.test:80"),
		bad("a target that is an asterisk is refused for GET", "*"),
		bad("a target that begins with a backslash is refused", `\a`),
		passes("OPTIONS of everything passes", "9112 3.2.4", request("OPTIONS * HTTP/1.1")),
		refused("an asterisk with more is refused", "9112 3.2.4", request("OPTIONS *a HTTP/1.1")),
		refused("an asterisk for POST is refused", "9112 3.2.4", request("POST * HTTP/1.1")),
		passes("a target of 8,000 bytes passes", "9110 4.1", request("GET /"+strings.Repeat("a", 8000)+" HTTP/1.1")).once(),
		refusedWith("414", "a target beyond the bound of a line is refused with 414", "9110 15.5.15", request("GET /"+strings.Repeat("a", 20_000)+" HTTP/1.1")).once(),
		{name: "a target without end is not read for ever", rfc: "9110 15.5.15", alone: true, sees: nothing, gets: []got{own("414")}, end: closed,
			client: []step{send("GET /"), flood(strings.Repeat("a", 64<<10), 64)}},
		{name: "a method without end is not read for ever", rfc: "9112 3", alone: true, sees: nothing, gets: []got{own("400|414|431|501")}, end: closed,
			client: []step{flood(strings.Repeat("A", 64<<10), 64)}},
	}
}

// once runs a row in one piece only.
func (r row) once() row {
	r.alone = true
	return r
}

// absoluteRows are requests whose target is a whole address.
func absoluteRows() []row {
	const rfc = "9112 3.2.2"
	to := func(name, target, want string) row {
		return becomes(name, rfc, request("GET "+target+" HTTP/1.1"), "GET "+want+" HTTP/1.1\nHost: a.test")
	}
	bad := func(name, target string) row { return refused(name, rfc, request("GET "+target+" HTTP/1.1")) }
	return []row{
		to("an address becomes its path", "http://a.test/a", "/a"),
		to("an address keeps its query", "http://a.test/a?b=c", "/a?b=c"),
		to("an address without a path becomes the root", "http://a.test", "/"),
		to("an address with a query and no path gets the root", "http://a.test?b", "/?b"),
		to("the scheme may be in capitals", "HTTP://a.test/a", "/a"),
		to("an escaped path passes as it is", "http://a.test/%2e%2e/a", "/%2e%2e/a"),
		to("a path that looks like an address stays a path", "http://a.test//b.test/c", "//b.test/c"),
		becomes("a port belongs to the host", rfc, "GET http://a.test:8080/a HTTP/1.1\r\nHost: a.test:8080\r\n\r\n", "GET /a HTTP/1.1\nHost: a.test:8080"),
		becomes("an IPv6 host is one", rfc, "GET http://[::1]:80/a HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET /a HTTP/1.1\nHost: [::1]:80"),
		{name: "the target's host replaces another Host, or is refused", rfc: rfc, end: either,
			in:   "GET http://a.test/a HTTP/1.1\r\nHost: b.test\r\n\r\n",
			sees: []seen{{head: "GET /a HTTP/1.1\nHost: a.test", cut: maybe}}, gets: []got{{status: "200|400", body: "ok", own: true}}},
		becomes("in HTTP/1.0 the target's host is the Host", rfc, "GET http://a.test/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET /a HTTP/1.1\nHost: a.test"),
		becomes("OPTIONS of an address without a path is of everything", "9112 3.2.4", request("OPTIONS http://a.test HTTP/1.1"), "OPTIONS * HTTP/1.1\nHost: a.test"),
		becomes("OPTIONS of an address with a path is of that path", "9112 3.2.4", request("OPTIONS http://a.test/ HTTP/1.1"), "OPTIONS / HTTP/1.1\nHost: a.test"),
		bad("a user is refused", "http://user@a.test/"),
		bad("a user and password are refused", "http://user:secret@a.test/"),
		bad("an empty user is refused", "http://@a.test/"),
		bad("an address without a host is refused", "http:///a"),
		bad("an address with a port and no host is refused", "http://:80/a"),
		bad("an address with one slash is refused", "http:/a.test/a"),
		bad("an address without slashes is refused", "http:a.test"),
		bad("a port that is no number is refused", "http://a.test:http/"),
		bad("a negative port is refused", "http://a.test:-1/"),
		bad("a port beyond 65,535 is refused", "http://a.test:65536/"),
		bad("an IPv6 host without an end is refused", "http://[::1/"),
		bad("a host with a backslash is refused", `http://a.test\b.test/`),
		bad("a host with a space is refused", "http://a .test/"),
		bad("a fragment is refused", "http://a.test/#a"),
		bad("another scheme is refused", "ftp://a.test/"),
		bad("a scheme without anything is refused", "http://"),
		bad("a script is refused", "javascript:alert(1)"),
		refused("an address does not stand for a missing Host", "9112 3.2", "GET http://a.test/ HTTP/1.1\r\n\r\n"),
		refused("an address does not stand for two Hosts", "9112 3.2", request("GET http://a.test/ HTTP/1.1", "Host: a.test")),
	}
}

// hostRows are requests with all kinds of Host fields.
func hostRows() []row {
	const rfc = "9112 3.2"
	with := func(host string) string { return "GET / HTTP/1.1\r\nHost:" + host + "\r\n\r\n" }
	same := func(name, host string) row { return passes(name, "9110 7.2", with(" "+host)) }
	bad := func(name, host string) row { return refused(name, rfc, with(" "+host)) }
	return []row{
		same("a name passes", "a.test"),
		same("a name in capitals passes as it is", "A.Test"),
		same("a name with a port passes", "a.test:8080"),
		same("a name with an empty port passes", "a.test:"),
		same("a name with a dot at its end passes", "a.test."),
		same("a name with an underscore passes", "a_b.test"),
		same("an IPv4 address passes", "127.0.0.1:80"),
		same("an IPv6 address passes", "[2001:db8::1]"),
		same("an IPv6 address with a port passes", "[2001:db8::1]:8080"),
		passes("white space around it is none of it", "9112 5.1", with("\t a.test \t")),
		passes("the field's name may be in any case", "9110 5.1", "GET / HTTP/1.1\r\nhOST: a.test\r\n\r\n"),
		passes("it may stand behind other fields", "9110 7.2", "GET / HTTP/1.1\r\nX: y\r\nHost: a.test\r\nZ: z\r\n\r\n"),
		{name: "an empty Host passes or is refused", rfc: rfc, in: with(""), end: either,
			sees: []seen{{head: "GET / HTTP/1.1\nHost: ", cut: maybe}}, gets: []got{{status: "200|400", body: "ok", own: true}}},
		refused("a missing Host is refused", rfc, "GET / HTTP/1.1\r\n\r\n"),
		refused("a missing Host beside other fields is refused", rfc, "GET / HTTP/1.1\r\nX-Host: a.test\r\nHostname: a.test\r\n\r\n"),
		refused("two Hosts are refused", rfc, request("GET / HTTP/1.1", "Host: b.test")),
		refused("the same Host twice is refused", rfc, request("GET / HTTP/1.1", "Host: a.test")),
		refused("a second Host in other letters is refused", rfc, request("GET / HTTP/1.1", "X: y", "HOST: b.test")),
		refused("a second, empty Host is refused", rfc, request("GET / HTTP/1.1", "Host:")),
		refused("two Hosts in HTTP/1.0 are refused", rfc, "GET / HTTP/1.0\r\nHost: a.test\r\nHost: b.test\r\n\r\n"),
		bad("a list of hosts is refused", "a.test, b.test"),
		bad("two hosts are refused", "a.test b.test"),
		bad("a user is refused", "user@a.test"),
		bad("a path is refused", "a.test/a"),
		bad("a query is refused", "a.test?a"),
		bad("a fragment is refused", "a.test#a"),
		bad("a URL is refused", "http://a.test"),
		bad("a backslash is refused", `a\b.test`),
		bad("a quote is refused", `"a.test"`),
		bad("angle brackets are refused", "<a.test>"),
		bad("a port that is no number is refused", "a.test:http"),
		bad("a negative port is refused", "a.test:-80"),
		bad("a port with a plus is refused", "a.test:+80"),
		bad("a port beyond 65,535 is refused", "a.test:65536"),
		bad("two ports are refused", "a.test:80:80"),
		bad("an IPv6 address without brackets is refused", "2001:db8::1"),
		bad("an IPv6 address without its second bracket is refused", "[2001:db8::1"),
		bad("an IPv6 address with text behind is refused", "[2001:db8::1]a"),
		bad("empty brackets are refused", "[]"),
		bad("brackets around a name are refused", "[a.test]"),
		bad("a control byte is refused", "a\x01.test"),
		bad("a NUL is refused", "a\x00.test"),
		bad("a DEL is refused", "a\x7f.test"),
		bad("a tab in it is refused", "a\tb.test"),
		bad("obs-text is refused", "\xc3\xa9.test"),
		refused("a Host that a fold continues is refused", "9112 5.2", "GET / HTTP/1.1\r\nHost: a.test\r\n .b.test\r\n\r\n"),
		refused("a Host with a space before the colon is refused", "9112 5.1", "GET / HTTP/1.1\r\nHost : a.test\r\n\r\n"),
		refused("a Host behind a space is refused", "9112 2.2", "GET / HTTP/1.1\r\n Host: a.test\r\n\r\n"),
	}
}
