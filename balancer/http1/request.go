package http1

import (
	"encoding/binary"
	"math"
)

// Request is a parsed request head. It is made to be reused; its slices point
// into the buffer that was parsed and die with it.
type Request struct {
	// Size is the length of the head in bytes, with leading empty lines and the
	// empty line at its end.
	Size       int
	Method     Method
	MethodText []byte
	Minor      uint8 // of the version HTTP/1.Minor: 0 or 1

	Form   Form
	Target []byte // as it came
	// Host is the authority of a target in absolute form, else what the Host
	// field says: empty if that is empty or, in HTTP/1.0, absent.
	Host []byte
	// Path and Query are of a target in origin or absolute form, as they came,
	// without the "?"; "*" is a path too. There may be a query that is empty.
	Path, Query []byte
	HasQuery    bool

	Framing Framing
	Length  int64 // what Content-Length says, -1 if there is none

	Close      bool   // the connection is to end after this exchange
	KeepAlive  bool   // an HTTP/1.0 client asks for the connection to stay
	Expect     bool   // an HTTP/1.1 client waits for 100 before it sends its content
	Upgrade    []byte // protocols that an HTTP/1.1 client offers to switch to, nil if none
	TETrailers bool   // trailers are welcome in the response

	head head
}

// Parse reads the head at the start of buf. It returns its length n, or 0 if
// the head is not complete yet: then it is to be called again with the same
// bytes and more, which may have moved, and the same p. Unless n is more than
// 0, r means nothing.
//
// The error is a [*Fault], reported at the latest when the line is complete
// that holds it. limits may be nil.
func (r *Request) Parse(buf []byte, p *Progress, limits *Limits) (n int, err error) {
	l := orDefaults(limits)
	p.check(buf)
	resumed := p.line > 0
	done, fault := r.parse(buf, p, &l)
	if done && resumed { // the lines that earlier calls looked at were not kept
		*p = Progress{}
		done, fault = r.parse(buf, p, &l)
	}
	if done {
		fault = r.finish()
	}
	if done || fault != nil {
		*p = Progress{}
	}
	if fault != nil {
		return 0, fault
	}
	return r.Size, nil
}

// parse reads lines from where p is to the end of the head (done).
func (r *Request) parse(buf []byte, p *Progress, l *Limits) (done bool, fault *Fault) {
	r.Size = 0
	r.head.reset(buf, p, l)
	for p.stage < stageFields {
		end, fault := p.lineEnd(buf, l, FaultTargetTooLong)
		if end == 0 {
			return false, fault
		}
		start := int(p.line)
		p.line = uint32(end)
		if end-start > 2 {
			p.stage = stageFields
			r.head.start = start
			if fault := r.parseLine(buf[start : end-2]); fault != nil {
				return false, fault
			}
		} else if p.stage == maxEmpty {
			return false, FaultEmptyLines
		} else {
			p.stage++
		}
	}
	return r.head.parseFields(p, l)
}

// The versions that are known, as the eight bytes that they are written with.
const (
	version10 = 'H' | 'T'<<8 | 'T'<<16 | 'P'<<24 | '/'<<32 | '1'<<40 | '.'<<48 | '0'<<56
	version11 = version10 | 1<<56
)

// parseLine reads the request line: RFC 9112 section 3. One space stands
// between its parts, and not the white space that section 3 lets a lenient
// server accept.
func (r *Request) parseLine(line []byte) *Fault {
	sp := tokenLen(line)
	if sp == 0 || sp > maxMethod || sp == len(line) || line[sp] != ' ' {
		return FaultMethod
	}
	r.MethodText = line[:sp:sp]
	r.Method = methodOf(r.MethodText)
	end := len(line) - len(" HTTP/1.1")
	if end < sp+1 || line[end] != ' ' {
		return FaultVersion
	}
	switch binary.LittleEndian.Uint64(line[end+1:]) {
	case version11:
		r.Minor = 1
	case version10:
		r.Minor = 0
		r.head.seen |= seenMinor0
	default:
		return FaultVersion
	}
	if end == sp+1 {
		return FaultTarget
	}
	r.Target = line[sp+1 : end : end]
	return r.parseTarget()
}

// finish draws the conclusions from a whole head.
func (r *Request) finish() *Fault {
	h := &r.head
	if h.seen&(seenHost|seenMinor0) == 0 {
		return FaultHostMissing
	}
	h.markNamed()
	r.Size = h.end
	if r.Form != AbsoluteForm {
		r.Host = h.host
	}
	r.Length = h.length
	switch {
	case h.seen&seenChunked != 0:
		r.Framing = FramingChunked
	case h.seen&seenLength != 0:
		r.Framing = FramingLength
	default:
		r.Framing = FramingNone
	}
	old := h.seen&seenMinor0 != 0
	r.KeepAlive = old && h.seen&(seenKeepAlive|seenClose) == seenKeepAlive
	r.Close = h.seen&seenClose != 0 || old && !r.KeepAlive
	r.Expect = h.seen&seenExpect != 0 && !old && r.hasContent()
	r.TETrailers = h.seen&seenTrailers != 0 && !old
	r.Upgrade = h.upgrade()
	return nil
}

func (r *Request) hasContent() bool {
	return r.Framing == FramingChunked || r.Framing == FramingLength && r.Length > 0
}

// Field returns the value of the first field of a name, in whatever case,
// without the white space around it.
func (r *Request) Field(name string) (value []byte, ok bool) { return r.head.get(name) }

// MaxForwards returns how many further hops a TRACE or OPTIONS may take (RFC
// 9110 section 7.6.2). ok is false for any other method, which ignores the
// field, and for a value that is no number.
func (r *Request) MaxForwards() (hops uint64, ok bool) {
	if r.Method != TRACE && r.Method != OPTIONS {
		return 0, false
	}
	value, ok := r.Field("Max-Forwards")
	if !ok || len(value) == 0 {
		return 0, false
	}
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
		hops = min(hops*10+uint64(c-'0'), math.MaxUint32) // of more, less may be passed on
	}
	return hops, true
}

// Fields gives all fields in the order in which they came, to range over.
func (r *Request) Fields(yield func(name, value []byte) bool) { r.head.each(yield) }
