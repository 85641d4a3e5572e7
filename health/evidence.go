package health

import (
	"sync"
	"time"

	"evenkeel/fsm"
)

// Evidence is what a request met that a node sent to a backend: a reason to
// look at it now.
type Evidence struct {
	Pool string `json:"pool"`
	Name string `json:"name"`
	// UID is the backend's registration: evidence about another one of the same
	// name is ignored.
	UID string `json:"uid"`
	// Kind says in a word what the request met.
	Kind string `json:"kind"`
	// From is the UID of the node that sent the request, "" for this one.
	From string `json:"from,omitempty"`
}

// The pace of probes that evidence asks for. A backend that passes its check
// and fails its requests, or a peer that cries wolf, gets one probe at once and
// further ones ever less often, down to one an interval.
const (
	// minGap is how long after a probe for evidence that passed the next may
	// begin; each further one doubles it, up to the interval.
	minGap = 50 * time.Millisecond
	// calm is how many gaps without evidence it takes to forget them.
	calm = 10
	// maxEvidence is how many backends' evidence may wait for the observer.
	maxEvidence = 10_000
	// maxDoubted is how many backends this node probes at once for no other
	// reason than what its own requests met.
	maxDoubted = 10_000
)

// docket holds evidence until the observer takes it, one item per backend.
type docket struct {
	wake chan struct{} // has room for one

	mu                sync.Mutex // guards what follows
	waiting           map[string]Evidence
	received, dropped uint64
}

// Suspect tells of evidence against a backend. An observer of it probes it now,
// and then one failed probe is enough for the opinion that it is down. A node
// that does not observe it probes it for itself if the evidence is its own.
//
// It never blocks and may be called from any goroutine. What comes beyond the
// bounds is dropped and counted; a scheduled probe finds out what it would have.
func (o *Observer) Suspect(e Evidence) {
	d := &o.docket
	d.mu.Lock()
	d.received++
	known, waits := d.waiting[e.UID]
	switch {
	case waits && known.From == "": // says as much or more
	case !waits && len(d.waiting) >= maxEvidence:
		d.dropped++
	default:
		d.waiting[e.UID] = e
	}
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default: // it is awake
	}
}

func (d *docket) take() map[string]Evidence {
	d.mu.Lock()
	defer d.mu.Unlock()
	waiting := d.waiting
	d.waiting = map[string]Evidence{}
	return waiting
}

// weigh acts on the evidence that waits.
func (o *Observer) weigh() {
	waiting := o.docket.take()
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	for _, e := range waiting {
		b := o.state.Backend(e.Pool, e.Name)
		if b == nil || b.Meta.UID != e.UID {
			o.counters.EvidenceIgnored++
			continue
		}
		t := o.targets[name{e.Pool, e.Name}]
		if e.From == "" && (t == nil || !t.observes) {
			t = o.suspectAlone(b)
		}
		if t != nil && t.planned {
			o.suspect(t, now)
		}
	}
}

// suspectAlone makes this node probe a backend for itself that it does not
// observe.
func (o *Observer) suspectAlone(b *fsm.Backend) *target {
	if o.counters.Doubted >= maxDoubted {
		o.counters.EvidenceDropped++
		return o.targets[name{b.Pool, b.Name}]
	}
	return o.plan(o.state, b, true)
}

// suspicion is what a target carries of evidence against its backend.
type suspicion struct {
	// pending is set while no probe has ended that began after the evidence.
	pending bool
	// answering is set while the probe under way is one that did, superseded if
	// it is given up for such a one.
	answering, superseded bool
	heard                 time.Duration // when evidence came last
	asked                 time.Duration // when a probe for evidence began last
	gap                   time.Duration // how long from there to the next
}

// suspect has the target probed as soon as its pace allows. A probe under way
// began too early to answer, and may take its whole timeout: it makes room.
func (o *Observer) suspect(t *target, now time.Duration) {
	if t.tally.Opinion() == fsm.HealthDown {
		return // the evidence says nothing new
	}
	if now-t.heard > calm*t.gap {
		t.gap = 0
	}
	t.heard = now
	if t.pending {
		return
	}
	t.pending = true
	next := max(now, t.asked+t.gap)
	switch {
	case t.cancel == nil:
		o.queue.remove(t)
		t.due = min(t.due, next)
		o.queue.add(t)
	case !t.answering && next == now:
		t.superseded = true
		t.cancel() // settle puts it into the queue
	}
}

// take notes that a probe begins, which answers the evidence so far.
func (s *suspicion) take(now time.Duration) (answering bool) {
	s.answering, s.pending = s.pending, false
	if s.answering {
		s.asked = now
	}
	return s.answering
}

// answered follows up on a probe that ended. What it left open is due when the
// pace allows.
func (t *target) answered(answered, void bool, now time.Duration) {
	if t.tally.Opinion() == fsm.HealthDown {
		t.pending, t.gap = false, 0
		return
	}
	if answered {
		t.gap = min(max(minGap, 2*t.gap), max(minGap, time.Duration(t.check.Interval)))
		t.pending = t.pending || void
	}
	if t.pending {
		t.due = min(t.due, max(now, t.asked+t.gap))
	}
}
