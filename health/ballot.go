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
	// A command with votes may follow another every votePeriod, and voteBurst of
	// them at once after a quiet time, which gives back one of these every
	// burstPeriod: a single death is told at once. Each command that had to wait
	// makes the next one wait twice as long, up to maxPeriod,
	// until votes come at less than half of that pace: however many die, and however
	// long their probes take to come to it, that is some tens of commits. What
	// requests have met as well waits for maxUrgentPeriod at most, and not for what
	// has nothing to do with it: after twice that time without any such vote, the
	// next one takes of the burst.
	votePeriod      = 100 * time.Millisecond
	voteBurst       = 4
	burstPeriod     = 500 * time.Millisecond
	maxPeriod       = 16 * votePeriod
	maxUrgentPeriod = 8 * votePeriod
	// An opinion that a backend which flaps is up has to stand for a part of the
	// hold that would follow, before it is told: what does not hold that long would
	// be commits that change nothing.
	settlePart = 4
	maxSettle  = 10 * time.Second
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
	due []*target
	// ripe is of due the earliest, or sooner; urgent that of those which requests
	// have met as well.
	ripe, urgent time.Duration
	open         bool // a command is under way
	// paid is until when the commands so far have used up the burst (the generic cell
	// rate algorithm, ITU-T I.371).
	paid     time.Duration
	last     time.Duration // when the last command went
	waited   int           // how often the period has doubled
	urged    time.Duration // when the last command went that had an urgent vote
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
	ripe := max(t.notBefore(health), now+coalesce)
	if len(b.due) == 0 {
		b.ripe, b.urgent = never, never
	}
	if t.urgent() {
		b.urgent = min(b.urgent, ripe)
	}
	if t.queued && ripe >= t.ripe {
		return
	}
	b.ripe = min(b.ripe, ripe)
	if !t.queued {
		b.due = append(b.due, t)
	}
	t.queued, t.ripe = true, ripe
}

// notBefore returns when the target's vote may be proposed at the earliest.
func (t *target) notBefore(health fsm.Health) time.Duration {
	switch {
	case health == t.vote: // it is for the weight alone
		return max(t.retry, t.cast+weightPeriod)
	case health == fsm.HealthUp:
		return max(t.retry, t.turned+min(t.hold/settlePart, maxSettle))
	}
	return t.retry
}

// urgent reports whether the vote that is due is down for what requests have met.
func (t *target) urgent() bool { return t.last.evidence && t.vote != fsm.HealthDown }

// next returns when collect has something to do, never if it has not.
func (b *ballot) next() time.Duration {
	if b.open || len(b.due) == 0 {
		return never
	}
	urgent := b.pace(maxUrgentPeriod)
	if b.urgent-b.urged > 2*maxUrgentPeriod {
		urgent = min(urgent, b.spare())
	}
	return max(b.retry, min(max(b.ripe, b.pace(maxPeriod)), max(b.urgent, urgent)))
}

// spare returns when the next command may go by what is left of the burst.
func (b *ballot) spare() time.Duration { return b.paid - (voteBurst-1)*burstPeriod }

// pace returns when the next command may go, the periods being bounded.
func (b *ballot) pace(most time.Duration) time.Duration {
	next := b.last + min(votePeriod<<b.waited, most)
	if b.waited == 0 {
		next = min(next, b.spare())
	}
	return next
}

// went takes account of a command. Behind one that was full the next waits no longer:
// it is full too, or the last one.
func (b *ballot) went(now time.Duration, full bool) {
	period := votePeriod << b.waited
	switch {
	case full, now-b.last > 2*period:
		b.waited = 0
	case b.pace(maxPeriod) > b.ripe && period < maxPeriod:
		b.waited++
	}
	b.open, b.last = true, now
	b.paid = min(max(b.paid, now)+burstPeriod, now+voteBurst*burstPeriod)
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
	ripe, urgent := never, never // of those that are left
	for _, t := range b.due {
		health := t.votesFor()
		if health == "" {
			t.queued = false
			continue
		}
		t.ripe = max(t.ripe, t.notBefore(health)) // the opinion may be a newer one
		if t.ripe > now+coalesce || len(casts) == maxVotes || size >= maxVoteBytes {
			ripe = min(ripe, t.ripe)
			if t.urgent() {
				urgent = min(urgent, t.ripe)
			}
			left = append(left, t)
			continue
		}
		if t.urgent() {
			b.urged = now
		}
		t.queued, t.cast = false, now
		casts = append(casts, cast{t, t.subject, health, t.reduction})
		size += voteOverhead + len(t.pool) + len(t.backend) + len(t.uid) + len(t.last.reason)
	}
	clear(b.due[len(left):])
	b.due = left
	if len(casts) > 0 {
		b.went(now, len(casts) == maxVotes || size >= maxVoteBytes)
	}
	b.ripe, b.urgent = ripe, urgent
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
