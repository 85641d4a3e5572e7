package manifest_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"evenkeel/httpapi/diff"
	"evenkeel/httpapi/manifest"
)

func addManifests(f *testing.F) {
	for _, text := range []string{lists, single, asJSON, "{}", "owner: x\npools: [{name: p, labels: &l {a: b}}, {name: q, labels: *l}]", "kind: backend\nname: 1\nspec: {wieght: x}"} {
		f.Add([]byte(text))
	}
}

// FuzzParseYAML: a manifest is faults or objects, and the objects can be written
// and read again.
func FuzzParseYAML(f *testing.F) {
	addManifests(f)
	f.Fuzz(func(t *testing.T, data []byte) { checkParse(t, data, manifest.YAML) })
}

// FuzzParseJSON is the same of JSON.
func FuzzParseJSON(f *testing.F) {
	addManifests(f)
	f.Fuzz(func(t *testing.T, data []byte) { checkParse(t, data, manifest.JSON) })
}

func checkParse(t *testing.T, data []byte, format manifest.Format) {
	m, faults := manifest.Parse(data, manifest.Options{Format: format})
	if (m == nil) != (len(faults) > 0) || len(faults) > 101 {
		t.Fatalf("%v and %d faults", m, len(faults))
	}
	lines := bytes.Count(data, []byte("\n")) + 1
	for _, fault := range faults {
		if fault.Line > lines || fault.Column > len(data)+1 || fault.Message == "" || len(fault.String()) > 8000 {
			t.Fatalf("fault %+v", fault)
		}
	}
	if m == nil {
		return
	}
	for _, put := range m.Puts() {
		if diff.Planned(put) == nil || !m.Has(put.Ref()) {
			t.Fatalf("%+v", put)
		}
	}
	checkRoundTrip(t, planned(m.Puts()), manifest.YAML)
	checkRoundTrip(t, planned(m.Puts()), manifest.JSON)
}

// FuzzWrite: whatever registry is written is read to the same.
func FuzzWrite(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) {
		checkRoundTrip(t, registry(t), rapid.SampledFrom([]manifest.Format{manifest.YAML, manifest.JSON}).Draw(t, "format"))
	}))
}
