package hello

import (
	"bytes"
	"crypto/tls"
	"strings"
	"testing"
)

// hellos are those of crypto/tls with what matters here.
func hellos(t testing.TB) map[string][]byte {
	long := strings.Repeat("a", 63) + "."
	configs := map[string]*tls.Config{
		"of both versions":              {ServerName: "www.example.com"},
		"of TLS 1.3 alone":              {ServerName: "www.example.com", MinVersion: tls.VersionTLS13},
		"of TLS 1.2 alone":              {ServerName: "www.example.com", MaxVersion: tls.VersionTLS12},
		"with protocols":                {ServerName: "example.com", NextProtos: []string{"h2", "http/1.1"}},
		"without a name":                {InsecureSkipVerify: true},
		"for an address":                {ServerName: "192.0.2.1"},
		"with the longest name":         {ServerName: long + long + long + strings.Repeat("b", 61)},
		"with a name in upper case":     {ServerName: "WWW.Example.COM"},
		"with a long list of protocols": {ServerName: "example.com", NextProtos: manyProtocols()},
	}
	all := map[string][]byte{}
	for name, config := range configs {
		all[name] = sent(t, config)
	}
	return all
}

// manyProtocols make a hello long.
func manyProtocols() []string {
	all := make([]string, 60)
	for i := range all {
		all[i] = strings.Repeat("p", 200+i%50)
	}
	return all
}

