// Package picker chooses one of several candidates, by strategies from the
// literature, each in a file that names its source.
//
// It owns the choice alone. It refuses to own what the candidates are, which
// of them are usable, and the counting of what is in flight: a picker is built
// from the usable ones and answers with an index, and whoever sends the
// request raises and lowers the load. A picker never blocks, takes no lock and
// allocates nothing; only its place in the rotation and the loads it reads are
// shared between goroutines, as lone atomics.
package picker
