// Package hello reads the first message of a TLS client without decrypting
// anything and without I/O: bytes in, the wanted server name out.
//
// It owns what a ClientHello says of where its connection is to go: the server
// name (RFC 6066 section 3) and the application protocols (RFC 7301), whatever
// records it is cut into (RFC 8446 section 5.1). It refuses to own handshakes,
// and all else in the message: whether that is acceptable is for the server
// that gets it.
package hello
