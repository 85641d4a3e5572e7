// Package storebench compares the store of Raft's log with the one that could
// take its place, hashicorp/raft-wal v0.4.1 (its neighbours lose logs or do not
// build). It is a module of its own, so that no build of Evenkeel depends on
// that. Why raft-boltdb keeps the log is told in cluster/store.go.
package storebench
