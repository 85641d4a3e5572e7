//go:build linux

package health

import (
	"os"
	"strings"
	"testing"

	"evenkeel/e2e/harness"
	"evenkeel/e2e/network"
)

func TestMain(m *testing.M) {
	if addresses := os.Getenv(addressesEnv); addresses != "" {
		os.Exit(serve(os.Getenv(nameEnv), strings.Split(addresses, ",")))
	}
	os.Exit(network.Enter(func() int {
		code := harness.Main(m)
		printTable()
		return code
	}))
}
