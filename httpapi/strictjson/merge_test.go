package strictjson_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"evenkeel/httpapi/strictjson"
)

// appendixA are the test cases of RFC 7396, Appendix A: original, patch, result.
var appendixA = [][3]string{
	{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
	{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
	{`{"a":"b"}`, `{"a":null}`, `{}`},
	{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
	{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
	{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
	{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
	{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
	{`["a","b"]`, `["c","d"]`, `["c","d"]`},
	{`{"a":"b"}`, `["c"]`, `["c"]`},
	{`{"a":"foo"}`, `null`, `null`},
	{`{"a":"foo"}`, `"bar"`, `"bar"`},
	{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
	{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
	{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
}

func TestAMergePatchIsAsInTheAppendixOfItsRFC(t *testing.T) {
	for i, c := range appendixA {
		if got := plainOf(strictjson.Merge(parsed(t, c[0]), parsed(t, c[1]))); !cmp.Equal(got, decoded(t, c[2])) {
			t.Errorf("case %d: %s patched with %s is %v, want %s", i, c[0], c[1], got, c[2])
		}
		if got := decoded(t, c[2]); !cmp.Equal(mergePatch(decoded(t, c[0]), decoded(t, c[1])), got) {
			t.Errorf("case %d: the reference is not right itself", i)
		}
	}
}

// mergePatch is the pseudocode of RFC 7396, section 2.
func mergePatch(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	result := map[string]any{}
	if object, ok := target.(map[string]any); ok {
		for name, value := range object {
			result[name] = value
		}
	}
	for name, value := range changes {
		if value == nil {
			delete(result, name)
		} else {
			result[name] = mergePatch(result[name], value)
		}
	}
	return result
}

func TestAMergePatchIsAsThePseudocodeOfItsRFC(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 396))
	for range 5000 {
		target, patch := randomJSON(random, 4), randomJSON(random, 4)
		before := fmt.Sprint(plainOf(parsed(t, target)))
		base := parsed(t, target)
		got := plainOf(strictjson.Merge(base, parsed(t, patch)))
		if want := mergePatch(decoded(t, target), decoded(t, patch)); !cmp.Equal(got, want) {
			t.Fatalf("%s patched with %s is %v, want %v", target, patch, got, want)
		}
		if fmt.Sprint(plainOf(base)) != before {
			t.Fatalf("the patch %s changed its target %s", patch, target)
		}
	}
}

func FuzzMerge(f *testing.F) {
	for _, c := range appendixA {
		f.Add([]byte(c[0]), []byte(c[1]))
	}
	f.Fuzz(func(t *testing.T, target, patch []byte) {
		base, _ := strictjson.Parse(target)
		change, _ := strictjson.Parse(patch)
		if base == nil || change == nil {
			return
		}
		if got, want := plainOf(strictjson.Merge(base, change)), mergePatch(plainOf(base), plainOf(change)); !cmp.Equal(got, want) {
			t.Errorf("%s patched with %s is %v, want %v", target, patch, got, want)
		}
	})
}

// randomJSON writes a value of few names, so that patches meet what is there.
func randomJSON(random *rand.Rand, depth int) string {
	if depth == 0 || random.IntN(4) == 0 {
		return []string{"null", "1", "2", `"x"`, "true", "[1,null]", "{}", "[]"}[random.IntN(8)]
	}
	object := map[string]json.RawMessage{}
	for range random.IntN(4) {
		object[string(rune('a'+random.IntN(4)))] = json.RawMessage(randomJSON(random, depth-1))
	}
	text, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func parsed(t testing.TB, text string) *strictjson.Value {
	t.Helper()
	value, faults := strictjson.Parse([]byte(text))
	if value == nil {
		t.Fatalf("parse %s: %v", text, faults)
	}
	return value
}

func decoded(t testing.TB, text string) any {
	t.Helper()
	return plainOf(parsed(t, text))
}

// plainOf returns the value in Go's own types, numbers as they are written.
func plainOf(v *strictjson.Value) any {
	switch v.Kind {
	case strictjson.Null:
		return nil
	case strictjson.Object:
		object := map[string]any{}
		for _, m := range v.Members {
			object[m.Name] = plainOf(m.Value)
		}
		return object
	case strictjson.Array:
		list := []any{}
		for _, element := range v.Elements {
			list = append(list, plainOf(element))
		}
		return list
	case strictjson.Number:
		return json.Number(v.Text)
	case strictjson.Bool:
		return v.Text == "true"
	}
	return v.Text
}
