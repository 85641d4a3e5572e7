// Package http1 is the HTTP/1 codec (RFC 9110, RFC 9112) without I/O: bytes in,
// parsed heads, ends of bodies and rewritten heads out.
//
// It owns where a message begins and ends, what a head means for its
// connection, and what of a head is for the next hop. It refuses to own
// sockets, time, buffers (its caller's, which parsed heads point into), answers
// and whatever a request is routed by.
//
// A message about whose end two parties could disagree is refused, and so is
// one with bytes that parties are known to read differently: bare CR or LF,
// other controls, white space before a colon, folded lines, Content-Length with
// Transfer-Encoding or twice, codings other than chunked. Everything else is
// passed on byte for byte. The outcome never depends on how the bytes arrived:
// whole, in two parts or one by one; and the work is linear in the bytes.
//
// Where RFC 9110 and RFC 9112 leave a choice, it is this:
//
//   - A name in Connection removes the field of that name (RFC 9110 section
//     7.6.1), but for Host, Content-Length, Transfer-Encoding and Expect: a
//     sender must not name what is for all recipients, and one that did would
//     make the next hop see another message than this one.
//   - Content-Length in a 1xx or 204 response, which section 8.6 forbids, is
//     left out if it is 0, as common servers send it with a 204, and otherwise
//     a fault: somebody would wait for that content. Transfer-Encoding there
//     is a fault (RFC 9112 section 6.1).
//   - Two equal Content-Length fields are refused like two different ones (RFC
//     9112 section 6.3 allows to).
//   - A status line may lack the space before an absent reason (RFC 9112
//     section 4 wants it): common servers leave it out, and nothing is in
//     doubt. It is written.
//   - An offer to upgrade to h2c is none (RFC 9113 section 3.1), nor is one in
//     more than one field; the request is passed on without it (RFC 9110
//     section 7.8 leaves that to the recipient).
//   - Expect is left out of a request without content, and of one in HTTP/1.0,
//     whose sender will not wait (RFC 9110 section 10.1.1).
//   - Fields of the trailer section that frame, route or authenticate are
//     refused (RFC 9110 section 6.5.1): the next hop might merge them.
//
// Nothing here allocates per message, and nothing is safe for concurrent use.
package http1
