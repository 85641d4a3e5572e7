package httpapi

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestThePageOfMetricsHasAllThatAreEmitted holds the table of docs/metrics.md to the
// collector. `go test ./httpapi -update` writes it.
func TestThePageOfMetricsHasAllThatAreEmitted(t *testing.T) {
	const file, begin, end = "../docs/metrics.md", "<!-- metrics, held against httpapi/collector.go by a test -->\n", "<!-- end -->"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(text), begin)
	old, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatal("docs/metrics.md has no table of metrics")
	}
	var want strings.Builder
	want.WriteString("\n| metric | labels | meaning |\n| --- | --- | --- |\n")
	all := slices.Clone(series[:])
	slices.SortFunc(all, func(a, b metric) int { return strings.Compare(a.name, b.name) })
	for _, s := range all {
		labels := ""
		if len(s.labels) > 0 {
			labels = "`" + strings.Join(s.labels, "`, `") + "`"
		}
		fmt.Fprintf(&want, "| `evenkeel_%s` | %s | %s |\n", s.name, labels, s.help)
	}
	want.WriteString("\n")
	if old == want.String() {
		return
	}
	if flag.Lookup("update").Value.String() != "true" {
		t.Fatalf("the table is not that of the collector; `go test ./httpapi -update` writes it:\n%s", want.String())
	}
	if err := os.WriteFile(file, []byte(head+begin+want.String()+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}
