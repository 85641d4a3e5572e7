package conformance

import "strings"

// hidden is what an attacker wants to get past the proxy as a request of its
// own.
const hidden = "GET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n"

// lengthRows are requests whose body has a Content-Length.
func lengthRows() []row {
	const rfc = "9110 8.6"
	return []row{
		passes("a body of the given length passes", "9112 6.2", post("hello", "Content-Length: 5")),
		passes("a body of length 0 passes", "9112 6.2", post("", "Content-Length: 0")),
		passes("the field's name may be in any case", "9110 5.1", post("hello", "cONTENT-lENGTH: 5")),
		passes("white space around the value is none of it", "9112 5.1", post("hello", "Content-Length: \t 5 \t")),
		passes("a GET may have a body", "9110 9.3.1", request("GET /g HTTP/1.1", "Content-Length: 5")+"hello"),
		passes("a DELETE may have a body", "9110 9.3.5", request("DELETE /g HTTP/1.1", "Content-Length: 5")+"hello"),
		passes("a PUT may have a body", "9110 9.3.4", request("PUT /g HTTP/1.1", "Content-Length: 5")+"hello"),
		passes("an OPTIONS may have a body", "9110 9.3.7", request("OPTIONS /g HTTP/1.1", "Content-Length: 5")+"hello"),
		passes("a body may look like a request", "9112 6.3", post(hidden, "Content-Length: 38")),
		passes("a body may hold any byte", "9112 6.2", post("\x00\r\n\xff\n\r", "Content-Length: 6")),
		passes("a POST without framing has no body", "9112 6.3", post("")),
		passes("an empty POST and the next request are told apart", "9112 6.3", post("")+hidden),
		passes("the next request begins right behind the body", "9112 9.3", post("hello", "Content-Length: 5")+hidden),
		refused("two lengths that differ are refused", rfc, post("hello!", "Content-Length: 5", "Content-Length: 6")),
		refused("two lengths that differ, apart from each other, are refused", rfc, post("hello!", "Content-Length: 6", "X: y", "content-length: 5")),
		refused("the same length twice is refused", rfc, post("hello", "Content-Length: 5", "Content-Length: 5")),
		refused("a list of the same length is refused", rfc, post("hello", "Content-Length: 5, 5")),
		refused("a list of lengths is refused", rfc, post("hello!", "Content-Length: 5, 6")),
		refused("a list with an empty member is refused", rfc, post("hello", "Content-Length: 5,")),
		refused("a list that begins with an empty member is refused", rfc, post("hello", "Content-Length: ,5")),
		refused("a length with a plus is refused", rfc, post("hello", "Content-Length: +5")),
		refused("a negative length is refused", rfc, post("hello", "Content-Length: -5")),
		refused("minus nought is refused", rfc, post("", "Content-Length: -0")),
		refused("an empty length is refused", rfc, post("hello", "Content-Length:")),
		refused("a length of white space is refused", rfc, post("hello", "Content-Length:   ")),
		refused("a hexadecimal length is refused", rfc, post("hello", "Content-Length: 0x5")),
		refused("a length that is a word is refused", rfc, post("hello", "Content-Length: five")),
		refused("a length with a fraction is refused", rfc, post("hello", "Content-Length: 5.0")),
		refused("a length with an exponent is refused", rfc, post("hello", "Content-Length: 5e0")),
		refused("a length with a separator is refused", rfc, post("hello", "Content-Length: 1_0")),
		refused("a length with a space in it is refused", rfc, post("hello", "Content-Length: 1 0")),
		refused("a length with a parameter is refused", rfc, post("hello", "Content-Length: 5;x=y")),
		refused("a quoted length is refused", rfc, post("hello", `Content-Length: "5"`)),
		refused("a length with a vertical tab is refused", rfc, post("hello", "Content-Length: \v5")),
		refused("a length with a form feed is refused", rfc, post("hello", "Content-Length: 5\f")),
		refused("a length with a NUL is refused", rfc, post("hello", "Content-Length: 5\x00")),
		refused("a length with a no-break space is refused", rfc, post("hello", "Content-Length: \xa05")),
		refused("a length of 2^64 is refused", rfc, post("", "Content-Length: 18446744073709551616")),
		refused("a length of 2^64 + 5, which would wrap to 5, is refused", rfc, post("hello", "Content-Length: 18446744073709551621")),
		refused("a length of 2^63 is refused", rfc, post("", "Content-Length: 9223372036854775808")),
		refused("a length of 100 digits is refused", rfc, post("", "Content-Length: "+strings.Repeat("9", 100))),
		refused("a second, empty length is refused", rfc, post("hello", "Content-Length: 5", "Content-Length:")),
		refused("two lengths in HTTP/1.0 are refused", rfc, "POST / HTTP/1.0\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
	}
}

// codingRows are requests with a Transfer-Encoding.
func codingRows() []row {
	const rfc, chunks = "9112 6.1", "0\r\n\r\n"
	te := func(name, value string) row {
		return refused(name, rfc, post(chunks, "Transfer-Encoding:"+value))
	}
	not501 := func(r row) row {
		r.gets = []got{own("400|501")} // section 6.1 asks for 501 where a coding is unknown
		return r
	}
	return []row{
		passes("chunked passes", "9112 7.1", chunkedPost("5\r\nhello\r\n0\r\n\r\n")),
		passes("chunked in any case is chunked", "9112 7", post("5\r\nhello\r\n0\r\n\r\n", "transfer-ENCODING: ChunKED")),
		passes("white space around chunked is none of it", "9112 5.1", post("5\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: \t chunked \t")),
		passes("chunked without a space before it is chunked", "9112 5.1", post("5\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding:chunked")),
		passes("the next request begins right behind the last chunk", "9112 9.3", chunkedPost("5\r\nhello\r\n0\r\n\r\n")+hidden),
		not501(te("chunked twice is refused", " chunked, chunked")),
		refused("chunked twice on two lines is refused", rfc, post(chunks, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked")),
		not501(te("identity is refused", " identity")),
		not501(te("identity before chunked is refused", " identity, chunked")),
		not501(te("identity behind chunked is refused", " chunked, identity")),
		not501(te("gzip alone is refused", " gzip")),
		not501(te("gzip before chunked is refused", " gzip, chunked")),
		not501(te("gzip behind chunked is refused", " chunked, gzip")),
		not501(te("a coding that only begins with chunked is refused", " chunkedx")),
		not501(te("a coding that only ends with chunked is refused", " xchunked")),
		not501(te("a coding that is cut off is refused", " chunke")),
		not501(te("chunked with a parameter is refused", " chunked;q=1")),
		not501(te("quoted chunked is refused", ` "chunked"`)),
		not501(te("chunked in single quotes is refused", " 'chunked'")),
		not501(te("two words are refused", " x chunked")),
		not501(te("chunked with an empty member behind it is refused", " chunked,")),
		not501(te("chunked with an empty member before it is refused", " ,chunked")),
		not501(te("an empty coding is refused", "")),
		not501(te("a coding of white space is refused", "  \t")),
		not501(te("chunked behind a vertical tab is refused", "\vchunked")),
		not501(te("chunked before a form feed is refused", " chunked\f")),
		not501(te("chunked behind a byte of obs-text is refused", " \xa0chunked")),
		not501(te("a letter that looks like one of chunked is refused", " chun\xe2\x84\xaaed")),
		te("chunked before a NUL is refused", " chunked\x00"),
		te("chunked behind a bare CR is refused", "\rchunked"),
		te("chunked before a bare CR is refused", " chunked\rX: y"),
		refused("a second line with another coding is refused", rfc, post(chunks, "Transfer-Encoding: chunked", "Transfer-Encoding: x")),
		refused("a second, empty line is refused", rfc, post(chunks, "Transfer-Encoding: chunked", "Transfer-Encoding:")),
		refused("a first line with another coding is refused", rfc, post(chunks, "Transfer-Encoding: x", "Transfer-Encoding: chunked")),
		refused("chunked on a folded line is refused", "9112 5.2", post(chunks, "Transfer-Encoding:", " chunked")),
		refused("a fold that changes the coding is refused", "9112 5.2", post(chunks, "Transfer-Encoding: chunked", " , identity")),
		refused("a space before the colon is refused", "9112 5.1", post(chunks, "Transfer-Encoding : chunked")),
		refused("a tab before the colon is refused", "9112 5.1", post(chunks, "Transfer-Encoding\t: chunked")),
		refused("a vertical tab before the colon is refused", "9110 5.1", post(chunks, "Transfer-Encoding\v: chunked")),
		refused("a space before the name is refused", "9112 2.2", "POST / HTTP/1.1\r\n Transfer-Encoding: chunked\r\nHost: a.test\r\n\r\n"+chunks),
		refused("a field that a bare LF hides is refused", "9112 2.2", post(chunks, "X: y\nTransfer-Encoding: chunked")),
		refused("a field that a bare CR hides is refused", "9112 2.2", post(chunks, "X: y\rTransfer-Encoding: chunked")),
		refused("a coding in HTTP/1.0 is refused", rfc, "POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"+chunks),
		refused("a coding in HTTP/1.0 that wants to be kept alive is refused", rfc,
			"POST / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"+chunks),
		passes("a name with an underscore is another field", "9110 5.1", post("hello", "Transfer_Encoding: chunked", "Content-Length: 5")),
		passes("a name with a letter more is another field", "9110 5.1", post("hello", "X-Transfer-Encoding: chunked", "Content-Length: 5")),
	}
}

// smugglingRows have both framings, in every disguise that is known.
func smugglingRows() []row {
	const rfc, cl = "9112 6.3", "Content-Length: 5"
	both := func(name, length, coding string) row {
		return refused(name, rfc, post("0\r\n\r\n", length, coding))
	}
	return []row{
		both("a length before a coding is refused", cl, "Transfer-Encoding: chunked"),
		refused("a coding before a length is refused", rfc, post("0\r\n\r\n", "Transfer-Encoding: chunked", cl)),
		refused("CL.TE is refused", rfc, post("0\r\n\r\nGET /hidden HTTP/1.1\r\nX: ", "Content-Length: 30", "Transfer-Encoding: chunked")),
		refused("TE.CL is refused", rfc, post("26\r\n"+hidden+"\r\n0\r\n\r\n", "Content-Length: 4", "Transfer-Encoding: chunked")),
		refused("CL.0 with a coding is refused", rfc, post(hidden, "Content-Length: 0", "Transfer-Encoding: chunked")),
		both("a length with an unknown coding is refused", cl, "Transfer-Encoding: xchunked"),
		both("a length with identity is refused", cl, "Transfer-Encoding: identity"),
		both("a length with an empty coding is refused", cl, "Transfer-Encoding:"),
		both("a length with chunked in capitals is refused", cl, "TRANSFER-ENCODING: CHUNKED"),
		both("a length with chunked behind a tab is refused", cl, "Transfer-Encoding:\tchunked"),
		both("a length with chunked behind a vertical tab is refused", cl, "Transfer-Encoding: \vchunked"),
		both("a length with chunked before a space and a comma is refused", cl, "Transfer-Encoding: chunked ,"),
		both("a length with a coding that has a space before the colon is refused", cl, "Transfer-Encoding : chunked"),
		both("a length with a coding whose name begins with a space is refused", cl, " Transfer-Encoding: chunked"),
		both("a length with a coding behind a bare LF is refused", cl, "X: y\nTransfer-Encoding: chunked"),
		both("a length with a coding behind a bare CR is refused", cl, "X: y\rTransfer-Encoding: chunked"),
		both("a length with a coding behind CR CR LF is refused", cl, "X: y\r\r\nTransfer-Encoding: chunked"),
		both("a length with a coding on a folded line is refused", cl, "Transfer-Encoding:\r\n chunked"),
		both("a length with a NUL in the coding's name is refused", cl, "Transfer-Encoding\x00: chunked"),
		both("a length with a NUL in the coding is refused", cl, "Transfer-Encoding: chu\x00nked"),
		both("a length with a coding whose name has obs-text is refused", cl, "Transfer-Encoding\xff: chunked"),
		both("a length with a coding whose name is in quotes is refused", cl, `"Transfer-Encoding": chunked`),
		both("a length with a coding without a colon is refused", cl, "Transfer-Encoding chunked"),
		both("a length with a coding with a semicolon for a colon is refused", cl, "Transfer-Encoding; chunked"),
		both("a coding with a length that has a space before the colon is refused", "Content-Length : 5", "Transfer-Encoding: chunked"),
		both("a coding with an empty length is refused", "Content-Length:", "Transfer-Encoding: chunked"),
		both("a coding with a length that is none is refused", "Content-Length: x", "Transfer-Encoding: chunked"),
		both("a coding with a negative length is refused", "Content-Length: -1", "Transfer-Encoding: chunked"),
		refused("a GET with both is refused", rfc, request("GET / HTTP/1.1", cl, "Transfer-Encoding: chunked")+"0\r\n\r\n"),
		refused("both with Connection naming the coding is refused", rfc,
			post("0\r\n\r\n", cl, "Transfer-Encoding: chunked", "Connection: Transfer-Encoding")),
		refused("both with Connection naming the length is refused", rfc,
			post("0\r\n\r\n", cl, "Transfer-Encoding: chunked", "Connection: Content-Length")),
		refused("both in HTTP/1.0 are refused", rfc, "POST / HTTP/1.0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
	}
}
