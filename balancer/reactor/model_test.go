package reactor

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestRandomSchedulesLoseNothing has two connections of a loop, one dialled by
// it and one accepted, do what a random schedule says: both streams arrive as
// they were written, with their ends behind them.
func TestRandomSchedulesLoseNothing(t *testing.T) {
	w := start(t, 1)
	s := newSides(w)
	rapid.Check(t, func(rt *rapid.T) { s.run(rt) })
}

// sides makes pairs of connections.
type sides struct {
	w        *world
	accepted chan *side
}

// side is one end of a pair: what it wrote, and what it has read of the other's.
type side struct {
	*script
	out, in  stream
	eat      int // of what Data gives, in percent
	ended    bool
	finished bool
	fault    error
}

func newSides(w *world) *sides {
	s := &sides{w: w, accepted: make(chan *side, 1)}
	w.accepting(func(script *script) { s.accepted <- newSide(script) })
	return s
}

func newSide(s *script) *side {
	x := &side{script: s, eat: 100}
	s.data = func(p []byte) int {
		n := len(p) * x.eat / 100
		if err := x.in.check(p[:n]); err != nil && x.fault == nil {
			x.fault = err
		}
		return n
	}
	s.eof = func() { x.ended = true }
	s.failed = func(err error) { x.fault = fmt.Errorf("failed: %w", err) }
	s.expired = func() { s.c.Resume() }
	return x
}

func (s *sides) run(t *rapid.T) {
	var dialled *side
	s.w.dial(s.w.addr, func(script *script) { dialled = newSide(script) })
	pair := [2]*side{dialled, await(s.w.t, s.accepted, "the accepted side")}
	for range rapid.IntRange(1, 40).Draw(t, "steps") {
		x := pair[rapid.IntRange(0, 1).Draw(t, "side")]
		step := rapid.IntRange(0, 7).Draw(t, "step")
		amount := rapid.OneOf(rapid.IntRange(0, 3000), rapid.IntRange(0, 2<<20)).Draw(t, "amount")
		s.w.on(0, func(l *Loop) { x.step(l, step, amount) })
	}
	s.finish(t, pair)
}

func (x *side) step(l *Loop, step, amount int) {
	switch step {
	case 0, 1, 2:
		if !x.finished {
			p := make([]byte, amount)
			x.out.fill(p)
			x.c.Write(p, amount%7 == 0)
		}
	case 3:
		x.c.Pause()
	case 4:
		x.c.Resume()
	case 5:
		x.eat = amount % 101
	case 6:
		x.c.SetDeadline(l.Now() + int64(amount)*100)
	case 7:
		if amount%5 == 0 {
			x.c.CloseWrite()
			x.finished = true
		}
	}
}

// finish lets both end, and compares.
func (s *sides) finish(t *rapid.T, pair [2]*side) {
	s.w.on(0, func(*Loop) {
		for _, x := range pair {
			x.eat = 100
			x.c.CloseWrite()
			x.c.Resume()
		}
	})
	limit := time.Now().Add(patience)
	for fault := "begin"; fault != ""; {
		s.w.on(0, func(*Loop) { fault = compare(pair) })
		if fault != "" && (pair[0].fault != nil || pair[1].fault != nil || time.Now().After(limit)) {
			t.Fatal(fault)
		}
	}
	s.w.on(0, func(*Loop) {
		for _, x := range pair {
			x.close()
		}
	})
}

// compare tells what is missing, or wrong.
func compare(pair [2]*side) string {
	for i, x := range pair {
		other := pair[1-i]
		switch {
		case x.fault != nil:
			return x.fault.Error()
		case x.in.at != other.out.at:
			return fmt.Sprintf("side %d has read %d of %d bytes", i, x.in.at, other.out.at)
		case !x.ended:
			return fmt.Sprintf("side %d has not seen the end", i)
		}
	}
	return ""
}

func TestTheComparisonOfSidesCatchesALoss(t *testing.T) {
	whole := func() [2]*side {
		return [2]*side{{out: stream{5}, in: stream{3}, ended: true}, {out: stream{3}, in: stream{5}, ended: true}}
	}
	if fault := compare(whole()); fault != "" {
		t.Errorf("a whole pair: %s", fault)
	}
	for name, damage := range map[string]func(*side){
		"a lost byte":   func(x *side) { x.in.at-- },
		"a missing end": func(x *side) { x.ended = false },
		"a wrong byte":  func(x *side) { x.fault = fmt.Errorf("differs") },
	} {
		pair := whole()
		if damage(pair[1]); compare(pair) == "" {
			t.Errorf("%s is not seen", name)
		}
	}
}
