package hello

// Verdict is what the first bytes of a connection are.
type Verdict uint8

const (
	// Incomplete means that more bytes have to come.
	Incomplete Verdict = iota
	// Complete means that there is a hello.
	Complete
	// NotTLS means that the bytes are of another protocol. SSL 2.0 is one: its
	// hello has no server name.
	NotTLS
	// Malformed means that the bytes began as a hello and are none.
	Malformed
)

// String returns the verdict in words.
func (v Verdict) String() string {
	switch v {
	case Incomplete:
		return "incomplete"
	case Complete:
		return "complete"
	case NotTLS:
		return "not TLS"
	default:
		return "malformed"
	}
}

// MaxBytes is the longest hello that is read, with the headers of its records.
// Those of browsers have 0.5 to 2 KB; one with a ticket that holds a chain of
// certificates may need more than one record, 16 KiB.
const MaxBytes = 32 << 10

// The record layer and the head of a message, RFC 8446 sections 4 and 5.1.
const (
	recordHeader  = 5
	recordMost    = 1 << 14
	typeHandshake = 22
	majorVersion  = 3 // of SSL 3.0 and of every TLS
	messageHeader = 4
	typeHello     = 1
)

// Reader reads one connection's hello while its bytes arrive. Its zero value is
// ready. The outcome does not depend on how the bytes arrive, and the work is
// linear in them.
type Reader struct {
	at      int    // where the record begins that is not read yet
	message []byte // what the records before it hold
}

// Read looks at all bytes since the connection's beginning: p begins with what
// it was given before. With [Complete] there is a hello, which points into p, or
// into memory of its own if several records hold it. After any verdict but
// [Incomplete] there is no further call.
func (r *Reader) Read(p []byte) (Hello, Verdict) {
	for {
		fragment, length, v := r.record(p)
		if v != Complete {
			return Hello{}, v
		}
		body, whole, v := r.join(fragment)
		switch {
		case v != Complete:
			return Hello{}, v
		case whole:
			return parse(body)
		case len(fragment) < length:
			return Hello{}, Incomplete
		}
		r.message = append(r.message, fragment...)
		r.at += recordHeader + length
	}
}

// record returns the content of the next record, as far as it has come, and how
// long it is.
func (r *Reader) record(p []byte) (fragment []byte, length int, v Verdict) {
	other := Malformed
	if r.at == 0 {
		other = NotTLS
	}
	rest := p[r.at:]
	switch {
	case len(rest) > 0 && rest[0] != typeHandshake, len(rest) > 1 && rest[1] != majorVersion:
		return nil, 0, other
	case len(rest) < recordHeader:
		return nil, 0, Incomplete
	}
	length = int(rest[3])<<8 | int(rest[4])
	if length == 0 || length > recordMost || r.at+recordHeader+length > MaxBytes {
		return nil, 0, Malformed
	}
	rest = rest[recordHeader:]
	return rest[:min(length, len(rest))], length, Complete
}

// join returns the message's body behind its header if it is there, from what
// was read before and the present fragment. The verdict is about what is known
// so far.
func (r *Reader) join(fragment []byte) (body []byte, whole bool, v Verdict) {
	var header [messageHeader]byte
	known := copy(header[:], r.message)
	known += copy(header[known:], fragment)
	if known > 0 && header[0] != typeHello {
		return nil, false, Malformed
	}
	if known < messageHeader {
		return nil, false, Complete
	}
	size := messageHeader + (int(header[1])<<16 | int(header[2])<<8 | int(header[3]))
	if size > MaxBytes {
		return nil, false, Malformed
	}
	if len(r.message)+len(fragment) < size {
		return nil, false, Complete
	}
	if len(r.message) == 0 {
		return fragment[messageHeader:size], true, Complete
	}
	return append(r.message, fragment...)[messageHeader:size], true, Complete
}
