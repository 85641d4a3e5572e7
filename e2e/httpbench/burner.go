package main

import "time"

// burn uses all that the core gives it, until it is killed: beside a balancer
// it takes every moment in which that would be idle, so that a core is never
// woken up and all balancers work in batches of the same kind.
func burn() {
	for start := time.Now(); time.Since(start) >= 0; {
	}
}
