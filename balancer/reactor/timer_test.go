package reactor

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// clock is a loop that never runs, for its wheel.
type clock struct {
	l     *Loop
	rings []int // whose deadline came, in order
}

// ringer is a handler that notes its Expired.
type ringer struct {
	bare
	clock *clock
	id    int
	then  func()
}

func (r *ringer) Expired() {
	r.clock.rings = append(r.clock.rings, r.id)
	if r.then != nil {
		r.then()
	}
}

func (k *clock) conn(id int) *Conn {
	c := &Conn{loop: k.l}
	c.handler = &ringer{clock: k, id: id}
	return c
}

func (k *clock) advance(now int64) []int {
	k.rings = nil
	k.l.now = now
	k.l.wheel.advance(now)
	return k.rings
}

const ms = int64(time.Millisecond)

func TestDeadlinesComeInOrderAndNeverEarly(t *testing.T) {
	k := &clock{l: new(Loop)}
	for id, at := range []int64{50 * ms, 10 * ms, 30*ms + 1, 10*ms - 1, 90_000 * ms, 0} {
		k.conn(id).SetDeadline(at)
	}
	for _, step := range []struct {
		now  int64
		want []int
	}{
		{10*ms - 2, nil},
		{10*ms + tickLength, []int{3, 1}},
		{30 * ms, nil},
		{30*ms + tickLength + 1, []int{2}},
		{89_999 * ms, []int{0}},
		{90_000 * ms, []int{4}},
		{1_000_000 * ms, nil},
	} {
		got := k.advance(step.now)
		slices.Sort(got)
		slices.Sort(step.want)
		if !slices.Equal(got, step.want) {
			t.Errorf("at %v: %v rang, want %v", time.Duration(step.now), got, step.want)
		}
	}
}

func TestADeadlineThatMovesLaterCostsAStore(t *testing.T) {
	k := &clock{l: new(Loop)}
	c := k.conn(1)
	c.SetDeadline(100 * ms)
	tick := c.timer.tick
	for at := 200 * ms; at < 300*ms; at += ms {
		c.SetDeadline(at)
	}
	if c.timer.tick != tick {
		t.Error("it has moved in the wheel")
	}
	if got := k.advance(298 * ms); got != nil {
		t.Errorf("%v rang early", got)
	}
	if got := k.advance(300 * ms); len(got) != 1 {
		t.Errorf("%v rang", got)
	}
}

func TestTheWheelRestsUntilTheNextDeadline(t *testing.T) {
	k := &clock{l: new(Loop)}
	if rest := k.l.wheel.rest(0); rest >= 0 {
		t.Errorf("an empty wheel wants to turn in %v", rest)
	}
	c := k.conn(1)
	c.SetDeadline(50 * ms)
	if rest := k.l.wheel.rest(10 * ms); rest < 40*time.Millisecond || rest > 44*time.Millisecond {
		t.Errorf("it rests for %v", rest)
	}
	if rest := k.l.wheel.rest(60 * ms); rest != 0 {
		t.Errorf("it rests for %v with a deadline overdue", rest)
	}
	k.advance(60 * ms)
	if rest := k.l.wheel.rest(60 * ms); rest >= 0 {
		t.Errorf("an empty wheel wants to turn in %v", rest)
	}
}

// TestTheWheelCatchesUpAtOnce is a deadline after a long time without one.
func TestTheWheelCatchesUpAtOnce(t *testing.T) {
	const week = 7 * 24 * 3600_000 * ms
	if took := fastest(5, func() {
		k := &clock{l: new(Loop)}
		k.conn(1).SetDeadline(week + 5000*ms)
		if got := k.advance(week); got != nil {
			t.Fatalf("%v rang early", got)
		}
		if got := k.advance(week + 5004*ms); len(got) != 1 {
			t.Fatalf("%v rang", got)
		}
	}); took > 300*time.Millisecond {
		t.Errorf("it took %v to pass a week", took)
	}
}

// fastest is the shortest of a few runs, which others disturb least.
func fastest(runs int, f func()) time.Duration {
	best := time.Duration(1<<63 - 1)
	for range runs {
		began := time.Now()
		f()
		best = min(best, time.Since(began))
	}
	return best
}

// TestTheWheelIsLikeASortedList holds it to a model under random schedules:
// nothing rings early, twice or never, and late by a tick at most.
func TestTheWheelIsLikeASortedList(t *testing.T) { rapid.Check(t, wheelModel) }

func FuzzWheel(f *testing.F) { f.Fuzz(rapid.MakeFuzz(wheelModel)) }

