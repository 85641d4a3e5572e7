package reactor

import (
	"math/bits"
	"time"
)

// The wheel turns by ticks. A deadline beyond its horizon waits in the last
// slot and is looked at again when that comes.
const (
	tickLength = int64(4 * time.Millisecond)
	wheelSlots = 4096 // a horizon of 16 s
)

// wheel is a hashed timing wheel (Varghese and Lauck, "Hashed and Hierarchical
// Timing Wheels", SOSP 1987) of deadlines, in lists that run through them.
//
// A deadline that moves to later, the usual case, stays where it is and is
// looked at when the old time comes. So it costs a store.
type wheel struct {
	slots [wheelSlots]*timer
	used  [wheelSlots / 64]uint64 // a bit for each slot that is not empty
	at    int64                   // the last tick that was worked off
}

// timer is a place in the wheel: that of a connection, or of a [Timer].
type timer struct {
	deadline   int64 // 0: none
	tick       int64 // when the wheel looks at it; 0: it is not in the wheel
	next, prev *timer
	owner      interface{ ring() }
}

// Timer calls a function at a time, for what has no connection of its own.
type Timer struct {
	loop  *Loop
	f     func()
	timer timer
}

// NewTimer returns a timer that is not set; f is called on the loop.
func (l *Loop) NewTimer(f func()) *Timer { return &Timer{loop: l, f: f} }

// Set has the function called once [Loop.Now] has reached at; 0 takes that back.
// It is never early, and late by a tick of 4 ms and the batch of events.
func (t *Timer) Set(at int64) {
	t.timer.owner = t
	t.loop.wheel.set(&t.timer, at)
}

func (t *Timer) ring() { t.loop.call(t.f) }

// SetDeadline has the handler's Expired called once [Loop.Now] has reached at;
// 0 takes the deadline back. It is never early, and late by a tick of 4 ms and
// the batch of events.
func (c *Conn) SetDeadline(at int64) {
	if c.has(closed | closing) {
		return
	}
	c.timer.owner = c
	c.loop.wheel.set(&c.timer, at)
}

func (c *Conn) ring() { c.loop.safely(c, (*Conn).expired) }

func (w *wheel) set(t *timer, at int64) {
	t.deadline = at
	if at == 0 {
		return
	}
	if tick := tickOf(at); t.tick == 0 || tick < t.tick {
		w.move(t, tick)
	}
}

// tickOf returns the first tick at which the time has come.
func tickOf(at int64) int64 { return (at + tickLength - 1) / tickLength }

func (w *wheel) move(t *timer, tick int64) {
	w.remove(t)
	tick = min(max(tick, w.at+1), w.at+wheelSlots-1)
	slot := tick % wheelSlots
	t.tick = tick
	t.prev, t.next = nil, w.slots[slot]
	if t.next != nil {
		t.next.prev = t
	}
	w.slots[slot] = t
	w.used[slot/64] |= 1 << (slot % 64)
}

func (w *wheel) remove(t *timer) {
	if t.tick == 0 {
		return
	}
	slot := t.tick % wheelSlots
	if t.prev != nil {
		t.prev.next = t.next
	} else if w.slots[slot] = t.next; t.next == nil {
		w.used[slot/64] &^= 1 << (slot % 64)
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.tick, t.next, t.prev = 0, nil, nil
}

// advance works off the ticks up to now.
func (w *wheel) advance(now int64) {
	for tick := now / tickLength; w.at < tick; {
		w.at = min(w.next(w.at+1), tick)
		for t := w.slots[w.at%wheelSlots]; t != nil; t = w.slots[w.at%wheelSlots] {
			w.remove(t)
			switch {
			case t.deadline == 0:
			case t.deadline > now:
				w.move(t, tickOf(t.deadline))
			default:
				t.deadline = 0
				t.owner.ring()
			}
		}
	}
}

// next returns the first tick from first on whose slot is not empty, or one
// beyond the horizon.
func (w *wheel) next(first int64) int64 {
	for tick := first; tick < first+wheelSlots; {
		slot := tick % wheelSlots
		if word := w.used[slot/64] >> (slot % 64); word != 0 {
			return tick + int64(bits.TrailingZeros64(word))
		}
		tick += 64 - slot%64
	}
	return first + wheelSlots
}

// rest is how long nothing is due; negative for ever.
func (w *wheel) rest(now int64) time.Duration {
	tick := w.next(w.at + 1)
	if tick > w.at+wheelSlots {
		return -1
	}
	return time.Duration(max(tick*tickLength-now, 0))
}
