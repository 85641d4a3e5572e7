package health

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"evenkeel/fsm"
)

func TestTheScheduleDoesNotDrift(t *testing.T) {
	const ms = time.Millisecond
	cases := map[string]struct{ due, now, want time.Duration }{
		"a probe that ends at once":                            {100 * ms, 101 * ms, 300 * ms},
		"a probe that takes most of the interval":              {100 * ms, 299 * ms, 300 * ms},
		"a probe that ends late is followed at once":           {100 * ms, 310 * ms, 300 * ms},
		"probes that were missed are left out but for one":     {100 * ms, 1150 * ms, 1100 * ms},
		"a clock that stands still does not repeat a schedule": {100 * ms, 100 * ms, 300 * ms},
	}
	for name, c := range cases {
		target := &target{anchor: 100 * ms, due: c.due, tally: NewTally(1, 1, fsm.HealthUp), check: &fsm.Check{Interval: fsm.Duration(200 * ms)}}
		target.advance(c.now)
		if target.due != c.want {
			t.Errorf("%s: due at %s, want %s", name, target.due, c.want)
		}
	}
}

func TestPhasesAreSpread(t *testing.T) {
	const backends, slots, interval = 5000, 10, 2 * time.Second
	var counts [slots]int
	for n := range backends {
		uid := fmt.Sprintf("backend-%d", n)
		first := phase(uid, 0, 3, interval)
		for rank := range 3 {
			at := phase(uid, rank, 3, interval)
			if at < 0 || at >= interval {
				t.Fatalf("phase %s is not within the interval", at)
			}
			if want := (first + interval*time.Duration(rank)/3) % interval; at != want {
				t.Fatalf("observer %d begins at %s, want %s, evenly among the others", rank, at, want)
			}
		}
		counts[first*slots/interval]++
	}
	for slot, count := range counts {
		if count < backends/slots*8/10 || count > backends/slots*12/10 {
			t.Errorf("slot %d of %d has %d of %d first probes", slot, slots, count, backends)
		}
	}
}

func TestReasonsAreShortPrintableLines(t *testing.T) {
	if got := shorten("status 503,\r\nexpected\x00 200-399"); got != "status 503,  expected  200-399" {
		t.Errorf("got %q", got)
	}
	if got := shorten("up \u202enwod\u202c \u2028 \x9b2J \x1b[2J"); strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("a reason drives the terminal: %q", got)
	}
	if got := shorten(strings.Repeat("ä", 128)); got != strings.Repeat("ä", 128) {
		t.Errorf("a reason of 256 bytes was cut to %d", len(got))
	}
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOf(rapid.Byte()).Draw(t, "text")) + rapid.StringN(0, 300, 1200).Draw(t, "more")
		got := shorten(text)
		if len(got) > maxReason || !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\x00") {
			t.Fatalf("%q became %q of %d bytes", text, got, len(got))
		}
	})
}
