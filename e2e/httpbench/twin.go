//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
)

// withTwin starts a second node of a program beside the first if that is wanted,
// on the core of the load, so that what it costs is in no figure. Clients get
// their tickets from it.
func (b *bench) withTwin(ctx context.Context, s *server, p placing, start func(ctx context.Context, p placing) (*server, error)) (*server, error) {
	if !p.twin {
		return s, nil
	}
	p.twin, p.cores = false, []int{loadCore}
	twin, err := start(ctx, p)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a second node of %s: %w", s.name, err), b.end(s.process))
	}
	s.twin, s.tickets = twin.process, twin.address
	return s, nil
}
