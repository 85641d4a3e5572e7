package tlslink

// plainAnswer is what a client gets that speaks HTTP without TLS.
const plainAnswer = "HTTP/1.1 400 Bad Request\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\n" +
	"Content-Length: 48\r\n" +
	"Connection: close\r\n\r\n" +
	"bad request: this port speaks TLS: use https://\n"

// speaksHTTP tells whether what a client sent first is a request line, as far as
// it is there, and no TLS: a record never begins with a letter.
func speaksHTTP(p []byte) bool {
	const longest = 20 // of the methods that are in use
	for i, c := range p {
		switch {
		case c == ' ':
			return i > 0
		case c != '-' && (c < 'A' || c > 'Z'), i == longest:
			return false
		}
	}
	return len(p) > 0
}
