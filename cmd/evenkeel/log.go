package main

import (
	"errors"
	"io"
	"log/slog"

	"evenkeel/cmd/evenkeel/cli"
	"evenkeel/cmd/evenkeel/config"
)

func newLogger(options *config.Config, w io.Writer) *slog.Logger {
	handler := &slog.HandlerOptions{Level: options.LogLevel}
	if options.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, handler))
	}
	return slog.New(slog.NewTextHandler(w, handler))
}

// faulty makes a usage error of faulty options.
func faulty(err error) error {
	var faults config.Faults
	if errors.As(err, &faults) {
		return &cli.UsageError{Err: err}
	}
	return err
}
