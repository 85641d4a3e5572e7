package http1

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
)

// TestEightBytesAtOnceSeeWhatOneByOneSees puts each byte at each place of texts
// of several lengths.
func TestEightBytesAtOnceSeeWhatOneByOneSees(t *testing.T) {
	for size := range 20 {
		for at := range size {
			for c := range 256 {
				for _, fill := range []byte{'a', '~', 0xff, ' ', '!', '$'} {
					text := bytes.Repeat([]byte{fill}, size)
					text[at] = byte(c)
					if got, want := IsValue(text), all(text, inValue); got != want {
						t.Fatalf("IsValue(%q) is %v", text, got)
					}
					if got, want := IsTarget(text), all(text, inTarget); got != want {
						t.Fatalf("IsTarget(%q) is %v", text, got)
					}
					plain := 0
					for plain < size && (text[plain] >= ' ' && text[plain] != 0x7f) {
						plain++
					}
					if got := plainLen(text); got != plain {
						t.Fatalf("plainLen(%q) is %d", text, got)
					}
				}
			}
		}
	}
}

func TestPlainLenFindsTheFirstOfSeveral(t *testing.T) {
	for first := range 8 {
		for second := range 8 {
			for _, c := range []string{"\r\x7f", "\x7f\r", "\x00\x00", "\x7f\x7f", "\x1f\x80", "\x7f\x80"} {
				text := []byte("abcdefgh")
				text[second] = c[1]
				text[first] = c[0]
				want := bytes.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
				if got := plainLen(text); got != want {
					t.Errorf("plainLen(%q) is %d, want %d", text, got, want)
				}
			}
		}
	}
}

func TestClassesAreThoseOfTheGrammar(t *testing.T) {
	tests := map[string]struct {
		class  uint8
		accept string
	}{
		"token": {inToken, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"},
		"host":  {inHost, "!$&'()*+,;=-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"},
		"hex":   {inHex, "0123456789abcdefABCDEF"},
		"digit": {inDigits, "0123456789"},
	}
	for name, test := range tests {
		for c := range 256 {
			want := strings.IndexByte(test.accept, byte(c)) >= 0
			if got := classes[c]&test.class != 0; got != want {
				t.Errorf("%s: %q is %v", name, byte(c), got)
			}
		}
	}
}

func TestNamesAreComparedWithoutCase(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"", "", true}, {"Host", "hOST", true}, {"Host", "Hos", false}, {"a-b", "A-B", true},
		{"a^", "a~", false}, {"a`", "a@", false}, {"a[", "a{", false}, {"\xc4", "\xe4", false}, {"k", "\u212a", false},
	} {
		if got := equalFold(test.a, []byte(test.b)); got != test.want {
			t.Errorf("%q and %q: %v", test.a, test.b, got)
		}
	}
}

// TestKindsAreFoundByWholeNamesOnly holds kindOf against a plain list, with
// every byte of every name changed to each byte of a token.
func TestKindsAreFoundByWholeNamesOnly(t *testing.T) {
	list := map[string]kind{
		"te": kindTE, "host": kindHost, "expect": kindExpect, "upgrade": kindUpgrade, "trailer": kindTrailer,
		"forwarded": kindForwarded, "connection": kindConnection, "keep-alive": kindHopByHop,
		"content-length": kindContentLength, "http2-settings": kindHopByHop, "proxy-connection": kindHopByHop,
		"transfer-encoding": kindTransferEncoding, "proxy-authenticate": kindHopByHop, "proxy-authorization": kindHopByHop,
		"x-client-cert-subject": kindClientSubject,
	}
	forwarded := map[string]kind{"for": kindForwardedFor, "proto": kindForwardedProto, "host": kindForwardedHost}
	plain := func(name string) kind {
		name = strings.ToLower(name)
		if k, ok := list[name]; ok {
			return k
		}
		if strings.ReplaceAll(name, "_", "-") == "x-client-cert-subject" {
			return kindForwardedDisguise
		}
		rest, ok := strings.CutPrefix(strings.ReplaceAll(name, "_", "-"), "x-forwarded-")
		switch k := forwarded[rest]; {
		case !ok:
			return kindOther
		case strings.Contains(name, "_"):
			return kindForwardedDisguise
		case k != kindOther:
			return k
		}
		return kindForwardedOther
	}
	names := []string{"x-forwarded-", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x_forwarded_for",
		"user-agent", "accept", "cookie", "a"}
	for name := range list {
		names = append(names, name, name+"s")
	}
	for _, name := range names {
		for at := range len(name) {
			for c := range 256 {
				if classes[c]&inToken == 0 {
					continue
				}
				for _, base := range []string{name, strings.ToUpper(name)} {
					changed := []byte(base)
					changed[at] = byte(c)
					if got, want := kindOf(changed), plain(string(changed)); got != want {
						t.Errorf("%s is %d, want %d", changed, got, want)
					}
				}
			}
		}
	}
}

