package strictjson_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"evenkeel/fsm"
	"evenkeel/httpapi/strictjson"
)

type tuned struct {
	Level int `json:"level"`
}

func (t *tuned) SetDefaults() { t.Level = 7 }

// sample has a field of every kind that is read.
type sample struct {
	Text    string            `json:"text"`
	Flag    bool              `json:"flag"`
	Small   int8              `json:"small"`
	Count   uint16            `json:"count"`
	Share   float64           `json:"share,omitempty"`
	Span    fsm.Duration      `json:"span"`
	State   fsm.AdminState    `json:"state"`
	Name    *string           `json:"name"`
	Tuned   *tuned            `json:"tuned"`
	List    []tuned           `json:"list"`
	Labels  map[string]string `json:"labels"`
	ByName  map[string]tuned  `json:"by_name"`
	Inner   struct{ A, B int }
	Dropped int `json:"-"`
	hidden  int
}

// decode reads text into a sample with a few values that are there before.
func decode(t testing.TB, text string) (sample, []fsm.Fault) {
	t.Helper()
	before := sample{Text: "before", Small: 5, Span: fsm.Duration(2e9), hidden: 3}
	value, faults := strictjson.Parse([]byte(text))
	if value == nil {
		if len(faults) == 0 {
			t.Fatalf("Parse(%q): neither a value nor a fault", text)
		}
		return before, faults
	}
	return before, append(faults, value.Decode(&before, "")...)
}

func TestADocumentIsReadIntoItsTypes(t *testing.T) {
	name := "n"
	for what, c := range map[string]struct {
		text   string
		change func(*sample)
	}{
		"what is not mentioned keeps its value": {`{}`, func(*sample) {}},
		"scalars": {`{"text":"t","flag":true,"small":-128,"count":65535,"share":0.5,"span":"1m","state":"drain"}`, func(s *sample) {
			s.Text, s.Flag, s.Small, s.Count, s.Share, s.Span, s.State = "t", true, -128, 65535, 0.5, 6e10, fsm.AdminDrain
		}},
		"a pointer's target":                        {`{"name":"n"}`, func(s *sample) { s.Name = &name }},
		"a new target begins with its defaults":     {`{"tuned":{}}`, func(s *sample) { s.Tuned = &tuned{7} }},
		"a new element begins with its defaults":    {`{"list":[{},{"level":1}]}`, func(s *sample) { s.List = []tuned{{7}, {1}} }},
		"a new map's value begins with defaults":    {`{"by_name":{"x":{}}}`, func(s *sample) { s.ByName = map[string]tuned{"x": {7}} }},
		"an empty list is not an absent one":        {`{"list":[]}`, func(s *sample) { s.List = []tuned{} }},
		"null is the absence of what may be absent": {`{"name":null,"tuned":null,"list":null,"labels":null}`, func(*sample) {}},
		"a map":                    {`{"labels":{"a/b":"1"}}`, func(s *sample) { s.Labels = map[string]string{"a/b": "1"} }},
		"a struct by its Go names": {`{"Inner":{"A":1}}`, func(s *sample) { s.Inner.A = 1 }},
		"white space and escapes":  {" {\n\t\"te\\u0078t\" : \"\\u00e4\\n\" } \r\n", func(s *sample) { s.Text = "ä\n" }},
	} {
		t.Run(what, func(t *testing.T) {
			want := sample{Text: "before", Small: 5, Span: fsm.Duration(2e9), hidden: 3}
			c.change(&want)
			got, faults := decode(t, c.text)
			if len(faults) > 0 {
				t.Fatalf("faults %v", faults)
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(sample{})); diff != "" {
				t.Error("(-want +got):\n" + diff)
			}
		})
	}
}

