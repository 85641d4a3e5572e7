// Package apibench measures the API of three nodes beside three members of etcd
// on the same disk in the same run: what `make bench-api` prints.
//
// Both run with their default settings, which sync each write to the disk before
// it is acknowledged, and are started once; the rounds of a figure alternate
// between them, and its ratio is the median of the rounds' ratios. While one is
// measured the other idles.
//
// On a small machine the load shares the processors with what it measures, so
// both get the same kind: one goroutine and one connection for each client, one
// request at a time, requests that are encoded without reflection. For Evenkeel
// that is HTTP/1.1 with keep-alive; for etcd the gRPC calls KV.Put and KV.Range,
// spoken as HTTP/2 frames by [golang.org/x/net/http2], since etcd's own client
// would take more of the processors than etcd does, and its JSON gateway would
// cost etcd a second hop. What the load itself used is printed with each figure.
//
// A write of Evenkeel is a PUT of a backend with a document of some 150 bytes, which
// is parsed, checked, applied by three state machines, published to three
// data planes and answered with the whole object; of etcd a put of a key of the
// same length with the same bytes. etcd is given no lease and no previous value.
// A read is of one such object, from the node's own state, and of one key with
// serializable set. Evenkeel's log is what the build uses, raft-boltdb, which syncs
// twice for a write, while etcd's syncs once and the leader's and the followers' at the
// same time: where a sync is nearly all that a write takes, that is the ratio of the
// latencies.
//
// A watch and an apply have no counterpart; they are held to figures of their own. The
// watchers are streams of one process, so the last of them also waits for the others.
package apibench
