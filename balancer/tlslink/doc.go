// Package tlslink is TLS as a link over a link: crypto/tls, unmodified, driven
// over bytes in memory on an event loop.
//
// It owns when crypto/tls is called, what it may cost the others of a loop, and
// how the orders and events of a connection become those of TLS. It refuses to
// own which certificate is shown to whom (package certificates), what the plain
// bytes mean (whoever is above), and sockets (whoever is below).
//
// A record is given to crypto/tls once it is there whole; until then its bytes
// stay with the link below. So crypto/tls, which reads from a connection that
// blocks, never has to wait but in a handshake, and a connection that idles
// within a record, or has yet to send its hello, has no more than its Link.
// When there is no further record its Read gets a temporary error, after which
// it may be called again.
//
// A handshake cannot be taken up again that way. It is a coroutine of the loop,
// resumed when a record has come. Measured with 64 clients on a loop each of
// whose handshakes was a full one (P-256, TLS 1.3; two busy cores), that took
// 450 to 500 µs of CPU a handshake; as a goroutine, which gets the bytes by a
// channel and gives the result back by a post to the loop, it took 620 µs.
// Coroutines that serve several handshakes one after the other, to save the
// growth of stacks, gained nothing.
//
// What a goroutine has for it is that others on the loop do not wait: with RSA
// keys of 2048 bits they waited for 2 ms instead of 6 to 23 ms at the median. So
// keys that take long to sign do that in a goroutine ([Workers]), while the
// coroutine waits, and few handshakes begin in one batch of events; the others
// come with the next ones. With P-256, which signs in 25 µs, a goroutine would
// cost more than it saves.
package tlslink
