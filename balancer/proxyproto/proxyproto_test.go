package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"
)

var (
	four = Header{netip.MustParseAddrPort("192.0.2.1:1024"), netip.MustParseAddrPort("198.51.100.2:443")}
	six  = Header{netip.MustParseAddrPort("[2001:db8::1]:65535"), netip.MustParseAddrPort("[2001:db8::2]:1")}
)

// v2 is a header with that command and family byte.
func v2(command, family byte, content string) string {
	return string(proxyproto.SIGV2) + string([]byte{command, family, byte(len(content) >> 8), byte(len(content))}) + content
}

const fourContent = "\xc0\x00\x02\x01\xc6\x33\x64\x02\x04\x00\x01\xbb"

// summed is four as version 2 with a checksum, wrong if off is not 0.
func summed(off uint32) string {
	p := []byte(v2(0x21, 0x11, fourContent+"\x04\x00\x02xx\x03\x00\x04\x00\x00\x00\x00"))
	sum := crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(p[len(p)-4:], sum+off)
	return string(p)
}

func TestHeaders(t *testing.T) {
	local := Header{}
	for name, c := range map[string]struct {
		bytes string
		want  Header
		err   error // errAny: some
	}{
		"version 1 of IPv4":                 {"PROXY TCP4 192.0.2.1 198.51.100.2 1024 443\r\n", four, nil},
		"version 1 of IPv6":                 {"PROXY TCP6 2001:db8::1 2001:db8::2 65535 1\r\n", six, nil},
		"version 1 of nobody":               {"PROXY UNKNOWN\r\n", local, nil},
		"version 1 of nobody with more":     {"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", local, nil},
		"version 1 of IPv4 mapped to IPv6":  {"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 1024 443\r\n", four, nil},
		"version 2 of IPv4":                 {v2(0x21, 0x11, fourContent), four, nil},
		"version 2 with extensions":         {v2(0x21, 0x11, fourContent+"\x04\x00\x00\x02\x00\x01a"), four, nil},
		"version 2 with a checksum":         {summed(0), four, nil},
		"version 2 of the proxy itself":     {v2(0x20, 0x00, ""), local, nil},
		"the same with addresses":           {v2(0x20, 0x11, fourContent), local, nil},
		"the same with anything":            {v2(0x20, 0x11, "abc"), local, nil},
		"version 2 of an unknown family":    {v2(0x21, 0x00, "abc"), local, nil},
		"version 2 of Unix sockets":         {v2(0x21, 0x31, strings.Repeat("\x00", 216)), local, nil},
		"another protocol":                  {"GET / HTTP/1.1\r\n\r\n", local, ErrNone},
		"no space behind the word":          {"PROXYTCP4 192.0.2.1 198.51.100.2 1024 443\r\n", local, errAny},
		"a line without an end":             {"PROXY UNKNOWN " + strings.Repeat("a", 107), local, ErrTooLong},
		"the longest line":                  {"PROXY UNKNOWN " + strings.Repeat("a", 91) + "\r\n", local, nil},
		"a line feed alone":                 {"PROXY TCP4 192.0.2.1 198.51.100.2 1024 443\n", local, errAny},
		"a control character":               {"PROXY UNKNOWN \x00\r\n", local, ErrControl},
		"two spaces":                        {"PROXY TCP4  192.0.2.1 198.51.100.2 1024 443\r\n", local, errAny},
		"an address of the other family":    {"PROXY TCP4 2001:db8::1 198.51.100.2 1024 443\r\n", local, errAny},
		"an address with a zone":            {"PROXY TCP6 fe80::1%eth0 2001:db8::2 1024 443\r\n", local, errAny},
		"a name":                            {"PROXY TCP4 localhost 198.51.100.2 1024 443\r\n", local, errAny},
		"a port out of range":               {"PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n", local, errAny},
		"a port with a zero before it":      {"PROXY TCP4 192.0.2.1 198.51.100.2 080 443\r\n", local, errAny},
		"another transport":                 {"PROXY UDP4 192.0.2.1 198.51.100.2 1024 443\r\n", local, errAny},
		"version 3":                         {v2(0x31, 0x11, fourContent), local, errAny},
		"an unknown command":                {v2(0x22, 0x11, fourContent), local, errAny},
		"an unknown family":                 {v2(0x21, 0x41, fourContent), local, errAny},
		"datagrams":                         {v2(0x21, 0x12, fourContent), local, ErrDatagram},
		"less than the addresses":           {v2(0x21, 0x11, fourContent[:11]), local, errAny},
		"an extension that is cut":          {v2(0x21, 0x11, fourContent+"\x02\x00\x02a"), local, errAny},
		"a wrong checksum":                  {summed(1), local, ErrChecksum},
		"a checksum of another size":        {v2(0x21, 0x11, fourContent+"\x03\x00\x01a"), local, ErrChecksum},
		"the longest version 2":             {v2(0x20, 0x00, strings.Repeat("a", 4096)), local, nil},
		"one that is longer":                {v2(0x20, 0x00, strings.Repeat("a", 4097)), local, ErrTooLong},
		"a signature that goes wrong later": {"\r\n\r\n\x00\r\nQUIX", local, ErrNone},
	} {
		t.Run(name, func(t *testing.T) {
			for _, behind := range []string{"", "PROXY TCP4 and what follows\r\n"} {
				all := []byte(c.bytes + behind)
				got, n, err := Read(all)
				switch {
				case c.err == nil && (err != nil || n != len(c.bytes) || got != c.want):
					t.Errorf("%v, %d, %v; want %v, %d", got, n, err, c.want, len(c.bytes))
				case c.err != nil && (err == nil || c.err != errAny && !errors.Is(err, c.err) || got != local || n != 0):
					t.Errorf("%v, %d, %v; want %v", got, n, err, c.err)
				}
			}
			if c.err == nil {
				checkBeginnings(t, []byte(c.bytes))
			}
		})
	}
}

