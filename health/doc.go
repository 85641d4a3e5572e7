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
// milliseconds and share one command; while they keep coming, for longer. An opinion
// that a backend is up which would be held for its flaps has to stand for a part of
// the hold first. The weight that a backend asks for goes
// with the vote; for it alone a vote goes only every few seconds, and only for a
// difference that matters.
//
// The vote in the state is also an observer's memory: after a restart the
// tally goes on from this node's own vote, so that a restart moves no verdict.
//
// # Evidence
//
// What a request met at a backend is a reason to look, and never a vote. An
// observer that hears of it, from this node's data path or another's, probes
// the backend now; a probe that is under way began too early to answer and
// makes room. One failed answer is enough for the opinion down, where it takes
// fall failures otherwise, because a request has failed as well. Passed answers
// let the next ones wait longer, up to an interval, so that neither a liar nor a
// backend that passes its check and fails its requests is a flood of probes.
//
// # Two ways to probe
//
// Thousands of backends every few seconds are a cost that a node has for ever.
// So most probes, those of an address over plain TCP or HTTP on Linux, are run by
// the engine: non-blocking sockets and a poller of its own, without a goroutine,
// a timer or a buffer for each, until an answer is plain enough to be judged.
// All else takes the general way, a goroutine each with package net: TLS, names,
// gRPC, other systems, and from where it becomes unusual each answer that the engine
// began to read. Both say the same of the same backend.
//
// # What a node knows for itself
//
// [Local] is this node's word beside the verdict, never replicated. It vetoes
// what its own probes cannot reach, although the others can; a node whose own
// requests failed at a backend that it does not observe probes it for itself
// until rise passes, or until the observers agree that it is down. It never
// calls up what is agreed down, but when it is cut off: without a leader for
// some seconds it probes everything that is checked, and its own opinions stand
// in place of verdicts that nobody draws any more.
//
// # Samples that do not count
//
// A probe that failed for want of something of this node's own (ports, file
// descriptors, buffers, time on the processor, a name server) says nothing
// about the backend. Such a sample is void: it neither breaks nor lengthens a
// run of results.
package health
