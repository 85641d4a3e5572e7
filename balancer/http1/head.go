package http1

import "slices"

// head is what requests and responses have in common: the field lines between
// the start line and the empty line.
type head struct {
	buf    []byte // what was parsed
	fields []field
	start  int    // where the start line begins
	first  int    // where the first field line begins
	end    int    // after the empty line
	length int64  // of Content-Length, -1 if there is none
	seen   marks  // what the fields so far say
	sizes  uint64 // lengths of the names so far, modulo 64
	host   []byte // value of Host
	offer  []byte // value of Upgrade

	options, maxOptions int
}

// field is one field line, as offsets into the buffer.
type field struct {
	start, colon    uint32 // the name is between them
	value, valueEnd uint32
	end             uint32 // after the line's end
	kind            kind
	named           bool // in Connection, hence for this hop only
}

// marks is what the lines so far say, as far as it decides on later lines or on
// the whole; it fits into a [Progress].
type marks uint16

const (
	seenMinor0    marks = 1 << iota // HTTP/1.0
	seenResponse                    // a response, not a request
	seenBodiless                    // 1xx or 204
	seenSwitch                      // 101
	seenHost                        // Host
	seenLength                      // Content-Length
	seenChunked                     // Transfer-Encoding
	seenClose                       // Connection: close
	seenKeepAlive                   // Connection: keep-alive
	seenUpgrading                   // Connection: upgrade
	seenNamed                       // Connection names something else
	seenUpgrade                     // Upgrade
	seenUpgrades                    // a second Upgrade, or one that is none
	seenTrailers                    // TE: trailers
	seenExpect                      // Expect: 100-continue
)

// reset makes ready for a call of Parse.
func (h *head) reset(buf []byte, p *Progress, l *Limits) {
	h.buf, h.fields, h.host = buf, h.fields[:0], nil
	h.length, h.seen, h.sizes = -1, p.seen, 0
	h.options, h.maxOptions = int(p.options), l.Fields
}

// parseFields reads field lines from where p is, until the empty line (done),
// a fault or the end of the bytes. The lines between the start of the buffer
// and p were found good by earlier calls.
func (h *head) parseFields(p *Progress, l *Limits) (done bool, fault *Fault) {
	h.first = int(p.line)
	whole := h.buf[:min(len(h.buf), l.Head)]
	for at := h.first; ; {
		f, end := h.next(), 0
		if int(p.scanned) <= at { // else an earlier call saw that the line is not whole
			end = quickField(whole, at, f)
		}
		if end == 0 || end-at > l.Line {
			if end, fault = h.slowField(p, l, f); end == 0 {
				p.seen, p.options = h.seen, uint16(h.options)
				return false, fault
			}
		}
		p.line = uint32(end)
		if end-at == 2 {
			h.end = end
			return true, nil
		}
		if int(p.fields) == l.Fields {
			return false, FaultTooManyFields
		}
		p.fields++
		if fault := h.add(f); fault != nil {
			return false, fault
		}
		at = end
	}
}

// next is where the next field goes; add counts it. It is written in place,
// because copying what was just written in small parts stalls the processor.
func (h *head) next() *field {
	n := len(h.fields)
	if n == cap(h.fields) {
		h.fields = slices.Grow(h.fields, 16)
	}
	return &h.fields[:n+1][n]
}

// add takes in the field that was written to next.
func (h *head) add(f *field) *Fault {
	h.fields = h.fields[:len(h.fields)+1]
	name := h.nameOf(f)
	h.sizes |= 1 << (len(name) & 63)
	f.kind, f.named = kindOf(name), false
	if f.kind == kindOther {
		return nil
	}
	return h.note(f.kind, h.valueOf(f))
}

