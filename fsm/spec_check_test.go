package fsm

import (
	"testing"
	"time"
)

func TestProbesInDoubtFollowEachOtherFaster(t *testing.T) {
	for name, c := range map[string]struct {
		level                   uint64
		interval, timeout, fast time.Duration
		doubt, down             time.Duration
	}{
		"by default as fast as they can":                    {4, 2 * time.Second, time.Second, 0, time.Second, 2 * time.Second},
		"with a timeout as long as the interval no faster":  {4, time.Second, time.Second, 0, time.Second, time.Second},
		"with a tiny timeout no faster than an interval is": {4, time.Second, 10 * time.Millisecond, 0, 100 * time.Millisecond, time.Second},
		"a fast interval is also for what is down":          {4, 2 * time.Second, time.Second, 1500 * time.Millisecond, 1500 * time.Millisecond, 1500 * time.Millisecond},
		"below level 4 at the interval":                     {3, 2 * time.Second, time.Second, 0, 2 * time.Second, 2 * time.Second},
	} {
		s := &State{featureLevel: c.level}
		doubt, down := s.ProbeIntervals(&Check{Interval: Duration(c.interval), Timeout: Duration(c.timeout), FastInterval: Duration(c.fast)})
		if doubt != c.doubt || down != c.down {
			t.Errorf("%s: %s in doubt and %s while down, want %s and %s", name, doubt, down, c.doubt, c.down)
		}
	}
}
