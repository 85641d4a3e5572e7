package health

import (
	"testing"

	"pgregory.net/rapid"

	"evenkeel/fsm"
)

func TestTally(t *testing.T) {
	const unknown, up, down = fsm.HealthUnknown, fsm.HealthUp, fsm.HealthDown
	cases := map[string]struct {
		rise, fall int
		begin      fsm.Health
		results    string // + passed, - failed
		want       fsm.Health
	}{
		"nothing is known before the first result":        {2, 3, unknown, "", unknown},
		"one pass is enough for a first opinion":          {2, 3, unknown, "+", up},
		"one pass after failures is enough as well":       {5, 3, unknown, "--+", up},
		"a first opinion of down takes fall failures":     {2, 3, unknown, "---", down},
		"fewer failures than fall are no opinion":         {2, 3, unknown, "--", unknown},
		"a single failure does not bring an up one down":  {2, 3, up, "-", up},
		"failures that are not in a row do not add up":    {2, 3, up, "--+--+--", up},
		"fall failures in a row do":                       {2, 3, up, "--+---", down},
		"one pass does not bring a down one up":           {2, 3, down, "+", down},
		"passes that are not in a row do not add up":      {2, 3, down, "+-+-+", down},
		"rise passes in a row do":                         {2, 3, down, "+-++", up},
		"with rise and fall of 1 each result decides":     {1, 1, up, "-+-", down},
		"an opinion of earlier counts like one's own":     {2, 3, down, "", down},
		"rise and fall below 1 count as 1":                {0, -1, unknown, "-", down},
		"a long run of passes still needs fall failures":  {2, 3, unknown, "++++++++++++--", up},
		"a long run of failures still needs rise passes":  {3, 1, unknown, "-----------++", down},
		"the run begins anew after a change of direction": {3, 3, up, "---++-+++", up},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			tally := NewTally(c.rise, c.fall, c.begin)
			for _, result := range c.results {
				before := tally.Opinion()
				if changed := tally.Record(result == '+'); changed != (tally.Opinion() != before) {
					t.Errorf("Record reports changed=%t from %s to %s", changed, before, tally.Opinion())
				}
			}
			if got := tally.Opinion(); got != c.want {
				t.Errorf("opinion is %s, want %s", got, c.want)
			}
		})
	}
}

// The opinion is a function of the history: the newest run of rise passes or
// fall failures decides, the first pass too where there was no opinion.
func TestTallyFollowsItsHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rise, fall := rapid.IntRange(1, 6).Draw(t, "rise"), rapid.IntRange(1, 6).Draw(t, "fall")
		begin := rapid.SampledFrom([]fsm.Health{fsm.HealthUnknown, fsm.HealthUp, fsm.HealthDown}).Draw(t, "begin")
		history := rapid.SliceOf(rapid.Bool()).Draw(t, "history")
		tally, want := NewTally(rise, fall, begin), begin
		for n := range history {
			tally.Record(history[n])
			switch past := history[:n+1]; {
			case endsWith(past, true, rise), want == fsm.HealthUnknown && past[n]:
				want = fsm.HealthUp
			case endsWith(past, false, fall):
				want = fsm.HealthDown
			}
			if tally.Opinion() != want {
				t.Fatalf("after %v the opinion is %s, want %s", history[:n+1], tally.Opinion(), want)
			}
		}
	})
}

func endsWith(history []bool, result bool, times int) bool {
	if len(history) < times {
		return false
	}
	for _, r := range history[len(history)-times:] {
		if r != result {
			return false
		}
	}
	return true
}

func TestAWaryTallyTakesNoSinglePass(t *testing.T) {
	tally := NewTally(3, 2, fsm.HealthUnknown).Wary()
	for n, want := range []fsm.Health{fsm.HealthUnknown, fsm.HealthUnknown, fsm.HealthUp} {
		if tally.Record(true); tally.Opinion() != want {
			t.Errorf("after %d passes it is %s", n+1, tally.Opinion())
		}
	}
}

func TestAConfirmedFailureDecides(t *testing.T) {
	tally := NewTally(2, 3, fsm.HealthUp)
	if tally.Record(false) || !tally.Confirm() || tally.Opinion() != fsm.HealthDown || tally.Run() != -1 {
		t.Errorf("it is %s after a run of %d", tally.Opinion(), tally.Run())
	}
	if tally.Confirm() || tally.Record(true) || !tally.Record(true) {
		t.Error("it does not go on as any other")
	}
}
