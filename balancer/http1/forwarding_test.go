package http1

import (
	"net/netip"
	"strings"
	"testing"
)

func TestForwardingFields(t *testing.T) {
	const claimed = "X-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: https\nX-Forwarded-Host: outer.example\nX-Forwarded-Port: 443\n" +
		"Forwarded: for=192.0.2.1;proto=https\n"
	tests := map[string]struct {
		peer    string
		trusted bool
		host    string
		in      string
		want    string
	}{
		"a client that claims nothing gets all fields written": {"198.51.100.7", false, "a.example", "",
			"X-Forwarded-For: 198.51.100.7\nX-Forwarded-Proto: http\nX-Forwarded-Host: a.example\n" +
				"Forwarded: for=198.51.100.7;host=a.example;proto=http\n"},
		"a stranger's claims are replaced": {"198.51.100.7", false, "a.example", claimed,
			"X-Forwarded-For: 198.51.100.7\nX-Forwarded-Proto: http\nX-Forwarded-Host: a.example\n" +
				"Forwarded: for=198.51.100.7;host=a.example;proto=http\n"},
		"a trusted proxy's chain grows and its view of the client is kept": {"10.1.2.3", true, "a.example", claimed,
			"X-Forwarded-Proto: https\nX-Forwarded-Host: outer.example\nX-Forwarded-Port: 443\nX-Forwarded-For: 192.0.2.1, 10.1.2.3\n" +
				"Forwarded: for=192.0.2.1;proto=https, for=10.1.2.3;host=a.example;proto=http\n"},
		"a trusted proxy that claims nothing counts as the client": {"10.1.2.3", true, "a.example", "",
			"X-Forwarded-For: 10.1.2.3\nX-Forwarded-Proto: http\nX-Forwarded-Host: a.example\n" +
				"Forwarded: for=10.1.2.3;host=a.example;proto=http\n"},
		"several lines of a trusted proxy become one in their order": {"10.1.2.3", true, "a.example",
			"X-Forwarded-For: 192.0.2.1\nForwarded: for=a\nX-Forwarded-For: 192.0.2.2, 192.0.2.3\nForwarded: for=b\n",
			"X-Forwarded-For: 192.0.2.1, 192.0.2.2, 192.0.2.3, 10.1.2.3\nX-Forwarded-Proto: http\nX-Forwarded-Host: a.example\n" +
				"Forwarded: for=a, for=b, for=10.1.2.3;host=a.example;proto=http\n"},
		"an IPv6 client is quoted in Forwarded and bare in X-Forwarded-For": {"2001:db9::7", false, "[::1]:8080", claimed,
			"X-Forwarded-For: 2001:db9::7\nX-Forwarded-Proto: http\nX-Forwarded-Host: [::1]:8080\n" +
				`Forwarded: for="[2001:db9::7]";host="[::1]:8080";proto=http` + "\n"},
		"an IPv6 proxy can be trusted": {"2001:db8::7", true, "a.example", "X-Forwarded-For: 192.0.2.1\n",
			"X-Forwarded-For: 192.0.2.1, 2001:db8::7\nX-Forwarded-Proto: http\nX-Forwarded-Host: a.example\n" +
				`Forwarded: for="[2001:db8::7]";host=a.example;proto=http` + "\n"},
		"an IPv4 address that came in over IPv6 is an IPv4 address": {"::ffff:10.1.2.3", true, "a.example", "X-Forwarded-For: 192.0.2.1\n",
			"X-Forwarded-For: 192.0.2.1, 10.1.2.3\nX-Forwarded-Proto: http\nX-Forwarded-Host: a.example\n" +
				"Forwarded: for=10.1.2.3;host=a.example;proto=http\n"},
		"the zone of a link-local client stays here": {"fe80::1%eth0", false, "a.example", "",
			"X-Forwarded-For: fe80::1\nX-Forwarded-Proto: http\nX-Forwarded-Host: a.example\n" +
				`Forwarded: for="[fe80::1]";host=a.example;proto=http` + "\n"},
		"a host with a port is quoted": {"198.51.100.7", false, "a.example:8080", "",
			"X-Forwarded-For: 198.51.100.7\nX-Forwarded-Proto: http\nX-Forwarded-Host: a.example:8080\n" +
				`Forwarded: for=198.51.100.7;host="a.example:8080";proto=http` + "\n"},
		"a host that an element could break out of is quoted": {"198.51.100.7", false, "a;for=b,c", "",
			"X-Forwarded-For: 198.51.100.7\nX-Forwarded-Proto: http\nX-Forwarded-Host: a;for=b,c\n" +
				`Forwarded: for=198.51.100.7;host="a;for=b,c";proto=http` + "\n"},
		"a request without host names none": {"198.51.100.7", false, "", "",
			"X-Forwarded-For: 198.51.100.7\nX-Forwarded-Proto: http\nForwarded: for=198.51.100.7;proto=http\n"},
		"a peer without an address is unknown": {"", false, "a.example", claimed,
			"X-Forwarded-Proto: http\nX-Forwarded-Host: a.example\nForwarded: for=unknown;host=a.example;proto=http\n"},
		"an unknown peer that is trusted does not grow its chain": {"", true, "a.example", claimed,
			"X-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: https\nX-Forwarded-Host: outer.example\nX-Forwarded-Port: 443\n" +
				"Forwarded: for=192.0.2.1;proto=https, for=unknown;host=a.example;proto=http\n"},
		"underscores do not smuggle a claim past to CGI": {"198.51.100.7", false, "a.example",
			"X_forwarded_for: 192.0.2.1\nX_forwarded-Proto: https\nX-Forwarded_Anything: a\n",
			"X-Forwarded-For: 198.51.100.7\nX-Forwarded-Proto: http\nX-Forwarded-Host: a.example\n" +
				"Forwarded: for=198.51.100.7;host=a.example;proto=http\n"},
		"nor past a trusted proxy that passes them on": {"10.1.2.3", true, "a.example",
			"X-Forwarded-For: 192.0.2.1\nX_forwarded_for: 192.0.2.66\nX-Forwarded-A_B: c\n",
			"X-Forwarded-For: 192.0.2.1, 10.1.2.3\nX-Forwarded-Proto: http\nX-Forwarded-Host: a.example\n" +
				"Forwarded: for=10.1.2.3;host=a.example;proto=http\n"},
		"an open quote does not swallow this hop": {"10.1.2.3", true, "a.example", "Forwarded: for=192.0.2.1\nForwarded: for=\"192.0.2.2\\\"\n",
			"X-Forwarded-For: 10.1.2.3\nX-Forwarded-Proto: http\nX-Forwarded-Host: a.example\n" +
				"Forwarded: for=10.1.2.3;host=a.example;proto=http\n"},
		"closed quotes are kept": {"10.1.2.3", true, "a.example", "Forwarded: for=\"\\\\\\\"\", for=b\n",
			"X-Forwarded-For: 10.1.2.3\nX-Forwarded-Proto: http\nX-Forwarded-Host: a.example\n" +
				"Forwarded: for=\"\\\\\\\"\", for=b, for=10.1.2.3;host=a.example;proto=http\n"},
		"an empty claim is none": {"10.1.2.3", true, "a.example",
			"X-Forwarded-For:\nForwarded:  \nForwarded: for=192.0.2.1\nX-Forwarded-Proto:\nX-Forwarded-Host: \n",
			"X-Forwarded-For: 10.1.2.3\nX-Forwarded-Proto: http\nX-Forwarded-Host: a.example\n" +
				"Forwarded: for=192.0.2.1, for=10.1.2.3;host=a.example;proto=http\n"},
		"a trusted proxy may declare a claim to be of one hop": {"10.1.2.3", true, "a.example",
			"X-Forwarded-For: 192.0.2.1\nForwarded: for=192.0.2.1\nX-Forwarded-Proto: https\nConnection: x-forwarded-for, forwarded, x-forwarded-proto\n",
			"X-Forwarded-For: 10.1.2.3\nX-Forwarded-Proto: http\nX-Forwarded-Host: a.example\n" +
				"Forwarded: for=10.1.2.3;host=a.example;proto=http\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := RequestRewrite{Trusted: test.trusted}
			if test.peer != "" {
				w.Peer = netip.MustParseAddr(test.peer)
			}
			got := rewriteRequest(t, "GET / HTTP/1.1\nHost: "+test.host+"\nA: b\n"+test.in+"\n", &w)
			want := "GET / HTTP/1.1\nHost: " + test.host + "\nA: b\n" + test.want + "\n"
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestForwardingFieldsThatAreNotWantedAreNotWritten(t *testing.T) {
	const claims = "X-Forwarded-For: 192.0.2.1\nForwarded: for=\"\nX_Forwarded_For: c\nX-Forwarded-Port: 1\n"
	const head = "GET / HTTP/1.1\nHost: a\n"
	peer := netip.MustParseAddr("10.1.2.3")
	tests := map[string]struct {
		w    RequestRewrite
		want string
	}{
		"of a stranger, none": {RequestRewrite{NoXForwarded: true, NoForwarded: true}, ""},
		"of a stranger, Forwarded only": {RequestRewrite{Peer: peer, NoXForwarded: true},
			"Forwarded: for=10.1.2.3;host=a;proto=http\n"},
		"of a stranger, X-Forwarded only": {RequestRewrite{Peer: peer, NoForwarded: true},
			"X-Forwarded-For: 10.1.2.3\nX-Forwarded-Proto: http\nX-Forwarded-Host: a\n"},
		"of a trusted peer, as they came": {RequestRewrite{Peer: peer, Trusted: true, NoXForwarded: true, NoForwarded: true},
			"X-Forwarded-For: 192.0.2.1\nForwarded: for=\"\nX-Forwarded-Port: 1\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := rewriteRequest(t, head+claims+"\n", &test.w); got != head+test.want+"\n" {
				t.Errorf("got\n%s\nwant\n%s", got, head+test.want)
			}
		})
	}
}

// FuzzForwardedElement holds that no host can add a parameter, an element or a
// line to what a backend reads.
func FuzzForwardedElement(f *testing.F) {
	for _, host := range []string{"a.example", "a:80", "[::1]:80", `a";for=evil`, "a\r\nX: y", `a\`, "a,for=b", "\x00\xff", "", "a;b=c", "%22"} {
		f.Add(host, true)
		f.Add(host, false)
	}
	f.Fuzz(func(t *testing.T, host string, trusted bool) {
		var r Request
		var p Progress
		text := "GET / HTTP/1.1\r\nHost: " + host + "\r\nForwarded: for=before\r\n\r\n"
		n, err := r.Parse([]byte(text), &p, nil)
		if n != len(text) || err != nil || string(r.Host) != host {
			return // not a host
		}
		w := RequestRewrite{Peer: netip.MustParseAddr("2001:db8::1"), Trusted: trusted, NoXForwarded: true}
		out := string(r.AppendTo(nil, &w))
		_, line, _ := strings.Cut(out, "\r\nForwarded: ")
		line, rest, _ := strings.Cut(line, "\r\n")
		elements, ok := parseForwarded(line)
		if !ok || rest != "\r\n" {
			t.Fatalf("does not parse: %q", out)
		}
		want := 1
		if trusted {
			want = 2
		}
		if len(elements) != want {
			t.Fatalf("%d elements in %q, want %d", len(elements), line, want)
		}
		last := elements[want-1]
		parameters := 2
		if host != "" {
			parameters = 3
		}
		if len(last) != parameters || last["for"] != "[2001:db8::1]" || last["proto"] != "http" || last["host"] != host {
			t.Fatalf("parameters of this hop are %q, from host %q", last, host)
		}
	})
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
		var value string
		if strings.HasPrefix(rest, `"`) {
			end := strings.IndexByte(rest[1:], '"')
			if end < 0 || strings.ContainsAny(rest[1:1+end], "\\\r\n\x00") {
				return nil, false // no host here needs an escape
			}
			value, text = rest[1:1+end], rest[end+2:]
		} else {
			end := strings.IndexAny(rest+",", ";,")
			value, text = rest[:end], rest[end:]
			if strings.ContainsAny(value, "\" \r\n\t:[]=") {
				return nil, false
			}
		}
		if _, twice := element[name]; twice {
			return nil, false
		}
		element[name] = value
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

func TestTheSubjectOfACertificateCannotBeForged(t *testing.T) {
	const claimed = "GET / HTTP/1.1\r\nHost: a.example\r\nX-Client-Cert-Subject: CN=forged\r\nx_client_cert_subject: CN=forged\r\n\r\n"
	for name, c := range map[string]struct {
		w    RequestRewrite
		want []string
	}{
		"a stranger's claim is dropped":               {RequestRewrite{}, nil},
		"what was shown takes its place":              {RequestRewrite{ClientSubject: "CN=real"}, []string{"CN=real"}},
		"a trusted proxy has seen the certificate":    {RequestRewrite{Trusted: true}, []string{"CN=forged"}},
		"a trusted proxy may have shown one itself":   {RequestRewrite{Trusted: true, ClientSubject: "CN=real"}, []string{"CN=real"}},
		"an edit goes last":                           {RequestRewrite{ClientSubject: "CN=real", Edits: []Edit{{Op: EditSet, Name: "X-Client-Cert-Subject", Value: "x"}}}, []string{"x"}},
		"without other forwarding fields it is there": {RequestRewrite{NoForwarded: true, NoXForwarded: true, ClientSubject: "CN=real"}, []string{"CN=real"}},
	} {
		t.Run(name, func(t *testing.T) {
			var r Request
			if _, err := r.Parse([]byte(claimed), new(Progress), &Limits{Head: 4096, Line: 4096, Fields: 100}); err != nil {
				t.Fatal(err)
			}
			var got []string
			for line := range strings.SplitSeq(string(r.AppendTo(nil, &c.w)), "\r\n") {
				field, value, _ := strings.Cut(line, ": ")
				if strings.EqualFold(strings.ReplaceAll(field, "_", "-"), "X-Client-Cert-Subject") {
					got = append(got, value)
				}
			}
			if strings.Join(got, "|") != strings.Join(c.want, "|") {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
