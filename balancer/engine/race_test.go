//go:build race

package engine

// raceEnabled tells that the race detector takes memory of its own.
const raceEnabled = true
