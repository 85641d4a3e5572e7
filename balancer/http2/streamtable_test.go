package http2

import (
	"math/rand/v2"
	"testing"
)

// TestTheTableIsAMap holds that the table does what a map does, for ids in
// order and for such that want the same slot.
func TestTheTableIsAMap(t *testing.T) {
	for _, step := range []uint32{2, 4, 16, 64, 1024} {
		r := rand.New(rand.NewPCG(uint64(step), 1))
		var table streamTable
		model := map[uint32]*Stream{}
		next := uint32(1)
		for range 5000 {
			if r.IntN(2) == 0 && len(model) < 100 {
				s := &Stream{id: next}
				next += step * uint32(1+r.IntN(2))
				table.add(s)
				model[s.id] = s
			} else {
				for id, s := range model {
					table.remove(s)
					delete(model, id)
					break
				}
			}
			id := uint32(r.IntN(int(next))) | 1
			if table.get(id) != model[id] || table.n != len(model) {
				t.Fatalf("step %d: stream %d is %v, want %v", step, id, table.get(id), model[id])
			}
		}
		for id, s := range model {
			if table.get(id) != s {
				t.Fatalf("step %d: stream %d is lost", step, id)
			}
		}
		if len(table.slots) > 512 {
			t.Errorf("step %d: %d slots for 100 streams", step, len(table.slots))
		}
	}
}

func TestClosedStreamsAreRemembered(t *testing.T) {
	var c closedStreams
	c.skip(0, 1)
	c.skip(1, 3)
	c.skip(3, 9)
	c.add(3, false)
	c.add(9, true)
	for id, want := range map[uint32]closing{1: closedEnded, 3: closedReset, 5: closedUnused, 7: closedUnused, 9: closedRemote, 11: closedEnded} {
		if got := c.find(id); got != want {
			t.Errorf("stream %d: %d, want %d", id, got, want)
		}
	}
	for id := uint32(11); id < 11+2*closedMemory; id += 2 {
		c.add(id, false)
	}
	for id, want := range map[uint32]closing{1: closedLong, 3: closedLong, 9: closedLong, 11: closedReset, 9 + 2*closedMemory: closedReset} {
		if got := c.find(id); got != want {
			t.Errorf("stream %d: %d, want %d", id, got, want)
		}
	}
	if len(c.ring) != closedMemory {
		t.Errorf("%d are remembered", len(c.ring))
	}
}
