package proxy

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestForwardingFields(t *testing.T) {
	networks := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	claimed := http.Header{
		"X-Forwarded-For":   {"192.0.2.1"},
		"X-Forwarded-Proto": {"https"},
		"X-Forwarded-Host":  {"outer.example"},
		"X-Forwarded-Port":  {"443"},
		"Forwarded":         {"for=192.0.2.1;proto=https"},
	}
	tests := map[string]struct {
		remote string
		host   string
		in     http.Header
		want   http.Header
	}{
		"a client that claims nothing gets all fields written": {
			"198.51.100.7:1000", "a.example", http.Header{}, http.Header{
				"X-Forwarded-For": {"198.51.100.7"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"a.example"},
				"Forwarded": {"for=198.51.100.7;host=a.example;proto=http"},
			}},
		"a stranger's claims are replaced": {
			"198.51.100.7:1000", "a.example", claimed, http.Header{
				"X-Forwarded-For": {"198.51.100.7"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"a.example"},
				"Forwarded": {"for=198.51.100.7;host=a.example;proto=http"},
			}},
		"a trusted proxy's chain grows and its view of the client is kept": {
			"10.1.2.3:1000", "a.example", claimed, http.Header{
				"X-Forwarded-For": {"192.0.2.1, 10.1.2.3"}, "X-Forwarded-Proto": {"https"},
				"X-Forwarded-Host": {"outer.example"}, "X-Forwarded-Port": {"443"},
				"Forwarded": {"for=192.0.2.1;proto=https, for=10.1.2.3;host=a.example;proto=http"},
			}},
		"a trusted proxy that claims nothing counts as the client": {
			"10.1.2.3:1000", "a.example", http.Header{}, http.Header{
				"X-Forwarded-For": {"10.1.2.3"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"a.example"},
				"Forwarded": {"for=10.1.2.3;host=a.example;proto=http"},
			}},
		"several lines of a trusted proxy become one in their order": {
			"10.1.2.3:1000", "a.example",
			http.Header{"X-Forwarded-For": {"192.0.2.1", "192.0.2.2, 192.0.2.3"}, "Forwarded": {"for=a", "for=b"}},
			http.Header{
				"X-Forwarded-For":   {"192.0.2.1, 192.0.2.2, 192.0.2.3, 10.1.2.3"},
				"X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"a.example"},
				"Forwarded": {"for=a, for=b, for=10.1.2.3;host=a.example;proto=http"},
			}},
		"an IPv6 client is quoted in Forwarded and bare in X-Forwarded-For": {
			"[2001:db9::7]:1000", "[::1]:8080", claimed, http.Header{
				"X-Forwarded-For": {"2001:db9::7"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"[::1]:8080"},
				"Forwarded": {`for="[2001:db9::7]";host="[::1]:8080";proto=http`},
			}},
		"an IPv6 proxy can be trusted": {
			"[2001:db8::7]:1000", "a.example", http.Header{"X-Forwarded-For": {"192.0.2.1"}}, http.Header{
				"X-Forwarded-For": {"192.0.2.1, 2001:db8::7"}, "X-Forwarded-Proto": {"http"},
				"X-Forwarded-Host": {"a.example"},
				"Forwarded":        {`for="[2001:db8::7]";host=a.example;proto=http`},
			}},
		"an IPv4 address that came in over IPv6 is an IPv4 address": {
			"[::ffff:10.1.2.3]:1000", "a.example", http.Header{"X-Forwarded-For": {"192.0.2.1"}}, http.Header{
				"X-Forwarded-For": {"192.0.2.1, 10.1.2.3"}, "X-Forwarded-Proto": {"http"},
				"X-Forwarded-Host": {"a.example"},
				"Forwarded":        {"for=10.1.2.3;host=a.example;proto=http"},
			}},
		"the zone of a link-local client stays here": {
			"[fe80::1%eth0]:1000", "a.example", http.Header{}, http.Header{
				"X-Forwarded-For": {"fe80::1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"a.example"},
				"Forwarded": {`for="[fe80::1]";host=a.example;proto=http`},
			}},
		"a host with a port is quoted": {
			"198.51.100.7:1000", "a.example:8080", http.Header{}, http.Header{
				"X-Forwarded-For": {"198.51.100.7"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"a.example:8080"},
				"Forwarded": {`for=198.51.100.7;host="a.example:8080";proto=http`},
			}},
		"a request without host names none": {
			"198.51.100.7:1000", "", http.Header{}, http.Header{
				"X-Forwarded-For": {"198.51.100.7"}, "X-Forwarded-Proto": {"http"},
				"Forwarded": {"for=198.51.100.7;proto=http"},
			}},
		"a peer without an address is unknown and trusted by nobody": {
			"@", "a.example", claimed, http.Header{
				"X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"a.example"},
				"Forwarded": {"for=unknown;host=a.example;proto=http"},
			}},
		"underscores do not smuggle a claim past to CGI": {
			"198.51.100.7:1000", "a.example",
			http.Header{"X_forwarded_for": {"192.0.2.1"}, "X_forwarded-Proto": {"https"}}, http.Header{
				"X-Forwarded-For": {"198.51.100.7"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"a.example"},
				"Forwarded": {"for=198.51.100.7;host=a.example;proto=http"},
			}},
		"nor past a trusted proxy that passes them on": {
			"10.1.2.3:1000", "a.example",
			http.Header{"X-Forwarded-For": {"192.0.2.1"}, "X_forwarded_for": {"192.0.2.66"}}, http.Header{
				"X-Forwarded-For": {"192.0.2.1, 10.1.2.3"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"a.example"},
				"Forwarded": {"for=10.1.2.3;host=a.example;proto=http"},
			}},
		"an open quote does not swallow this hop": {
			"10.1.2.3:1000", "a.example", http.Header{"Forwarded": {"for=192.0.2.1", `for="192.0.2.2\"`}}, http.Header{
				"X-Forwarded-For": {"10.1.2.3"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"a.example"},
				"Forwarded": {"for=10.1.2.3;host=a.example;proto=http"},
			}},
		"an empty claim is none": {
			"10.1.2.3:1000", "a.example", http.Header{"X-Forwarded-For": {""}, "Forwarded": {" ", "for=192.0.2.1"}}, http.Header{
				"X-Forwarded-For": {"10.1.2.3"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"a.example"},
				"Forwarded": {"for=192.0.2.1, for=10.1.2.3;host=a.example;proto=http"},
			}},
		"a trusted proxy may declare a claim to be of one hop": {
			"10.1.2.3:1000", "a.example",
			http.Header{"X-Forwarded-For": {"192.0.2.1"}, "Connection": {"x-forwarded-for"}}, http.Header{
				"X-Forwarded-For": {"10.1.2.3"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"a.example"},
				"Forwarded": {"for=10.1.2.3;host=a.example;proto=http"},
			}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := test.in.Clone()
			in := &http.Request{Header: test.in, Host: test.host}
			got := requestHeader(in, peerOf(test.remote, networks), "")
			delete(got, "User-Agent")
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("outgoing fields (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, test.in); diff != "" {
				t.Errorf("the incoming fields were changed:\n%s", diff)
			}
		})
	}
}

