package tools

import (
	"os"
	"testing"

	"evenkeel/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
