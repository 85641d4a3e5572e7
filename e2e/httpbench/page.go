package main

import (
	"bytes"
	"fmt"
	"net/http"
	"time"
)

// page is a whole answer, kept as it is sent.
type page struct {
	whole []byte
	date  []byte // the part of whole that is the date
}

// newPage returns an answer with that body, or the begin of one that has so
// many bytes, and a head such as file servers
// send. It has no date yet.
func newPage(body []byte, length int) *page {
	const dateField = "Date: "
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nServer: origin\r\n%s%s\r\n"+
		"Content-Type: application/octet-stream\r\n"+
		"Content-Length: %d\r\n"+
		"Last-Modified: Wed, 01 Jul 2026 08:30:00 GMT\r\n"+
		"ETag: \"66aa01f2-400\"\r\n"+
		"Cache-Control: public, max-age=60\r\n"+
		"Accept-Ranges: bytes\r\n\r\n", dateField, http.TimeFormat, length)
	p := &page{whole: append([]byte(head), body...)}
	from := bytes.Index(p.whole, []byte(dateField)) + len(dateField)
	p.date = p.whole[from : from+len(http.TimeFormat)]
	return p
}

// setDate writes the date into the answer, where all dates have one length. An
// answer that is under way may get it in between: it stays a date.
func (p *page) setDate(now time.Time) {
	now.UTC().AppendFormat(p.date[:0], http.TimeFormat)
}
