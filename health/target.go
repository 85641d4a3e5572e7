package health

import (
	"context"
	"hash/fnv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"evenkeel/fsm"
)

// name is how the registry names a backend.
type name struct{ pool, backend string }

// subject is what an opinion is about: one registration of a backend, with one
// address and one check. What was learned about another subject of the same
// name does not count.
type subject struct {
	uid        string
	generation uint64
}

// target is a backend that this node observes. Times are on the observer's own
// clock, see Observer.now.
type target struct {
	name
	subject
	check  *fsm.Check
	prober Prober
	// planned is false for a target that is observed no longer and is only
	// kept until its last probe has ended, so that probes never overlap.
	planned bool
	sweep   uint64 // the last full plan that had it

	due    time.Duration      // when the next probe begins
	slot   int                // its place in the queue, -1 while not in it
	cancel context.CancelFunc // ends the probe that is under way; else nil

	tally Tally
	vote  fsm.Health // this node's vote in the newest state, "" if none counts
	ballotEntry

	last lastProbe
}

// lastProbe is what people want to know of a target's newest probe.
type lastProbe struct {
	at      time.Time // zero before the first
	latency time.Duration
	reason  string // why the last one that counted failed, "" if it passed
	void    string // why the last one did not count, "" if it did
}

// start makes the target observe a subject afresh.
func (t *target) start(of subject, check *fsm.Check, prober Prober, vote fsm.Health) {
	t.subject, t.check, t.prober, t.planned = of, check, prober, true
	opinion := fsm.HealthUnknown
	if vote != "" {
		opinion = vote
	}
	t.tally = NewTally(check.Rise, check.Fall, opinion)
	t.ballotEntry.reset()
	t.last = lastProbe{}
}

// advance moves the due time on by whole intervals, so that the schedule does
// not drift however late a probe began or ended. Probes that should have begun
// meanwhile are left out but for one, which is due at once.
func (t *target) advance(now time.Duration) {
	interval := time.Duration(t.check.Interval)
	t.due += interval
	if late := now - t.due; late > 0 {
		t.due += late / interval * interval
	}
}

// votesFor returns what this node should vote, or "" if its vote in the state
// says it already or there is nothing to say.
func (t *target) votesFor() fsm.Health {
	opinion := t.tally.Opinion()
	if !t.planned || opinion == fsm.HealthUnknown || opinion == t.vote {
		return ""
	}
	return opinion
}

// phase is when within the interval the first probe begins: backends are spread
// by their hash, and the observers of one backend evenly by their rank, so that
// together they look at it as often as they can.
func phase(uid string, rank, observers int, interval time.Duration) time.Duration {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(uid)) // never fails
	offset := time.Duration(hash.Sum64() % uint64(interval))
	return (offset + interval*time.Duration(rank)/time.Duration(observers)) % interval
}

// maxReason is the length of a reason in a vote, in bytes.
const maxReason = 256

// shorten makes one printable line of at most maxReason bytes from a text that
// a backend may have a part in.
func shorten(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	if len(text) <= maxReason {
		return text
	}
	const ellipsis = "…"
	end := maxReason - len(ellipsis)
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + ellipsis
}
