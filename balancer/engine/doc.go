// Package engine puts the exchanges of HTTP on event loops: it is the data path
// behind every HTTP listener and every backend connection.
//
// It owns which loop has which connections, how listeners begin and end, and
// how a new table reaches the loops. It refuses to own what happens on a
// connection (exchange), what bytes mean (http1), how sockets work (reactor),
// and which listeners there are (the balancer).
package engine
