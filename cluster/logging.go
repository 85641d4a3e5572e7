package cluster

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// noticeInterval is how often one message of a library is shown. hashicorp's
// libraries log each failed attempt to reach a dead node, up to a hundred a
// second; the node itself logs the transitions that matter.
const noticeInterval = 10 * time.Second

// limiter lets a message through once per interval and counts the rest.
type limiter struct {
	mu   sync.Mutex
	seen map[string]*notice
}

type notice struct {
	next       time.Time
	suppressed int
}

func newLimiter() *limiter { return &limiter{seen: map[string]*notice{}} }

// allow reports whether to show the message now, and how many were not shown
// since the last one.
func (l *limiter) allow(message string, now time.Time) (ok bool, suppressed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.seen[message]
	if n == nil {
		if len(l.seen) >= 256 { // messages are constants, so this is never a loss
			clear(l.seen)
		}
		n = &notice{}
		l.seen[message] = n
	}
	if now.Before(n.next) {
		n.suppressed++
		return false, 0
	}
	suppressed = n.suppressed
	*n = notice{next: now.Add(noticeInterval)}
	return true, suppressed
}

// raftLogger is raft's logger over slog. What raft calls an error is a warning
// here, and limited; everything else is for debugging.
type raftLogger struct {
	to      *slog.Logger
	limiter *limiter
	name    string
	implied []any
	// hasLeft tells who said goodbye: raft goes on calling those until it is
	// told to stop, and that none answers is as it should be. It may be nil.
	hasLeft func(uid string) bool
}

var _ hclog.Logger = (*raftLogger)(nil)

func newRaftLogger(to *slog.Logger, name string) *raftLogger {
	return &raftLogger{to: to.With("library", name), limiter: newLimiter(), name: name}
}

// Log implements [hclog.Logger].
func (l *raftLogger) Log(level hclog.Level, message string, args ...any) {
	to := slog.LevelDebug
	if level >= hclog.Error && !usual(message) && !l.aboutLeft(args) {
		ok, suppressed := l.limiter.allow(message, time.Now())
		if ok {
			to = slog.LevelWarn
			args = slices.Concat(args, []any{"suppressed", suppressed})
		}
	}
	if !l.to.Enabled(context.Background(), to) {
		return
	}
	all := slices.Concat(l.implied, args)
	for i, arg := range all {
		if format, ok := arg.(hclog.Format); ok {
			all[i] = fmt.Sprintf(format[0].(string), format[1:]...)
		}
	}
	l.to.Log(context.Background(), to, message, all...)
}

// usual tells the errors that every stop of a peer or of this node brings.
func usual(message string) bool {
	switch message {
	case "failed to decode incoming command", "failed to accept connection", "failed to flush response", "Failed fallback TCP ping":
		return true
	}
	return false
}

// aboutLeft tells whether a message of raft's is about a peer that has left.
func (l *raftLogger) aboutLeft(args []any) bool {
	return l.hasLeft != nil && slices.ContainsFunc(args, func(arg any) bool {
		switch of := arg.(type) {
		case raft.Server:
			return l.hasLeft(string(of.ID))
		case raft.ServerID:
			return l.hasLeft(string(of))
		case raft.ServerAddress: // is a UID too
			return l.hasLeft(string(of))
		}
		return false
	})
}

// Trace implements [hclog.Logger].
func (l *raftLogger) Trace(message string, args ...any) { l.Log(hclog.Trace, message, args...) }

// Debug implements [hclog.Logger].
func (l *raftLogger) Debug(message string, args ...any) { l.Log(hclog.Debug, message, args...) }

// Info implements [hclog.Logger].
func (l *raftLogger) Info(message string, args ...any) { l.Log(hclog.Info, message, args...) }

// Warn implements [hclog.Logger].
func (l *raftLogger) Warn(message string, args ...any) { l.Log(hclog.Warn, message, args...) }

// Error implements [hclog.Logger].
func (l *raftLogger) Error(message string, args ...any) { l.Log(hclog.Error, message, args...) }

func (l *raftLogger) debugs() bool { return l.to.Enabled(context.Background(), slog.LevelDebug) }

// IsTrace implements [hclog.Logger].
func (l *raftLogger) IsTrace() bool { return l.debugs() }

// IsDebug implements [hclog.Logger].
func (l *raftLogger) IsDebug() bool { return l.debugs() }

// IsInfo implements [hclog.Logger].
func (l *raftLogger) IsInfo() bool { return l.debugs() }

// IsWarn implements [hclog.Logger].
func (l *raftLogger) IsWarn() bool { return l.debugs() }

// IsError implements [hclog.Logger].
func (l *raftLogger) IsError() bool { return true }

// ImpliedArgs implements [hclog.Logger].
func (l *raftLogger) ImpliedArgs() []any { return l.implied }

// With implements [hclog.Logger].
func (l *raftLogger) With(args ...any) hclog.Logger {
	with := *l
	with.implied = slices.Concat(l.implied, args)
	return &with
}

// Name implements [hclog.Logger].
func (l *raftLogger) Name() string { return l.name }

// Named implements [hclog.Logger].
func (l *raftLogger) Named(name string) hclog.Logger {
	named := *l
	named.name = l.name + "." + name
	return &named
}

// ResetNamed implements [hclog.Logger].
func (l *raftLogger) ResetNamed(name string) hclog.Logger {
	named := *l
	named.name = name
	return &named
}

// SetLevel implements [hclog.Logger]; slog's handler decides.
func (l *raftLogger) SetLevel(hclog.Level) {}

// GetLevel implements [hclog.Logger].
func (l *raftLogger) GetLevel() hclog.Level { return hclog.Trace }

// StandardLogger implements [hclog.Logger].
func (l *raftLogger) StandardLogger(options *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(l.StandardWriter(options), "", 0)
}

// StandardWriter implements [hclog.Logger].
func (l *raftLogger) StandardWriter(*hclog.StandardLoggerOptions) io.Writer {
	return &lineLogger{l}
}

// lineLogger takes memberlist's lines, "[WARN] memberlist: text".
type lineLogger struct{ to *raftLogger }

// Write implements [io.Writer].
func (l *lineLogger) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	level := hclog.Debug
	if rest, isError := strings.CutPrefix(text, "[ERR] "); isError {
		level, text = hclog.Error, rest
	}
	// The text holds addresses and names; what stands before the first colon
	// after the library's name is what repeats.
	text = strings.TrimPrefix(text, "memberlist: ")
	message, detail, found := strings.Cut(text, ": ")
	if !found {
		message, detail = "memberlist", text
	}
	l.to.Log(level, message, "detail", detail)
	return len(line), nil
}
