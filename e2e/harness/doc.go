// Package harness runs the evenkeel binary as real processes for the
// end-to-end tests and the figures: it builds the binary, starts nodes and
// backends on loopback, drives them over HTTP, and leaves nothing behind.
//
// It knows of Evenkeel what a user knows: the command line, the API and the
// ports. It imports no other package of the module.
package harness
