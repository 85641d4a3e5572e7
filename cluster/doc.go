// Package cluster makes several processes one: it forms the cluster, keeps
// the registry equal on every node through Raft, knows by gossip who is there,
// and carries writes from any node to the leader.
//
// It owns the data directory, the cluster port, the identity of the node, the
// Raft log and everything that crosses between nodes. It refuses to own what
// the registry means (that is package fsm), traffic, health checks and the
// HTTP API; those see a node through Propose, Watch, ReadIndex and
// WhileLeader.
//
// # What holds, whatever fails
//
// State never waits for consensus: it is served from the node's image at once
// and marked unconfirmed until a leader confirmed it. Whatever ends a node's
// part in Raft (a store that cannot be read, a command that it cannot read, its
// removal) detaches the node: its state freezes, writes are refused with a reason,
// and nothing else stops. A store that is damaged ends its UID: the node joins
// again as its own successor (aside.go).
//
// A node is its UID, a UUID on disk. Names are for people, addresses are where
// a UID was last seen; both may change. Raft's own server addresses are UIDs
// too, and the directory (directory.go) says where a UID is now.
//
// # Files of the data directory
//
//	lock          held with flock while a process uses the directory
//	identity.json the UID, the number of starts, the cluster id once known
//	forming.json  the one list of founders that this node ever accepted
//	peers.json    where the other nodes were last seen
//	raft.db       the Raft log and vote (raft-boltdb), with checksums of our own
//	snapshots/    Raft snapshots
//	image         the last applied state, for serving before a leader is known
//	applied       the last applied entry, up to which the log is served then
//	damaged-N/    a store that was moved aside, with the identity that it was of
package cluster
