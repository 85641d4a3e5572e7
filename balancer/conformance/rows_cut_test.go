package conformance

import "strings"

// cutRows are responses that do not end as they said they would: what the
// client gets must not look complete.
func cutRows() []row {
	const rfc = "9112 8"
	// breaks has a backend that sends so much and hangs up, or resets.
	breaks := func(name, out, body string, last act) row {
		return row{name: name, rfc: rfc, in: get(), alone: true, end: either, backend: does(readRequest, write(out), last),
			gets: []got{{status: "200|502", body: body, cut: unless502}}}
	}
	chunked := func(body string) string { return response("200 OK", body, "Transfer-Encoding: chunked") }
	badChunk := func(name, body string) row {
		r := breaks(name, chunked(body), "hello", stall)
		r.rfc, r.dropped = "9112 7.1", true
		return r
	}
	old := func(r row) row {
		r.in = "GET / HTTP/1.0\r\n\r\n"
		r.sees = []seen{{cut: maybe}}
		return r
	}
	length, half := response("200 OK", "hello", "Content-Length: 10"), "6\r\nhello "
	return []row{
		breaks("a body that is shorter than its length is cut", length, "hello", hangUp),
		breaks("a body that a reset ends is cut", length, "hello", reset),
		breaks("a body that never begins is cut", response("200 OK", "", "Content-Length: 10"), "", hangUp),
		breaks("a chunk that is cut is cut", chunked(half), "hello ", hangUp),
		breaks("a chunk that a reset cuts is cut", chunked(half), "hello ", reset),
		breaks("a chunked body without its last chunk is cut", chunked("5\r\nhello\r\n"), "hello", hangUp),
		breaks("a chunked body whose last chunk lacks its end is cut", chunked("5\r\nhello\r\n0\r\n"), "hello", hangUp),
		breaks("a chunked body whose trailers lack their end is cut", chunked("5\r\nhello\r\n0\r\nX: y\r\n"), "hello", hangUp),
		breaks("a chunk size that is cut is cut", chunked("5\r\nhello\r\n1"), "hello", hangUp),
		breaks("a last chunk's size that is cut is cut", chunked("5\r\nhello\r\n0"), "hello", hangUp),
		breaks("a body until the close that a reset ends is cut", response("200 OK", "hello"), "hello", reset),
		old(breaks("for an HTTP/1.0 client a body shorter than its length is cut", length, "hello", hangUp)),
		old(breaks("for an HTTP/1.0 client a chunked body without its last chunk is cut", chunked("5\r\nhello\r\n"), "hello", hangUp)),
		old(breaks("for an HTTP/1.0 client a chunk that a reset cuts is cut", chunked(half), "hello ", reset)),
		old(breaks("for an HTTP/1.0 client a body until the close that a reset ends is cut", response("200 OK", "hello"), "hello", reset)),
		old(badChunk("for an HTTP/1.0 client a bad chunk cuts the body", "5\r\nhello\r\nx\r\n\r\n")),
		badChunk("a chunk size that is no number cuts the body", "5\r\nhello\r\nxyz\r\nhello\r\n0\r\n\r\n"),
		badChunk("an empty chunk size cuts the body", "5\r\nhello\r\n\r\nhello\r\n0\r\n\r\n"),
		badChunk("a negative chunk size cuts the body", "5\r\nhello\r\n-1\r\n\r\n"),
		badChunk("a chunk size that wraps cuts the body", "5\r\nhello\r\n10000000000000005\r\nhello\r\n0\r\n\r\n"),
		badChunk("a chunk size line that ends with LF alone cuts the body", "5\r\nhello\r\n5\nhello\r\n0\r\n\r\n"),
		badChunk("a chunk without CRLF behind it cuts the body", "5\r\nhelloXX\r\n0\r\n\r\n"),
		badChunk("a chunk with LF alone behind it cuts the body", "5\r\nhello\n0\r\n\r\n"),
		badChunk("an extension with a bare CR cuts the body", "5\r\nhello\r\n5;a\rb\r\nhello\r\n0\r\n\r\n"),
		badChunk("a last chunk that ends with LF alone cuts the body", "5\r\nhello\r\n0\n\r\n"),
		badChunk("an end that is LF alone cuts the body", "5\r\nhello\r\n0\r\n\n"),
		badChunk("a malformed trailer cuts the body", "5\r\nhello\r\n0\r\nX y\r\n\r\n"),
		badChunk("a folded trailer cuts the body", "5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n"),
		badChunk("a trailer with a bare LF cuts the body", "5\r\nhello\r\n0\r\nX: y\nZ: z\r\n\r\n"),
		{name: "trailers of a response without end are not read for ever", rfc: "9110 5.4", in: get(), alone: true, end: either, sent: 32 << 20,
			gets:    []got{{status: "200|502", body: "hello", cut: unless502}},
			backend: does(readRequest, write(chunked("5\r\nhello\r\n0\r\n")), forever(strings.Repeat("X: y\r\n", 4<<10)))},
		{name: "a chunk size of a response without end is not read for ever", rfc: "9112 7.1.1", in: get(), alone: true, end: either, sent: 32 << 20,
			gets:    []got{{status: "200|502", body: "hello", cut: unless502}},
			backend: does(readRequest, write(chunked("5\r\nhello\r\n5;")), forever(strings.Repeat("x", 16<<10)))},
		{name: "the next request of a client whose response was cut is not answered by the rest", rfc: rfc, in: get() + hidden, alone: true, end: either,
			backend: does(readRequest, write(length), hangUp), gets: []got{{status: "200|502", body: "hello", cut: unless502}}, sees: []seen{{head: "GET / HTTP/1.1\nHost: a.test"}, {cut: maybe}}},
		{name: "a backend that hangs up without an answer is a bad gateway", rfc: "9110 15.6.3", in: post("hello", "Content-Length: 5"), alone: true,
			backend: does(readRequest, hangUp), gets: []got{own("502")}},
		{name: "a backend that resets without an answer is a bad gateway", rfc: "9110 15.6.3", in: post("hello", "Content-Length: 5"), alone: true,
			backend: does(readRequest, reset), gets: []got{own("502")}},
		{name: "a backend that hangs up within its status line is a bad gateway", rfc: "9110 15.6.3", in: post("", "Content-Length: 0"), alone: true,
			backend: does(readRequest, write("HTTP/1.1 20"), hangUp), gets: []got{own("502")}},
		{name: "a backend that hangs up within its head is a bad gateway", rfc: "9110 15.6.3", in: post("", "Content-Length: 0"), alone: true,
			backend: does(readRequest, write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"), hangUp), gets: []got{own("502")}},
		{name: "a GET within whose response's head the backend hung up is not asked again", rfc: "9110 15.6.3", in: get(), alone: true,
			backend: does(readRequest, write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"), hangUp), gets: []got{own("502")}},
		{name: "a backend that hangs up behind a 100 is a bad gateway", rfc: "9110 15.6.3", in: post("", "Content-Length: 0"), alone: true,
			backend: does(readRequest, write(response("103 Early Hints", "")), hangUp), gets: []got{{status: "502", own: true}}},
		{name: "a backend that hangs up within a request's head is a bad gateway", rfc: "9110 15.6.3", in: post("hello", "Content-Length: 5"), alone: true,
			backend: does(hangUp), sees: []seen{{head: "POST /p HTTP/1.1\nHost: a.test\nContent-Length: 5", body: "hello", cut: maybe}}, gets: []got{{status: "200|502", own: true}}},
	}
}
