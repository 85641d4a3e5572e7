package http1

// Framing is how the end of a message's body is found, RFC 9112 section 6.3.
type Framing uint8

const (
	FramingNone    Framing = iota // there is no body
	FramingLength                 // after a number of bytes
	FramingChunked                // after the last chunk and its trailer section
	FramingClose                  // when the connection ends; responses only
)

// maxDigits bounds Content-Length; 19 digits hold all of an int64.
const maxDigits = 19

// noteLength takes in a Content-Length: RFC 9110 section 8.6, and RFC 9112
// section 6.3, which allows to refuse even what a list of equal values would
// say.
func (h *head) noteLength(value []byte) *Fault {
	if h.seen&seenLength != 0 {
		return FaultLengthTwice
	}
	length := decimal(value)
	switch {
	case length < 0:
		return FaultLength
	case h.seen&seenChunked != 0:
		return FaultLengthAndCoding
	case h.seen&seenBodiless != 0 && length != 0:
		return FaultContent
	}
	h.length = length
	h.seen |= seenLength
	return nil
}

// decimal reads 1*DIGIT, and returns -1 for anything else and for what does
// not fit.
func decimal(value []byte) int64 {
	if len(value) == 0 || len(value) > maxDigits {
		return -1
	}
	var n uint64
	for _, c := range value {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + uint64(c-'0')
	}
	if n > 1<<63-1 {
		return -1
	}
	return int64(n)
}

// noteCoding takes in a Transfer-Encoding: RFC 9112 sections 6.1 and 7. Only
// the one coding that frames is known, because the others are used by nobody
// and would have to be undone to be sure that chunked is the last.
func (h *head) noteCoding(value []byte) *Fault {
	switch {
	case h.seen&seenChunked != 0:
		return FaultCodingTwice
	case !is(value, "chunked"):
		return FaultCoding
	case h.seen&seenMinor0 != 0:
		return FaultCodingVersion
	case h.seen&seenLength != 0:
		return FaultLengthAndCoding
	case h.seen&seenBodiless != 0:
		return FaultContent
	}
	h.seen |= seenChunked
	return nil
}
