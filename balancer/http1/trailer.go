package http1

// Bounds of a trailer section.
const (
	maxTrailer       = 16 << 10 // bytes
	maxTrailerFields = 64
)

// refusedTrailers are names, in lower case, that must not be in a trailer
// section because the next hop might merge them into the head after this one
// framed, routed and allowed the message without them: RFC 9110 section 6.5.1.
// One that ends in "-" stands for all that begin with it.
var refusedTrailers = [...]string{
	"content-length", "transfer-encoding", "trailer", "te", // framing
	"content-encoding", "content-type", "content-range", // what the content is
	"host", "connection", "keep-alive", "proxy-connection", "upgrade", "http2-settings", // routing and this hop
	"expect", "max-forwards", "forwarded", xForwarded,
	"authorization", "proxy-authorization", "cookie", clientSubject, // who asks
}

// MayTrail tells whether a field of that name, a token, may be in a trailer
// section: a body with others is refused.
func MayTrail(name []byte) bool {
	b := Body{names: 1<<len(refusedTrailers) - 1}
	for _, c := range name {
		b.narrow(c)
	}
	return b.endOfName() == nil
}

// trailerByte reads the trailer section: field lines (RFC 9112 section 5) and
// an empty line.
func (b *Body) trailerByte(c byte) *Fault {
	if b.trailer++; b.trailer > maxTrailer {
		return FaultTrailerTooLarge
	}
	switch b.state {
	case trailerStart:
		return b.trailerStart(c)
	case trailerName:
		return b.trailerName(c)
	case trailerValue:
		if c == '\r' {
			b.state = trailerLF
		} else if c == '\n' {
			return FaultBareLF
		} else if classes[c]&inValue == 0 {
			return FaultControl
		}
		return nil
	case trailerLF:
		return b.want(c, '\n', trailerStart, FaultBareCR)
	}
	return b.want(c, '\n', bodyDone, FaultBareCR)
}

func (b *Body) trailerStart(c byte) *Fault {
	switch {
	case c == '\r':
		b.state = trailerFinalLF
		return nil
	case c == '\n':
		return FaultBareLF
	case c == ' ' || c == '\t':
		return FaultFolded
	case classes[c]&inToken == 0:
		return FaultFieldName
	case b.fields == maxTrailerFields:
		return FaultTrailerTooMany
	}
	b.fields++
	b.state, b.line, b.names = trailerName, 0, 1<<len(refusedTrailers)-1
	return b.trailerName(c)
}

func (b *Body) trailerName(c byte) *Fault {
	switch {
	case classes[c]&inToken != 0:
		b.narrow(c)
		return nil
	case c == ' ' || c == '\t':
		return FaultNameSpace
	case c == '\r' || c == '\n':
		return FaultNoColon
	case c != ':':
		return FaultFieldName
	}
	b.state = trailerValue
	return b.endOfName()
}

// endOfName judges the name that was read.
func (b *Body) endOfName() *Fault {
	for i, name := range refusedTrailers {
		if b.names>>i&1 != 0 && (len(name) == int(b.line) || name == xForwarded && len(name) < int(b.line)) {
			return FaultTrailerName
		}
	}
	return nil
}

// narrow strikes off the names that do not have c next. Underscores count as
// hyphens, as they do for CGI.
func (b *Body) narrow(c byte) {
	if c = lower[c]; c == '_' {
		c = '-'
	}
	at := int(b.line)
	b.line++
	if b.names == 0 {
		return
	}
	for i, name := range refusedTrailers {
		if at < len(name) && name[at] != c {
			b.names &^= 1 << i
		}
	}
}
