package figures

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// row is one line of a figure's table.
type row struct{ what, toReach, measured string }

// print writes a table in Markdown, so that it can be pasted where a figure is
// quoted.
func print(title string, rows ...row) {
	rows = append([]row{{title, "to reach", "measured"}}, rows...)
	var width [3]int
	for _, r := range rows {
		for i, cell := range []string{r.what, r.toReach, r.measured} {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	var out strings.Builder
	out.WriteString("\n\n")
	for i, r := range rows {
		fmt.Fprintf(&out, "| %-*s | %-*s | %-*s |\n", width[0], r.what, width[1], r.toReach, width[2], r.measured)
		if i == 0 {
			fmt.Fprintf(&out, "|%s|%s|%s|\n", strings.Repeat("-", width[0]+2), strings.Repeat("-", width[1]+2), strings.Repeat("-", width[2]+2))
		}
	}
	fmt.Println(out.String())
}

// quantile returns the value below which that share of the spans lies, by the
// nearest rank; 0.5 is the median and 1 the worst.
func quantile(spans []time.Duration, share float64) time.Duration {
	if len(spans) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(spans))
	rank := int(share*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(rank, 0), len(sorted)-1)]
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// pause waits, for a figure that is about time going by.
func pause(d time.Duration) { <-time.After(d) }

// progress tells the person who waits how far a figure is.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
