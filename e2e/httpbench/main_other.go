//go:build !linux

package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	fmt.Fprintf(os.Stderr, "httpbench: %s has no epoll and no CPU clocks of other processes; run it on Linux\n", runtime.GOOS)
	os.Exit(1)
}
