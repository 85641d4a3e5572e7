package http1

import "testing"

// responseTests are heads, or their lines up to the one at fault, as
// requestTests are.
var responseTests = map[string]struct {
	section string
	method  Method
	in      string
	want    string // what describe says
	fault   *Fault
}{
	// Status line.
	"a plain response":                      {"4", GET, "HTTP/1.1 200 OK\nContent-Length: 5\n\n", `200 "OK" 1.1 length=5`, nil},
	"a reason of several words":             {"4", GET, "HTTP/1.1 404 Not  \tFound \xe4\nContent-Length: 0\n\n", "404 \"Not  \\tFound \\xe4\" 1.1 length=0", nil},
	"no reason":                             {"4", GET, "HTTP/1.1 200 \nContent-Length: 0\n\n", `200 "" 1.1 length=0`, nil},
	"no reason and no space":                {"4", GET, "HTTP/1.1 200\nContent-Length: 0\n\n", `200 "" 1.1 length=0`, nil},
	"the highest status":                    {"RFC 9110 15", GET, "HTTP/1.1 599 a\nContent-Length: 0\n\n", `599 "a" 1.1 length=0`, nil},
	"a status beyond the highest":           {"RFC 9110 15", GET, "HTTP/1.1 600 a\n", "", FaultStatusLine},
	"a status of 999":                       {"RFC 9110 15", GET, "HTTP/1.1 999 a\n", "", FaultStatusLine},
	"a status below 100":                    {"RFC 9110 15", GET, "HTTP/1.1 099 a\n", "", FaultStatusLine},
	"a status of two digits":                {"4", GET, "HTTP/1.1 20 OK\n", "", FaultStatusLine},
	"a status of four digits":               {"4", GET, "HTTP/1.1 2000 OK\n", "", FaultStatusLine},
	"a status with a sign":                  {"4", GET, "HTTP/1.1 +20 OK\n", "", FaultStatusLine},
	"a status with a letter":                {"4", GET, "HTTP/1.1 2x0 OK\n", "", FaultStatusLine},
	"no status":                             {"4", GET, "HTTP/1.1 OK\n", "", FaultStatusLine},
	"two spaces before the status":          {"4", GET, "HTTP/1.1  200 OK\n", "", FaultStatusLine},
	"a tab before the status":               {"4", GET, "HTTP/1.1\t200 OK\n", "", FaultStatusLine},
	"a tab after the status":                {"4", GET, "HTTP/1.1 200\tOK\n", "", FaultStatusLine},
	"a version that nobody knows":           {"2.3", GET, "HTTP/1.2 200 OK\n", "", FaultVersion},
	"HTTP/2":                                {"2.3", GET, "HTTP/2.0 200 OK\n", "", FaultVersion},
	"a version in lower case":               {"2.3", GET, "http/1.1 200 OK\n", "", FaultVersion},
	"another protocol":                      {"2.3", GET, "ICY/1.10 200 OK\n", "", FaultVersion},
	"no status line":                        {"4", GET, "<html>\n", "", FaultStatusLine},
	"an empty line before the response":     {"4", GET, "\nHTTP/1.1 200 OK\n", "", FaultStatusLine},
	"a NUL in the reason":                   {"4", GET, "HTTP/1.1 200 O\x00K\n", "", FaultControl},
	"a bare CR in the reason":               {"2.2", GET, "HTTP/1.1 200 O\rK\r\n", "", FaultBareCR},
	"a bare CR before the line end":         {"2.2", GET, "HTTP/1.1 200 OK\r\r\n", "", FaultBareCR},
	"a bare CR after the status":            {"2.2", GET, "HTTP/1.1 200\r\r\n", "", FaultStatusLine},
	"a bare LF after the status line":       {"2.2", GET, "HTTP/1.1 200 OK\nContent-Length: 0\r\n", "", FaultBareLF},
	"a response that is not complete":       {"2.1", GET, "HTTP/1.1 200 OK\nContent-Length: 0\n", "incomplete", nil},
	"a folded line":                         {"5.2", GET, "HTTP/1.1 200 OK\nX: a\n b\n", "", FaultFolded},
	"a space before a colon":                {"5.1", GET, "HTTP/1.1 200 OK\nContent-Length : 0\n", "", FaultNameSpace},
	"a control in a value":                  {"RFC 9110 5.5", GET, "HTTP/1.1 200 OK\nX: a\x01\n", "", FaultControl},
	"a field without a colon":               {"5", GET, "HTTP/1.1 200 OK\nX\n", "", FaultNoColon},
	"a Host in a response means nothing":    {"RFC 9110 7.2", GET, "HTTP/1.1 200 OK\nHost: a b\nHost: c\nContent-Length: 0\n\n", `200 "OK" 1.1 length=0`, nil},
	"a Connection that is no list of names": {"RFC 9110 7.6.1", GET, "HTTP/1.1 200 OK\nConnection: close;\n", "", FaultConnection},

	// Framing.
	"chunked":                                {"6.3", GET, "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n", `200 "OK" 1.1 chunked`, nil},
	"neither length nor chunked":             {"6.3", GET, "HTTP/1.1 200 OK\n\n", `200 "OK" 1.1 until-close close`, nil},
	"neither, in HTTP/1.0":                   {"6.3", GET, "HTTP/1.0 200 OK\n\n", `200 "OK" 1.0 until-close close`, nil},
	"until close whatever Connection says":   {"6.3", GET, "HTTP/1.0 200 OK\nConnection: keep-alive\n\n", `200 "OK" 1.0 until-close close`, nil},
	"a length and chunked":                   {"6.3", GET, "HTTP/1.1 200 OK\nContent-Length: 1\nTransfer-Encoding: chunked\n", "", FaultLengthAndCoding},
	"a length and chunked, for HEAD":         {"6.3", HEAD, "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nContent-Length: 1\n", "", FaultLengthAndCoding},
	"two lengths":                            {"6.3", GET, "HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 2\n", "", FaultLengthTwice},
	"two equal lengths":                      {"6.3", GET, "HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 1\n", "", FaultLengthTwice},
	"a list of lengths":                      {"6.3", GET, "HTTP/1.1 200 OK\nContent-Length: 1, 1\n", "", FaultLength},
	"a signed length":                        {"6.3", GET, "HTTP/1.1 200 OK\nContent-Length: -1\n", "", FaultLength},
	"a length that overflows":                {"6.3", GET, "HTTP/1.1 200 OK\nContent-Length: 9223372036854775808\n", "", FaultLength},
	"chunked in HTTP/1.0":                    {"6.1", GET, "HTTP/1.0 200 OK\nTransfer-Encoding: chunked\n", "", FaultCodingVersion},
	"gzip":                                   {"6.1", GET, "HTTP/1.1 200 OK\nTransfer-Encoding: gzip\n", "", FaultCoding},
	"gzip, chunked":                          {"6.1", GET, "HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked\n", "", FaultCoding},
	"chunked twice":                          {"6.1", GET, "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n", "", FaultCodingTwice},
	"HEAD with a length":                     {"6.3", HEAD, "HTTP/1.1 200 OK\nContent-Length: 5\n\n", `200 "OK" 1.1 none=5`, nil},
	"HEAD chunked":                           {"6.3", HEAD, "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n", `200 "OK" 1.1 none`, nil},
	"HEAD with neither":                      {"6.3", HEAD, "HTTP/1.1 200 OK\n\n", `200 "OK" 1.1 none`, nil},
	"304 with a length":                      {"RFC 9110 15.4.5", GET, "HTTP/1.1 304 Not Modified\nContent-Length: 5\n\n", `304 "Not Modified" 1.1 none=5`, nil},
	"304 chunked":                            {"6.1", GET, "HTTP/1.1 304 Not Modified\nTransfer-Encoding: chunked\n\n", `304 "Not Modified" 1.1 none`, nil},
	"204":                                    {"6.3", GET, "HTTP/1.1 204 No Content\n\n", `204 "No Content" 1.1 none`, nil},
	"204 with a length of 0":                 {"RFC 9110 8.6", GET, "HTTP/1.1 204 No Content\nContent-Length: 0\n\n", `204 "No Content" 1.1 none=0`, nil},
	"204 with a length":                      {"RFC 9110 8.6", GET, "HTTP/1.1 204 No Content\nContent-Length: 5\n", "", FaultContent},
	"204 chunked":                            {"6.1", GET, "HTTP/1.1 204 No Content\nTransfer-Encoding: chunked\n", "", FaultContent},
	"205 with a length of 0":                 {"RFC 9110 15.3.6", GET, "HTTP/1.1 205 Reset Content\nContent-Length: 0\n\n", `205 "Reset Content" 1.1 length=0`, nil},
	"205 is framed like any other":           {"6.3", GET, "HTTP/1.1 205 Reset Content\n\n", `205 "Reset Content" 1.1 until-close close`, nil},
	"100":                                    {"RFC 9110 15.2.1", POST, "HTTP/1.1 100 Continue\n\n", `100 "Continue" 1.1 none`, nil},
	"103 with fields":                        {"RFC 8297", GET, "HTTP/1.1 103 Early Hints\nLink: </a>\n\n", `103 "Early Hints" 1.1 none`, nil},
	"100 with a length":                      {"RFC 9110 8.6", GET, "HTTP/1.1 100 Continue\nContent-Length: 5\n", "", FaultContent},
	"100 with a length of 0":                 {"RFC 9110 8.6", GET, "HTTP/1.1 100 Continue\nContent-Length: 0\n\n", `100 "Continue" 1.1 none=0`, nil},
	"100 chunked":                            {"6.1", GET, "HTTP/1.1 100 Continue\nTransfer-Encoding: chunked\n", "", FaultContent},
	"a tunnel, which ends with its streams":  {"6.3", CONNECT, "HTTP/1.1 200 OK\nContent-Length: 5\n\n", `200 "OK" 1.1 none=5`, nil},
	"a refusal of a tunnel":                  {"6.3", CONNECT, "HTTP/1.1 403 No\nContent-Length: 5\n\n", `403 "No" 1.1 length=5`, nil},
	"101":                                    {"RFC 9110 7.8", GET, "HTTP/1.1 101 Switching Protocols\nConnection: upgrade\nUpgrade: websocket\n\n", `101 "Switching Protocols" 1.1 none upgrade="websocket"`, nil},
	"101 without Upgrade":                    {"RFC 9110 15.2.2", GET, "HTTP/1.1 101 Switching Protocols\nConnection: upgrade\n\n", "", FaultSwitch},
	"101 without Connection":                 {"RFC 9110 7.8", GET, "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\n\n", "", FaultSwitch},
	"101 with two Upgrades":                  {"RFC 9110 7.8", GET, "HTTP/1.1 101 a\nConnection: upgrade\nUpgrade: websocket\nUpgrade: websocket\n\n", "", FaultSwitch},
	"101 with an empty Upgrade":              {"RFC 9110 7.8", GET, "HTTP/1.1 101 a\nConnection: upgrade\nUpgrade:\n\n", "", FaultSwitch},
	"101 to cleartext HTTP/2":                {"RFC 9113 3.1", GET, "HTTP/1.1 101 a\nConnection: upgrade\nUpgrade: h2c\n\n", "", FaultSwitch},
	"101 in HTTP/1.0":                        {"RFC 9110 7.8", GET, "HTTP/1.0 101 a\nConnection: upgrade\nUpgrade: websocket\n\n", "", FaultSwitch},
	"an Upgrade in another response":         {"RFC 9110 7.8", GET, "HTTP/1.1 426 a\nConnection: upgrade\nUpgrade: websocket\nContent-Length: 0\n\n", `426 "a" 1.1 length=0`, nil},
	"close":                                  {"9.6", GET, "HTTP/1.1 200 OK\nConnection: Close\nContent-Length: 0\n\n", `200 "OK" 1.1 length=0 close`, nil},
	"HTTP/1.0 with a length":                 {"9.3", GET, "HTTP/1.0 200 OK\nContent-Length: 0\n\n", `200 "OK" 1.0 length=0 close`, nil},
	"HTTP/1.0 with a length and keep-alive":  {"9.3", GET, "HTTP/1.0 200 OK\nContent-Length: 0\nConnection: keep-alive\n\n", `200 "OK" 1.0 length=0`, nil},
	"HTTP/1.0 with close and keep-alive":     {"9.3", GET, "HTTP/1.0 200 OK\nContent-Length: 0\nConnection: keep-alive, close\n\n", `200 "OK" 1.0 length=0 close`, nil},
	"HTTP/1.0 204 does not stay without ask": {"9.3", GET, "HTTP/1.0 204 No Content\n\n", `204 "No Content" 1.0 none close`, nil},
}

func TestResponseHeads(t *testing.T) {
	for name, test := range responseTests {
		t.Run(name, func(t *testing.T) {
			var r Response
			text := crlf(test.in)
			outcome := responseMessage(&r, nil, test.method).unsplit(t, text)
			switch got := r.describe(); {
			case test.fault != nil && outcome != "fault: "+test.fault.Reason:
				t.Errorf("section %s: %q: %s, want fault: %s", test.section, text, outcome, test.fault.Reason)
			case test.want == "incomplete" && outcome != "incomplete":
				t.Errorf("section %s: %q: %s, want it to be incomplete", test.section, text, outcome)
			case test.fault == nil && test.want != "incomplete" && (got != test.want || r.Size == 0):
				t.Errorf("section %s: %q:\n got %s (%s)\nwant %s", test.section, text, got, outcome, test.want)
			}
		})
	}
}
