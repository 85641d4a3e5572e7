// Package secret turns the one cluster secret into everything that the
// security between peers needs: the key that seals gossip packets, and the
// certificate authority that all nodes share without ever exchanging it. It does
// the same for the API: the token with every right that is derived from the
// secret, and the authority by which clients know a node. And it seals what the
// registry keeps but does not show: under a data key, which is random and is itself
// sealed under each secret.
//
// It owns the format of a secret, the derivation (HKDF-SHA256, RFC 5869) and
// the rule by which one node's certificate is accepted by another. It refuses
// to own sockets, files and the environment: text comes in, keys and
// [crypto/tls] configurations go out.
//
// Nothing here looks at a clock. A node's certificate for its peers is made in
// memory at each start and is valid for ever, so a node whose wall clock is
// wrong is still a member. Those of the API, for clients that look at clocks,
// begin at a time that the caller gives.
//
// # Rotation
//
// A ring may hold several secrets: the first is used, all are accepted, and
// two nodes talk whenever their rings share one. So a secret is replaced
// without a stop in three rounds over the nodes: add the new secret as the
// last line, make it the first line, remove the old line. What is sealed under a
// data key stays as it is: the data key alone is sealed anew.
package secret
