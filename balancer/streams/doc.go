// Package streams carries the exchanges of HTTP over HTTP/2, on either side.
//
// To exchanges a stream is a link: a connection of its own that carries
// HTTP/1.1. A [Server] is a client's connection; each of its streams becomes the
// bytes of one request, and the bytes of the response become its head, content
// and trailers. Toward backends [Loop.Dial] gives links that carry one request
// after the other, each as a stream of whichever connection to the backend has
// room. So routes, edits, retries, queues, timeouts and counters exist once, and
// each side may speak what it likes.
//
// The package owns how messages are translated, which connection a request
// takes, and when connections begin and end. It refuses to own the protocol
// (package http2), sockets, and what becomes of a request (package exchange).
//
// A stream whose link is paused gets no further window, and what flow control or
// a slow peer holds back is what its link has buffered, so that each side is
// held back by the other. An extended CONNECT (RFC 8441) is an Upgrade, and the
// 101 to it a 200; a reset carries its code to the other side. Each connection
// writes once per batch of events.
package streams
