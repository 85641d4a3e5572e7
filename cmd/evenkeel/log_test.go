package main

import (
	"log"
	"log/slog"
	"testing"

	"evenkeel/cmd/evenkeel/config"
)

func TestStandardLogIsForDebugging(t *testing.T) {
	tests := map[string]struct {
		level slog.Level
		seen  bool
	}{
		"at info it is silent":                     {slog.LevelInfo, false},
		"at debug it is in the format of the rest": {slog.LevelDebug, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			text := &logBuffer{}
			restore := takeStandardLog(newLogger(&config.Config{LogLevel: test.level, LogFormat: "json"}, text))
			defer restore()
			log.Print("Unsolicited response")
			entry := text.find("Unsolicited response")
			if (entry != nil) != test.seen || !test.seen && text.String() != "" {
				t.Errorf("log: %q", text)
			}
			if entry != nil && entry["level"] != "DEBUG" {
				t.Errorf("level %v", entry["level"])
			}
		})
	}
}
