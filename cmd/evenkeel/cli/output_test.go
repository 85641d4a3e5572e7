package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestYAMLKeepsTextsTexts(t *testing.T) {
	const document = `{"z":"1234e567","a":"0000000000001234","time":"12:30:45","bool":"true","empty":"","version":"1.2","word":"web1","lines":"a\nb","nested":{"big":12345678901234567890},"list":["1e3"],"1e3":"key"}`
	const want = `z: "1234e567"
a: "0000000000001234"
time: "12:30:45"
bool: "true"
empty: ""
version: "1.2"
word: web1
lines: |-
  a
  b
nested:
  big: 12345678901234567890
list:
- "1e3"
"1e3": key
`
	var out strings.Builder
	if err := printData(&out, formatYAML, []byte(document)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNoTextOfYAMLDrivesTheTerminal(t *testing.T) {
	var out strings.Builder
	if err := printData(&out, formatYAML, []byte(`{"a":"\u001b[2J","b":"x\ny\u009bz","c":["\u202e"],"d\u0007":"\u00e4"}`)); err != nil {
		t.Fatal(err)
	}
	const want = `a: "\x1b[2J"
b: "x\ny\u009bz"
c:
- "\u202e"
"d\a": ä
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What a backend, a peer or a user wrote is shown as it is meant, or with a mark.
func TestNoTextDrivesTheTerminal(t *testing.T) {
	for text, want := range map[string]string{
		"plain ä 漢 ✓":                 "plain ä 漢 ✓",
		"\x1b[31mred\x1b[0m\r\n\t":    "?[31mred?[0m???",
		"c1 \u009b2J":                 "c1 ?2J",
		"up \u202enwod\u202c":         "up ?nwod?",
		"\u2066a\u2069 \u200f \u200b": "?a? ? ?",
		"line\u2028end\u2029":         "line?end?",
	} {
		if got := printable(text); got != want {
			t.Errorf("%q is printed as %q, want %q", text, got, want)
		}
	}
}
