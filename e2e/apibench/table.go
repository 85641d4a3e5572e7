package apibench

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// row is one line of the table. Without a figure to reach, toReach and reached
// are "".
type row struct{ what, toReach, ours, etcds, ratios, median, reached string }

func (r row) cells() []string {
	return []string{r.what, r.toReach, r.ours, r.etcds, r.ratios, r.median, r.reached}
}

// table collects rows for the end of the run.
var table struct {
	mu   sync.Mutex // guards rows
	rows []row
}

func add(r row) {
	table.mu.Lock()
	defer table.mu.Unlock()
	table.rows = append(table.rows, r)
}

// printTable prints all rows in Markdown.
func printTable() {
	table.mu.Lock()
	defer table.mu.Unlock()
	if len(table.rows) > 0 {
		fmt.Print(markdown(table.rows))
	}
}

func markdown(rows []row) string {
	rows = append([]row{{"what", "to reach", "Evenkeel", "etcd", "ratio by round", "median", "reached"}}, rows...)
	width := make([]int, len(rows[0].cells()))
	for _, r := range rows {
		for i, cell := range r.cells() {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	var out strings.Builder
	out.WriteString("\n")
	for i, r := range rows {
		out.WriteString("|")
		for j, cell := range r.cells() {
			fmt.Fprintf(&out, " %-*s |", width[j], cell)
		}
		out.WriteString("\n")
		for j := 0; i == 0 && j < len(width); j++ {
			fmt.Fprintf(&out, "|%s", strings.Repeat("-", width[j]+2))
		}
		if i == 0 {
			out.WriteString("|\n")
		}
	}
	return out.String()
}

// goal is what a ratio is to be: at least or, as a span, at most.
type goal struct {
	ratio  float64
	atMost bool
}

func (g goal) String() string {
	switch {
	case g.ratio == 0:
		return ""
	case g.atMost:
		return fmt.Sprintf("≤ %.1f ×", g.ratio)
	}
	return fmt.Sprintf("≥ %.1f ×", g.ratio)
}

func (g goal) judge(ratio float64) string {
	switch {
	case g.ratio == 0:
		return ""
	case g.atMost && ratio <= g.ratio, !g.atMost && ratio >= g.ratio:
		return "yes"
	}
	return "no"
}

// compare adds the line of a figure that was measured in rounds, of which each has
// one value of ours and one of etcd's.
func compare(what string, g goal, format func(float64) string, ours, etcds []float64) {
	ratios := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = ours[i] / etcds[i]
	}
	add(row{what: what, toReach: g.String(), ours: joined(ours, format), etcds: joined(etcds, format),
		ratios: joined(ratios, ratio), median: ratio(median(ratios)), reached: g.judge(median(ratios))})
}

func joined(values []float64, format func(float64) string) string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = format(value)
	}
	return strings.Join(texts, ", ")
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile returns a value by the nearest rank: 0.5 is the median, 1 the most; 0
// of none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(values))[int(q*float64(len(values)-1)+0.5)]
}

func ratio(value float64) string     { return fmt.Sprintf("%.2f", value) }
func perSecond(value float64) string { return fmt.Sprintf("%.0f/s", value) }
func millis(value float64) string    { return fmt.Sprintf("%.2f ms", value) }

// inMillis is a span as the figures have it.
func inMillis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
