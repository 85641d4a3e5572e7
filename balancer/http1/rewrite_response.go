package http1

// ResponseRewrite says how a response head is written for the client. Fields
// for one hop (RFC 9110 section 7.6.1) are left out in any case.
type ResponseRewrite struct {
	Close     bool   // write "Connection: close"
	KeepAlive bool   // write "Connection: keep-alive", for an HTTP/1.0 client
	Upgrade   bool   // pass on what a 101 switches to
	Unchunk   bool   // leave out Transfer-Encoding and Trailer: the body is sent without chunks
	Via       bool   // append this hop to Via
	HTTP2     bool   // the response came over HTTP/2, which Via is to tell
	Edits     []Edit // changes of the fields
	Extra     []byte // whole field lines with their ends, appended last
}

// AppendTo appends the head as it is to be sent to the client, with the empty
// line at its end. r must hold what Parse returned, and the buffer that it was
// parsed from must still be there.
func (r *Response) AppendTo(dst []byte, w *ResponseRewrite) []byte {
	h := &r.head
	drop := hopByHop
	if w.Unchunk {
		drop |= 1<<kindTransferEncoding | 1<<kindTrailer
	}
	if h.seen&seenBodiless != 0 { // it is 0 there, and forbidden: RFC 9110 section 8.6
		drop |= 1 << kindContentLength
	}
	upgrade := w.Upgrade && r.Upgrade != nil
	if upgrade {
		drop &^= 1 << kindUpgrade
	}
	from := 0
	if r.Minor == 0 || h.first == bareStatusLine+len("\r\n") {
		dst = append(dst, "HTTP/1.1"...)
		dst = append(dst, h.buf[len("HTTP/1.1"):bareStatusLine]...)
		dst = append(dst, ' ')
		dst = append(dst, r.Reason...)
		dst = append(dst, "\r\n"...)
		from = h.first
	}
	dst = h.appendFields(dst, from, drop, w.Edits)
	if w.Via && !replaces(w.Edits, "Via") {
		dst = appendVia(dst, w.HTTP2, r.Minor)
	}
	switch {
	case upgrade:
		dst = append(dst, "Connection: upgrade\r\n"...)
	case w.Close:
		dst = append(dst, "Connection: close\r\n"...)
	case w.KeepAlive:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	dst = appendEdits(dst, w.Edits)
	dst = append(dst, w.Extra...)
	return append(dst, "\r\n"...)
}
