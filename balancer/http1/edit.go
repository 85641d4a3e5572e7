package http1

// EditOp is what an [Edit] does.
type EditOp uint8

const (
	EditSet    EditOp = iota // removes all fields of the name and appends one
	EditAdd                  // appends a field
	EditRemove               // removes all fields of the name
)

// Edit is one change of the fields of a head. Edits are made in their order and
// after everything else, so they win over what the codec writes itself. Name
// and Value must be valid by [ValidFieldName] and [ValidFieldValue].
type Edit struct {
	Op          EditOp
	Name, Value string
}

// reserved are the names that no Edit may have, in lower case: they frame the
// message, are about the connection, or are written by the codec.
var reserved = [...]string{
	"host", "content-length", "transfer-encoding", "trailer", "expect",
	"connection", "keep-alive", "proxy-connection", "te", "upgrade", "http2-settings",
}

// ValidFieldName tells whether an [Edit] may name this field: it is a token
// (RFC 9110 section 5.1), and not the name of one that frames the message, such
// as Content-Length, or belongs to the connection, such as Upgrade. Host is set
// with [RequestRewrite].
func ValidFieldName(name string) bool {
	if !isToken(name) {
		return false
	}
	for _, no := range reserved {
		if equalFold(name, no) {
			return false
		}
	}
	return true
}

// ValidFieldValue tells whether an [Edit] may write this value: no controls but
// HTAB, and no white space at its ends (RFC 9110 section 5.5).
func ValidFieldValue(value string) bool {
	if !all(value, inValue) {
		return false
	}
	return len(value) == 0 || !isWhite(value[0]) && !isWhite(value[len(value)-1])
}

func isWhite(c byte) bool { return c == ' ' || c == '\t' }

// replaces tells whether one of the edits removes the fields of a name that are
// there before it.
func replaces[T string | []byte](edits []Edit, name T) bool {
	for i := range edits {
		if e := &edits[i]; e.Op != EditAdd && equalFold(e.Name, name) {
			return true
		}
	}
	return false
}

// appendEdits writes the fields that the edits append and that no later one
// removes.
func appendEdits(dst []byte, edits []Edit) []byte {
	for i := range edits {
		if e := &edits[i]; e.Op != EditRemove && !replaces(edits[i+1:], e.Name) {
			dst = append(dst, e.Name...)
			dst = append(dst, ": "...)
			dst = append(dst, e.Value...)
			dst = append(dst, "\r\n"...)
		}
	}
	return dst
}

// appendFields copies the field lines, the start line before them too if from
// is where it begins, without those of the kinds to drop, those that Connection
// names and those that an edit removes. What lies between those is copied in
// one piece.
func (h *head) appendFields(dst []byte, from int, drop kinds, edits []Edit) []byte {
	for i := range h.fields {
		f := &h.fields[i]
		if !drop.has(f.kind) && !f.named && (len(edits) == 0 || !replaces(edits, h.nameOf(f))) {
			continue
		}
		if from < int(f.start) {
			dst = append(dst, h.buf[from:f.start]...)
		}
		from = int(f.end)
	}
	return append(dst, h.buf[from:h.end-2]...)
}
