//go:build linux

package main

import (
	"context"
	"errors"
	"slices"
	"time"
)

// front is what a balancer's listener speaks, and with it its backends.
type front int

const (
	frontHTTP front = iota // HTTP/1.1 on both sides
	frontTLS               // TLS in front of HTTP/1.1 and HTTP/2, HTTP/1.1 behind
	frontRPC               // HTTP/2 in clear text on both sides
	frontTCP               // connections that are passed on as they are
)

// onFront completes a job for what the listener speaks.
func (b *bench) onFront(f front, job Job) Job {
	if job.TLS != nil {
		t := *job.TLS
		t.Pin = b.identity.pin
		job.TLS = &t
	}
	job.Forwarded = f == frontTCP
	return job
}

// tryout is one request to see whether a listener serves.
func (f front) tryout() Job {
	job := Job{Shape: GetSmall, Connections: 1, Requests: 1, Window: time.Second}
	switch f {
	case frontTLS:
		job.TLS = &TLSJob{}
	case frontRPC:
		job.Shape, job.Streams = Unary, 1
	}
	return job
}

// waitAnswers waits until a right answer comes through the server.
func (b *bench) waitAnswers(ctx context.Context, s *server, f front) error {
	return s.until(ctx, "answers from a backend", func() error {
		job := b.onFront(f, b.aimed(s, f.tryout()))
		job.Patience = time.Second
		o, err := b.runJob(ctx, job, []int{loadCore})
		if err == nil && o.Faults > 0 {
			err = errors.New(o.FirstFault)
		}
		if err == nil && o.Requests == 0 {
			err = errors.New("there was no answer")
		}
		return err
	})
}

// fitting returns the programs that can be measured with a front; those for
// large bodies alone too, if they are wanted. --programs narrows it down.
func (b *bench) fitting(f front, large bool) []program {
	var found []program
	for _, p := range b.programs {
		wanted := len(b.options.programs) == 0 || slices.Contains(b.options.programs, p.name)
		if wanted && (f == frontHTTP || slices.Contains(p.fronts, f)) && (large || !p.onlyBig) {
			found = append(found, p)
		}
	}
	return found
}
