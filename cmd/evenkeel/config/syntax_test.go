package config

import (
	"testing"

	"github.com/goccy/go-yaml/parser"
)

func TestLabelOf(t *testing.T) {
	tests := map[string]string{
		"web1":               "web1",
		"Web1.example.org":   "web1",
		"my_host":            "my-host",
		"-x-":                "x",
		"":                   "node",
		"___":                "node",
		"größe":              "gr--e",
		string(longName(80)): string(longName(63)),
	}
	for hostname, want := range tests {
		if got := labelOf(hostname); got != want || checkLabel(got) != nil {
			t.Errorf("label of %q is %q, want %q", hostname, got, want)
		}
	}
}

func longName(n int) []byte {
	name := make([]byte, n)
	for i := range name {
		name[i] = 'a'
	}
	return name
}

func TestIsLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:1": true, "127.9.9.9:1": true, "[::1]:1": true, "localhost:1": true, "[::ffff:127.0.0.1]:1": true,
		":1": false, "0.0.0.0:1": false, "[::]:1": false, "10.0.0.1:1": false, "example.org:1": false, "": false,
	} {
		if got := isLoopback(address); got != want {
			t.Errorf("isLoopback(%q) = %v", address, got)
		}
	}
}

func FuzzReadFile(f *testing.F) {
	for _, text := range []string{
		"", "name: n1\n", "join: [a, b]\n", "listener-addr: {default: :80}\n", "name: &a x\nbind: *a\n",
		"<<: {name: x}\n", "- a\n", "? a\n: b\n", "name: |\n  x\n", "---\nname: a\n---\nname: b\n", "name: !!str 1\n",
	} {
		f.Add(text)
	}
	known := map[string]*option{}
	for _, o := range options() {
		known[o.name] = o
	}
	f.Fuzz(func(t *testing.T, text string) {
		settings, faults := readFile("f", []byte(text), known)
		for name, s := range settings {
			if known[name] == nil || s.source == "" {
				t.Errorf("setting %q from %q", name, s.source)
			}
		}
		if _, err := parser.ParseBytes([]byte(text), 0); err != nil && len(faults) == 0 {
			t.Errorf("%q does not parse (%v) and is no fault", text, err)
		}
	})
}
