package harness

import (
	"testing"
	"time"
)

// Patience is how long a scenario waits for what a healthy machine does within
// a second or two. It is generous because the tests may share two slow cores
// with other work.
const Patience = 90 * time.Second

// Eventually polls until the condition returns nil, and fails the test with
// the condition's last error when Patience ends.
func Eventually(t testing.TB, what string, condition func() error) {
	t.Helper()
	if err := poll(Patience, condition); err != nil {
		t.Fatalf("%s: not within %v: %v", what, Patience, err)
	}
}

// Within is Eventually with a limit of its own.
func Within(t testing.TB, limit time.Duration, what string, condition func() error) {
	t.Helper()
	if err := poll(limit, condition); err != nil {
		t.Fatalf("%s: not within %v: %v", what, limit, err)
	}
}

func poll(limit time.Duration, condition func() error) error {
	deadline := time.Now().Add(limit)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := condition()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-ticker.C
	}
}
