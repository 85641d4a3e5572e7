package http1

// Method is a request method. Names are case-sensitive (RFC 9110 section 9.1),
// so "get" is a MethodOther.
type Method uint8

// The methods of RFC 9110 section 9 and RFC 5789.
const (
	MethodOther Method = iota
	GET
	HEAD
	POST
	PUT
	DELETE
	OPTIONS
	TRACE
	PATCH
	CONNECT
)

// maxMethod is the longest method that is let in, in bytes. The longest
// registered one, UPDATEREDIRECTREF, has 17.
const maxMethod = 32

// IsIdempotent tells whether a request may be sent again when the fate of the
// first is not known (RFC 9110 section 9.2.2).
func (m Method) IsIdempotent() bool {
	return m == PUT || m == DELETE || m.IsSafe()
}

// IsSafe tells whether a request asks for nothing but a look (RFC 9110 section
// 9.2.1).
func (m Method) IsSafe() bool {
	return m == GET || m == HEAD || m == OPTIONS || m == TRACE
}

func methodOf(name []byte) Method {
	switch string(name) {
	case "GET":
		return GET
	case "HEAD":
		return HEAD
	case "POST":
		return POST
	case "PUT":
		return PUT
	case "DELETE":
		return DELETE
	case "OPTIONS":
		return OPTIONS
	case "TRACE":
		return TRACE
	case "PATCH":
		return PATCH
	case "CONNECT":
		return CONNECT
	}
	return MethodOther
}

// MethodOf returns the method of that name.
func MethodOf(name []byte) Method { return methodOf(name) }
