package main

import (
	"errors"
	"io"
	"log"
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

// takeStandardLog makes Go's standard log part of the node's own until restore
// is called. net/http's client side writes to nothing else, a line for each
// backend that sends more than it announced: whoever runs a backend could fill
// the log with its bytes, and so that is for debugging only.
func takeStandardLog(logger *slog.Logger) (restore func()) {
	out, flags := log.Writer(), log.Flags()
	own := slog.NewLogLogger(logger.With("part", "standard log").Handler(), slog.LevelDebug)
	log.SetOutput(own.Writer())
	log.SetFlags(0)
	return func() {
		log.SetOutput(out)
		log.SetFlags(flags)
	}
}

// faulty makes a usage error of faulty options.
func faulty(err error) error {
	var faults config.Faults
	if errors.As(err, &faults) {
		return &cli.UsageError{Err: err}
	}
	return err
}
