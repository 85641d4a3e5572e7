package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxHead bounds the head of any message.
const maxHead = 64 << 10

var (
	headEnd = []byte("\r\n\r\n")
	lineEnd = []byte("\r\n")
)

// answer is what the head of a response says.
type answer struct {
	status int
	length int
}

// request is what the head of a request says to the backend.
type request struct {
	method, path string
	length       int
	checksum     uint32 // of the body, 0 if there is none
	forwarded    bool   // has X-Forwarded-For
	closes       bool
	fault        string // why the head cannot be read, "" if it can
}

// framing is what the fields of a head say about the body after it.
type framing struct {
	length int // -1 if there is no Content-Length
	closes bool
}

// parseAnswer reads a response's head, the empty line included. It knows the
// one form that the backend sends: a body of a Content-Length.
func parseAnswer(head []byte) (answer, error) {
	line, fields, _ := bytes.Cut(head, lineEnd)
	code, found := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	if !found || len(code) < 4 || code[3] != ' ' {
		return answer{}, fmt.Errorf("read status line %q: it is not of HTTP/1.1", line)
	}
	status, err := strconv.Atoi(string(code[:3]))
	if err != nil {
		return answer{}, fmt.Errorf("read status line %q: %w", line, err)
	}
	f, err := parseFields(fields, func(string, string) {})
	if err == nil && f.length < 0 {
		err = errors.New("read response head: it has no Content-Length")
	}
	return answer{status, f.length}, err
}

// parseRequest reads a request's head, the empty line included.
func parseRequest(head []byte) (request, error) {
	line, fields, _ := bytes.Cut(head, lineEnd)
	words := strings.Split(string(line), " ")
	if len(words) != 3 || words[2] != "HTTP/1.1" {
		return request{}, fmt.Errorf("read request line %q: it is not of HTTP/1.1", line)
	}
	r := request{method: words[0], path: words[1]}
	f, err := parseFields(fields, func(name, value string) {
		switch strings.ToLower(name) {
		case "x-forwarded-for":
			r.forwarded = value != ""
		case strings.ToLower(checksumField):
			r.checksum = parseChecksum(value)
		}
	})
	r.length, r.closes = max(f.length, 0), f.closes
	return r, err
}

// parseChecksum reads eight hexadecimal digits. What is no number becomes 0,
// which the bodies of the bench do not have.
func parseChecksum(value string) uint32 {
	n, err := strconv.ParseUint(value, 16, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// parseFields reads the lines up to the empty one and shows each to see.
func parseFields(lines []byte, see func(name, value string)) (framing, error) {
	f := framing{length: -1}
	for {
		line, rest, found := bytes.Cut(lines, lineEnd)
		if !found {
			return f, errors.New("read head: it ends before its empty line")
		}
		if len(line) == 0 {
			return f, nil
		}
		lines = rest
		name, value, found := strings.Cut(string(line), ":")
		if !found {
			return f, fmt.Errorf("read field %q: it has no colon", line)
		}
		value = strings.TrimSpace(value)
		if err := f.add(name, value); err != nil {
			return f, err
		}
		see(name, value)
	}
}

// add takes in one field.
func (f *framing) add(name, value string) error {
	switch strings.ToLower(name) {
	case "content-length":
		length, err := strconv.ParseUint(value, 10, 31)
		if err != nil || f.length >= 0 {
			return fmt.Errorf("read Content-Length %q: it is no number, or a second one", value)
		}
		f.length = int(length)
	case "transfer-encoding":
		return fmt.Errorf("read head: Transfer-Encoding %q where a Content-Length was sent", value)
	case "connection":
		f.closes = f.closes || strings.EqualFold(value, "close")
	}
	return nil
}
