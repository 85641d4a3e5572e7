package table

import "unsafe"

// aliased is a string that shares the bytes, for calls that keep nothing.
func aliased(p []byte) string { return unsafe.String(unsafe.SliceData(p), len(p)) }

// bytesOf is the reverse, for calls that only read.
func bytesOf(text string) []byte { return unsafe.Slice(unsafe.StringData(text), len(text)) }
