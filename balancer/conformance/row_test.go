package conformance

import (
	"strconv"
	"strings"
	"time"
)

// row is one exchange: what happens, and what must come of it. What is left
// out has the most usual meaning: the request is passed on as it came, the
// backend answers 200 "ok", the client gets that and may go on using its
// connection.
type row struct {
	name string // a sentence
	rfc  string // number and section

	in      string  // what the client sends; a small one under every split
	client  []step  // what it does instead, when order matters
	backend [][]act // what the backend does on its first connection, its second, ...
	on      string  // the name of a profile
	behind  string  // the end of in, behind a request that says that it is the last

	sees      []seen // nil: the requests of in, as they were sent
	gets      []got  // nil: 200 "ok" for each request of in
	end       ending
	conns     int  // how many connections the backend must have got; 0: any number
	dropped   bool // the proxy must close its first backend connection by itself
	alone     bool // no splits
	deaf      bool // the client never reads
	lazy      bool // it reads slowly
	again     bool // the request may have been sent more than once
	follow    bool // run once more with a second request right behind, which must not pass
	blame     blame
	anyMore   bool // further responses, or none, are right as well
	anyExpect bool // whether Expect is passed on does not matter
	out       int  // the length of the backend's response, if that is to be split instead of in
	sent      int  // bound of what a peer that sends for ever could send; 0: none
}

// seen is one request as the backend must have seen it.
type seen struct {
	head string // request line and fields, each on its line; those the proxy writes are left out
	body string
	has  []string // further lines that must be there, in any place
	lack []string // names of fields that must not be there
	some string   // text that must be somewhere in the fields

	trailers string
	cut      cut
	anyHost  bool // an empty Host is right as well as none
	repeats  bool // it may have been sent more than once
}

// got is one response as the client must get it.
type got struct {
	status  string // alternatives with "|"
	body    string // ignored for Evenkeel's own responses
	own     bool   // Evenkeel's own response, of whatever text
	or502   bool   // or an own 502
	head    bool   // it answers HEAD
	fields  string // lines in order, but for those that a proxy may write; "" means any
	has     []string
	lack    []string
	some    string
	framing framing // "" means any

	trailers   string
	interim    []string // start of each 1xx before it, such as "103"
	anyInterim bool     // whatever 1xx there are
	cut        cut
}

// cut says whether a message may have been cut, visibly.
type cut int

const (
	never     cut = iota // it is whole
	maybe                // it is whole, or cut, or was never sent
	always               // it is cut, or was never sent
	unless502            // it is cut, or replaced by an own 502
)

// ending is how the client's connection must be after the last response.
type ending int

const (
	usable ending = iota // for a further request
	closed               // by FIN, right behind the last response
	either
	tunnel // what follows is not HTTP
)

// blame is what the backend's counter of failures must say.
type blame int

const (
	whatever blame = iota
	blameless
)

// crlf writes "\n" as CRLF.
func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }

// get is a GET with further field lines.
func get(fields ...string) string { return request("GET / HTTP/1.1", fields...) }

// request has the given request line, a Host and further field lines.
func request(line string, fields ...string) string {
	return line + "\r\n" + lines(append([]string{"Host: a.test"}, fields...)) + "\r\n"
}

// post is a POST with further field lines and what is behind the head.
func post(body string, fields ...string) string {
	return request("POST /p HTTP/1.1", fields...) + body
}

func chunkedPost(body string) string { return post(body, "Transfer-Encoding: chunked") }

// response has the given status and field lines, and what is behind the head.
func response(status, body string, fields ...string) string {
	return "HTTP/1.1 " + status + "\r\n" + lines(fields) + "\r\n" + body
}

func length(body string) string { return strconv.Itoa(len(body)) }

func lines(all []string) string {
	var b strings.Builder
	for _, line := range all {
		b.WriteString(line + "\r\n")
	}
	return b.String()
}

// okResponse is what a backend without a script answers.
var okResponse = response("200 OK", "ok", "Content-Length: 2")

var (
	ok      = got{status: "200", body: "ok"}
	nothing = []seen{}
)

func own(status string) got { return got{status: status, own: true} }

// refused is a request that is answered 400, and whose connection is closed.
// The backend sees nothing of it, nor of what follows it.
func refused(name, rfc, in string) row { return refusedWith("400", name, rfc, in) }

func refusedWith(status, name, rfc, in string) row {
	return row{name: name, rfc: rfc, in: in, sees: nothing, gets: []got{own(status)}, end: closed, follow: true}
}

// badBody is a request whose head may have been passed on before the fault of
// its body was met: then the backend must not have got a whole request.
func badBody(name, rfc, in string) row {
	r := refused(name, rfc, in)
	r.sees = []seen{{cut: always}}
	return r
}

// passes is a request that the backend gets as it came.
func passes(name, rfc, in string) row { return row{name: name, rfc: rfc, in: in} }

// becomes is a request that the backend gets as "head" says.
func becomes(name, rfc, in, head string) row {
	return row{name: name, rfc: rfc, in: in, sees: []seen{{head: head}}, gets: []got{ok}}
}

// faulty is a response that becomes 502, and whose connection is not used
// again.
func faulty(name, rfc, out string) row {
	return row{name: name, rfc: rfc, in: get(), backend: answers(out), out: len(out),
		gets: []got{own("502")}, end: either, dropped: true}
}

// returns is a response to a GET that the client gets with that status and
// body, on a connection that goes on.
func returns(name, rfc, out string, want got) row {
	return row{name: name, rfc: rfc, in: get(), backend: answers(out), out: len(out), gets: []got{want}}
}

// splitPause is how long a peer waits between the two parts of what it sends,
// so that they arrive apart. Nothing depends on that they do.
const splitPause = 2 * time.Millisecond
