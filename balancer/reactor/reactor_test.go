package reactor

import (
	"math"
	"testing"
)

// The collector's rule is that of startCycle in the runtime's mgcpacer.go: it
// has workers that take part of each place's time when whole ones miss a
// quarter of the places by more than 30 %.
func TestTheCollectorTakesWholePlaces(t *testing.T) {
	for loops := 1; loops <= MaxLoops; loops++ {
		n := places(loops)
		quarter := float64(n) / 4
		if n < 2*loops || n > max(4, 2*loops+1) || math.Abs(math.Floor(quarter+0.5)/quarter-1) > 0.3 {
			t.Errorf("%d loops have %d places", loops, n)
		}
	}
}
