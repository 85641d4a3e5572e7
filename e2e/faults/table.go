//go:build linux

package faults

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

// row is one of the table: a fault, what it may cost, and what it cost.
type row struct {
	id    string // F1 and so on
	fault string
	// p50 and worst bound the longest time without an acknowledged write for a
	// retrying client; 0 is no bound.
	p50, worst time.Duration
	// most bounds the elections of each fault; -1 is no bound.
	most int

	quiet      time.Duration   // the longest gap of any client before the first fault
	times      int             // how often the fault was there
	gaps       []time.Duration // of each client, each time
	stranded   []time.Duration // of clients that were with a node that was cut off alone
	elections  []int
	failures   int // data requests of nodes that were not broken
	requests   int
	operations int
	notes      []string
}

// table collects rows for the end of the run.
var table struct {
	mu   sync.Mutex // guards rows
	rows []*row
}

// newRow adds a row to the table.
func newRow(id, fault string, p50, worst time.Duration, most int) *row {
	r := &row{id: id, fault: fault, p50: p50, worst: worst, most: most}
	table.mu.Lock()
	defer table.mu.Unlock()
	table.rows = append(table.rows, r)
	return r
}

// note adds a figure of the row's own.
func (r *row) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// quantile returns a gap: 0.5 is the median, 1 the worst.
func (r *row) quantile(q float64) time.Duration { return quantile(r.gaps, q) }

func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(all))[int(q*float64(len(all)-1)+0.5)]
}

// check holds what was measured against the bounds. Only an idle machine tells
// something about time; elsewhere a gap may be long, but not without end.
func (r *row) check(t testing.TB) {
	t.Helper()
	if !campaign() {
		return
	}
	if got := r.quantile(0.5); r.p50 > 0 && got > r.p50 {
		t.Errorf("%s: the median gap is %v, at most %v is wanted", r.id, got, r.p50)
	}
	if got := r.quantile(1); r.worst > 0 && got > r.worst {
		t.Errorf("%s: the worst gap is %v, at most %v is wanted", r.id, got, r.worst)
	}
	if r.most < 0 || len(r.elections) == 0 {
		return
	}
	if got := slices.Max(r.elections); got > r.most {
		t.Errorf("%s: a fault cost %d elections, at most %d are wanted", r.id, got, r.most)
	}
}

// printTable prints all rows.
func printTable() {
	table.mu.Lock()
	defer table.mu.Unlock()
	if len(table.rows) == 0 {
		return
	}
	slices.SortStableFunc(table.rows, func(a, b *row) int {
		return cmp.Or(cmp.Compare(len(a.id), len(b.id)), cmp.Compare(a.id, b.id))
	})
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\n\tfault\ttimes\tgap p50 / worst (wanted)\tquiet\telections\tfailed data requests\toperations\t")
	for _, r := range table.rows {
		if len(r.stranded) > 0 {
			r.note("clients of the node that was cut off: %s / %s", seconds(quantile(r.stranded, 0.5)), seconds(quantile(r.stranded, 1)))
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s / %s (%s / %s)\t%s\t%s\t%d of %d\t%d\t%s\n", r.id, r.fault, r.times,
			seconds(r.quantile(0.5)), seconds(r.quantile(1)), seconds(r.p50), seconds(r.worst), seconds(r.quiet),
			strings.Trim(fmt.Sprint(r.elections), "[]"), r.failures, r.requests, r.operations, strings.Join(r.notes, "; "))
	}
	_ = w.Flush() // of a table for a person
}

func seconds(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
