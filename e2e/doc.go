// Package e2e holds the end-to-end tests: scenarios in which real processes of
// the evenkeel binary form clusters on loopback and are killed, cut, fed
// garbage and restarted. They assert invariants with generous deadlines and
// never a figure; the figures are in the package figures.
//
// It drives the binary as a user does and imports nothing of the module but
// its own harness. One scenario runs at a time, also across test binaries.
package e2e
