package peer

import (
	"log/slog"
	"testing"
	"time"
)

func TestRefusalsAreLoggedSparingly(t *testing.T) {
	r := newRefusals(slog.New(slog.DiscardHandler))
	start := time.Now()
	for _, c := range []struct {
		name     string
		why      reason
		after    time.Duration
		unlogged uint64
		ok       bool
	}{
		{"the first", reasonGarbage, 0, 0, true},
		{"another soon after", reasonGarbage, time.Second, 0, false},
		{"one for another reason", reasonSecret, time.Second, 0, true},
		{"one just before the time is over", reasonGarbage, logInterval - 1, 0, false},
		{"one when it is over says how many were not logged", reasonGarbage, logInterval, 2, true},
		{"and so on", reasonGarbage, 2 * logInterval, 0, true},
	} {
		if unlogged, ok := r.mayLog(c.why, start.Add(c.after)); unlogged != c.unlogged || ok != c.ok {
			t.Errorf("%s: got %d, %t, want %d, %t", c.name, unlogged, ok, c.unlogged, c.ok)
		}
	}
}

func TestEveryReasonHasAName(t *testing.T) {
	seen := map[string]bool{}
	for why := range reasons {
		if name := why.String(); name == "" || seen[name] {
			t.Errorf("reason %d is named %q", why, name)
		} else {
			seen[name] = true
		}
	}
}
