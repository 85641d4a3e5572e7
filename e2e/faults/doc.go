// Package faults breaks what nodes stand on: so far their disks. Its tests need
// root and take minutes, so they run for `make faults` only.
//
// Clients that read, write and compare-and-swap a few keys meanwhile
// (startOperations) leave a history, which porcupine and a few plain rules hold
// against what the API promises: model.go says what one key may do, verdict.go
// what is wrong. The tests of the checker itself run in plain `go test`.
package faults
