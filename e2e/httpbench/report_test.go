package main

import (
	"strings"
	"testing"
	"time"
)

func TestAReportSaysWhichBoundsAreMet(t *testing.T) {
	var out strings.Builder
	r := newReport(&out, options{})
	r.judge("good", spread{0.9, 0.8, 1}, 0.92, two)
	r.judge("bad", spread{1.2, 0.8, 1.3}, 0.92, two)
	r.judge("absent", spreadOf(nil), 0.92, two)
	if err := r.finish(time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"| good   | 0.90   | 0.80 to 1.00 | ≤ 0.92 | met          |",
		"| bad    | 1.20   | 0.80 to 1.30 | ≤ 0.92 | NOT MET      |",
		"| absent | –      | – to –       | ≤ 0.92 | not measured |",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("no line %q in\n%s", line, out.String())
		}
	}
}

func TestWrongAnswersFailTheRun(t *testing.T) {
	var out strings.Builder
	r := newReport(&out, options{})
	r.check("right", Outcome{Requests: 1})
	r.check("wrong", Outcome{Requests: 1, Faults: 3, FirstFault: "status 502"})
	err := r.finish(time.Minute)
	if err == nil || !strings.Contains(err.Error(), "wrong: 3 wrong answers, the first: status 502") || strings.Contains(err.Error(), "right:") {
		t.Errorf("error %v, want one about the wrong run alone", err)
	}
	if !strings.Contains(out.String(), "WRONG ANSWERS: wrong") {
		t.Errorf("the report does not say so:\n%s", out.String())
	}
}

func TestTheReportWarnsOfOtherPrograms(t *testing.T) {
	used := func(load, backend time.Duration) map[string]Usage {
		return map[string]Usage{watchLoad: {CPU: load}, watchBackend: {CPU: backend}}
	}
	busyCore := Outcome{Elapsed: time.Second, CoreIdle: 0.1, Usage: used(300*time.Millisecond, 200*time.Millisecond)}
	quietCore := Outcome{Elapsed: time.Second, CoreIdle: 0.49, Usage: used(300*time.Millisecond, 200*time.Millisecond)}
	var out strings.Builder
	r := newReport(&out, options{})
	r.others = []float64{quietCore.others()}
	if got := r.disturbance(); got != "" {
		t.Errorf("on a quiet machine: %q", got)
	}
	r.others = []float64{quietCore.others(), busyCore.others(), quietCore.others()}
	if got := r.disturbance(); !strings.Contains(got, "used 1 % of the load's core in the median window and up to 40 %") {
		t.Errorf("on a busy machine: %q", got)
	}
}
