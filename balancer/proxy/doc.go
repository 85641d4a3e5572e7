// Package proxy is the HTTP data path of a listener, on net/http.
//
// It owns what happens between an accepted connection and a backend: reading
// requests, retrying connects, streaming both ways, upgrades, the header fields
// that a gateway must change, its own short answers, and how a listener ends
// without cutting anybody. It refuses to own which listeners there are and what
// the registry says: the balancer opens a [Server] per listener and swaps in
// each new table with [Proxy.Swap].
//
// It adds no Via field. RFC 9110 section 7.6.3 asks gateways for one in
// requests, but it guards against loops only where all members of a chain look
// for it, and common servers answer differently when they see it: nginx sends
// uncompressed responses (gzip_proxied). HAProxy and nginx add none either.
package proxy
