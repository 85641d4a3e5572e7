//go:build linux

package main

import "context"

// extraProgram is a program of --extra. It must stay the process that was
// started and do its work there.
func extraProgram(e extra) program {
	return program{name: e.name, start: func(ctx context.Context, b *bench, p placing) (*server, error) {
		address, err := b.freeAddress()
		if err != nil {
			return nil, err
		}
		return b.launch(ctx, address, command{name: e.name, argv: e.argv(address, b.backends), cores: p.cores}, p.front)
	}}
}
