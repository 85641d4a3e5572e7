package syscall

// Beside the toolchain's own files, whose calls that change a file tell here
// what they do. Package os, which has the recorder, sets Injected.

import "sync/atomic"

// InjectedRecorder is told of everything that is done to files. Calls come
// concurrently.
type InjectedRecorder struct {
	Opened func(fd int, path string, flags int)
	// Wrote is told of a range that has changed; an offset of -1 means that
	// any part may have. It is called for marked descriptors alone.
	Wrote func(fd int, offset int64, n int)
	// Sync has to call raw, which is the call itself.
	Sync func(fd int, raw func(int) error) error
	// Closes is called for marked descriptors alone, before it is done.
	Closes func(fd int)
}

// Injected is nil while nobody records.
var Injected atomic.Pointer[InjectedRecorder]

// injectedMarks tells of a descriptor whether it is watched, so that what is
// written to sockets costs one look.
var injectedMarks [1 << 16]atomic.Bool

// InjectedMark has a descriptor watched until it is closed.
func InjectedMark(fd int) {
	if fd >= len(injectedMarks) {
		panic("too many descriptors to be recorded")
	}
	injectedMarks[fd].Store(true)
}

func injectedMarked(fd int) bool {
	return fd >= 0 && fd < len(injectedMarks) && injectedMarks[fd].Load()
}

func injectedOpened(fd int, path string, flags int, err error) {
	if r := Injected.Load(); r != nil && err == nil {
		r.Opened(fd, path, flags)
	}
}

func injectedWrote(fd int, offset int64, n int) {
	if n > 0 && injectedMarked(fd) {
		Injected.Load().Wrote(fd, offset, n)
	}
}

func injectedSync(fd int, raw func(int) error) error {
	if r := Injected.Load(); r != nil {
		return r.Sync(fd, raw)
	}
	return raw(fd)
}

func injectedCloses(fd int) {
	if injectedMarked(fd) {
		Injected.Load().Closes(fd)
		injectedMarks[fd].Store(false)
	}
}
