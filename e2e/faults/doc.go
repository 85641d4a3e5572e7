// Package faults breaks what nodes stand on: their processes, their network,
// their disks, their clocks. Each row of the table that it prints is a named
// test with a seed, on a bed of nodes under load (bed.go) whose network is the
// test's own where the rights allow that. What must always hold is asserted
// everywhere; figures only for `make faults`, on a machine that does nothing else.
// A short selection runs in plain `go test`.
//
// Clients that read, write and compare-and-swap a few keys meanwhile
// (startOperations) leave a history, which porcupine and a few plain rules hold
// against what the API promises: model.go says what one key may do, verdict.go
// what is wrong. The tests of the checker itself run in plain `go test`.
package faults
