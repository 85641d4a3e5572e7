// Package balancer is the data plane of one node: it keeps the table and the
// open listeners at what the registry says.
//
// It owns which listeners are open at which addresses, the retries of those
// that cannot be opened, and the order of a clean stop. It refuses to own how
// requests are routed (table), how a backend is chosen (picker), how names are
// resolved (resolver) and how a connection is served (engine).
//
// Traffic never waits for the registry: requests use the newest table behind
// one atomic pointer, and a registry that is out of reach leaves table and
// listeners as they are.
package balancer
