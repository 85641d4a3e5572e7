package http1

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

func (m marks) has(all marks) bool { return m&all == all }

// reset makes ready for a call of Parse.
func (h *head) reset(buf []byte, p *Progress, l *Limits) {
	*h = head{buf: buf, fields: h.fields[:0], length: -1, seen: p.seen, options: int(p.options), maxOptions: l.Fields}
}

// parseFields reads field lines from where p is, until the empty line (done),
// a fault or the end of the bytes. The lines between the start of the buffer
// and p were found good by earlier calls.
func (h *head) parseFields(p *Progress, l *Limits) (done bool, fault *Fault) {
	h.first = int(p.line)
	whole := h.buf[:min(len(h.buf), l.Head)]
	for at := h.first; ; at = int(p.line) {
		var f field
		if int(p.scanned) <= at { // else an earlier call saw that the line is not whole
			f = quickField(whole, at)
		}
		if int(f.end)-at > l.Line || f.end == 0 {
			if f, fault = h.slowField(p, l); f.end == 0 {
				p.seen, p.options = h.seen, uint16(h.options)
				return false, fault
			}
		}
		p.line = f.end
		if int(f.end)-at == 2 {
			h.end = int(f.end)
			return true, nil
		}
		if int(p.fields) == l.Fields {
			return false, FaultTooManyFields
		}
		p.fields++
		if fault := h.add(f); fault != nil {
			return false, fault
		}
	}
}

// add takes in a field line.
func (h *head) add(f field) *Fault {
	name := h.nameOf(&f)
	h.sizes |= 1 << (len(name) & 63)
	if len(name) > 0 {
		f.kind = kindOf(name)
	}
	h.fields = append(h.fields, f)
	if f.kind == kindOther {
		return nil
	}
	return h.note(f.kind, h.valueOf(&f))
}

// quickField reads the line at start if it is a field line that is there whole
// and well-formed, or an empty line, in one pass; else the end is 0 and
// slowField is to be asked.
func quickField(buf []byte, start int) (f field) {
	i := start
	for i < len(buf) && classes[buf[i]]&inToken != 0 {
		i++
	}
	colon := i
	if i++; i < len(buf) && buf[i] == ' ' {
		i++
	}
	if i >= len(buf) {
		return field{}
	}
	value := i
	if colon == start || buf[colon] != ':' {
		if buf[start] != '\r' || buf[start+1] != '\n' {
			return field{}
		}
		return field{end: uint32(start + 2)}
	}
	i += plainLen(buf[i:])
	if i+1 >= len(buf) || buf[i] != '\r' || buf[i+1] != '\n' {
		return field{}
	}
	end := i
	for end > value && buf[end-1] == ' ' {
		end--
	}
	for value < end && buf[value] == ' ' {
		value++
	}
	return field{
		start: uint32(start), colon: uint32(colon), value: uint32(value), valueEnd: uint32(end), end: uint32(i + 2),
	}
}

// slowField reads the line that p is at: RFC 9112 section 5. The end is 0 if it
// is not complete or at fault.
func (h *head) slowField(p *Progress, l *Limits) (f field, fault *Fault) {
	end, fault := p.lineEnd(h.buf, l, FaultLineTooLong)
	if end == 0 {
		return field{}, fault
	}
	start := int(p.line)
	if end-start == 2 {
		return field{end: uint32(end)}, nil
	}
	line := h.buf[start : end-2]
	colon := tokenLen(line)
	if colon == 0 || colon == len(line) || line[colon] != ':' {
		return field{}, nameFault(line, colon)
	}
	value := trim(line[colon+1:])
	if !isValue(value) {
		return field{}, controlFault(value)
	}
	from := start + colon + 1
	for from < end && isWhite(h.buf[from]) {
		from++
	}
	return field{
		start: uint32(start), colon: uint32(start + colon),
		value: uint32(from), valueEnd: uint32(from + len(value)), end: uint32(end),
	}, nil
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

// controlFault tells what is wrong with a text that isValue refused.
func controlFault(value []byte) *Fault {
	for _, c := range value {
		if c == '\r' {
			return FaultBareCR
		}
		if classes[c]&inValue == 0 {
			return FaultControl
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

// one returns the value of the first field of a kind.
func (h *head) one(k kind) []byte {
	for i := range h.fields {
		if f := &h.fields[i]; f.kind == k {
			return h.valueOf(f)
		}
	}
	return nil
}
