// Package ejection decides how long a node keeps requests from a backend that
// failed them, and which backends of a pool fail more often than the others.
//
// It owns the holds, that double and are forgotten, and the comparison of
// success rates. It refuses to own the counting of failures, which belongs to
// the loops and is in package table, and the tables that follow.
package ejection