func TestEveryFaultIsReportedWhereItIs(t *testing.T) {
	for what, c := range map[string]struct {
		text string
		want []fsm.Fault
	}{
		"nothing":                          {"", []fsm.Fault{{Message: "the body is empty: send a JSON object"}}},
		"a syntax error":                   {"{\n \"text\": ä}", []fsm.Fault{{Message: "line 2, column 10: invalid character 'Ã' looking for beginning of value"}}},
		"columns are characters":           {`{"ääää" 1}`, []fsm.Fault{{Message: "line 1, column 9: invalid character '1' after object key"}}},
		"an early end":                     {"{\"a\":\n", []fsm.Fault{{Message: "line 2, column 1: unexpected end of JSON input"}}},
		"trailing data":                    {"{}\n}", []fsm.Fault{{Message: "line 2, column 1: invalid character '}' after top-level value"}}},
		"no UTF-8":                         {"{\"a\":\"ä\xff\"}", []fsm.Fault{{Message: "line 1, column 8: not valid UTF-8"}}},
		"half a character":                 {`{"text":"\\ud83d\ud83d\u00e4"}`, []fsm.Fault{{Message: `line 1, column 17: \ud83d is half of a character: write the other half beside it, or the character itself`}}},
		"its other half":                   {`{"text":"\ude00"}`, []fsm.Fault{{Message: `line 1, column 10: \ude00 is half of a character: write the other half beside it, or the character itself`}}},
		"a character in two halves":        {`{"text":"\ud83d\ude00\n"}`, nil},
		"an unknown field":                 {`{"tuned":{"levle":1}}`, []fsm.Fault{{Pointer: "/tuned/levle", Message: `"levle" is not a known field: did you mean "level"?`}}},
		"nothing near":                     {`{"tuned":{"a~/b":1}}`, []fsm.Fault{{Pointer: "/tuned/a~0~1b", Message: `"a~/b" is not a known field: use one of level`}}},
		"case matters":                     {`{"TEXT":"x"}`, []fsm.Fault{{Pointer: "/TEXT", Message: `"TEXT" is not a known field: did you mean "text"?`}}},
		"what is not for JSON":             {`{"hidden":1}`, nil},
		"a duplicate":                      {`{"list":[{"level":1,"level":2}]}`, []fsm.Fault{{Pointer: "/list/0/level", Message: "the field is given twice: keep one"}}},
		"wrong types, all":                 {`{"text":1,"flag":"true","list":{},"labels":[],"Inner":3}`, []fsm.Fault{{Pointer: "/text", Message: "1 is a number, must be a string"}, {Pointer: "/flag", Message: `"true" is a string, must be a boolean`}, {Pointer: "/list", Message: "is an object, must be an array"}, {Pointer: "/labels", Message: "is an array, must be an object"}, {Pointer: "/Inner", Message: "3 is a number, must be an object"}}},
		"null where nothing can be absent": {`{"text":null,"small":null}`, []fsm.Fault{{Pointer: "/text", Message: "is null, must be a string"}, {Pointer: "/small", Message: "is null, must be a whole number"}}},
		"numbers out of range":             {`{"small":128,"count":-1,"share":1e999}`, []fsm.Fault{{Pointer: "/small", Message: "128 is out of range, must be from -128 to 127"}, {Pointer: "/count", Message: "-1 is out of range, must be from 0 to 65535"}, {Pointer: "/share", Message: "1e999 is out of range"}}},
		"numbers not whole":                {`{"small":1.0,"count":1e2}`, []fsm.Fault{{Pointer: "/small", Message: "1.0 is not a whole number: write it without fraction and exponent"}, {Pointer: "/count", Message: "1e2 is not a whole number: write it without fraction and exponent"}}},
		"a span without quotes":            {`{"span":5}`, []fsm.Fault{{Pointer: "/span", Message: `5 is a number, must be a string such as "2s"`}}},
		"a span without a unit":            {`{"span":"5"}`, []fsm.Fault{{Pointer: "/span", Message: `duration "5": not a time span, write one such as "2s" or "150ms"`}}},
		"an element":                       {`{"list":[{},{"level":"x"}],"labels":{"a/b":1}}`, []fsm.Fault{{Pointer: "/list/1/level", Message: `"x" is a string, must be a whole number`}, {Pointer: "/labels/a~1b", Message: "1 is a number, must be a string"}}},
		"not an object":                    {`[1]`, []fsm.Fault{{Message: "is an array, must be an object"}}},
	} {
		t.Run(what, func(t *testing.T) {
			_, faults := decode(t, c.text)
			if what == "what is not for JSON" {
				if len(faults) != 1 || faults[0].Pointer != "/hidden" {
					t.Errorf("faults %v", faults)
				}
				return
			}
			if diff := cmp.Diff(c.want, faults); diff != "" {
				t.Error("(-want +got):\n" + diff)
			}
		})
	}
}

