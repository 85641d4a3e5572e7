package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// journal keeps what stages did, in order.
type journal struct {
	mu      sync.Mutex
	entries []string
}

func (j *journal) note(entry string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, entry)
}

// until returns a stage that runs until its context ends and then takes a
// second to stop.
func (j *journal) until(name string) stage {
	return stage{name, func(ctx context.Context) error {
		<-ctx.Done()
		j.note("stop " + name)
		time.Sleep(time.Second) // of the bubble's clock
		j.note("end " + name)
		return nil
	}}
}

var inOrder = []string{"stop a", "end a", "stop b", "end b", "stop c", "end c"}

func TestStagesStopOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		if err := runStages(ctx, j.until("a"), j.until("b"), j.until("c")); err != nil {
			t.Error(err)
		}
		if !slices.Equal(j.entries, inOrder) || time.Since(began) != time.Minute+3*time.Second {
			t.Errorf("after %s: %q", time.Since(began), j.entries)
		}
	})
}

func TestAStageThatBreaksStopsAllOthersInOrderAndIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		broken := errors.New("no more")
		err := runStages(t.Context(), j.until("a"), j.until("b"),
			stage{"weak", func(context.Context) error {
				time.Sleep(time.Minute)
				return broken
			}}, j.until("c"))
		if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "run weak: ") {
			t.Errorf("error %v", err)
		}
		// c follows the broken stage, so it need not wait for a and b.
		for _, entry := range inOrder {
			if !slices.Contains(j.entries, entry) {
				t.Errorf("%q is missing in %q", entry, j.entries)
			}
		}
		if slices.Index(j.entries, "end a") > slices.Index(j.entries, "stop b") {
			t.Errorf("b did not wait for a: %q", j.entries)
		}
	})
}
