package main

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// stage is one part of a node. run blocks until its context ends, and returns
// after the part's last goroutine.
type stage struct {
	name string
	run  func(ctx context.Context) error
}

// runStages runs all stages at once until ctx ends or one of them returns.
// Then they are stopped one after the other, in their order: each is told to
// when the one before it has ended. It returns the first error, with the name
// of the stage.
func runStages(ctx context.Context, stages ...stage) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group errgroup.Group
	before := ctx.Done()
	for _, s := range stages {
		own, stop := context.WithCancel(context.WithoutCancel(ctx))
		turn, ended := before, make(chan struct{})
		group.Go(func() error {
			<-turn
			stop()
			return nil
		})
		group.Go(func() error {
			defer cancel() // runs last: who ends early ends all
			defer close(ended)
			if err := s.run(own); err != nil {
				return fmt.Errorf("run %s: %w", s.name, err)
			}
			return nil
		})
		before = ended
	}
	return group.Wait()
}
