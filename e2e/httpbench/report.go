package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"
)

// report prints what was measured, in Markdown so that it can be quoted, and
// remembers what the bounds say.
type report struct {
	w        io.Writer
	verdicts []verdict
	wrong    []string  // runs with wrong answers
	others   []float64 // shares of the load's core that other programs used
}

// verdict is one figure that has a bound.
type verdict struct {
	what     string
	measured spread
	bound    float64 // the most that is good
}

// met compares the median as it is shown, with two digits.
func (v verdict) met() bool { return math.Round(v.measured.median*100)/100 <= v.bound }

func (v verdict) word() string {
	switch {
	case math.IsNaN(v.measured.median):
		return "not measured"
	case v.met():
		return "met"
	}
	return "NOT MET"
}

func newReport(w io.Writer, o options) *report {
	r := &report{w: w}
	r.print("%d rounds of %v; cores: the balancer on %d, the load and the backends on %d", o.rounds, o.window, 0, 1)
	r.print("CPU time is what the kernel charges to the balancer's process. What it does in soft interrupts, such as to take " +
		"packets in, it charges to whoever runs just then, on loopback mostly the sender: some of the cost of all lands elsewhere.")
	return r
}

// print writes one line of the report.
func (r *report) print(format string, args ...any) { fmt.Fprintf(r.w, format+"\n", args...) }

// progress tells the person who waits how far the bench is.
func (r *report) progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// title begins a section.
func (r *report) title(format string, args ...any) { r.print("\n## "+format+"\n", args...) }

// judge remembers a figure with its bound and returns what the table shows of
// it: median, range, bound, verdict.
func (r *report) judge(what string, measured spread, bound float64, show func(float64) string) []string {
	v := verdict{what, measured, bound}
	r.verdicts = append(r.verdicts, v)
	return append(spreadCells(measured, show), "≤ "+show(bound), v.word())
}

// spreadCells shows a median and a range.
func spreadCells(s spread, show func(float64) string) []string {
	return []string{show(s.median), show(s.least) + " to " + show(s.most)}
}

// check remembers a run with wrong answers.
func (r *report) check(what string, o Outcome) {
	if o.Faults > 0 {
		r.wrong = append(r.wrong, fmt.Sprintf("%s: %d wrong answers, the first: %s", what, o.Faults, o.FirstFault))
		r.print("WRONG ANSWERS: %s", r.wrong[len(r.wrong)-1])
	}
}

// table prints rows, the first of them the head.
func (r *report) table(rows [][]string) {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	for i, row := range rows {
		line := "|"
		for column, cell := range row {
			line += " " + cell + strings.Repeat(" ", width[column]-len([]rune(cell))) + " |"
		}
		r.print("%s", line)
		if i == 0 {
			rule := "|"
			for _, n := range width {
				rule += strings.Repeat("-", n+2) + "|"
			}
			r.print("%s", rule)
		}
	}
	r.print("")
}

// finish prints all verdicts together. It returns an error if any answer was
// wrong: then no figure means anything.
func (r *report) finish(took time.Duration) error {
	r.title("All bounds")
	rows := [][]string{{"figure", "median", "range", "bound", ""}}
	for _, v := range r.verdicts {
		rows = append(rows, append(append([]string{v.what}, spreadCells(v.measured, two)...), "≤ "+two(v.bound), v.word()))
	}
	r.table(rows)
	r.print("It took %v.%s", took.Round(time.Second), r.disturbance())
	if len(r.wrong) > 0 {
		return fmt.Errorf("check answers: %d runs had wrong ones:\n%s", len(r.wrong), strings.Join(r.wrong, "\n"))
	}
	return nil
}

// quiet is the share of a core that other programs may use without a warning:
// what the kernel does for the bench is in it.
const quiet = 0.1

// disturbance says how much the machine had to do beside the bench.
func (r *report) disturbance() string {
	s := spreadOf(r.others)
	if !(s.most > quiet) { // nor if there were no windows
		return ""
	}
	return fmt.Sprintf(" Other programs used %.0f %% of the load's core in the median window and up to %.0f %%: "+
		"repeat this on a machine that does nothing else.", 100*s.median, 100*s.most)
}

func one(x float64) string   { return number("%.1f", x) }
func two(x float64) string   { return number("%.2f", x) }
func whole(x float64) string { return number("%.0f", x) }

// micros shows a span that is given in seconds.
func micros(x float64) string { return number("%.0f µs", x*1e6) }

// number shows a figure, or that there is none.
func number(format string, x float64) string {
	if math.IsNaN(x) {
		return "–"
	}
	return fmt.Sprintf(format, x)
}
