// Httpbench measures what an HTTP request costs in Evenkeel and in other
// balancers on the same machine: requests per second, latency, and CPU time of
// the balancer's process per request, as ratios within the same round.
//
//	make bench-http
//	go run ./e2e/httpbench --quick --cases get64,post64
//
// The balancer under test has core 0 to itself, or shares it with a burner:
// with the core saturated, batches and idling are alike for all, so that is
// where the bounds are. The load generator and the backends, both of them an
// event loop on one thread, share core 1. Each is its own process: this binary
// started again with a mode as first argument.
//
// Over TLS all speak version 1.3 with TLS_AES_128_GCM_SHA256, X25519 and one
// certificate of P-256: the load generator insists on it, because the balancers'
// own choices differ, and some of them cost twice the others.
//
// It knows of Evenkeel what a user knows (the command line, the API, the
// ports), writes nothing outside of one temporary directory that it removes,
// and ends every process that it started. It measures; it asserts no figure,
// and fails only when an answer was wrong or a program did not run.
package main