var errAny = errors.New("any")

// checkBeginnings: each one is incomplete.
func checkBeginnings(t *testing.T, p []byte) {
	for i := range p {
		if h, n, err := Read(p[:i]); n != 0 || err != nil || h != (Header{}) {
			t.Errorf("the first %d of %d bytes: %v, %d, %v", i, len(p), h, n, err)
		}
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	mixed := Header{four.Source, six.Destination}
	zoned := Header{netip.MustParseAddrPort("[fe80::1%eth0]:1"), six.Destination}
	for _, version := range []Version{V1, V2} {
		for _, c := range []struct{ ends, want Header }{
			{four, four}, {six, six}, {mixed, mixed}, {Header{}, Header{}},
			{Header{Source: four.Source}, Header{}},
			{zoned, Header{netip.MustParseAddrPort("[fe80::1]:1"), six.Destination}},
		} {
			text, err := Append([]byte("before"), version, c.ends)
			if err != nil {
				t.Fatal(err)
			}
			text, ok := bytes.CutPrefix(text, []byte("before"))
			if got, n, err := Read(text); !ok || err != nil || n != len(text) || got != c.want {
				t.Errorf("version %d of %v: %q is read as %v, %d, %v", version, c.ends, text, got, n, err)
			}
		}
	}
	if _, err := Append(nil, 3, four); err == nil {
		t.Error("a version 3 was written")
	}
}

// FuzzRead: the outcome is the same whatever follows, each beginning of a header
// is incomplete, and what was read is written so that it is read again.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"PROXY TCP4 192.0.2.1 198.51.100.2 1024 443\r\nmore", "PROXY TCP6 2001:db8::1 2001:db8::2 65535 1\r\n", "PROXY UNKNOWN\r\n",
		v2(0x21, 0x11, fourContent), v2(0x20, 0, ""), v2(0x21, 0x21, strings.Repeat("a", 36)+"\x04\x00\x00"), summed(0),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		h, n, err := Read(p)
		if n < 0 || n > min(len(p), MaxV2) || err != nil && n != 0 {
			t.Fatalf("%d of %d bytes, %v", n, len(p), err)
		}
		if n == 0 {
			return
		}
		if again, m, err := Read(append(p[:n:n], "anything"...)); again != h || m != n || err != nil {
			t.Errorf("followed by something else: %v, %d, %v; was %v, %d", again, m, err, h, n)
		}
		checkBeginnings(t, p[:n])
		for _, version := range []Version{V1, V2} {
			text, err := Append(nil, version, h)
			if err != nil {
				t.Fatal(err)
			}
			if again, m, err := Read(text); again != h || m != len(text) || err != nil {
				t.Errorf("%v was written as %q, which is read as %v, %d, %v", h, text, again, m, err)
			}
		}
	})
}
