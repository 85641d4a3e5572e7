package http2

import "strconv"

// The encoder of field sections (RFC 7541) has no dynamic table and no Huffman
// code: both cost more per request than the bytes that they save, and without a
// table what is encoded may be kept until there is room for it. So a field is a
// pseudo-field of the static table, or a literal whose name may be of the table.

// First bytes of representations: RFC 7541 sections 6.1, 6.2 and 6.3.
const (
	indexed      = 0x80
	literal      = 0x00
	neverIndexed = 0x10 // which nobody on the way may put into a table
	resizeTo0    = 0x20
)

// appendInt appends an integer with a prefix of some bits, after what is set in
// the rest of the first byte: RFC 7541 section 5.1.
func appendInt(dst []byte, first byte, bits int, n int) []byte {
	limit := 1<<bits - 1
	if n < limit {
		return append(dst, first|byte(n))
	}
	dst = append(dst, first|byte(limit))
	for n -= limit; n >= 0x80; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}

// appendText appends a text as it is: RFC 7541 section 5.2.
func appendText(dst, text []byte) []byte {
	return append(appendInt(dst, 0, 7, len(text)), text...)
}

// appendField appends a field, its name in lower case.
func appendField(dst, name, value []byte) []byte {
	if entry := staticEntry(name); entry != nil {
		dst = appendInt(dst, entry.first, 4, int(entry.index))
		return appendText(dst, value)
	}
	dst = appendInt(append(dst, literal), 0, 7, len(name))
	at := len(dst)
	dst = append(dst, name...)
	for i, c := range dst[at:] {
		if 'A' <= c && c <= 'Z' {
			dst[at+i] = c | 0x20
		}
	}
	return appendText(dst, value)
}

// Indices of the static table: RFC 7541 appendix A.
const (
	indexAuthority = 1
	indexGET       = 2
	indexPOST      = 3
	indexSlash     = 4
	indexHTTP      = 6
	indexHTTPS     = 7
	index200       = 8
)

// appendStatus appends :status.
func appendStatus(dst []byte, status int) []byte {
	switch status {
	case 200:
		return append(dst, indexed|index200)
	case 204:
		return append(dst, indexed|9)
	case 206:
		return append(dst, indexed|10)
	case 304:
		return append(dst, indexed|11)
	case 400:
		return append(dst, indexed|12)
	case 404:
		return append(dst, indexed|13)
	case 500:
		return append(dst, indexed|14)
	}
	dst = append(dst, literal|index200, 3)
	return strconv.AppendInt(dst, int64(status), 10)
}

// appendRequest appends the pseudo-fields of a request. Only those of a plain
// CONNECT lack :scheme and :path.
func appendRequest(dst []byte, h *Head) []byte {
	switch string(h.Method) {
	case "GET":
		dst = append(dst, indexed|indexGET)
	case "POST":
		dst = append(dst, indexed|indexPOST)
	default:
		dst = appendText(append(dst, literal|indexGET), h.Method)
	}
	if string(h.Method) != "CONNECT" || len(h.Protocol) > 0 {
		dst = appendTarget(dst, h)
	}
	if len(h.Authority) > 0 {
		dst = appendText(append(dst, literal|indexAuthority), h.Authority)
	}
	if len(h.Protocol) > 0 {
		dst = appendText(append(append(dst, literal), "\x09:protocol"...), h.Protocol)
	}
	return dst
}

func appendTarget(dst []byte, h *Head) []byte {
	switch string(h.Scheme) {
	case "http":
		dst = append(dst, indexed|indexHTTP)
	case "https":
		dst = append(dst, indexed|indexHTTPS)
	default:
		dst = appendText(append(dst, literal|indexHTTP), h.Scheme)
	}
	if string(h.Path) == "/" {
		return append(dst, indexed|indexSlash)
	}
	return appendText(append(dst, literal|indexSlash), h.Path)
}
