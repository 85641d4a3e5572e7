// Package exchange is the life of HTTP requests between clients and backends, and
// of connections that are forwarded whole, as state machines without I/O.
//
// A [Client] reads the requests of one client connection, one after the other,
// and a [Backend] the responses of one backend connection. An exchange binds the
// two for one request: it picks a backend, connects, sends, streams both ways,
// retries, and gives both connections back. A [Forward] passes one client's
// connection on to one backend, and an [Announced] waits for the PROXY header
// before any of these.
//
// The package owns what is done when bytes, ends, failures and deadlines come,
// and what of it is whose fault. It refuses to own sockets, clocks and threads:
// events are method calls, orders go to a [Link], and time is what [World] says.
// Everything of one [Loop] happens on one thread.
//
// What it never does: send a request twice that may not be repeated, show a
// client a response as complete that was not, or blame a backend for what a
// client or this machine did.
package exchange
