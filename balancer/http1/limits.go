package http1

import "bytes"

// Limits bound a head. Zero and negative fields mean those of [DefaultLimits].
type Limits struct {
	Head   int // bytes of a head with its line ends and leading empty lines; at most 1 GiB
	Line   int // bytes of one line with its end
	Fields int // field lines, and also the names in Connection; at most 65,535
}

// DefaultLimits are the limits where nothing else was asked for.
const (
	DefaultHead   = 64 << 10
	DefaultLine   = 16 << 10
	DefaultFields = 128

	// [Progress] counts in 32 and 16 bits.
	maxHead   = 1 << 30
	maxFields = 1<<16 - 1
)

// WithDefaults returns the limits with defaults for the fields that have none,
// and larger ones than possible made the largest possible.
func (l Limits) WithDefaults() Limits {
	if l.Head <= 0 {
		l.Head = DefaultHead
	}
	if l.Line <= 0 {
		l.Line = DefaultLine
	}
	if l.Fields <= 0 {
		l.Fields = DefaultFields
	}
	l.Head = min(l.Head, maxHead)
	l.Line = min(l.Line, l.Head)
	l.Fields = min(l.Fields, maxFields)
	return l
}

// Progress is how far the head at the start of a buffer was looked at by
// earlier calls of Parse; its zero value is the beginning. Each connection
// needs one. Parse leaves it at the beginning again when it returns a head or a
// fault; who gives up a head that is not complete sets it to zero.
type Progress struct {
	line    uint32 // where the first line begins that is not complete
	scanned uint32 // up to where that line was searched for its end
	fields  uint16 // complete field lines
	options uint16 // names in their Connection fields
	seen    marks  // what they say
	stage   stage
}

// stage is what the next line of a head is: below stageFields the start line,
// after as many empty lines.
type stage uint8

const (
	// maxEmpty is how many empty lines before a request line are overlooked:
	// RFC 9112 section 2.2 asks for at least one, because old clients send one
	// after the content of a POST.
	maxEmpty          = 2
	stageFields stage = maxEmpty + 1
)

// lineEnd returns where the line that p is at ends, or 0 if that is not known
// yet. The limits come first, whatever the line holds, so that a line that is
// there whole is refused for the same reason as one that comes byte by byte.
func (p *Progress) lineEnd(buf []byte, l *Limits, tooLong *Fault) (end int, fault *Fault) {
	start := int(p.line)
	bound, tooLarge := l.Head, FaultHeadTooLarge
	if start+l.Line < bound {
		bound, tooLarge = start+l.Line, tooLong
	}
	from, stop := max(start, int(p.scanned)), min(len(buf), bound)
	if from >= stop {
		if len(buf) >= bound {
			return 0, tooLarge
		}
		return 0, nil
	}
	i := bytes.IndexByte(buf[from:stop], '\n')
	if i < 0 {
		p.scanned = uint32(stop)
		if stop == bound {
			return 0, tooLarge
		}
		return 0, nil
	}
	end = from + i + 1
	if end-start < 2 || buf[end-2] != '\r' {
		return 0, FaultBareLF
	}
	return end, nil
}

func orDefaults(l *Limits) Limits {
	if l == nil {
		return Limits{}.WithDefaults()
	}
	return l.WithDefaults()
}

// check starts over if fewer bytes are there than were looked at: no caller
// does that rightly, but none shall read beyond a buffer either.
func (p *Progress) check(buf []byte) {
	if int(max(p.scanned, p.line)) > len(buf) {
		*p = Progress{}
	}
}
