package exchange

import "unsafe"

// text is a string that shares the bytes, for calls that keep nothing.
func text(p []byte) string { return unsafe.String(unsafe.SliceData(p), len(p)) }
