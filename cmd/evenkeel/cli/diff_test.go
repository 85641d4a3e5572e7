package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"evenkeel/client"
	"evenkeel/fsm"
)

// Whatever an API sends, a change is printed in lines that drive no terminal.
func FuzzDescribeChange(f *testing.F) {
	f.Add("update", "a\x1b", "/spec/a~1b/0", []byte(`"\u001b"`), []byte(`{"spec":{"a":{"b":[1]},"c":null},"labels":{"k":"v"}}`))
	f.Add("create", "", "", []byte(`{`), []byte(`{"spec":{"a":{"b`))
	f.Add("delete", "x", "/labels", []byte(``), []byte(`[]`))
	f.Fuzz(func(t *testing.T, action, name, pointer string, before, after []byte) {
		change := client.Change{
			Kind: fsm.KindPool, Name: name, Action: client.Action(action), After: json.RawMessage(after),
			Fields: []client.Field{{Pointer: pointer, Before: json.RawMessage(before), After: json.RawMessage(after)}},
		}
		text := describeChange(&change)
		rest, ended := strings.CutSuffix(text, "\n")
		if !ended {
			t.Errorf("%q does not end", text)
		}
		for line := range strings.SplitSeq(rest, "\n") {
			if strings.ContainsFunc(line, drives) {
				t.Errorf("line %q drives a terminal", line)
			}
		}
	})
}

func TestAValueInADiffIsAsItIs(t *testing.T) {
	for value, want := range map[string]string{
		`"a<b>&c"`:                "a<b>&c",
		`["\u003cb\u003e\u0026"]`: `["<b>&"]`,
		`["\\u003c", "\\\u003c"]`: `["\\u003c","\\<"]`, // the first is a backslash and a text
		`["\u001b"]`:              `["\u001b"]`,
	} {
		if got := shortValue(json.RawMessage(value)); got != want {
			t.Errorf("%s is shown as %s, want %s", value, got, want)
		}
	}
}
