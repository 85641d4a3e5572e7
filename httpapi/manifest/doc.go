// Package manifest reads, writes and plans files of many objects: what
// `evenkeel apply -f` sends, and what an export is.
//
// It owns the form of such files in YAML and JSON, the line and column of every
// fault, and which writes lead from a state of the registry to the one that a
// file describes. It refuses to own those writes: a plan is a transaction that
// somebody else proposes. What an object may hold is the registry's to say; a
// file's objects have the fields and defaults of a PUT. All of it is pure.
//
// docs/manifest.md is the form for those who write files.
package manifest
