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
