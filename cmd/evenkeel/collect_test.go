package main

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

func TestAHeapThatIsCollectedOftenMayGrowMore(t *testing.T) {
	type look struct {
		collections, live uint64
		want              int
	}
	for name, looks := range map[string][]look{
		"an idle node is as Go has it":             {{0, 8 << 20, 100}, {1, 8 << 20, 100}, {0, 8 << 20, 100}, {1, 8 << 20, 100}},
		"a busy one may grow by 64 MB":             {{2, 8 << 20, 800}, {5, 16 << 20, 400}, {1, 32 << 20, 200}},
		"a large heap may double":                  {{2, 64 << 20, 100}, {9, 1 << 30, 100}},
		"a tiny one has a bound":                   {{2, 0, 1600}, {2, 1, 1600}},
		"it is busy until nothing is collected":    {{2, 8 << 20, 800}, {1, 8 << 20, 800}, {0, 8 << 20, 800}, {1, 8 << 20, 800}},
		"a look without a collection is no change": {{2, 8 << 20, 800}, {0, 8 << 20, 800}, {0, 8 << 20, 800}},
	} {
		t.Run(name, func(t *testing.T) {
			var p collectorPace
			for i, l := range looks {
				if got := p.percent(l.collections, l.live); got != l.want {
					t.Errorf("look %d, of %d collections and %d bytes in use: %d percent, want %d", i, l.collections, l.live, got, l.want)
				}
			}
		})
	}
	p := collectorPace{busy: true}
	for range calmLooks - 1 {
		if got := p.percent(0, 8<<20); got != 800 {
			t.Fatalf("%d percent before it was calm for long", got)
		}
	}
	if got := p.percent(0, 8<<20); got != usualPercent {
		t.Errorf("%d percent when it is calm", got)
	}
}

func TestTheCollectorIsPacedAndLeftAsItWas(t *testing.T) {
	t.Setenv("GOGC", "")
	synctest.Test(t, func(t *testing.T) {
		percent := func() uint64 { return readMetric("/gc/gogc:percent") }
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- paceCollector(ctx) }()
		synctest.Wait()
		for range oftenCollected {
			runtime.GC()
		}
		time.Sleep(collectorLook)
		synctest.Wait()
		if got := percent(); got <= usualPercent {
			t.Errorf("GOGC is %d while the heap is collected often", got)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := percent(); got != usualPercent {
			t.Errorf("GOGC is %d in the end", got)
		}
	})
}
