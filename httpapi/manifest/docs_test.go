package manifest_test

import (
	"os"
	"regexp"
	"testing"

	"evenkeel/httpapi/manifest"
)

func TestTheExamplesOfTheDocumentationAreManifests(t *testing.T) {
	data, err := os.ReadFile("../../docs/manifest.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(data, -1)
	if len(examples) != 2 {
		t.Fatalf("%d examples", len(examples))
	}
	for i, want := range []int{6, 2} {
		m, faults := manifest.Parse(examples[i][1], manifest.Options{})
		if len(faults) > 0 {
			t.Fatalf("%s\n%s", examples[i][1], describe(faults))
		}
		if len(m.Puts()) != want || len(m.References(nil)) > 0 {
			t.Errorf("%d objects, %v", len(m.Puts()), m.References(nil))
		}
	}
}
