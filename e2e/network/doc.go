// Package network gives each node of a test a network namespace of its own, and
// the test a hand on what passes between them.
//
// Every node has two networks. Clients and backends reach it over a bridge in
// the test's own namespace. What nodes say to each other passes through a
// [Switch] within the test, which can lose, delay and cut frame by frame, by
// direction; no module of the kernel is needed but tun. All of it lies in
// namespaces that the test process enters first ([Enter]), so that nothing of the
// machine's own network is touched and nothing is left when the process dies.
package network
