//go:build linux

package faults

import (
	"os"
	"strings"
	"testing"

	"evenkeel/e2e/harness"
	"evenkeel/e2e/network"
)

func TestMain(m *testing.M) {
	if addresses := os.Getenv(floodEnv); addresses != "" {
		os.Exit(flood(strings.Split(addresses, ",")))
	}
	if addresses := os.Getenv(idleEnv); addresses != "" {
		os.Exit(serveIdle(strings.Split(addresses, ",")))
	}
	os.Exit(network.Enter(func() int {
		code := harness.Main(m)
		printTable()
		return code
	}))
}
