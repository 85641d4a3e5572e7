package health

import (
	"time"

	"evenkeel/fsm"
)

// Local is what this node knows better than the verdict, for itself alone. It
// is immutable.
type Local struct {
	// CutOff is set while this node has no leader to follow and the time of grace
	// is over: then its own opinions stand in place of the verdicts.
	CutOff bool
	// Health holds, by a backend's UID, down for one that this node vetoes: its
	// own probes fail while the verdict is not down. While CutOff it holds this
	// node's opinion of every checked backend of which it has one, up or down.
	Health map[string]fsm.Health
	// Reasons say, by a backend's UID, why Health is down.
	Reasons map[string]Veto
}

// Veto is why this node does not use a backend.
type Veto struct {
	Pool string `json:"pool"`
	Name string `json:"name"`
	// Reason is what the probe met that brought the veto about.
	Reason string `json:"reason"`
	// Evidence is set if the probe was made because requests had failed.
	Evidence bool `json:"evidence,omitempty"`
	// Since is by this node's clock, for display.
	Since time.Time `json:"since"`
}

// The pace of snapshots: at most one every publishPeriod, and as much longer as
// it takes to make that it costs a tenth of the time or less.
const (
	publishPeriod = 5 * time.Millisecond
	publishCost   = 2 * time.Microsecond // per backend in it
)

// localView is a snapshot and the channel that is closed when another one takes
// its place.
type localView struct {
	*Local
	replaced chan struct{}
}

// word is what Local says about one backend.
type word struct {
	health fsm.Health
	veto   Veto // if the health is down
}

// words collects what the next snapshot says. It has no clock.
type words struct {
	byUID   map[string]word
	changed bool
	ripe    time.Duration // not before this may the next snapshot be made
}

// WatchLocal returns the newest snapshot, never nil, and a channel that is
// closed when it is replaced. It does not block, and may be called from any
// goroutine. A veto is withdrawn for a verdict of down only after the state with
// that verdict was published.
func (o *Observer) WatchLocal() (*Local, <-chan struct{}) {
	view := o.view.Load()
	return view.Local, view.replaced
}

// speak brings what Local says about a target up to date.
func (o *Observer) speak(t *target) {
	health := fsm.Health("")
	switch opinion := t.tally.Opinion(); {
	case !t.planned || opinion == fsm.HealthUnknown:
	case o.cutOff, t.vetoes():
		health = opinion
	}
	if health == t.word {
		return
	}
	t.word, o.words.changed = health, true
	switch health {
	case "":
		delete(o.words.byUID, t.uid)
	case fsm.HealthDown:
		o.words.byUID[t.uid] = word{health, Veto{t.pool, t.backend, t.last.lastError, t.last.evidence, time.Now()}}
	default:
		o.words.byUID[t.uid] = word{health: health}
	}
}

// silence withdraws what Local says about a target's present subject.
func (o *Observer) silence(t *target) {
	if t.word != "" {
		delete(o.words.byUID, t.uid)
		t.word, o.words.changed = "", true
	}
}

// next returns when the next snapshot is to be made, never if nothing changed.
func (w *words) next() time.Duration {
	if !w.changed {
		return never
	}
	return w.ripe
}

// publish makes a snapshot if its time has come.
func (o *Observer) publish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	if o.words.next() > now {
		return
	}
	local := &Local{CutOff: o.cutOff, Health: make(map[string]fsm.Health, len(o.words.byUID)), Reasons: map[string]Veto{}}
	for uid, word := range o.words.byUID {
		local.Health[uid] = word.health
		if word.health == fsm.HealthDown {
			local.Reasons[uid] = word.veto
		}
	}
	o.words.changed, o.words.ripe = false, now+publishPeriod+time.Duration(len(local.Health))*publishCost
	replaced := o.view.Swap(newLocalView(local)).replaced
	close(replaced)
}

func newLocalView(local *Local) *localView { return &localView{local, make(chan struct{})} }
