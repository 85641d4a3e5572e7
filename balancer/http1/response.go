package http1

import "encoding/binary"

// Response is a parsed response head. It is made to be reused; its slices point
// into the buffer that was parsed and die with it.
type Response struct {
	Size   int // length of the head in bytes, with the empty line at its end
	Status int // 100 to 599
	Reason []byte
	Minor  uint8 // of the version HTTP/1.Minor: 0 or 1

	// Framing is that of the bytes that follow the head, given the request's
	// method: none for HEAD, 1xx, 204 and 304, whatever the fields say.
	Framing Framing
	Length  int64 // what Content-Length says, -1 if there is none

	Close   bool   // the connection is to end after this response
	Upgrade []byte // what a 101 switches to, else nil

	head head
}

// Parse reads the head of a response to a request with a method at the start of
// buf, as [Request.Parse] does.
func (r *Response) Parse(buf []byte, p *Progress, limits *Limits, method Method) (n int, err error) {
	l := orDefaults(limits)
	p.check(buf)
	resumed := p.line > 0
	done, fault := r.parse(buf, p, &l)
	if done && resumed { // the lines that earlier calls looked at were not kept
		*p = Progress{}
		done, fault = r.parse(buf, p, &l)
	}
	if done {
		fault = r.finish(method)
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
func (r *Response) parse(buf []byte, p *Progress, l *Limits) (done bool, fault *Fault) {
	r.Size = 0
	r.head.reset(buf, p, l)
	if p.stage < stageFields {
		end, fault := p.lineEnd(buf, l, FaultStatusTooLong)
		if end == 0 {
			return false, fault
		}
		p.line, p.stage = uint32(end), stageFields
		if fault := r.parseLine(buf[:end-2]); fault != nil {
			return false, fault
		}
	}
	return r.head.parseFields(p, l)
}

// bareStatusLine is the length of a status line that ends after the status.
const bareStatusLine = len("HTTP/1.1 200")

// parseLine reads the status line: RFC 9112 section 4.
func (r *Response) parseLine(line []byte) *Fault {
	if len(line) < bareStatusLine || line[8] != ' ' || len(line) > bareStatusLine && line[bareStatusLine] != ' ' {
		return FaultStatusLine
	}
	r.head.seen |= seenResponse
	switch binary.LittleEndian.Uint64(line) {
	case version11:
		r.Minor = 1
	case version10:
		r.Minor = 0
		r.head.seen |= seenMinor0
	default:
		return FaultVersion
	}
	r.Status = int(decimal(line[9:bareStatusLine]))
	if r.Status < 100 || r.Status > 599 {
		return FaultStatusLine
	}
	r.Reason = nil
	if len(line) > bareStatusLine {
		r.Reason = line[bareStatusLine+1:]
		if !IsValue(r.Reason) {
			return controlFault(r.Reason)
		}
	}
	switch {
	case r.Status == 101:
		r.head.seen |= seenBodiless | seenSwitch
	case r.Status < 200 || r.Status == 204:
		r.head.seen |= seenBodiless
	}
	return nil
}

// finish draws the conclusions from a whole head: how the body ends (RFC 9112
// section 6.3, rules 1, 2, 4, 6 and 8) and whether the connection does (section
// 9.3).
func (r *Response) finish(method Method) *Fault {
	h := &r.head
	r.Upgrade = nil
	if h.seen&seenSwitch != 0 {
		if r.Upgrade = h.upgrade(); r.Upgrade == nil {
			return FaultSwitch
		}
	}
	h.markNamed()
	r.Size = h.end
	r.Length = h.length
	switch {
	case method == HEAD, h.seen&seenBodiless != 0, r.Status == 304, method == CONNECT && r.Status < 300:
		r.Framing = FramingNone
	case h.seen&seenChunked != 0:
		r.Framing = FramingChunked
	case h.seen&seenLength != 0:
		r.Framing = FramingLength
	default:
		r.Framing = FramingClose
	}
	r.Close = h.seen&seenClose != 0 || h.seen&(seenMinor0|seenKeepAlive) == seenMinor0 || r.Framing == FramingClose
	return nil
}

// Field returns the value of the first field of a name, in whatever case,
// without the white space around it.
func (r *Response) Field(name string) (value []byte, ok bool) { return r.head.get(name) }

// Fields gives all fields in the order in which they came, to range over.
func (r *Response) Fields(yield func(name, value []byte) bool) { r.head.each(yield) }
