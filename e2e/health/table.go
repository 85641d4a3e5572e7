//go:build linux

package health

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// campaign tells that `make bench-health` runs, on a machine that does nothing
// else: then figures are asserted. Otherwise only what must always hold is.
func campaign() bool { return os.Getenv("EVENKEEL_HEALTH") != "" }

// onlyInCampaign skips a test that CI does not run.
func onlyInCampaign(t *testing.T) {
	t.Helper()
	if !campaign() {
		t.Skip("it runs for make bench-health")
	}
}

// rounds is how often a measurement is repeated: for CI once.
func rounds(all int) int {
	if campaign() {
		return all
	}
	return 1
}

// row is one line of the table; without a figure to reach, toReach is "".
type row struct{ what, toReach, measured string }

// table collects rows for the end of the run.
var table struct {
	mu   sync.Mutex // guards rows
	rows []row
}

// note adds a line that has nothing to reach.
func note(t testing.TB, what, format string, args ...any) {
	t.Helper()
	add(t, row{what: what, measured: fmt.Sprintf(format, args...)})
}

// judge adds a line, and fails a campaign's test if the figure is not reached.
func judge(t testing.TB, reached bool, r row) {
	t.Helper()
	add(t, r)
	if campaign() && !reached {
		t.Errorf("%s: %s, to reach is %s", r.what, r.measured, r.toReach)
	}
}

func add(t testing.TB, r row) {
	t.Helper()
	t.Logf("%s: %s (to reach: %s)", r.what, r.measured, r.toReach)
	table.mu.Lock()
	defer table.mu.Unlock()
	table.rows = append(table.rows, r)
}

// judgeSpans adds the line of some spans, of which the worst and, unless it is
// 0, the median are bounded.
func judgeSpans(t testing.TB, what string, spans []time.Duration, median, worst time.Duration) {
	t.Helper()
	toReach := "≤ " + millis(worst)
	if median > 0 {
		toReach += ", median ≤ " + millis(median)
	}
	p50, most := quantile(spans, 0.5), quantile(spans, 1)
	reached := len(spans) > 0 && most <= worst && (median == 0 || p50 <= median)
	judge(t, reached, row{what, toReach, fmt.Sprintf("median %s, worst %s of %d", millis(p50), millis(most), len(spans))})
}

// printTable prints all rows in Markdown.
func printTable() {
	table.mu.Lock()
	defer table.mu.Unlock()
	if len(table.rows) == 0 {
		return
	}
	rows := append([]row{{"what", "to reach", "measured"}}, table.rows...)
	var width [3]int
	for _, r := range rows {
		for i, cell := range []string{r.what, r.toReach, r.measured} {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	var out strings.Builder
	out.WriteString("\n")
	for i, r := range rows {
		fmt.Fprintf(&out, "| %-*s | %-*s | %-*s |\n", width[0], r.what, width[1], r.toReach, width[2], r.measured)
		if i == 0 {
			fmt.Fprintf(&out, "| %s | %s | %s |\n", strings.Repeat("-", width[0]), strings.Repeat("-", width[1]), strings.Repeat("-", width[2]))
		}
	}
	fmt.Println(out.String())
}

// quantile returns a span by the nearest rank: 0.5 is the median, 1 the worst.
func quantile(spans []time.Duration, q float64) time.Duration {
	if len(spans) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(spans))[int(q*float64(len(spans)-1)+0.5)]
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

// pause waits, for a figure that is about time going by.
func pause(d time.Duration) { <-time.After(d) }
