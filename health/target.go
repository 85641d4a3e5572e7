package health

import (
	"context"
	"fmt"
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
// address, one check and one PROXY header before that. What was learned about
// another subject of the same name does not count.
type subject struct {
	uid        string
	generation uint64
	header     string // the pool's [fsm.PoolSpec.ProxyProtocol]
}

// target is a backend that this node probes. Times are on the observer's own
// clock, see Observer.now.
type target struct {
	name
	subject
	check  *fsm.Check
	prober Prober
	// whileDoubted and whileDown are what [fsm.State.ProbeIntervals] says.
	whileDoubted, whileDown time.Duration
	// planned is false for a target that is probed no longer and is only
	// kept until its last probe has ended, so that probes never overlap.
	planned bool
	starts  int // how often it started afresh
	// observes is set if this node's vote counts, doubted if this node probes it
	// for itself because of what its own requests met. With neither it is probed
	// because the node is cut off.
	observes, doubted bool
	sweep             uint64 // the last full plan that had it

	anchor time.Duration      // when the first probe was due, and from there every interval
	due    time.Duration      // when the next probe begins
	slot   int                // its place in the queue, -1 while not in it
	cancel context.CancelFunc // ends the probe that is under way; else nil

	suspicion

	tally     Tally
	reduction int // what the backend asked for when it passed last
	// vote and voted are health and reduction of this node's vote in the newest
	// state, "" if none counts; verdict is what is agreed there.
	vote    fsm.Health
	voted   int
	verdict fsm.Health
	hold    time.Duration // for how long it would be held if it came up now
	turned  time.Duration // when the opinion changed last
	word    fsm.Health    // what Local says about it, "" for nothing
	ballotEntry

	last lastProbe
}

// lastProbe is what people want to know of a target's newest probe.
type lastProbe struct {
	at      time.Time // zero before the first
	latency time.Duration
	reason  string // why the last one that counted failed, "" if it passed
	void    string // why the last one did not count, "" if it did
	// lastError is why one failed last, also if others passed since; failed is
	// when that was.
	lastError string
	failed    time.Time
	// evidence is set if the opinion took one failed probe, because requests had
	// failed as well.
	evidence bool
	// weight is what was wrong with the weight that the last pass told, "" if
	// nothing was.
	weight string
}

// weigh takes what a backend that passed said of its weight. One that says
// nothing asks for all of it; what cannot be read changes nothing.
func (t *target) weigh(reduction int) {
	t.last.weight = ""
	switch reduction {
	case untoldWeight:
		t.reduction = 0
		t.last.weight = fmt.Sprintf("the answer has no field %q, so it gets all of its weight", t.check.WeightField)
	case unreadWeight:
		t.last.weight = fmt.Sprintf("the answer's field %q is no weight from 0 to 100, so the last one counts on", t.check.WeightField)
	default:
		t.reduction = reduction
	}
}

// start makes the target probe a subject afresh: an observer goes on from its
// own vote, and one without has to look first; who does not vote begins with
// what is agreed.
func (t *target) start(of subject, check *fsm.Check, prober Prober) {
	t.subject, t.check, t.prober, t.planned = of, check, prober, true
	t.starts++
	t.begin()
	t.reduction = t.voted
	t.ballotEntry.reset()
	t.suspicion = suspicion{}
	t.last = lastProbe{}
}

// begin makes the tally that the target begins with.
func (t *target) begin() {
	opinion := fsm.HealthUnknown
	switch {
	case t.observes && t.vote != "":
		opinion = t.vote
	case !t.observes && t.verdict != "":
		opinion = t.verdict
	}
	t.tally = NewTally(t.check.Rise, t.check.Fall, opinion)
	if t.verdict == fsm.HealthDown {
		t.tally = t.tally.Wary()
	}
}

// advance moves the due time on: to the next whole interval from the anchor, so
// that the schedule does not drift however late a probe began or ended, or by
// a shorter one while the backend is down or in doubt. Probes that should
// have begun meanwhile are left out but for one, which is due at once.
func (t *target) advance(now time.Duration) {
	span := t.span()
	switch {
	case span < time.Duration(t.check.Interval):
		t.due += span
	case t.due < t.anchor: // evidence came before the first probe
		t.due = t.anchor
	default:
		t.due = t.anchor + ((t.due-t.anchor)/span+1)*span
	}
	if late := now - t.due; late > 0 {
		t.due += late / span * span
	}
}

// A veto is looked at vetoPace times an interval, at most every vetoGap: nobody
// but this node is kept from the backend, and waiting for rise passes at the
// usual pace would cost it that for seconds after its own link was mended.
const (
	vetoPace = 4
	vetoGap  = 100 * time.Millisecond
)

// span is how long after a probe the next one is due. A probe that does not count
// settles no doubt, and a node that lacks something must not try faster for it.
func (t *target) span() time.Duration {
	opinion, run := t.tally.Opinion(), t.tally.Run()
	doubted := run < 0 && opinion != fsm.HealthDown || run > 0 && opinion != fsm.HealthUp
	interval := time.Duration(t.check.Interval)
	span := interval
	counts := t.last.void == ""
	switch {
	case doubted && counts:
		span = t.whileDoubted
	case doubted, opinion != fsm.HealthUp:
		span = t.whileDown
	}
	if counts && t.vetoes() && (!t.observes || t.vote == fsm.HealthDown) { // it is not about to be agreed
		span = min(span, max(interval/vetoPace, min(vetoGap, interval)))
	}
	return span
}

// inDoubt reports whether the backend is not up, or its last probe was against
// that.
func (t *target) inDoubt() bool {
	return t.tally.Opinion() != fsm.HealthUp || t.tally.Run() < 0
}

// vetoes reports whether this node alone finds the backend down.
func (t *target) vetoes() bool {
	return t.tally.Opinion() == fsm.HealthDown && t.verdict != fsm.HealthDown
}

// votesFor returns what this node should vote, or "" if its vote in the state
// says it already or there is nothing to say.
func (t *target) votesFor() fsm.Health {
	opinion := t.tally.Opinion()
	if !t.planned || !t.observes || opinion == fsm.HealthUnknown || opinion == t.vote && !t.reweighs() {
		return ""
	}
	return opinion
}

// weightStep is by how many points the weight that a backend asks for must
// differ from the vote to be worth another.
const weightStep = 5

// reweighs reports whether the vote is wrong about the weight by enough. The
// ends are told exactly, so that nobody is spared a little for ever.
func (t *target) reweighs() bool {
	off := t.reduction - t.voted
	return t.tally.Opinion() == fsm.HealthUp && off != 0 &&
		(max(off, -off) >= weightStep || t.reduction == 0 || t.reduction == 100)
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