func TestAHelloIsReadAsCryptoTLSReadsIt(t *testing.T) {
	for name, record := range hellos(t) {
		t.Run(name, func(t *testing.T) {
			want, ok := oracle(record)
			if !ok {
				t.Fatal("crypto/tls sees no hello")
			}
			if got := read(record, len(record)); !got.equal(want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestHowAHelloArrivesIsAllTheSame(t *testing.T) {
	for name, record := range hellos(t) {
		t.Run(name, func(t *testing.T) {
			want := read(record, len(record))
			for _, piece := range []int{1, 2, 3, 7, 100, 1000} {
				if got := read(record, piece); !got.equal(want) {
					t.Errorf("in pieces of %d: %v, want %v", piece, got, want)
				}
			}
			for _, size := range []int{1, 2, 3, 4, 5, 50, 500} {
				cut := cut(record, size)
				expected := want
				if len(cut) > MaxBytes {
					expected = said{verdict: Malformed}
				}
				for _, piece := range []int{1, 6, len(cut)} {
					if got := read(cut, piece); !got.equal(expected) {
						t.Errorf("in records of %d and pieces of %d: %v, want %v", size, piece, got, expected)
					}
				}
			}
		})
	}
}

func TestEveryBeginningOfAHelloIsIncomplete(t *testing.T) {
	record := sent(t, &tls.Config{ServerName: "example.com", NextProtos: []string{"h2"}})
	for _, p := range [][]byte{record, cut(record, 90)} {
		for n := range len(p) - 1 {
			if got := read(p[:n], max(n, 1)); got.verdict != Incomplete {
				t.Errorf("the first %d of %d bytes are %v", n, len(p), got.verdict)
			}
		}
	}
}

func TestWhatFollowsAHelloIsNotLookedAt(t *testing.T) {
	record := sent(t, &tls.Config{ServerName: "example.com"})
	want := read(record, len(record))
	if got := read(append(record, "anything"...), 1<<20); !got.equal(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAHelloCostsNoAllocation(t *testing.T) {
	record := sent(t, &tls.Config{ServerName: "example.com", NextProtos: []string{"h2", "http/1.1"}})
	allocations := testing.AllocsPerRun(100, func() {
		var r Reader
		if _, v := r.Read(record); v != Complete {
			t.Error(v)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

// message is a record with a hello of which the parts behind the version and the
// random bytes are given.
func message(parts ...string) string {
	body := "\x03\x03" + strings.Repeat("r", 32) + strings.Join(parts, "")
	return handshake("\x01\x00" + length(len(body)) + body)
}

func handshake(content string) string { return "\x16\x03\x01" + length(len(content)) + content }

func length(n int) string { return string([]byte{byte(n >> 8), byte(n)}) }

func extension(kind byte, content string) string {
	return "\x00" + string(kind) + length(len(content)) + content
}

// host is the content of a server_name extension with these names of hosts.
func host(names ...string) string {
	list := ""
	for _, name := range names {
		list += "\x00" + length(len(name)) + name
	}
	return length(len(list)) + list
}

func TestWhatIsNoHelloIsNamed(t *testing.T) {
	const plain = "\x00\x00\x02\x13\x01\x01\x00" // no session, one suite, one method
	with := func(extensions ...string) string {
		all := strings.Join(extensions, "")
		return message(plain + length(len(all)) + all)
	}
	for name, c := range map[string]struct {
		bytes string
		want  said
	}{
		"nothing":                               {"", said{verdict: Incomplete}},
		"a request of HTTP":                     {"GET / HTTP/1.1\r\n", said{verdict: NotTLS}},
		"SSL 2.0":                               {"\x80\x2e\x01\x00\x02", said{verdict: NotTLS}},
		"an alert":                              {"\x15\x03\x01\x00\x02\x01\x00", said{verdict: NotTLS}},
		"a version that TLS never had":          {"\x16\x04", said{verdict: NotTLS}},
		"one byte that may become a hello":      {"\x16", said{verdict: Incomplete}},
		"an empty record":                       {"\x16\x03\x01\x00\x00", said{verdict: Malformed}},
		"a record that is too long":             {"\x16\x03\x01\x40\x01", said{verdict: Malformed}},
		"another message":                       {handshake("\x02\x00\x00\x00"), said{verdict: Malformed}},
		"a message that is too long":            {handshake("\x01\x00\x80\x00"), said{verdict: Malformed}},
		"a record of another kind in between":   {handshake("\x01\x00\x01\x00") + "\x17", said{verdict: Malformed}},
		"an empty message":                      {handshake("\x01\x00\x00\x00"), said{verdict: Malformed}},
		"no extensions":                         {message(plain), said{verdict: Complete}},
		"an empty list of extensions":           {with(), said{verdict: Complete}},
		"no suites":                             {message("\x00\x00\x00\x01\x00"), said{verdict: Malformed}},
		"half a suite":                          {message("\x00\x00\x03\x13\x01\x13\x01\x00"), said{verdict: Malformed}},
		"no method":                             {message("\x00\x00\x02\x13\x01\x00"), said{verdict: Malformed}},
		"a session that is too long":            {message("\x21" + strings.Repeat("s", 33) + plain[1:]), said{verdict: Malformed}},
		"something behind the extensions":       {message(plain + "\x00\x00x"), said{verdict: Malformed}},
		"extensions that are cut":               {message(plain + "\x00\x05\x00\x00\x00"), said{verdict: Malformed}},
		"a name":                                {with(extension(0, host("a.example"))), said{verdict: Complete, name: "a.example"}},
		"two names":                             {with(extension(0, host("a", "b"))), said{verdict: Malformed}},
		"no name in the list":                   {with(extension(0, host())), said{verdict: Malformed}},
		"an empty name":                         {with(extension(0, host(""))), said{verdict: Malformed}},
		"a name with a final dot":               {with(extension(0, host("a.example."))), said{verdict: Malformed}},
		"a name with a zero byte":               {with(extension(0, host("a\x00b"))), said{verdict: Malformed}},
		"a name that is too long":               {with(extension(0, host(strings.Repeat("a", 256)))), said{verdict: Malformed}},
		"a name of another type, which is none": {with(extension(0, "\x00\x04\x01\x00\x01a")), said{verdict: Complete}},
		"the name twice":                        {with(extension(0, host("a")), extension(0, host("a"))), said{verdict: Malformed}},
		"an unknown extension twice":            {with(extension(99, ""), extension(99, "")), said{verdict: Malformed}},
		"more extensions than anybody has":      {with(numbered(129)...), said{verdict: Malformed}},
		"as many as there may be":               {with(numbered(128)...), said{verdict: Complete}},
		"protocols": {with(extension(16, "\x00\x0c\x02h2\x08http/1.1")),
			said{verdict: Complete, protocols: []string{"h2", "http/1.1"}}},
		"no protocols":       {with(extension(16, "\x00\x00")), said{verdict: Malformed}},
		"an empty protocol":  {with(extension(16, "\x00\x01\x00")), said{verdict: Malformed}},
		"a protocol cut off": {with(extension(16, "\x00\x02\x05h")), said{verdict: Malformed}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, piece := range []int{1, 5, 1 << 20} {
				if got := read([]byte(c.bytes), piece); !got.equal(c.want) {
					t.Errorf("in pieces of %d: %v, want %v", piece, got, c.want)
				}
			}
		})
	}
}

// numbered are that many extensions without meaning here.
func numbered(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = "\x7f" + string([]byte{byte(i)}) + "\x00\x00"
	}
	return all
}

// FuzzRead compares with crypto/tls, which looks at more of a hello: what both
// read they read alike, and what it reads is refused here only for a name that
// is not one.
func FuzzRead(f *testing.F) {
	for _, record := range hellos(f) {
		f.Add(record, 7)
		f.Add(cut(record, 300), 1)
	}
	f.Fuzz(func(t *testing.T, p []byte, piece int) {
		got := read(p, len(p)+1)
		if cut := read(p, max(piece, 1)); !cut.equal(got) {
			t.Errorf("in pieces of %d: %v, whole: %v", piece, cut, got)
		}
		want, ok := oracle(p)
		switch {
		case !ok || len(p) > MaxBytes:
		case got.verdict == Complete && !got.equal(want):
			t.Errorf("got %v, want %v", got, want)
		case got.verdict != Complete && isPlain(want.name):
			t.Errorf("%v, but crypto/tls reads %v", got.verdict, want)
		}
	})
}

// isPlain tells whether a name would be taken.
func isPlain(name string) bool {
	return name == "" || !bytes.ContainsFunc([]byte(name), func(r rune) bool { return r <= ' ' || r >= 0x7f }) && len(name) <= maxName
}
