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
// Timing Wheels", SOSP 1987) of connections, in lists that run through them.
//
// A connection stays where it is when its deadline moves to later, the usual
// case, and is looked at when the old time comes. So a deadline costs a store.
type wheel struct {
	slots [wheelSlots]*Conn
	used  [wheelSlots / 64]uint64 // a bit for each slot that is not empty
	at    int64                   // the last tick that was worked off
}

// timer is a connection's place in the wheel.
type timer struct {
	deadline   int64 // 0: none
	tick       int64 // when the wheel looks at it; 0: it is not in the wheel
	next, prev *Conn
}

// SetDeadline has the handler's Expired called once [Loop.Now] has reached at;
// 0 takes the deadline back. It is never early, and late by a tick of 4 ms and
// the batch of events.
func (c *Conn) SetDeadline(at int64) {
	if c.has(closed | closing) {
		return
	}
	c.timer.deadline = at
	if at == 0 {
		return
	}
	if tick := tickOf(at); c.timer.tick == 0 || tick < c.timer.tick {
		c.loop.wheel.move(c, tick)
	}
}

// tickOf returns the first tick at which the time has come.
func tickOf(at int64) int64 { return (at + tickLength - 1) / tickLength }

func (w *wheel) move(c *Conn, tick int64) {
	w.remove(c)
	tick = min(max(tick, w.at+1), w.at+wheelSlots-1)
	slot := tick % wheelSlots
	c.timer.tick = tick
	c.timer.prev, c.timer.next = nil, w.slots[slot]
	if c.timer.next != nil {
		c.timer.next.timer.prev = c
	}
	w.slots[slot] = c
	w.used[slot/64] |= 1 << (slot % 64)
}

func (w *wheel) remove(c *Conn) {
	if c.timer.tick == 0 {
		return
	}
	slot := c.timer.tick % wheelSlots
	if c.timer.prev != nil {
		c.timer.prev.timer.next = c.timer.next
	} else if w.slots[slot] = c.timer.next; c.timer.next == nil {
		w.used[slot/64] &^= 1 << (slot % 64)
	}
	if c.timer.next != nil {
		c.timer.next.timer.prev = c.timer.prev
	}
	c.timer.tick, c.timer.next, c.timer.prev = 0, nil, nil
}

// advance works off the ticks up to now.
func (w *wheel) advance(now int64) {
	for tick := now / tickLength; w.at < tick; {
		w.at = min(w.next(w.at+1), tick)
		for c := w.slots[w.at%wheelSlots]; c != nil; c = w.slots[w.at%wheelSlots] {
			w.remove(c)
			switch {
			case c.timer.deadline == 0:
			case c.timer.deadline > now:
				w.move(c, tickOf(c.timer.deadline))
			default:
				c.timer.deadline = 0
				c.loop.safely(c, (*Conn).expired)
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
