// Package figures measures what Evenkeel promises: benchmarks that run real
// processes and print a table with what was to be reached and what was
// measured. `make figures` runs them; nothing in them runs with the tests,
// because a figure says something about a machine and a test must not.
package figures
