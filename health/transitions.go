package health

import (
	"time"

	"evenkeel/fsm"
)

// The bound of lines about agreed transitions, and of those about this node's own
// opinions: so many at once after a quiet
// time, one every period in the long run. The rest is summed up in a line.
const (
	transitionBurst  = 50
	transitionPeriod = 200 * time.Millisecond
	summaryDelay     = time.Second
)

// journal writes transitions of one kind to the log, few of them one by one.
type journal struct {
	summed         string        // what the line about the rest says
	paid           time.Duration // until when the lines so far have used up the pace
	summary        time.Duration // when the rest is to be summed up
	rest, down, up int
}

// narrate logs what became agreed from one state to the next. If what changed
// is not known, all is compared.
func (o *Observer) narrate(before, after *fsm.State, refs []fsm.Ref, known bool) {
	if before == nil {
		return
	}
	if !known {
		for b := range after.Backends() {
			o.narrateOne(before, after, b)
		}
		return
	}
	seen := map[fsm.Ref]bool{}
	for _, ref := range refs {
		if ref.Kind != fsm.KindBackend || seen[ref] {
			continue
		}
		seen[ref] = true
		if b := after.Backend(ref.Pool, ref.Name); b != nil {
			o.narrateOne(before, after, b)
		}
	}
}

func (o *Observer) narrateOne(before, after *fsm.State, b *fsm.Backend) {
	old := before.Backend(b.Pool, b.Name)
	if old == nil || old == b || old.Meta.UID != b.Meta.UID {
		return
	}
	was, is := &old.Status, &b.Status
	if was.Health == is.Health && was.Held == is.Held && overridden(was) == overridden(is) {
		return
	}
	if !o.journal.admits(is.Health, o.now()) {
		return
	}
	o.logger.Info("agreed health changed", "pool", b.Pool, "backend", b.Name, "health", is.Health, "before", was.Health,
		"since", is.Since, "held", is.Held, "override", overridden(is), "votes", votesInWords(after, b))
}

// overridden returns what an operator says, "" for nothing.
func overridden(status *fsm.BackendStatus) fsm.Health {
	if status.Override == nil {
		return ""
	}
	return status.Override.Health
}

// votesInWords says who voted what, and why.
func votesInWords(s *fsm.State, b *fsm.Backend) []string {
	words := make([]string, 0, len(b.Status.Votes))
	for _, vote := range b.Status.Votes {
		observer := vote.Observer
		if node := s.Node(observer); node != nil {
			observer = node.Name
		}
		text := observer + " " + string(vote.Health)
		if vote.Reason != "" {
			text += ": " + vote.Reason
		}
		words = append(words, text)
	}
	return words
}

// admits reports whether a transition gets a line of its own.
func (j *journal) admits(health fsm.Health, now time.Duration) bool {
	if j.paid-(transitionBurst-1)*transitionPeriod <= now {
		j.paid = max(j.paid, now) + transitionPeriod
		return true
	}
	if j.rest == 0 {
		j.summary = now + summaryDelay
	}
	j.rest++
	switch health {
	case fsm.HealthDown:
		j.down++
	case fsm.HealthUp:
		j.up++
	}
	return false
}

// next returns when the rest is to be summed up, never if there is none.
func (j *journal) next() time.Duration {
	if j.rest == 0 {
		return never
	}
	return j.summary
}

// sumUp logs the transitions that got no line, if their time has come.
func (o *Observer) sumUp() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, j := range []*journal{&o.journal, &o.diary} {
		if j.next() <= o.now() {
			o.logger.Info(j.summed+", not listed one by one", "changes", j.rest, "down", j.down, "up", j.up)
			j.rest, j.down, j.up = 0, 0, 0
		}
	}
}
