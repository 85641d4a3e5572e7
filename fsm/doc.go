// Package fsm is the registry as a pure state machine: the objects, what
// makes them valid, the commands that change them, and how both are encoded.
//
// It owns the meaning of every committed command, so that each replica that
// applies the same commands holds the same state, to the byte of its digest.
// It refuses to own clocks, sockets, randomness, logs and goroutines: whatever
// depends on them reaches it as an argument inside a command.
//
// A State is an immutable value. Apply returns a new one that shares what did
// not change, so a reader loads a *State once and uses it to the end without
// a lock, and a snapshot is a kept pointer.
package fsm
