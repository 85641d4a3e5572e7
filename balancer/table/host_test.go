package table

import "testing"

func TestHostIsNormalised(t *testing.T) {
	for _, c := range []struct{ name, host, want string }{
		{"a plain name stays", "example.com", "example.com"},
		{"case is folded", "ExAmPlE.COM", "example.com"},
		{"a port is cut off", "example.com:8080", "example.com"},
		{"a final dot is cut off", "example.com.", "example.com"},
		{"only one final dot is cut off", "example.com..", "example.com."},
		{"a final dot before a port is cut off", "example.com.:80", "example.com"},
		{"an IPv4 address loses its port", "10.0.0.1:80", "10.0.0.1"},
		{"an IPv6 address loses brackets and port", "[2001:DB8::1]:80", "2001:db8::1"},
		{"an IPv6 address in brackets needs no port", "[::1]", "::1"},
		{"an IPv6 address without brackets has no port", "2001:db8::1", "2001:db8::1"},
		{"an unclosed bracket stays as it is", "[::1", "[::1"},
		{"an empty port is cut off", "example.com:", "example.com"},
		{"nothing stays nothing", "", ""},
		{"a port alone is nothing", ":80", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			key := appendHostKey(nil, c.host)
			if got := backwards(key); got != c.want {
				t.Fatalf("%q became %q, want %q", c.host, got, c.want)
			}
		})
	}
}

func backwards(key []byte) string {
	text := make([]byte, len(key))
	for i, c := range key {
		text[len(key)-1-i] = c
	}
	return string(text)
}
