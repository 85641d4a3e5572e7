package time

// Beside the toolchain's own time.go, whose Now adds injectedOffset to the wall
// part of what it returns. The monotonic part is as it is.

import (
	"sync/atomic"
	"syscall"
)

// injectedOffset is in seconds.
var injectedOffset atomic.Int64

// init follows the file that INJECT_CLOCK names, if it does: a number of
// seconds, replaced by a rename. Without the file it is 0.
func init() {
	path, given := syscall.Getenv("INJECT_CLOCK")
	if !given {
		return
	}
	injectedOffset.Store(readInjectedOffset(path))
	go func() {
		for {
			Sleep(50 * Millisecond)
			injectedOffset.Store(readInjectedOffset(path))
		}
	}()
}

func readInjectedOffset(path string) int64 {
	fd, err := open(path)
	if err != nil {
		return 0
	}
	defer closefd(fd)
	var text [32]byte
	n, err := read(fd, text[:])
	if err != nil || n == 0 {
		panic("INJECT_CLOCK: the file cannot be read or is empty: " + path)
	}
	digits, sign := text[:n], int64(1)
	if digits[0] == '-' {
		digits, sign = digits[1:], -1
	}
	offset, rest, err := leadingInt(digits)
	if err != nil || len(rest) > 0 {
		panic("INJECT_CLOCK: the file holds no number: " + path)
	}
	return sign * int64(offset)
}
