// Package health measures how soon, and at what cost, a cluster knows which
// backends work. Each line of the table that it prints is measured by a named
// test on real processes: nodes in network namespaces, backends that are killed,
// paused, cut off or flapping, and a capture of what nodes send them (capture.go).
//
// What must always hold is asserted everywhere; figures only for `make
// bench-health`, on a machine that does nothing else. A short selection runs in
// plain `go test`.
package health
