//go:build !linux

package reactor

// Elsewhere priorities belong to whole processes.

func threadID() int { return 0 }

func raise([]int, int) error { return nil }

func lowerOthers([]int, int) error { return nil }
