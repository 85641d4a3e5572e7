package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The garbage collector stops all threads twice in each cycle, the event loops
// too, and waits for each until the system has run it to where it can stop. While
// a node has much to do besides its traffic, say 1,500 calls of its API a second,
// a heap of 10 MB is collected five times a second; on a machine whose cores are
// all busy that stopped the loops for 2 % of the time, by 3 ms at a time. So as
// long as it is collected often, more may become garbage in between. What is left of
// that when the node is calm again is collected, and given back to the system: a
// thousand handshakes leave 60 MB, and an idle node would keep them for minutes.
const (
	// collectorLook is between two looks at how often the heap was collected.
	collectorLook = time.Second
	// oftenCollected is how many collections between two looks are too many.
	oftenCollected = 2
	// calmLooks is how many looks in a row have to find little allocated until the
	// node is as before: less than what Go would collect once after.
	calmLooks = 3
	// busyGarbage is what may become garbage between two collections while there
	// were too many, in bytes. A larger heap may double in any case.
	busyGarbage = 64 << 20
	// leastLive bounds the percentage when little is in use.
	leastLive = 4 << 20
	// usualPercent is Go's own, by which the heap may grow between collections.
	usualPercent = 100
)

// collectorPace decides how often the heap is collected. Its zero value is that
// of an idle node.
type collectorPace struct {
	busy bool
	calm int // looks in a row that found little allocated
}

// percent takes how many collections there were since the last look, how many
// bytes were allocated, and how many are in use. It returns by how many percent
// the heap may grow.
func (p *collectorPace) percent(collections, allocated, live uint64) int {
	switch {
	case collections >= oftenCollected:
		p.busy, p.calm = true, 0
	case allocated >= max(live, leastLive):
		p.calm = 0
	default:
		p.calm++
		p.busy = p.busy && p.calm < calmLooks
	}
	if !p.busy {
		return usualPercent
	}
	return max(usualPercent, int(usualPercent*busyGarbage/max(live, leastLive)))
}

// paceCollector adjusts Go's garbage collector until ctx ends, unless GOGC says
// how it is to be. GOMEMLIMIT bounds the memory in any case.
func paceCollector(ctx context.Context) error {
	ticker := time.NewTicker(collectorLook)
	defer ticker.Stop()
	if os.Getenv("GOGC") != "" {
		<-ctx.Done()
		return nil
	}
	var pace collectorPace
	set, seen, before := usualPercent, collections(), allocated()
	defer func() { debug.SetGCPercent(usualPercent) }()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		total, ever := collections(), allocated()
		wasBusy := pace.busy
		want := pace.percent(total-seen, ever-before, liveHeap())
		seen, before = total, ever
		if want == usualPercent && set != want || abs(want-set) > set/4 { // to set it stops all threads once more
			debug.SetGCPercent(want)
			set = want
		}
		if wasBusy && !pace.busy {
			debug.FreeOSMemory()
			seen = collections()
		}
	}
}

func abs(n int) int { return max(n, -n) }

// collections is how often the heap was collected since the start.
func collections() uint64 { return readMetric("/gc/cycles/total:gc-cycles") }

// allocated is how many bytes were, since the start.
func allocated() uint64 { return readMetric("/gc/heap/allocs:bytes") }

// liveHeap is how many bytes the last collection found in use.
func liveHeap() uint64 { return readMetric("/gc/heap/live:bytes") }

func readMetric(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
