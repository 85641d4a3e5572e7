package apibench

import (
	"strings"
	"testing"
)

func TestTheTableSaysWhatWasReached(t *testing.T) {
	for _, c := range []struct {
		g     goal
		ratio float64
		want  string
	}{{goal{1.5, false}, 1.5, "yes"}, {goal{1.5, false}, 1.49, "no"}, {goal{1.2, true}, 1.2, "yes"}, {goal{1.2, true}, 1.21, "no"}, {goal{}, 7, ""}} {
		if got := c.g.judge(c.ratio); got != c.want {
			t.Errorf("%v of %q is reached: %q", c.ratio, c.g, got)
		}
	}
	text := markdown([]row{{what: "reads", toReach: "≥ 3.0 ×", ours: "9/s", etcds: "3/s", ratios: "3.00", median: "3.00", reached: "yes"}})
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 3 || len([]rune(lines[0])) != len([]rune(lines[2])) {
		t.Errorf("the table is\n%s", text)
	}
}
