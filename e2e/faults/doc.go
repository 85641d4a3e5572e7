// Package faults breaks what nodes stand on: so far their disks. Its tests need
// root and take minutes, so they run for `make faults` only.
package faults
