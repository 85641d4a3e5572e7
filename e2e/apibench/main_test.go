//go:build linux

package apibench

import (
	"os"
	"testing"

	"evenkeel/e2e/harness"
)

func TestMain(m *testing.M) {
	code := harness.Main(m)
	printTable()
	os.Exit(code)
}

// onlyInBench skips what does not run with the other tests: a figure says
// something about a machine, and a test must not.
func onlyInBench(t *testing.T) {
	t.Helper()
	if os.Getenv("EVENKEEL_APIBENCH") == "" {
		t.Skip("it runs for make bench-api")
	}
}
