package strictyaml_test

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"

	"evenkeel/httpapi/strictjson"
	"evenkeel/httpapi/strictyaml"
)

// TestWhatIsAcceptedIsWhatOthersRead compares with what the library makes of a
// text by itself, with its own notion of what a scalar is.
func TestWhatIsAcceptedIsWhatOthersRead(t *testing.T) {
	for name, c := range accepted {
		t.Run(name, func(t *testing.T) { compare(t, []byte(c.text)) })
	}
	for name, c := range refused {
		t.Run(name, func(t *testing.T) { compare(t, []byte(c.text)) })
	}
}

func compare(t testing.TB, data []byte) {
	data = bytes.ReplaceAll(data, []byte("%YAML 1.2"), []byte("%YAML 1.1")) // what others know
	documents, faults := strictyaml.Parse(data, manyValues)
	if len(faults) == 0 {
		for _, document := range documents {
			checkPlaces(t, data, document)
		}
	}
	for _, fault := range faults {
		if fault.Offset < 0 || fault.Offset > len(data) || fault.Message == "" || len(fault.Message) > 1000 {
			t.Fatalf("%q\nfault %+v", data, fault)
		}
	}
	if len(faults) > 0 {
		return
	}
	others := readByOthers(t, data)
	if len(others) != len(documents) {
		t.Fatalf("%q\nothers read %d documents, we read %s", data, len(others), asJSON(documents))
	}
	for i, other := range others {
		if !same(other, documents[i]) {
			t.Fatalf("%q\nothers read\n%#v\nwe read %s", data, other, asJSON(documents))
		}
	}
}

// readByOthers returns the documents that hold a value.
func readByOthers(t testing.TB, data []byte) []any {
	limits := yaml.WithPlugin(loaderlimits.New(loaderlimits.AliasNone()))
	loader, err := yaml.NewLoader(bytes.NewReader(data), limits)
	if err != nil {
		t.Fatal(err)
	}
	var others []any
	for {
		var node yaml.Node
		err := loader.Load(&node)
		if errors.Is(err, io.EOF) {
			return others
		}
		if err != nil {
			t.Fatalf("%q\nothers read it not: %v", data, err)
		}
		if n := node.Content[0]; n.Kind == yaml.ScalarNode && n.Value == "" && n.Style == 0 && n.Anchor == "" {
			continue // no value at all
		}
		var other any
		if err := node.Load(&other, limits); err != nil {
			t.Fatalf("%q\nothers read it not: %v", data, err)
		}
		others = append(others, other)
	}
}

// checkPlaces: fields are where their names are.
func checkPlaces(t testing.TB, data []byte, v *strictjson.Value) {
	if v.Offset < 0 || v.Offset > len(data) {
		t.Fatalf("%q\na value at %d", data, v.Offset)
	}
	for _, element := range v.Elements {
		checkPlaces(t, data, element)
	}
	for _, member := range v.Members {
		rest := data[member.Offset:]
		if len(rest) == 0 || !bytes.HasPrefix(rest, []byte(member.Name)) && strings.IndexByte(`"'`, rest[0]) < 0 {
			t.Fatalf("%q\n%q is not at %d", data, member.Name, member.Offset)
		}
		checkPlaces(t, data, member.Value)
	}
}

var date = regexp.MustCompile(`^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}`)

func same(other any, ours *strictjson.Value) bool {
	switch other := other.(type) {
	case nil:
		return ours.Kind == strictjson.Null
	case bool:
		return ours.Kind == strictjson.Bool && ours.Text == strconv.FormatBool(other)
	case string:
		_, err := strconv.ParseFloat(ours.Text, 64)
		return (ours.Kind == strictjson.String || ours.Kind == strictjson.Number && err != nil) && ours.Text == other
	case time.Time:
		return ours.Kind == strictjson.String && date.MatchString(ours.Text)
	case int, int64, uint64, float64:
		return ours.Kind == strictjson.Number && sameNumber(other, ours.Text)
	case []any:
		return ours.Kind == strictjson.Array && sameElements(other, ours.Elements)
	case map[string]any:
		return ours.Kind == strictjson.Object && sameMembers(other, ours.Members)
	}
	return false
}

func sameNumber(other any, text string) bool {
	number, err := strconv.ParseFloat(text, 64)
	switch other := other.(type) {
	case int:
		return err == nil && number == float64(other)
	case int64:
		return err == nil && number == float64(other)
	case uint64:
		return err == nil && number == float64(other)
	case float64:
		return number == other // beyond the range, both are infinite
	}
	return false
}

func sameElements(others []any, ours []*strictjson.Value) bool {
	if len(others) != len(ours) {
		return false
	}
	for i, other := range others {
		if !same(other, ours[i]) {
			return false
		}
	}
	return true
}

func sameMembers(others map[string]any, ours []strictjson.Member) bool {
	if len(others) != len(ours) {
		return false
	}
	for _, member := range ours {
		other, ok := others[member.Name]
		if !ok || !same(other, member.Value) {
			return false
		}
	}
	return true
}
