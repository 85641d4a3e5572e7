package health

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
)

// state is how far an answer has come.
type state uint8

const (
	unfinished state = iota // more has to come
	finished
	// unusual is an answer that takes more than copying to understand, or none
	// at all. The general way of reading judges it, and finds its words.
	unusual
)

// plainAnswer is what matters of an answer that is all there and whose framing
// is plain: final, with a length, chunked or neither, without anything that two
// readers could read differently.
type plainAnswer struct {
	status  int
	length  int // -1: none was told
	chunked bool
	weight  []byte // the value of the field that was asked for, the first one's
	weighed bool   // it is there
	body    []byte
	// keep is set if the connection can be used for another request.
	keep bool
}

// readPlain reads what came of an answer; ended is set if nothing follows. All
// that it takes, [http.ReadResponse] takes too and reads alike. It allocates
// nothing; the answer refers to seen, in which chunks are put together.
func (r *recipe) readPlain(seen []byte, ended bool) (answer plainAnswer, is state) {
	line, rest, whole := cutLine(seen)
	if !whole {
		return answer, orUnusual(!ended && plainStart(seen))
	}
	minor, status, ok := statusLine(line)
	if !ok || status < 200 {
		return answer, unusual
	}
	answer = plainAnswer{status: status, length: -1, keep: minor == '1'}
	for {
		if line, rest, whole = cutLine(rest); !whole {
			return answer, orUnusual(!ended)
		}
		if len(line) == 0 {
			break
		}
		if !r.readField(line, &answer) {
			return answer, unusual
		}
	}
	switch {
	case answer.chunked && (answer.length >= 0 || minor == '0'):
		return answer, unusual // RFC 9112, section 6.1: it may be an attack
	case !r.expect.Has(status):
		answer.keep = false // the head says enough
		return answer, finished
	case r.check.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified:
		answer.length, answer.chunked = 0, false
	}
	return answer, answer.frame(rest, ended)
}

func orUnusual(more bool) state {
	if more {
		return unfinished
	}
	return unusual
}

// cutLine cuts a line that ends with CR LF, as it must (RFC 9112, section 2.2).
func cutLine(text []byte) (line, rest []byte, whole bool) {
	line, rest, whole = bytes.Cut(text, []byte("\n"))
	if whole && !bytes.HasSuffix(line, []byte("\r")) {
		return []byte{0}, rest, true // in no line of an answer
	}
	return bytes.TrimSuffix(line, []byte("\r")), rest, whole
}

const version = "HTTP/1."

// plainStart tells whether less than a status line can become one.
func plainStart(seen []byte) bool {
	return bytes.HasPrefix(seen, []byte(version)) || bytes.HasPrefix([]byte(version), seen)
}

// statusLine reads "HTTP/1.1 200 OK".
func statusLine(line []byte) (minor byte, status int, ok bool) {
	const short = len("HTTP/1.1 200 ")
	if len(line) < short || !bytes.HasPrefix(line, []byte(version)) || line[8] != ' ' || line[12] != ' ' || !isFieldValue(line) {
		return 0, 0, false
	}
	minor = line[7]
	status, ok = digits(line[9:12])
	return minor, status, ok && (minor == '0' || minor == '1')
}

// readField reports whether a field leaves the answer plain.
func (r *recipe) readField(line []byte, answer *plainAnswer) bool {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || !isToken(name) || !isFieldValue(value) {
		return false
	}
	value = bytes.Trim(value, " \t")
	switch {
	case isNamed(name, "content-length"):
		known := answer.length >= 0
		answer.length, ok = digits(value)
		return ok && !known
	case isNamed(name, "connection"):
		answer.keep = answer.keep && isNamed(value, "keep-alive")
	case isNamed(name, "transfer-encoding"):
		known := answer.chunked
		answer.chunked = isNamed(value, "chunked")
		return answer.chunked && !known
	case isNamed(name, "trailer"), isNamed(name, "upgrade"):
		return false
	case isNamed(name, "location"):
		return answer.status/100 != 3 || r.strict // else it may lead in a circle
	case r.check.WeightField != "" && isNamed(name, r.check.WeightField) && !answer.weighed:
		answer.weight, answer.weighed = value, true
	}
	return true
}

// frame finds the body in what follows the head.
func (a *plainAnswer) frame(rest []byte, ended bool) state {
	switch {
	case a.chunked:
		return a.join(rest, ended)
	case a.length > maxBody:
		return unusual
	case a.length < 0 && !ended:
		return unfinished
	case a.length < 0:
		a.body, a.keep = rest, false
		return finished
	case len(rest) < a.length:
		return orUnusual(!ended)
	}
	a.body = rest[:a.length]
	a.keep = a.keep && len(rest) == a.length && !ended
	return finished
}

// join makes one piece of the chunks, in place, once all are there.
func (a *plainAnswer) join(text []byte, ended bool) state {
	for rest := text; ; {
		size, chunk, is := cutChunk(rest)
		if is == unfinished {
			return orUnusual(!ended)
		}
		if is == unusual {
			return unusual
		}
		if rest = chunk[size+len("\r\n"):]; size == 0 {
			a.keep = a.keep && len(rest) == 0 && !ended
			break
		}
	}
	a.body = text[:0]
	for rest := text; ; {
		size, chunk, _ := cutChunk(rest)
		if size == 0 {
			return finished
		}
		rest = chunk[size+len("\r\n"):]
		a.body = append(a.body, chunk[:size]...) // which begins before the chunk
	}
}

// cutChunk reads the size of a chunk (RFC 9112, section 7.1), which begins what
// it returns and has its end there. Extensions and trailers are unusual.
func cutChunk(text []byte) (size int, chunk []byte, is state) {
	line, chunk, whole := cutLine(text)
	if !whole {
		return 0, nil, unfinished
	}
	size, ok := hexDigits(line)
	switch {
	case !ok:
		return 0, nil, unusual
	case len(chunk) < size+len("\r\n"):
		return 0, nil, unfinished
	case chunk[size] != '\r' || chunk[size+1] != '\n':
		return 0, nil, unusual
	}
	return size, chunk, finished
}

// hexDigits reads a number of at most six hexadecimal digits.
func hexDigits(text []byte) (n int, ok bool) {
	for _, c := range text {
		digit := strings.IndexByte("0123456789abcdef", lower(c))
		if digit < 0 {
			return 0, false
		}
		n = n<<4 | digit
	}
	return n, len(text) > 0 && len(text) <= 6
}

// judgePlain is judge and judgeBody for an answer that was read by readPlain.
func (r *recipe) judgePlain(answer *plainAnswer) (reduction int, err error) {
	if !r.expect.Has(answer.status) {
		return 0, r.unexpected(answer.status)
	}
	if err := r.seek(answer.body); err != nil {
		return 0, err
	}
	switch {
	case r.check.WeightField == "":
		return 0, nil
	case !answer.weighed:
		return untoldWeight, nil
	}
	return sparedBy(string(answer.weight)), nil
}

func (r *recipe) unexpected(status int) error {
	return fmt.Errorf("status %d, expected %s", status, r.expected)
}

// digits reads a number of at most seven digits.
func digits(text []byte) (n int, ok bool) {
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, len(text) > 0 && len(text) <= 7
}

// isNamed compares ASCII without regard to case.
func isNamed(text []byte, name string) bool {
	if len(text) != len(name) {
		return false
	}
	for i, c := range text {
		if lower(c) != lower(name[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}
