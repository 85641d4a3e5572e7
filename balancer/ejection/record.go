package ejection

import "time"

// record is how often a backend was ejected, as far as that is not forgotten.
// Times are of one monotonic clock.
type record struct {
	level int // doublings of the next hold
	ended time.Duration
	calm  time.Duration // how long until one doubling is forgotten
}

// holdAt is how long an ejection after so many others lasts.
func holdAt(level int, hold, most time.Duration) time.Duration {
	for range level {
		if hold >= most {
			break
		}
		hold *= 2
	}
	return min(hold, most)
}

// begin begins an ejection and returns how long it lasts.
func (r *record) begin(now, hold, most time.Duration) time.Duration {
	r.forget(now, hold, most)
	lasts := holdAt(r.level, hold, most)
	if lasts < most || r.level == 0 { // a higher level would take longer to be forgotten, for no longer hold
		r.level++
	}
	r.ended, r.calm = now+lasts, lasts
	return lasts
}

// end ends an ejection, perhaps before its time.
func (r *record) end(now time.Duration) { r.ended = min(r.ended, now) }

// forget takes one doubling off after a time without an ejection that is as long
// as the last one was, the next after as long as the one before it, and so on.
func (r *record) forget(now, hold, most time.Duration) {
	for r.level > 0 && now >= r.forgetAt() {
		r.level--
		r.ended, r.calm = r.forgetAt(), holdAt(r.level-1, hold, most)
	}
}

// forgetAt is when the next doubling is forgotten.
func (r *record) forgetAt() time.Duration { return r.ended + r.calm }
