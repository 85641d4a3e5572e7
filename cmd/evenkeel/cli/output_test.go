package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"evenkeel/httpapi/strictjson"
	"evenkeel/httpapi/strictyaml"
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

// What -o yaml prints is a manifest's YAML too, which refuses what readers of
// YAML do not agree on.
func TestAnyTextOfYAMLIsReadAsThatText(t *testing.T) {
	texts := []string{
		"<<", "=", "~", "no", "Y", "null", "1_000", "0x1F", "012", ".5", ".inf", "-.INF", ".NaN", "2026-01-01", "2026-1-1 10:00:00",
		"10:30", "? x", "?", "-", "- x", ": x", "a: b", "a #b", "%x", "*a", "!x", "|", "{a", "a:", "\n", "\na", "a\n\n", " a\nb", "a \nb",
		"# a\nb", "a\r\nb", "\tx", "a\tb", "...", "--- a", "---\na", "\u0085", "\u2028", "\ufeff", "\u3000", "\ue000", "\\", "\"", "'x", "", " ",
	}
	document := map[string]any{"texts": texts}
	keys := map[string]string{}
	for _, text := range texts {
		keys[text] = text
	}
	document["keys"] = keys
	data, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := printData(&out, formatYAML, data); err != nil {
		t.Fatal(err)
	}
	read, faults := strictyaml.Parse([]byte(out.String()), 1000)
	if len(faults) > 0 {
		t.Fatalf("%v in:\n%s", faults, out.String())
	}
	for i, element := range read[0].Member("texts").Elements {
		if element.Kind != strictjson.String || element.Text != texts[i] {
			t.Errorf("%q is read as %q", texts[i], element.Text)
		}
	}
	for _, text := range texts {
		if value := read[0].Member("keys").Member(text); value == nil || value.Kind != strictjson.String || value.Text != text {
			t.Errorf("the field %q is read as %+v", text, value)
		}
	}
}

func TestNoTextOfYAMLDrivesTheTerminal(t *testing.T) {
	var out strings.Builder
	if err := printData(&out, formatYAML, []byte(`{"a":"\u001b[2J","b":"x\ny\u009bz","c":["\u202e"],"d\u0007":"\u00e4"}`)); err != nil {
		t.Fatal(err)
	}
	const want = `a: "\x1b[2J"
b: "x\ny\x9bz"
c:
  - "\u202e"
"d\x07": "ä"
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