func TestMethods(t *testing.T) {
	tests := map[string]struct {
		method           Method
		safe, idempotent bool // RFC 9110 section 9.2, RFC 5789 section 2
	}{
		"GET": {GET, true, true}, "HEAD": {HEAD, true, true}, "OPTIONS": {OPTIONS, true, true}, "TRACE": {TRACE, true, true},
		"PUT": {PUT, false, true}, "DELETE": {DELETE, false, true},
		"POST": {POST, false, false}, "PATCH": {PATCH, false, false}, "CONNECT": {CONNECT, false, false},
		"PROPFIND": {MethodOther, false, false}, "get": {MethodOther, false, false},
	}
	for name, test := range tests {
		m := methodOf([]byte(name))
		if m != test.method || m.IsSafe() != test.safe || m.IsIdempotent() != test.idempotent {
			t.Errorf("%s is %d, safe: %v, idempotent: %v", name, m, m.IsSafe(), m.IsIdempotent())
		}
	}
}

func TestFieldsCanBeLookedUp(t *testing.T) {
	var r Request
	var p Progress
	text := crlf("GET / HTTP/1.1\nHost: a\nX-A:  1 \nx-a: 2\nEmpty:\n\n")
	if n, err := r.Parse(text, &p, nil); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	for name, want := range map[string]string{"host": "a", "X-A": "1", "x-A": "1", "Empty": "", "X-": "none", "": "none", "X-AA": "none"} {
		value, ok := r.Field(name)
		if want == "none" && ok || want != "none" && (!ok || string(value) != want) {
			t.Errorf("%q: %q, %v", name, value, ok)
		}
	}
	var response Response
	answered := crlf("HTTP/1.1 200 OK\nA: b\n\n")
	if n, err := response.Parse(answered, &p, nil, GET); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	if value, ok := response.Field("a"); !ok || string(value) != "b" {
		t.Errorf("of a response: %q, %v", value, ok)
	}
	var all []string
	for name, value := range r.Fields {
		all = append(all, string(name)+"="+string(value))
		if len(all) == 3 {
			break
		}
	}
	if got := strings.Join(all, " "); got != "Host=a X-A=1 x-a=2" {
		t.Errorf("ranged over %q", got)
	}
	for name, value := range r.Fields {
		_, _ = append(name, '!'), append(value, '!')
	}
	if string(text) != string(crlf("GET / HTTP/1.1\nHost: a\nX-A:  1 \nx-a: 2\nEmpty:\n\n")) {
		t.Errorf("appending to a name or value wrote into the buffer: %q", text)
	}
}

// FuzzAddresses holds the parsing of addresses in hosts against net/netip.
func FuzzAddresses(f *testing.F) {
	for _, address := range []string{"::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::8", "1:2", "1:2:3:4:5:6:7:8:9",
		":1", "1:", ":::", "1:::2", "1::2::3", "::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3", "::1.2.3.4.5",
		"::1.2.3.256", "::01.2.3.4", "::1.2.3.4:5", "1.2.3.4", "12345::", "g::", "", "fe80::1%eth0", "::1.", "::.1", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8",
		"::1.2.3.", "1..", "a:b:c:d:e:f:A:B"} {
		f.Add(address)
	}
	f.Fuzz(func(t *testing.T, address string) {
		parsed, err := netip.ParseAddr(address)
		want := err == nil && parsed.Is6() && parsed.Zone() == ""
		if got := isIPv6([]byte(address)); got != want {
			t.Errorf("%q is IPv6: %v, net/netip says %v", address, got, err)
		}
	})
}
