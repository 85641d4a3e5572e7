package httpapi

import (
	"sync"
	"time"
)

// logLimiter lets one line through per interval and counts the others, so
// that whoever sends faulty requests cannot fill the log.
type logLimiter struct {
	interval time.Duration

	mu     sync.Mutex // guards next and missed
	next   time.Time
	missed int
}

func newLogLimiter(interval time.Duration) *logLimiter { return &logLimiter{interval: interval} }

// allow reports whether a line may be logged now, and how many were not since
// the last one.
func (l *logLimiter) allow() (missed int, ok bool) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Before(l.next) {
		l.missed++
		return 0, false
	}
	missed, l.missed = l.missed, 0
	l.next = now.Add(l.interval)
	return missed, true
}
