// Package client is the Go client of Evenkeel's API, and what the command line
// itself uses.
//
// It owns how a node is found and asked: which of several nodes, how long, and
// what may be sent again. It refuses to own any rule of the registry: what is
// valid, the API says.
//
// # Which node
//
// A [Client] knows one or more nodes. It asks the first that accepts a
// connection, and stays with it. Every node serves everything, so that one that
// is reachable is enough.
//
// # What is sent again
//
// A request that may have reached a node is sent again, to the next node, only
// if it cannot be applied twice by that: a read, a dry run, or a write that
// bears an Idempotency-Key. A write that is not idempotent by itself, such as
// the creation of an object, or one with a condition, gets a key made up for it.
// Before a write is sent again under its key the client makes sure that all
// nodes of the cluster know such keys, which those before feature level 5 do
// not.
//
// What a node refuses with the promise that nothing was changed (no leader, it
// stops, it is overloaded, others kept changing the same objects) is sent again
// until [Config.Patience] is over. Everything else that went wrong is told: an
// answer that is an error is a [*Problem], a write whose outcome is not known is an
// error, and never a second write.
//
// # Objects
//
// [Client.Backends], [Client.Pools], [Client.Routes] and [Client.Listeners]
// give and take the object types of package fsm. The methods whose name ends
// with Raw take and give JSON instead, for programs that have to keep fields
// which they do not know.
package client
