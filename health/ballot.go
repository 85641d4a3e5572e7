package health

import (
	"math/rand/v2"
	"time"

	"evenkeel/fsm"
)

// The pace of voting.
const (
	// coalesce is how long the first due vote waits for company.
	coalesce = 5 * time.Millisecond
	// A command with votes may follow another every votePeriod in the long
	// run, and voteBurst of them at once after a quiet time: a single death is
	// told at once, and a thousand spread over an interval cost few commits.
	votePeriod = 100 * time.Millisecond
	voteBurst  = 10
	// maxVotes and maxVoteBytes bound one command; the bytes are estimated.
	maxVotes     = 5000
	maxVoteBytes = 512 << 10
	// voteOverhead is about what a vote's encoding takes beyond its texts.
	voteOverhead = 120
	// Back-off after a command that failed, and for votes that a command
	// carried in vain.
	minBackoff     = 50 * time.Millisecond
	maxBackoff     = time.Second
	maxVoteBackoff = 30 * time.Second
	// weightPeriod is how long after a vote another may follow for the weight
	// alone: a load that changes each second must not be a commit each second.
	weightPeriod    = 5 * time.Second
	proposeTimeout  = 15 * time.Second
	backoffDoubling = 16 // more would overflow
)

// never is a time that does not come.
const never = time.Duration(1<<63 - 1)

// ballotEntry is what a target carries for the ballot.
type ballotEntry struct {
	queued   bool
	ripe     time.Duration // while queued: not before this may its vote be proposed
	retry    time.Duration // not before this after commands that carried it in vain
	cast     time.Duration // when a command took its vote last
	unheeded int           // commands in a row that carried its vote in vain
}

// reset forgets the past, but not that the target stands in the queue.
func (e *ballotEntry) reset() { *e = ballotEntry{queued: e.queued, ripe: never} }

// ballot collects due votes and decides when a command takes which of them
// along. It has no clock and proposes nothing itself. At most one command is
// under way, which keeps votes in order and follows the cluster's own pace.
type ballot struct {
	due  []*target
	ripe time.Duration // of due, the earliest or sooner
	open bool          // a command is under way
	// paid is until when the commands so far have used up the pace.
	paid     time.Duration
	failures int           // commands in a row that failed
	retry    time.Duration // not before this after a failure
}

// cast is a vote that a command carries.
type cast struct {
	*target
	of        subject
	health    fsm.Health
	reduction int
}

// consider queues the target if a vote of it is due.
func (b *ballot) consider(t *target, now time.Duration) {
	health := t.votesFor()
	if health == "" {
		return
	}
	ripe := max(t.retry, now+coalesce)
	if health == t.vote { // it is for the weight alone
		ripe = max(ripe, t.cast+weightPeriod)
	}
	if t.queued && ripe >= t.ripe {
		return
	}
	if len(b.due) == 0 || ripe < b.ripe {
		b.ripe = ripe
	}
	if !t.queued {
		b.due = append(b.due, t)
	}
	t.queued, t.ripe = true, ripe
}

// next returns when collect has something to do, never if it has not.
func (b *ballot) next() time.Duration {
	if b.open || len(b.due) == 0 {
		return never
	}
	return max(b.ripe, b.retry, b.paid-(voteBurst-1)*votePeriod)
}

// collect returns the votes of the next command if its time has come. It drops
// those that are due no longer. A vote that is not quite ripe rides along.
func (b *ballot) collect(now time.Duration) []cast {
	if b.next() > now {
		return nil
	}
	var casts []cast
	size := 0
	left := b.due[:0]
	b.ripe = never
	for _, t := range b.due {
		health := t.votesFor()
		if health == "" {
			t.queued = false
			continue
		}
		if t.ripe > now+coalesce || len(casts) == maxVotes || size >= maxVoteBytes {
			b.ripe = min(b.ripe, t.ripe)
			left = append(left, t)
			continue
		}
		t.queued, t.cast = false, now
		casts = append(casts, cast{t, t.subject, health, t.reduction})
		size += voteOverhead + len(t.pool) + len(t.backend) + len(t.uid) + len(t.last.reason)
	}
	clear(b.due[len(left):])
	b.due = left
	if len(casts) > 0 {
		b.open = true
		b.paid = max(b.paid, now) + votePeriod
	}
	return casts
}

// conclude takes the outcome of the command under way, after the targets have
// seen the state that followed it. Votes still due go back into the queue.
func (b *ballot) conclude(casts []cast, failed bool, now time.Duration) {
	b.open = false
	if failed {
		b.failures++
		b.retry = now + backoff(b.failures, maxBackoff)
	} else {
		b.failures, b.retry = 0, 0
	}
	for _, c := range casts {
		if !failed && c.subject == c.of {
			c.heeded(c.votesFor() != c.health, now)
		}
		b.consider(c.target, now)
	}
}

// heeded slows down votes that are accepted and change nothing, such as those
// of a node that the cluster does not count as an observer at that moment.
func (e *ballotEntry) heeded(yes bool, now time.Duration) {
	if yes {
		e.unheeded, e.retry = 0, 0
		return
	}
	e.unheeded++
	e.retry = now + backoff(e.unheeded, maxVoteBackoff)
}

// backoff doubles with the number of failures up to most, of which a random
// quarter is taken off so that nodes do not retry in step.
func backoff(failures int, most time.Duration) time.Duration {
	span := min(minBackoff<<min(failures-1, backoffDoubling), most)
	return span - rand.N(span/4)
}
