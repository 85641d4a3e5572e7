// Package proxyproto is the PROXY protocol, versions 1 and 2, without I/O: the
// header at a connection's beginning by which a proxy tells from whom and for
// whom it is (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt).
//
// It owns where a header ends, how long it may be, and which one is refused. It
// refuses to own whom to believe. What is in a header that has come whole is
// read, and written, by github.com/pires/go-proxyproto.
package proxyproto
