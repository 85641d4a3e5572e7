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
		collections, allocated, live uint64
		want                         int
	}
	for name, looks := range map[string][]look{
		"an idle node is as Go has it":          {{0, 0, 8 << 20, 100}, {1, 9 << 20, 8 << 20, 100}, {0, 0, 8 << 20, 100}, {1, 9 << 20, 8 << 20, 100}},
		"a busy one may grow by 64 MB":          {{2, 20 << 20, 8 << 20, 800}, {5, 80 << 20, 16 << 20, 400}, {1, 40 << 20, 32 << 20, 200}},
		"a large heap may double":               {{2, 128 << 20, 64 << 20, 100}, {9, 9 << 30, 1 << 30, 100}},
		"a tiny one has a bound":                {{2, 9 << 20, 0, 1600}, {2, 9 << 20, 1, 1600}},
		"it is busy while as much is used":      {{2, 20 << 20, 8 << 20, 800}, {0, 8 << 20, 8 << 20, 800}, {0, 8 << 20, 8 << 20, 800}, {0, 8 << 20, 8 << 20, 800}, {0, 8 << 20, 8 << 20, 800}},
		"two calm looks are no change":          {{2, 20 << 20, 8 << 20, 800}, {1, 0, 8 << 20, 800}, {0, 0, 8 << 20, 800}},
		"a third is, also after a collection":   {{2, 20 << 20, 8 << 20, 800}, {0, 0, 8 << 20, 800}, {1, 0, 8 << 20, 800}, {0, 0, 8 << 20, 100}},
		"they have to come one after the other": {{2, 20 << 20, 8 << 20, 800}, {0, 0, 8 << 20, 800}, {0, 9 << 20, 8 << 20, 800}, {0, 0, 8 << 20, 800}, {0, 0, 8 << 20, 800}},
	} {
		t.Run(name, func(t *testing.T) {
			var p collectorPace
			for i, l := range looks {
				if got := p.percent(l.collections, l.allocated, l.live); got != l.want {
					t.Errorf("look %d, of %d collections, %d bytes allocated and %d in use: %d percent, want %d", i, l.collections, l.allocated, l.live, got, l.want)
				}
			}
		})
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
		before := collections()
		for range calmLooks {
			time.Sleep(collectorLook)
			synctest.Wait()
		}
		if got := percent(); got != usualPercent {
			t.Errorf("GOGC is %d when the node is calm again", got)
		}
		if collections() == before {
			t.Error("what became garbage meanwhile was not collected")
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
