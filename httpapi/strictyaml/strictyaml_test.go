package strictyaml_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"evenkeel/httpapi/strictjson"
	"evenkeel/httpapi/strictyaml"
)

const manyValues = 1_000_000

// asJSON writes values as JSON.
func asJSON(documents []*strictjson.Value) string {
	var b strings.Builder
	for i, v := range documents {
		if i > 0 {
			b.WriteByte(' ')
		}
		writeJSON(&b, v)
	}
	return b.String()
}

func writeJSON(b *strings.Builder, v *strictjson.Value) {
	quote := func(text string) {
		encoded, _ := json.Marshal(text)
		b.Write(encoded)
	}
	switch v.Kind {
	case strictjson.Null:
		b.WriteString("null")
	case strictjson.Bool, strictjson.Number:
		b.WriteString(v.Text)
	case strictjson.String:
		quote(v.Text)
	case strictjson.Array:
		for i, element := range v.Elements {
			b.WriteByte("[,"[min(i, 1)])
			writeJSON(b, element)
		}
		b.WriteString("[]"[btoi(len(v.Elements) > 0):])
	case strictjson.Object:
		for i, member := range v.Members {
			b.WriteByte("{,"[min(i, 1)])
			quote(member.Name)
			b.WriteByte(':')
			writeJSON(b, member.Value)
		}
		b.WriteString("{}"[btoi(len(v.Members) > 0):])
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

var accepted = map[string]struct{ text, want string }{
	"a mapping":                                  {"a: 1\nb: x y\n", `{"a":1,"b":"x y"}`},
	"a mapping in a mapping":                     {"a:\n  b:\n    c: 1\n  d: 2\ne: 3", `{"a":{"b":{"c":1},"d":2},"e":3}`},
	"a list":                                     {"- 1\n- a\n-\n- [x]\n", `[1,"a",null,["x"]]`},
	"a list below its key":                       {"a:\n- 1\n- b: 2\n  c: 3\nd: 4", `{"a":[1,{"b":2,"c":3}],"d":4}`},
	"a list deeper than its key":                 {"a:\n    - - 1\n      - 2\n    -\n      - 3\n", `{"a":[[1,2],[3]]}`},
	"flow style over lines":                      {"a: {b: [1, 'x',], \"c\":2,\n  d: , e: {}}\nf: []", `{"a":{"b":[1,"x"],"c":2,"d":null,"e":{}},"f":[]}`},
	"JSON":                                       {"{\"a\": [1, -2.5e3, true, null, \"\\u00e9\\n\"],\n\t\"b\": {}}", `{"a":[1,-2.5e3,true,null,"é\n"],"b":{}}`},
	"comments":                                   {"# one\na: 1 # two\n\n  # three\nb: x#y # z\n", `{"a":1,"b":"x#y"}`},
	"documents":                                  {"%YAML 1.2\n---\na: 1\n...\n# none\n---\n---\n- x\n--- z\n", `{"a":1} ["x"] "z"`},
	"nothing":                                    {"# none\n", ``},
	"values without a text":                      {"a:\nb: ~\nc: null\nd: # none\n", `{"a":null,"b":null,"c":null,"d":null}`},
	"a text over lines":                          {"a: x\n  y\n\n\n  z\nb: 1", `{"a":"x y\n\nz","b":1}`},
	"a text with odd characters":                 {"a: http://x:80/?a=b&c#d\nb: -x\nc: a, [b] {c}\nd: :80\ne: x\\n'\"", `{"a":"http://x:80/?a=b\u0026c#d","b":"-x","c":"a, [b] {c}","d":":80","e":"x\\n'\""}`},
	"texts that only look like numbers":          {"a: 10.0.0.1\nb: 1.2.3\nc: 2s\nd: 1e\ne: 2024-01-01\nf: -\n\n\n", ``},
	"single quotes":                              {"a: 'it''s'\nb: 'x\n  y\n\n  z '\n'c d': ''", `{"a":"it's","b":"x y\nz ","c d":""}`},
	"double quotes":                              {"a: \"\\x41\\u00e9\\U0001F600\\t\\\\\\/\\\"\\ \"\nb: \"x \\\n   y\n\n   z\\  \n   .\"", `{"a":"Aé😀\t\\/\" ","b":"x y\nz  ."}`},
	"a literal text":                             {"a: |\n  x\n    y # z\n\n  w: 1\nb: |-\n  x\n\nc: |+\n  x\n\nd: |\n\n\ne: |", `{"a":"x\n  y # z\n\nw: 1\n","b":"x","c":"x\n\n","d":"","e":""}`},
	"a literal text of said indentation":         {"a: |2\n    x\n   y\n- b", ``},
	"a literal text that begins with spaces":     {"a: |1-\n   x\n  y\nb: 1", `{"a":"  x\n y","b":1}`},
	"a folded text":                              {"a: >\n  x\n  y\n\n  z\n    w\n  v\n\n\nb: >-\n  1\n  2", `{"a":"x y\nz\n  w\nv\n","b":"1 2"}`},
	"a text in a list":                           {"- |\n  x\n- >\n x\n y\n-\n  z", `["x\n","x y\n","z"]`},
	"lines that end as on Windows":               {"a: x\r\n  y\r\nb: |\r\n  1\r\n  2\r\nc: 'x\r\n  y'\r\n", `{"a":"x y","b":"1\n2\n","c":"x y"}`},
	"a byte order mark":                          {"\ufeffa: 1", `{"a":1}`},
	"tabs behind content":                        {"a:\t1\t# x\nb: 2\t\n\t\nc: 'x\ty'\n", `{"a":1,"b":2,"c":"x\ty"}`},
	"an anchor and its aliases":                  {"a: &x {b: 1}\nc: *x\nd: [*x, &y 2, *y]\ne: &z\n  f: 1\ng: *z", `{"a":{"b":1},"c":{"b":1},"d":[{"b":1},2,2],"e":{"f":1},"g":{"f":1}}`},
	"a scalar alone":                             {"x", `"x"`},
	"keys in quotes and with spaces":             {"\"a\": 1\n'b' : 2\nc d: 3\n\"1\": 4", `{"a":1,"b":2,"c d":3,"1":4}`},
	"question marks in texts":                    {"a: what ?\nb: [c ?]\nd: e?\nf?: 1 # ?\n'g': {h: 'i?', j ?: 1}", `{"a":"what ?","b":["c ?"],"d":"e?","f?":1,"g":{"h":"i?","j ?":1}}`},
	"numbers as in JSON":                         {"[0, -0, 12, -1.5, 1e3, 1E+3]", `[0,-0,12,-1.5,1e3,1E+3]`},
	"a list item whose mapping begins elsewhere": {"-\n  a: 1\n  b: 2\n-   c: 1\n    d: 2", `[{"a":1,"b":2},{"c":1,"d":2}]`},
}

func TestWhatPeopleWriteIsRead(t *testing.T) {
	for name, c := range accepted {
		if c.want == "" && name != "nothing" {
			continue // see TestWhatIsAcceptedIsWhatOthersRead
		}
		t.Run(name, func(t *testing.T) {
			documents, faults := strictyaml.Parse([]byte(c.text), manyValues)
			if len(faults) > 0 {
				t.Fatalf("faults %v", describe(c.text, faults))
			}
			if got := asJSON(documents); got != c.want {
				t.Errorf("%q\n got %s\nwant %s", c.text, got, c.want)
			}
		})
	}
}

func describe(text string, faults []strictjson.Located) []string {
	var lines []string
	for _, f := range faults {
		line, column := strictjson.Position([]byte(text), f.Offset)
		lines = append(lines, fmt.Sprintf("%d:%d: %s: %s", line, column, f.Pointer, f.Message))
	}
	return lines
}

var refused = map[string]struct{ text, want string }{
	"a tab in the indentation":                 {"a:\n\tb: 1", "2:1: : a tab in the indentation"},
	"a tab behind spaces":                      {"a:\n  \tb: 1", "2:3: : a tab in the indentation"},
	"a tab before a text that goes on":         {"a: x\n \ty", "2:2: /a: a tab in the indentation"},
	"a field twice":                            {"a: 1\nb:\n  c: 1\n  é: 2\n  c: 3", "5:3: /b/c: the field is given twice"},
	"a field twice in braces":                  {"{a: 1, a: 2}", "1:8: /a: the field is given twice"},
	"a field twice among many":                 {strings.Repeat("x", 9) + manyFields() + "k3: 1", "21:1: /k3: the field is given twice"},
	"a merge key":                              {"a: &x {b: 1}\nc:\n  <<: *x", `3:3: /c/<<: "<<" merges mappings`},
	"a number as a key":                        {"a:\n  1: x", "2:3: /a: the key 1 is not a string to all readers of YAML: put it in quotes, \"1\""},
	"a boolean of old as a key":                {"{on: x}", "1:2: : the key on is not a string"},
	"a list as a key":                          {"[a]: 1", "1:1: : \"[a]: 1\": a key must be a plain text"},
	"an alias as a key":                        {"a: &x z\n*x : 1", "2:1: : \"*x : 1\": a key must be a plain text"},
	"a key that is marked":                     {"? a\n: 1", `1:1: : "?" begins a key that is no plain text`},
	"a boolean of old":                         {"a: no", "1:4: /a: no: some readers of YAML take it for a boolean: write \"no\" if it is a text, else true or false"},
	"a boolean in capitals":                    {"a: [x, True]", "1:8: /a/1: True: some readers"},
	"an octal number":                          {"a: 012", "1:4: /a: 012: some readers of YAML take it for a number: write \"012\" if it is a text, else a number as in JSON"},
	"a hexadecimal number":                     {"a: 0x1F", "1:4: /a: 0x1F: some readers"},
	"a number of base 60":                      {"a: 10:30", "1:4: /a: 10:30: some readers"},
	"a number with underscores":                {"a: 1_000", "1:4: /a: 1_000: some readers"},
	"what is no number":                        {"a: .nan", "1:4: /a: .nan: some readers"},
	"infinity":                                 {"a: -.inf", "1:4: /a: -.inf: some readers"},
	"a plus sign":                              {"a: +1", "1:4: /a: +1: some readers"},
	"null in capitals":                         {"a: NULL", "1:4: /a: NULL: some readers of YAML take it for null"},
	"a merge key for a value":                  {"a: <<", `1:4: /a: <<: some readers of YAML take it for a key of its own: write "<<" if it is a text`},
	"an equals sign for a value":               {"a: [=]", `1:5: /a/0: =: some readers of YAML`},
	"an empty tag":                             {"a: &x # y\n  ! 12", `1:4: /a: "&x # y": tags are not understood`},
	"an empty tag alone":                       {"!", `1:1: : "!": tags are not understood`},
	"a tag of a key":                           {"! a: 1", `1:1: : "! a: 1": a key must be a plain text`},
	"a tag of a list":                          {"a: !<!> [b]", `1:4: /a: "!<!> [b]": tags are not understood`},
	"a tag of braces":                          {"!!map {a: b}", `1:1: : "!!map {a: b}": tags are not understood`},
	"a tag of a mapping":                       {"a: !x\n  b: 1", `1:4: /a: "!x": tags are not understood`},
	"a question mark in braces":                {"{? a : b}", `1:2: : "?" begins a key that is no plain text`},
	"a question mark on a line above":          {"?\n  a\n: b", `1:1: : "?" begins a key that is no plain text`},
	"a key over lines in braces":               {"{a\n b: 1}", `1:2: : a key must end on the line where it begins`},
	"a key in quotes over lines in braces":     {"{\"a\n b\": 1}", `1:2: : a key must end on the line where it begins`},
	"an anchor of a key":                       {"&x a: 1", `1:1: : "&x a: 1": a key must be a plain text`},
	"an anchor without a name":                 {"a: & b", `1:4: : "&" begins the name of an anchor`},
	"a bracket of another kind":                {"a: [b}", `1:6: : "}": a comma or "]" was expected here`},
	"braces that never close":                  {"a: {b: c\n", `1:4: : "{" is not closed: "}" is missing`},
	"a key without its colon at the end":       {"a: 1\nbc", `2:1: : "bc": a key of the mapping was expected here`},
	"a colon without a space":                  {"a: 1\nb:2\nc: 3", `2:1: : "b:2": a key of the mapping was expected here`},
	"what stands behind the end of a document": {"a: 1\n... b", `2:5: : only a comment may follow "..." on its line`},
	"an indentation of nothing":                {"a: |0\n  x", `1:5: : 0 is no indentation of a text`},
	"a comment without a space":                {"a: \"x\"#y", `1:7: : "#" begins a comment only behind white space`},
	"a directive twice":                        {"%YAML 1.2\n%YAML 1.2\n---\na: 1", `2:1: : "%YAML 1.2": not understood by the reader of YAML`},
	"a directive without a document":           {"%YAML 1.2\na: 1", `2:1: : a line of "---" must follow`},
	"a tab before a list item":                 {"a:\n\t- b", "2:1: : a tab in the indentation"},
	"a tab behind a dash":                      {"-\ta: 1", "1:2: : a tab in the indentation"},
	"a tag":                                    {"a: !!str 1", "1:4: /a: \"!!str 1\": tags are not understood"},
	"an unknown alias":                         {"a: *x", "1:4: : *x: no value before it is marked &x"},
	"a loop":                                   {"a: &x [*x]", "1:8: /a/0: *x: no value before it is marked &x"},
	"an anchor of another document":            {"a: &x 1\n---\nb: *x", "3:4: : *x: no value"},
	"two anchors":                              {"a: &x &y 1", "1:7: : \"&y 1\": a value has one anchor"},
	"an anchor of an alias":                    {"a: &x 1\nb: &y *x", "2:7: : \"*x\": a value has one anchor"},
	"an anchor twice":                          {"a: &x 1\nb: &x 2", "2:4: /b: the anchor &x is given twice"},
	"a second key on a line":                   {"a: b: c", "1:5: : a second key on one line"},
	"a key within a text":                      {"a: b\n  c: d", "2:4: : a second key on one line"},
	"a list within a text":                     {"a: b\n  - c", "2:3: /a: \"- c\" would go on with the text of the line above"},
	"a list behind a key":                      {"a: - b", "1:4: : a list cannot begin on this line"},
	"a line that is indented oddly":            {"a:\n    b: 1\n  c: 2", "3:3: : \"c: 2\" does not fit to the lines above"},
	"a line that is indented deeper":           {"a: 1\nb: [x]\n  c: 2", "3:3: : \"c: 2\" does not fit"},
	"a list item among fields":                 {"a: 1\n- b", "2:1: : \"- b\" does not fit to the lines above"},
	"a field among list items":                 {"- b\na: 1", "2:1: : \"a: 1\" does not fit"},
	"a text among fields":                      {"a: 1\nb\nc: 2", "2:1: : \"b\": a key of the mapping was expected"},
	"quotes that are not closed":               {"a: \"x\nb: 1", "1:4: : the quotes are not closed"},
	"quotes that never close":                  {"a: 'x", "1:4: : the quotes are not closed"},
	"what stands behind quotes":                {"a: \"x\" y", "1:8: : \"y\" is not possible here"},
	"brackets that are not closed":             {"a: [1, {b: 2}\nc: 3", "2:1: : \"c: 3\": a comma or"},
	"brackets that never close":                {"a: [1,", "1:7: : the text ends where a value was expected"},
	"a bracket too many":                       {"a: [1]]", "1:7: : \"]\" is not possible here"},
	"a comma too many":                         {"a: [1,,2]", "1:7: : a value is missing before the comma"},
	"a field without a value":                  {"{a, b: 1}", "1:2: /a: \"a\": a field is given as"},
	"an escape that there is not":              {`a: "\q"`, `1:5: : "\\q": no such escape`},
	"half a surrogate":                         {`a: "\ud800"`, `1:5: : "\\ud800": not the number of a character`},
	"an escape that is cut":                    {`a: "\x4`, `1:5: : "\\x4": not the number of a character`},
	"a text that begins with an at sign":       {"a: @x", "1:4: : \"@x\": no text without quotes begins so"},
	"a percent sign":                           {"a: 1\nb: %x", "2:4: : \"%x\": no text without quotes begins so"},
	"a directive":                              {"%TAG ! x\n---\na: 1", "1:1: : \"%TAG ! x\": no directive"},
	"an indentation that is no digit":          {"a: |x\n  y", "1:5: : \"x\": write | or >"},
	"a text behind the sign of a text":         {"a: | y", "1:6: : only a comment may follow"},
	"an empty line deeper than the text":       {"a: |\n     \n  x", "3:3: : \"x\" does not fit to the lines above"},
	"bytes that are not UTF-8":                 {"a: 1\nb: \xff", "2:4: : not valid UTF-8"},
	"UTF-16":                                   {"\xff\xfea\x00", "1:1: : the text is UTF-16"},
	"a control character":                      {"a: \x00", "1:4: : a control character (0x00)"},
	"a byte order mark within":                 {"a: 1\nb: x\ufeff", "2:5: : the character U+FEFF"},
	"an end of line of old":                    {"a: x\u2028b", "1:5: : the character U+2028, which some readers"},
	"a carriage return alone":                  {"a: 1\rb: 2", "1:5: : a carriage return without a line feed"},
	"nesting that is too deep":                 {strings.Repeat("[", 40), "1:33: : the document is nested deeper than 32 levels"},
	"nesting of blocks that is too deep":       {strings.Repeat("- ", 40), "1:65: : the document is nested deeper than 32 levels"},
	"a key over lines":                         {"\"a\n  b\": 1", "2:5: : a second key on one line"},
	"a document's end within quotes":           {"a: 'x\n---\nb'", "2:1: : the document ends within quotes"},
	"a document's beginning with a key on it":  {"--- a: 1", "1:6: : a second key on one line"},
	"a mapping in a list without braces":       {"[a: 1]", "1:2: /0: \"a: 1]\": a mapping within a list stands in braces"},
	"a colon that nothing precedes":            {"a: 1\n: 2", "2:1: : \": 2\" is not possible here"},
}

func manyFields() string {
	var b strings.Builder
	b.WriteString(": 0\n")
	for i := range 19 {
		fmt.Fprintf(&b, "k%d: 1\n", i)
	}
	return b.String()
}

func TestWhatIsDoubtfulIsRefusedWithItsPlace(t *testing.T) {
	for name, c := range refused {
		t.Run(name, func(t *testing.T) {
			_, faults := strictyaml.Parse([]byte(c.text), manyValues)
			if lines := describe(c.text, faults); len(lines) == 0 || !strings.HasPrefix(lines[0], c.want) {
				t.Errorf("%q\n got %q\nwant %q", c.text, lines, c.want)
			}
		})
	}
}

func TestFaultsOfFieldsAreToldTogether(t *testing.T) {
	_, faults := strictyaml.Parse([]byte("a: no\nb: 0x1\na: 1\n2: x\n"), manyValues)
	if len(faults) != 4 {
		t.Errorf("faults %v", faults)
	}
	_, faults = strictyaml.Parse([]byte(strings.Repeat("- no\n", 1000)+"---\n- a\n- b\n\tc: x"), manyValues)
	if len(faults) != strictjson.MaxFaults || !strings.Contains(faults[len(faults)-1].Message, "tab") {
		t.Errorf("%d faults, the last of them %v", len(faults), faults[len(faults)-1])
	}
}

func TestAnAliasCountsForWhatItStandsFor(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 20; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), i-1)
	}
	documents, faults := strictyaml.Parse([]byte(b.String()), manyValues)
	if documents != nil || len(faults) != 1 || !strings.Contains(faults[0].Message, "more than 1000000 values") {
		t.Errorf("faults %v", faults)
	}
}

