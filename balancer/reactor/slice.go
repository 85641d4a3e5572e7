package reactor

import "time"

const (
	// timeSlice is how long a loop runs before it begins a new time slice. After
	// 10 ms, forcePreemptNS in the runtime's proc.go, the scheduler would end it.
	timeSlice = 7 * time.Millisecond
	// placeHeld is how long after the last event a loop keeps its place in the
	// scheduler, if the poller can wait without giving it up.
	placeHeld = time.Second
)

// renewSlice begins a new time slice when the present one is nearly over.
//
// The scheduler has a goroutine that ran for 10 ms wait behind all others: in
// the global queue, which is looked at when a P has nothing else to do, or each
// 61st time. With 64 clients that wrote to the registry a loop waited 20 to
// 75 ms there, half of its time in all. A timer that has expired comes before
// all queues, on the P where it was set, and a goroutine that is locked to its
// thread begins a new slice whenever it comes back to it. So the loop sleeps for
// a nanosecond: that costs two switches between threads, some 10 µs.
func (l *Loop) renewSlice() {
	if l.now-l.sliceAt < int64(timeSlice) {
		return
	}
	time.Sleep(time.Nanosecond)
	l.tick()
	l.sliceAt = l.now
}
