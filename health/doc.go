// Package health finds out whether backends work, as this node sees them, and
// votes on it.
//
// It owns the probers, the tally that turns probe results into an opinion, the
// schedule of this node's probes, and the proposing of votes. It refuses to
// own the verdict, which package fsm derives from the votes of all observers,
// the choice of who observes what, which is fsm's too because it must be the
// same on every node, and what a node does about a verdict, which is package
// balancer's.
//
// # How an opinion becomes a vote
//
// Each result of a probe goes through the backend's [Tally]. Whenever the
// tally's opinion is not what the newest state holds as this node's vote, for
// whatever reason (first opinion, changed opinion, a vote that was lost, a vote
// about an older address or check), a vote is due: it is level-triggered, so
// nothing needs to be remembered across errors, restarts and changes of leader,
// and nothing is proposed while all is well. Due votes are collected for a few
// milliseconds and share one command.
//
// The vote in the state is also an observer's memory: after a restart the
// tally goes on from this node's own vote, so that a restart moves no verdict.
//
// # Samples that do not count
//
// A probe that failed for want of something of this node's own (ports, file
// descriptors, buffers, time on the processor, a name server) says nothing
// about the backend. Such a sample is void: it neither breaks nor lengthens a
// run of results.
package health
