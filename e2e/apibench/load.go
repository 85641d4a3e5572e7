package apibench

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// client makes one request after the other; n counts those of all clients.
type client interface {
	request(n int) error
	close() error
}

// outcome is what a span of load came to.
type outcome struct {
	requests int
	span     time.Duration
	took     []float64 // of each request, in ms
}

func (o outcome) rate() float64 { return float64(o.requests) / o.span.Seconds() }

// drive lets the clients make requests for a span, each with the next number from
// first on. It closes none of them.
func drive(clients []client, first int, span time.Duration) (outcome, error) {
	var next atomic.Int64
	next.Store(int64(first))
	took, failed := make([][]float64, len(clients)), make([]error, len(clients))
	var workers sync.WaitGroup
	begin := time.Now()
	for i, c := range clients {
		workers.Go(func() {
			for before := begin; before.Sub(begin) < span; {
				if failed[i] = c.request(int(next.Add(1) - 1)); failed[i] != nil {
					return
				}
				after := time.Now()
				took[i] = append(took[i], inMillis(after.Sub(before)))
				before = after
			}
		})
	}
	workers.Wait()
	sum := outcome{span: time.Since(begin)}
	for _, of := range took {
		sum.took = append(sum.took, of...)
	}
	sum.requests = len(sum.took)
	return sum, errors.Join(failed...)
}

func closeAll(clients []client) error {
	var failed []error
	for _, c := range clients {
		failed = append(failed, c.close())
	}
	return errors.Join(failed...)
}
