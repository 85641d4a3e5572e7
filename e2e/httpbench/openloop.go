//go:build linux

package main

import (
	"math"
	"time"
)

// dueAt returns when a request of an open loop is due. Its latency counts from
// there, however late it is sent: a balancer that stalls is charged for all
// that would have come in meanwhile (Tene's "coordinated omission").
func (g *generator) dueAt(n int) time.Duration {
	return time.Duration(float64(n) / g.job.Rate * float64(time.Second))
}

// sendDue sends what is due by now on free connections. Without one it waits
// for the next answer.
func (g *generator) sendDue() {
	now := g.now()
	for len(g.free) > 0 {
		due := g.dueAt(g.due)
		if due > now || due >= g.to {
			return
		}
		slot := g.free[len(g.free)-1]
		g.free = g.free[:len(g.free)-1]
		g.due++
		g.ask(slot, due)
	}
}

// unsent returns how many requests were due in the window and are not sent.
func (g *generator) unsent() int {
	if g.job.Rate == 0 || g.phase != finishing {
		return 0
	}
	return max(int(math.Ceil(g.to.Seconds()*g.job.Rate))-g.due, 0)
}
