//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// The modes in which the bench starts its own binary again.
const (
	modeLoad    = "load"
	modeBackend = "backend"
	modeBurner  = "burner"
	modeWriter  = "writer"
)

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "httpbench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case modeLoad:
			return loadMain(os.Stdin, os.Stdout)
		case modeBackend:
			return backendMain(args[1:])
		case modeBurner:
			burn()
		case modeWriter:
			return writerMain(os.Stdin, os.Stdout)
		}
	}
	options, err := parseOptions(args, os.Stderr)
	if err != nil {
		return err
	}
	// A reader of the report that ends, such as head, ends the bench in order.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	defer stop()
	// A second Ctrl-C ends this process at once, and the kernel the others.
	context.AfterFunc(ctx, func() {
		signal.Ignore(syscall.SIGPIPE)
		stop()
	})
	return runBench(ctx, options)
}
