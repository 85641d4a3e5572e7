// Package conformance holds the listeners to RFC 9110 and RFC 9112, from the
// outside: raw bytes in at a client's socket, raw bytes in at a backend's, and
// what came out at the other ends.
//
// It owns three things, all of them tests. A table of exchanges: what a client
// sends, what a scripted backend does, what that backend must have seen and what
// the client must get. Small exchanges run under every split of their bytes. A
// model: random pipelines against backends that fail at random, with a record
// of what each side saw that is checked afterwards. And leak checks: after all
// that, no descriptor and no goroutine is left.
//
// It refuses to know how a listener does its work: it drives
// [evenkeel/balancer.Balancer] with a registry, as the node does, and reads
// sockets with parsers of its own that share no code with the data path.
//
//	go test ./balancer/conformance
//	go test ./balancer/conformance -run 'TestExchanges/.*chunk'
//	go test ./balancer/conformance -run TestModel -model.duration 1h -timeout 2h
package conformance
