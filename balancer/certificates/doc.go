// Package certificates decides which certificate is shown to whom, and what is
// believed of those that others show.
//
// It makes of a listener's settings, and of a pool's, one configuration of
// crypto/tls, which is never changed: a new one is for connections that begin
// later, so that no change touches a connection. It owns the faults of
// certificates and their names, and the staples that say that a certificate was
// not revoked. It refuses to own where certificates come from and how their keys
// are kept (the registry), and how handshakes run (package tlslink).
package certificates
