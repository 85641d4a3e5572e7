// Package peer is the one cluster port, TCP and UDP, over which the nodes of a
// cluster talk: gossip packets on UDP, and on TCP connections under mutual TLS
// whose ALPN protocol tells gossip streams, Raft and our own RPC apart.
//
// It owns who is let in (whoever has the cluster secret, and nobody else), who
// is at the other end (the UID in the peer's certificate), and the bounds in
// time, memory and number of whatever a stranger sends. It refuses to own what
// is said: memberlist, raft and the RPC handlers get connections and packets
// and know nothing of TLS.
//
// Each kind of connection has a queue and a bound of its own, so that a flood
// of one delays no other, least of all Raft's heartbeats. What is refused is
// counted (see [Counters]) and logged at most once in some seconds per reason.
package peer