// FuzzForwardedElement holds that no host can add a parameter, an element or a
// line to what a backend reads.
func FuzzForwardedElement(f *testing.F) {
	for _, host := range []string{"a.example", "a:80", "[::1]:80", `a";for=evil`, "a\r\nX: y", `a\`, "a, for=b", "\x00\xff", ""} {
		f.Add(host, true)
		f.Add(host, false)
	}
	f.Fuzz(func(t *testing.T, host string, trusted bool) {
		in := http.Header{"Forwarded": {"for=before"}, "X-Forwarded-For": {"before"}}
		out := http.Header{}
		setForwarding(out, in, peer{addr: netip.MustParseAddr("2001:db8::1"), trusted: trusted}, host)
		if len(out["Forwarded"]) != 1 {
			t.Fatalf("%d lines", len(out["Forwarded"]))
		}
		elements, ok := parseForwarded(out.Get("Forwarded"))
		if !ok {
			t.Fatalf("does not parse: %q", out.Get("Forwarded"))
		}
		want := 1
		if trusted {
			want = 2
		}
		if len(elements) != want {
			t.Fatalf("%d elements in %q, want %d", len(elements), out.Get("Forwarded"), want)
		}
		last := elements[want-1]
		parameters := 2
		if host != "" {
			parameters = 3
		}
		if len(last) != parameters || last["for"] != "[2001:db8::1]" || last["proto"] != "http" {
			t.Fatalf("parameters of this hop are %q, from host %q", last, host)
		}
		if clean := strings.Map(fieldByte, host); isASCII(host) && last["host"] != clean {
			t.Fatalf("host is %q, want %q", last["host"], clean)
		}
	})
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

func fieldByte(r rune) rune {
	if r < ' ' && r != '\t' || r == 0x7f {
		return -1
	}
	return r
}

// parseForwarded is RFC 7239 section 4, written without a look at the code
// under test; false if the text is not of that grammar.
func parseForwarded(text string) (elements []map[string]string, ok bool) {
	element := map[string]string{}
	for {
		name, rest, found := strings.Cut(text, "=")
		if !found || name == "" || strings.ContainsAny(name, "\" ,;\r\n") {
			return nil, false
		}
		var value []byte
		if strings.HasPrefix(rest, `"`) {
			i := 1
			for ; i < len(rest) && rest[i] != '"'; i++ {
				if rest[i] == '\\' {
					i++
				}
				if i >= len(rest) || rest[i] == '\r' || rest[i] == '\n' || rest[i] == 0 {
					return nil, false
				}
				value = append(value, rest[i])
			}
			if i >= len(rest) {
				return nil, false
			}
			text = rest[i+1:]
		} else {
			i := strings.IndexAny(rest+",", ";,")
			value, text = []byte(rest[:i]), rest[i:]
			if strings.ContainsAny(string(value), "\" \r\n\t:[]") {
				return nil, false
			}
		}
		if _, twice := element[name]; twice {
			return nil, false
		}
		element[name] = string(value)
		switch {
		case text == "":
			return append(elements, element), true
		case strings.HasPrefix(text, ";"):
			text = text[1:]
		case strings.HasPrefix(text, ", "):
			text = text[2:]
			elements, element = append(elements, element), map[string]string{}
		default:
			return nil, false
		}
	}
}
