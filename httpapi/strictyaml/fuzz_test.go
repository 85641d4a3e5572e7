package strictyaml_test

import "testing"

// FuzzParse holds the reader to that of others: what it accepts, they read to
// the same value.
func FuzzParse(f *testing.F) {
	for _, c := range accepted {
		f.Add([]byte(c.text))
	}
	for _, c := range refused {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, data []byte) { compare(t, data) })
}
