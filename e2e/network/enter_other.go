//go:build !linux

package network

// Enter runs a test binary's main function. The result is for os.Exit.
func Enter(run func() int) int { return run() }