// quickField reads the line at start if it is a field line that is there whole
// and well-formed, or an empty line, in one pass, and returns where it ends;
// else 0, and slowField is to be asked.
func quickField(buf []byte, start int, f *field) (end int) {
	i := start + tokenLen(buf[start:])
	colon := i
	if i+1 >= len(buf) {
		return 0
	}
	if buf[i] != ':' || i == start {
		if i == start && buf[i] == '\r' && buf[i+1] == '\n' {
			return i + 2
		}
		return 0
	}
	i++
	for i < len(buf) && buf[i] == ' ' {
		i++
	}
	value := i
	i += plainLen(buf[i:])
	if i+1 >= len(buf) || buf[i] != '\r' || buf[i+1] != '\n' {
		return 0
	}
	end = i + 2
	for i > value && buf[i-1] == ' ' {
		i--
	}
	f.start, f.colon, f.end = uint32(start), uint32(colon), uint32(end)
	f.value, f.valueEnd = uint32(value), uint32(i)
	return end
}

// slowField reads the line that p is at: RFC 9112 section 5. It returns where
// the line ends, or 0 if it is not complete or at fault.
func (h *head) slowField(p *Progress, l *Limits, f *field) (end int, fault *Fault) {
	end, fault = p.lineEnd(h.buf, l, FaultLineTooLong)
	start := int(p.line)
	if end == 0 || end-start == 2 {
		return end, fault
	}
	line := h.buf[start : end-2]
	colon := tokenLen(line)
	if colon == 0 || colon == len(line) || line[colon] != ':' {
		return 0, nameFault(line, colon)
	}
	from, to := start+colon+1, end-2
	for from < to && isWhite(h.buf[from]) {
		from++
	}
	for from < to && isWhite(h.buf[to-1]) {
		to--
	}
	if value := h.buf[from:to]; !IsValue(value) {
		return 0, controlFault(value)
	}
	f.start, f.colon, f.end = uint32(start), uint32(start+colon), uint32(end)
	f.value, f.valueEnd = uint32(from), uint32(to)
	return end, nil
}

// nameFault tells what is wrong with a field line whose first n bytes are a
// token and not followed by a colon.
func nameFault(line []byte, n int) *Fault {
	rest := line[n:]
	white := trim(rest)
	switch {
	case len(rest) == 0:
		return FaultNoColon
	case n == 0 && len(white) < len(rest) && (rest[0] == ' ' || rest[0] == '\t'):
		return FaultFolded
	case len(white) > 0 && white[0] == ':' && n > 0:
		return FaultNameSpace
	}
	return FaultFieldName
}

// controlFault tells what is wrong with a text that IsValue refused.
func controlFault(value []byte) *Fault {
	for _, c := range value {
		if c == '\r' {
			return FaultBareCR
		}
		if classes[c]&inValue == 0 {
			break
		}
	}
	return FaultControl
}

// note takes in what a field says about the message and its connection.
func (h *head) note(k kind, value []byte) *Fault {
	switch k {
	case kindHost:
		return h.noteHost(value)
	case kindContentLength:
		return h.noteLength(value)
	case kindTransferEncoding:
		return h.noteCoding(value)
	case kindConnection:
		return h.noteConnection(value)
	case kindUpgrade:
		h.noteUpgrade(value)
	case kindTE:
		if hasElement(value, "trailers") {
			h.seen |= seenTrailers
		}
	case kindExpect:
		if hasElement(value, "100-continue") {
			h.seen |= seenExpect
		}
	}
	return nil
}

func (h *head) nameOf(f *field) []byte  { return h.buf[f.start:f.colon:f.colon] }
func (h *head) valueOf(f *field) []byte { return h.buf[f.value:f.valueEnd:f.valueEnd] }

// get returns the value of the first field of a name.
func (h *head) get(name string) (value []byte, ok bool) {
	for i := range h.fields {
		if f := &h.fields[i]; equalFold(h.nameOf(f), name) {
			return h.valueOf(f), true
		}
	}
	return nil, false
}

// each gives all fields in their order.
func (h *head) each(yield func(name, value []byte) bool) {
	for i := range h.fields {
		if f := &h.fields[i]; !yield(h.nameOf(f), h.valueOf(f)) {
			return
		}
	}
}
