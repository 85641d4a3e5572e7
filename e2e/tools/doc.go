// Package tools runs clients and servers that others wrote, for every protocol
// that the balancer speaks, against a cluster of the built binary: grpc-go's
// interop client and server, gorilla/websocket, h2spec, and, where they are
// installed, curl, nghttp and h2load, openssl, PostgreSQL and Redis.
//
// It is a module of its own, so that no build of Evenkeel depends on them.
package tools
