package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"
)

// WriterJob is what the writer's process changes: the weights of backends, one
// after the other and again from the first, until its input ends.
type WriterJob struct {
	API      string // address
	Rate     float64
	Workers  int
	Backends []WriterBackend
}

// WriterBackend is one backend that is changed.
type WriterBackend struct{ Path, Address string }

// writerMain is the writer's process: a [WriterJob] in, [Written] out.
func writerMain(in io.Reader, out io.Writer) error {
	input := json.NewDecoder(in)
	var job WriterJob
	if err := input.Decode(&job); err != nil {
		return fmt.Errorf("read job: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		defer cancel()
		_ = input.Decode(&struct{}{}) // which returns when the input ends
	}()
	written := putAll(ctx, job.API, puts{workers: job.Workers, rate: job.Rate, count: math.MaxInt, item: job.change})
	return json.NewEncoder(out).Encode(written)
}

// change returns the n-th change. The weight is one that the backend has not
// had for long, so that each is a change of the registry.
func (j WriterJob) change(n int) (path, body string) {
	b := j.Backends[n%len(j.Backends)]
	return b.Path, fmt.Sprintf(`{"address":%q,"weight":%d}`, b.Address, 1+(n/len(j.Backends))%500)
}

// perSecond returns how many writes were accepted a second.
func (w Written) perSecond() float64 {
	return float64(w.Done) / max(w.Elapsed, time.Nanosecond).Seconds()
}