func TestDepthAndSizeAreBounded(t *testing.T) {
	for what, c := range map[string]struct{ text, part string }{
		"as deep as allowed":   {strings.Repeat("[", strictjson.MaxDepth) + strings.Repeat("]", strictjson.MaxDepth), ""},
		"one level too deep":   {strings.Repeat("[", strictjson.MaxDepth+1) + strings.Repeat("]", strictjson.MaxDepth+1), "nested deeper than 32 levels"},
		"far too deep":         {strings.Repeat("[", 500_000) + strings.Repeat("]", 500_000), "exceeded max depth"},
		"too many values":      {"[" + strings.Repeat("0,", strictjson.MaxValues) + "0]", "more than 20000 values"},
		"as many as allowed":   {"[" + strings.Repeat("0,", strictjson.MaxValues-2) + "0]", ""},
		"too deep in an array": {`{"a":[0,` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `]}`, "nested deeper"},
	} {
		t.Run(what, func(t *testing.T) {
			value, faults := strictjson.Parse([]byte(c.text))
			if c.part == "" {
				if value == nil || len(faults) > 0 {
					t.Errorf("faults %v", faults)
				}
				return
			}
			if value != nil || len(faults) != 1 || !strings.Contains(faults[0].Message, c.part) {
				t.Errorf("faults %v, want one with %q", faults, c.part)
			}
		})
	}
}

func TestTheListOfFaultsIsBoundedAndSaysSo(t *testing.T) {
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, `,"x%d":1`, i)
	}
	_, faults := decode(t, "{"+text.String()[1:]+"}")
	if len(faults) != strictjson.MaxFaults+1 {
		t.Fatalf("%d faults, want %d and one more", len(faults), strictjson.MaxFaults)
	}
	if last := faults[len(faults)-1].Message; !strings.Contains(last, "more faults") {
		t.Errorf("the last fault is %q", last)
	}
}

func TestNearestFindsSlipsOfTheFingersOnly(t *testing.T) {
	candidates := []string{"address", "weight", "tier", "admin_state", "a"}
	for name, want := range map[string]string{
		"wieght": "weight", "weigth": "weight", "wait": "", "Address": "address", "adress": "address", "adres": "address",
		"teir": "tier", "b": "", "": "", "adminstate": "admin_state", "A": "a",
	} {
		if got := strictjson.Nearest(name, candidates); got != want {
			t.Errorf("nearest to %q is %q, want %q", name, got, want)
		}
	}
}

func TestAPlaceIsFoundByItsPointer(t *testing.T) {
	const text = "{\"a\": [1, {\"b/c\": true}],\n \"é\": {\"d\" : null}, \"d\": 1, \"d\": 2}"
	value, faults := strictjson.ParseLocated([]byte(text), 100)
	for pointer, want := range map[string]string{
		"": "{", "/a": `"a"`, "/a/0": "1,", "/a/1": `{"b`, "/a/1/b~1c": `"b/c"`,
		"/é/d": `"d" :`, "/é/missing": `"é"`, "/a/7": `"a"`, "/nowhere": "{", "/a/0/x": "1,",
	} {
		if offset := value.Locate(pointer); !strings.HasPrefix(text[offset:], want) {
			t.Errorf("%s is at %q, want %q", pointer, text[offset:], want)
		}
	}
	if len(faults) != 1 || !strings.HasPrefix(text[faults[0].Offset:], `"d": 2`) {
		t.Errorf("faults %v, want the second of the names", faults)
	}
	if line, column := strictjson.Position([]byte(text), value.Locate("/é/d")); line != 2 || column != 8 {
		t.Errorf("line %d, column %d", line, column)
	}
}

func TestABoundOfValuesIsTheCallers(t *testing.T) {
	if value, faults := strictjson.ParseLocated([]byte("[1, 2, 3]"), 3); value != nil || len(faults) != 1 {
		t.Errorf("4 values of 3 were taken: %v", faults)
	}
	if value, _ := strictjson.ParseLocated([]byte("[1, 2, 3]"), 4); value == nil {
		t.Error("4 values of 4 were refused")
	}
}