func wheelModel(t *rapid.T) {
	k := &clock{l: new(Loop)}
	conns, due := make([]*Conn, 12), make([]int64, 12)
	for id := range conns {
		conns[id] = k.conn(id)
	}
	set := func(id int, at int64) { due[id] = at; conns[id].SetDeadline(at) }
	delay := rapid.OneOf(rapid.Int64Range(0, 3*tickLength), rapid.Int64Range(0, 40_000*ms), rapid.Int64Range(-ms, 4*3600_000*ms))
	for now := int64(0); ; {
		switch rapid.IntRange(0, 5).Draw(t, "step") {
		case 0:
			id := rapid.IntRange(0, len(conns)-1).Draw(t, "cleared")
			set(id, 0)
		case 1, 2, 3:
			id := rapid.IntRange(0, len(conns)-1).Draw(t, "set")
			set(id, max(now+delay.Draw(t, "delay"), 1))
		case 4:
			now += max(delay.Draw(t, "passes"), 0)
			checkRings(t, k, due, now)
		case 5:
			// To the very moment at which the loop would wake up.
			if rest := k.l.wheel.rest(now); rest >= 0 {
				now += int64(rest)
				checkRings(t, k, due, now)
				if k.l.wheel.rest(now) == 0 {
					t.Fatal("the loop would not sleep")
				}
			} else if slices.ContainsFunc(due, func(at int64) bool { return at != 0 }) {
				t.Fatal("the loop would sleep for ever, with a deadline set")
			}
		}
		if rapid.IntRange(0, 60).Draw(t, "more") == 0 {
			return
		}
	}
}

func checkRings(t *rapid.T, k *clock, due []int64, now int64) {
	rang := k.advance(now)
	for i, id := range rang {
		if slices.Contains(rang[:i], id) {
			t.Fatalf("%d rang twice", id)
		}
		if due[id] == 0 || due[id] > now {
			t.Fatalf("%d rang at %d, and was due at %d", id, now, due[id])
		}
		due[id] = 0
	}
	for id, at := range due {
		if at != 0 && at <= now-tickLength {
			t.Fatalf("%d did not ring at %d, and was due at %d", id, now, at)
		}
	}
}

func TestADeadlineMayBeSetWhenOneComes(t *testing.T) {
	k := &clock{l: new(Loop)}
	c, other := k.conn(1), k.conn(2)
	left := 3
	c.handler.(*ringer).then = func() {
		if left--; left > 0 {
			c.SetDeadline(k.l.now - 5*ms) // passed already
		}
		other.SetDeadline(0)
	}
	c.SetDeadline(10 * ms)
	other.SetDeadline(30 * ms)
	var rang []int
	for now := 12 * ms; now < 100*ms; now += tickLength {
		rang = append(rang, k.advance(now)...)
	}
	if !slices.Equal(rang, []int{1, 1, 1}) {
		t.Errorf("%v rang", rang)
	}
}

func TestDeadlinesOfALoopComeInTime(t *testing.T) {
	w := start(t, 1)
	w.accepting(echo)
	const count = 50
	type ring struct{ due, at int64 }
	rings := make(chan ring, count)
	var dialled []*script
	for i := range count {
		dialled = append(dialled, w.dial(w.addr, func(s *script) {
			due := s.c.Loop().Now() + int64(i)*3*ms
			s.expired = func() { rings <- ring{due, s.c.Loop().Now()} }
			s.c.SetDeadline(due + 1000*ms)
			s.c.SetDeadline(due) // earlier
		}))
	}
	for range count {
		if r := await(t, rings, "a deadline"); r.at < r.due {
			t.Errorf("a deadline came %v early", time.Duration(r.due-r.at))
		}
	}
	w.on(0, func(*Loop) {
		for _, s := range dialled {
			s.abort()
		}
	})
}

// TestAnIdleLoopSleeps counts how often it wakes up while nothing happens, from
// when it has given its place in the scheduler up.
func TestAnIdleLoopSleeps(t *testing.T) {
	w := start(t, 1)
	s, client := w.accepted(echo)
	client.send("hello")
	client.expect("hello")
	batches, idle := 0, make(chan int, 1)
	w.on(0, func(l *Loop) {
		l.OnBatchEnd(func() { batches++ })
		s.expired = func() {
			batches = 0
			s.expired = func() { idle <- batches }
			s.c.SetDeadline(l.Now() + 1000*ms)
		}
		s.c.SetDeadline(l.Now() + int64(placeHeld) + 500*ms)
	})
	if n := await(t, idle, "the deadline"); n > 20 {
		t.Errorf("%d batches in an idle second", n)
	}
}

// TestALoopBeginsNewTimeSlices looks at a loop that always has something to do,
// and at one that had lately.
func TestALoopBeginsNewTimeSlices(t *testing.T) {
	for name, busy := range map[string]bool{"busy": true, "waiting": false} {
		t.Run(name, func(t *testing.T) {
			w := start(t, 1)
			slices, done := map[int64]bool{}, make(chan struct{})
			w.on(0, func(l *Loop) {
				var again func()
				again = func() {
					if slices[l.sliceAt] = true; len(slices) == 20 {
						close(done)
						return
					}
					if l.eventAt = l.now; busy {
						l.Post(again)
					}
				}
				l.OnBatchEnd(func() {
					if !busy && len(slices) < 20 {
						again()
					}
				})
				again()
			})
			await(t, done, "20 time slices")
		})
	}
}

func TestATimerRingsOnceAndCanBeTakenBack(t *testing.T) {
	k := &clock{l: new(Loop)}
	rang := 0
	timer := k.l.NewTimer(func() { rang++ })
	timer.Set(50 * ms)
	k.advance(49 * ms)
	if timer.Set(0); rang != 0 {
		t.Fatal("it rang early")
	}
	k.advance(200 * ms)
	if rang != 0 {
		t.Fatal("it rang after it was taken back")
	}
	timer.Set(300 * ms)
	timer.Set(250 * ms)
	k.advance(300*ms + tickLength)
	k.advance(900 * ms)
	if rang != 1 {
		t.Errorf("it rang %d times", rang)
	}
}