func TestAnAliasIsAsDeepAsWhatItStandsFor(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 x\n")
	for i := 1; i < 31; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [*a%d]\n", i, i, i-1)
	}
	if _, faults := strictyaml.Parse([]byte(b.String()), manyValues); len(faults) > 0 {
		t.Errorf("31 levels and a mapping: %v", faults)
	}
	b.WriteString("a31: [*a30]\n")
	_, faults := strictyaml.Parse([]byte(b.String()), manyValues)
	if len(faults) != 1 || describe(b.String(), faults)[0] != "32:7: : the document is nested deeper than 32 levels" {
		t.Errorf("33 levels: %q", describe(b.String(), faults))
	}
}

func TestATextIsBoundedBeforeItIsRead(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"by its size":   {strings.Repeat("#", strictyaml.MaxBytes+1), "the text has 4194305 bytes, at most 4194304 of YAML are taken, which end here: split it, or send JSON"},
		"by its places": {strings.Repeat("-\n", strictyaml.MaxPlaces+1), "the text has more than 250000 commas, brackets, colons and dashes"},
		"with nesting":  {strings.Repeat("[", strictyaml.MaxPlaces), "the document is nested deeper than 32 levels"},
	} {
		documents, faults := strictyaml.Parse([]byte(c.text), manyValues)
		if documents != nil || len(faults) != 1 || !strings.HasPrefix(faults[0].Message, c.want) {
			t.Errorf("%s: %v", name, faults)
		}
	}
}
