package conformance

// hopRows are requests with fields that concern one connection only.
func hopRows() []row {
	const rfc = "9110 7.6.1"
	// drops has fields of which the backend gets only those of "kept".
	drops := func(name string, fields []string, kept string) row {
		head := "GET / HTTP/1.1\nHost: a.test"
		if kept != "" {
			head += "\n" + kept
		}
		return becomes(name, rfc, get(fields...), head)
	}
	no := func(r row, names ...string) row {
		r.sees[0].lack = names
		return r
	}
	closes := func(r row) row {
		r.end = closed
		return r
	}
	return []row{
		no(drops("a field that Connection names is removed", []string{"Connection: X-Hop", "X-Hop: 1", "Y: 2"}, "Y: 2"), "X-Hop"),
		no(drops("a name is compared without regard to case", []string{"X-HOP: 1", "connection: x-hOP"}, ""), "X-Hop"),
		no(drops("several names are removed", []string{"Connection: a, b ,c", "A: 1", "B: 2", "C: 3", "D: 4"}, "D: 4"), "A", "B", "C"),
		no(drops("names on several lines are removed", []string{"Connection: a", "A: 1", "Connection: b", "B: 2"}, ""), "A", "B"),
		no(drops("every field of a name is removed", []string{"A: 1", "X: y", "A: 2", "Connection: a"}, "X: y"), "A"),
		no(drops("empty members of the list mean nothing", []string{"Connection: ,, a,", "A: 1", "B: 2"}, "B: 2"), "A"),
		no(drops("a name that only begins alike stays", []string{"Connection: X-A", "X-AB: 1", "X: 2"}, "X-AB: 1\nX: 2"), "X-A"),
		no(drops("keep-alive is not passed on", []string{"Connection: keep-alive", "Keep-Alive: timeout=5"}, ""), "Keep-Alive"),
		no(drops("Keep-Alive is removed even if Connection does not name it", []string{"Keep-Alive: timeout=5"}, ""), "Keep-Alive"),
		no(drops("Proxy-Connection is removed", []string{"Proxy-Connection: keep-alive"}, ""), "Proxy-Connection"),
		no(drops("an Upgrade that Connection does not name is removed", []string{"Upgrade: websocket"}, ""), "Upgrade"),
		no(drops("TE is not passed on as it is", []string{"Connection: TE", "TE: gzip;q=0.5"}, ""), "TE"),
		drops("TE of trailers says nothing that matters here", []string{"Connection: TE", "TE: trailers"}, ""),
		closes(no(drops("close ends the client's connection", []string{"Connection: close"}, ""), "X")),
		closes(no(drops("close counts in any case", []string{"Connection: CLOSE"}, ""), "X")),
		closes(no(drops("close counts among others", []string{"Connection: X-A, close", "X-A: 1"}, ""), "X-A")),
		closes(no(drops("close counts on a second line", []string{"Connection: keep-alive", "Connection: close"}, ""), "X")),
		drops("a word that contains close is not close", []string{"Connection: closed, xclose, close-not"}, ""),
		passes("an empty Connection means nothing", rfc, get("Connection:")),
		{name: "Connection may not take the Host away", rfc: rfc, in: get("Connection: Host"), end: either,
			sees: []seen{{head: "GET / HTTP/1.1\nHost: a.test", cut: maybe}}, gets: []got{{status: "200|400", body: "ok", own: true}}},
		{name: "Connection may not take the length away", rfc: rfc, in: post("hello", "Connection: Content-Length", "Content-Length: 5"), end: either,
			sees: []seen{{head: "POST /p HTTP/1.1\nHost: a.test\nContent-Length: 5", body: "hello", cut: maybe}}, gets: []got{{status: "200|400", body: "ok", own: true}}},
		{name: "Connection may not take the coding away", rfc: rfc, in: post("5\r\nhello\r\n0\r\n\r\n", "Connection: Transfer-Encoding", "Transfer-Encoding: chunked"), end: either,
			sees: []seen{{head: "POST /p HTTP/1.1\nHost: a.test", body: "hello", cut: maybe}}, gets: []got{{status: "200|400", body: "ok", own: true}}},
		{name: "Connection may not take away what the proxy writes", rfc: rfc, in: get("Connection: X-Forwarded-For, Forwarded, X-Forwarded-Proto, X-Forwarded-Host")},
		{name: "Connection may take cookies away", rfc: rfc, in: get("Connection: Cookie", "Cookie: a=b"), gets: []got{ok},
			sees: []seen{{head: "GET / HTTP/1.1\nHost: a.test", lack: []string{"Cookie"}}}},
		{name: "a Connection with bad members harms nothing", rfc: rfc, in: get(`Connection: "X-A", x y, @`, "X-A: 1"), end: either,
			sees: []seen{{head: "GET / HTTP/1.1\nHost: a.test\nX-A: 1", cut: maybe}}, gets: []got{{status: "200|400", body: "ok", own: true}}},
		becomes("hop-by-hop fields between others leave those in order", rfc,
			get("A: 1", "Keep-Alive: x", "B: 2", "Proxy-Connection: y", "C: 3", "Connection: d", "D: 4", "E: 5"),
			"GET / HTTP/1.1\nHost: a.test\nA: 1\nB: 2\nC: 3\nE: 5"),
	}
}

// forwardingRows are requests with fields that say who a client was.
func forwardingRows() []row {
	const rfc = "7239 4"
	trusted := func(name string, fields []string, has ...string) row {
		return row{name: name, rfc: rfc, on: trusting, in: get(fields...), gets: []got{ok}, end: either,
			sees: []seen{{head: "GET / HTTP/1.1\nHost: a.test", has: has}}}
	}
	return []row{
		passes("who the client is is told", rfc, get()),
		passes("a client's X-Forwarded-For is replaced", rfc, get("X-Forwarded-For: 10.0.0.1")),
		passes("all of a client's X-Forwarded-For are replaced", rfc, get("X-Forwarded-For: 10.0.0.1", "Y: z", "x-forwarded-for: 10.0.0.2")),
		passes("a client's X-Forwarded-Proto is replaced", rfc, get("X-Forwarded-Proto: https")),
		passes("a client's X-Forwarded-Host is replaced", rfc, get("X-Forwarded-Host: evil.test")),
		passes("a client's Forwarded is replaced", rfc, get("Forwarded: for=10.0.0.1;proto=https")),
		passes("a client's Forwarded on two lines is replaced", rfc, get("Forwarded: for=10.0.0.1", "forwarded: for=10.0.0.2")),
		becomes("a client's X-Forwarded-Port is removed", rfc, get("X-Forwarded-Port: 443"), "GET / HTTP/1.1\nHost: a.test"),
		becomes("other X-Forwarded fields of a client are removed", rfc, get("X-Forwarded-Server: x", "x-forwarded-ssl: on", "Y: z"), "GET / HTTP/1.1\nHost: a.test\nY: z"),
		passes("a field that is named like one of them passes", rfc, get("X-Forwarded: 1", "X-Real-IP: 10.0.0.1", "Forwarded-For: 10.0.0.1")),
		passes("a host with a port is quoted in Forwarded", rfc, "GET / HTTP/1.1\r\nHost: a.test:8080\r\n\r\n"),
		passes("an IPv6 host is quoted in Forwarded", "7239 6", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"),
		trusted("a trusted proxy's list grows by its address", []string{"X-Forwarded-For: 10.0.0.1"}, "X-Forwarded-For: 10.0.0.1, 127.0.0.1"),
		trusted("a trusted proxy's lines become one list", []string{"X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 10.0.0.2"}, "X-Forwarded-For: 10.0.0.1, 10.0.0.2, 127.0.0.1"),
		trusted("a trusted proxy without a list begins one", nil, "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: a.test"),
		trusted("a trusted proxy is believed the scheme", []string{"X-Forwarded-Proto: https"}, "X-Forwarded-Proto: https", "X-Forwarded-Host: a.test"),
		trusted("a trusted proxy is believed the host", []string{"X-Forwarded-Host: b.test"}, "X-Forwarded-Host: b.test"),
		trusted("a trusted proxy's Forwarded grows", []string{"Forwarded: for=10.0.0.1;proto=https"}, "Forwarded: for=10.0.0.1;proto=https, for=127.0.0.1;host=a.test;proto=http"),
		trusted("Forwarded and X-Forwarded-For are not mixed", []string{"X-Forwarded-For: 10.0.0.1"}, "Forwarded: for=127.0.0.1;host=a.test;proto=http"),
		{name: "a trusted proxy's X-Forwarded-Port passes", rfc: rfc, on: trusting, in: get("X-Forwarded-Port: 443"), end: either},
		{name: "a trusted proxy may have taken back what Connection names", rfc: "9110 7.6.1", on: trusting, end: either, gets: []got{ok},
			in:   get("Connection: X-Forwarded-For", "X-Forwarded-For: 10.0.0.1"),
			sees: []seen{{head: "GET / HTTP/1.1\nHost: a.test", has: []string{"X-Forwarded-For: 127.0.0.1"}}}},
		{name: "no field is written where none is wanted", rfc: rfc, on: silent, in: get(), end: either, gets: []got{ok},
			sees: []seen{{head: "GET / HTTP/1.1\nHost: a.test", lack: []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "Via"}}}},
		{name: "Via is not written by default", rfc: "9110 7.6.3", in: get(), gets: []got{{status: "200", body: "ok", lack: []string{"Via"}}},
			sees: []seen{{head: "GET / HTTP/1.1\nHost: a.test", lack: []string{"Via"}}}},
		{name: "a client's Via passes", rfc: "9110 7.6.3", in: get("Via: 1.0 x"), gets: []got{ok},
			sees: []seen{{head: "GET / HTTP/1.1\nHost: a.test", has: []string{"Via: 1.0 x"}}}},
		{name: "Via is written both ways if it is wanted", rfc: "9110 7.6.3", on: named, in: get(), end: either,
			sees: []seen{{head: "GET / HTTP/1.1\nHost: a.test", some: "Via: 1.1 "}}, gets: []got{{status: "200", body: "ok", some: "Via: 1.1 "}}},
		{name: "Via keeps those before it", rfc: "9110 7.6.3", on: named, in: get("Via: 1.0 x, 1.1 y"), end: either, gets: []got{ok},
			sees: []seen{{head: "GET / HTTP/1.1\nHost: a.test", some: "1.0 x, 1.1 y"}}},
		{name: "Via tells a backend's version", rfc: "9110 7.6.3", on: named, in: get(), end: either, out: 40,
			backend: answersAndHangsUp("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
			gets:    []got{{status: "200", body: "ok", some: "Via: 1.0 "}}},
	}
}
