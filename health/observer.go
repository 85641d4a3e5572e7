package health

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"evenkeel/fsm"
)

// maxInFlight bounds the probes that this node runs at once, and with them
// memory and descriptors. Beyond it probes begin late, in the order in which
// they were due; it takes a thousand backends that hang for that.
const maxInFlight = 1024

// tick is the grain of the times at which probes begin, so that a node with
// thousands of backends wakes up a hundred times a second for many probes each,
// and not for each. Due times are exact, so nothing drifts by it.
const tick = 10 * time.Millisecond

// Source is where the registry's state comes from. Watch returns the newest
// state, never nil, and a channel that is closed when it is replaced. It does
// not block.
type Source interface {
	Watch() (*fsm.State, <-chan struct{})
}

// Proposer carries a command to the whole cluster. Propose may block as long as
// its context lives; when it returns without error, the source has the state
// that followed. The observer never calls it twice at a time.
type Proposer interface {
	Propose(ctx context.Context, c fsm.Command) (fsm.Result, error)
}

// Config is what an [Observer] needs to know.
type Config struct {
	// Self is the UID of this node.
	Self string
	// Version is the binary's version, for the User-Agent of HTTP checks.
	Version string
	// Connected reports whether this node follows a leader now. It must not
	// block. Nil: it always does.
	Connected func() bool
	// Logger gets changes of opinion and verdict and failures to vote. May be nil.
	Logger *slog.Logger
}

// Observer runs this node's share of the health checks and votes on what it
// finds. Its methods may be called from any goroutine.
type Observer struct {
	self      string
	logger    *slog.Logger
	recipes   recipes
	newProber func(pool *fsm.Pool, address string) (Prober, error)
	observers func(s *fsm.State, b *fsm.Backend) []string
	started   time.Time
	results   chan result
	outcomes  chan outcome
	docket    docket
	view      atomic.Pointer[localView]
	// connection and engine are Run's goroutine's alone.
	connection connection
	engine     *engine

	// mu guards all that follows. Only Run's goroutine writes it.
	mu       sync.Mutex
	state    *fsm.State // that the targets follow; nil before the first
	version  uint64     // of the state
	members  []string
	sweep    uint64
	targets  map[name]*target
	queue    queue
	ballot   ballot
	words    words
	journal  journal // of what is agreed
	diary    journal // of this node's opinions
	cutOff   bool
	inFlight int
	counters Counters
}

// result is how a probe ended.
type result struct {
	*target
	start   int // of the target, as of the probe's begin
	err     error
	latency time.Duration
	// reduction is what a backend that passed asked for, as [Prober] says.
	reduction int
}

// outcome is how a command with votes ended.
type outcome struct {
	casts []cast
	err   error
}

// New returns an observer that does nothing until [Observer.Run].
func New(config Config) *Observer {
	agent := "evenkeel"
	if config.Version != "" {
		agent += "/" + config.Version
	}
	logger := config.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	o := &Observer{
		self:       config.Self,
		logger:     logger,
		observers:  (*fsm.State).Observers,
		docket:     docket{wake: make(chan struct{}, 1), waiting: map[string]Evidence{}},
		words:      words{byUID: map[string]word{}},
		connection: connection{connected: config.Connected},
		recipes:    recipes{userAgent: agent, byPool: map[string]*recipe{}},
		journal:    journal{summed: "agreed health of many backends changed"},
		diary:      journal{summed: "health checks of many backends changed their opinion"},
		engine:     newEngine(),
		started:    time.Now(),
		results:    make(chan result, maxInFlight),
		outcomes:   make(chan outcome, 1),
		targets:    map[name]*target{},
	}
	o.newProber = o.recipes.prober
	o.view.Store(newLocalView(&Local{Health: map[string]fsm.Health{}, Reasons: map[string]Veto{}}))
	return o
}

// now is the observer's own clock. It is monotonic, so that setting the node's
// clock changes no schedule.
func (o *Observer) now() time.Duration { return time.Since(o.started) }

// Run probes and votes until ctx ends, which is no error. It returns after its
// last goroutine has, and may be called once.
//
// One goroutine owns the schedule and the engine and blocks on nothing: each
// probe that is not the engine's, and the one command under way, runs in a
// goroutine of its own, so that neither slow backends nor a slow cluster delay a
// probe.
func (o *Observer) Run(ctx context.Context, source Source, proposer Proposer) error {
	var group sync.WaitGroup
	defer group.Wait()
	defer o.engine.close()
	wake := time.NewTimer(never)
	defer wake.Stop()
	changed := o.catchUp(source)
	for {
		o.engine.expire()
		o.reap(ctx, &group)
		o.probeDue(ctx, &group)
		o.reap(ctx, &group)
		o.voteDue(ctx, proposer, &group)
		o.publish()
		o.sumUp()
		wake.Reset(o.idle())
		select {
		case <-ctx.Done():
			return nil
		case <-wake.C:
			o.watchQuorum(false)
		case <-changed:
			changed = o.catchUp(source)
			o.watchQuorum(true)
		case <-o.docket.wake:
			o.weigh()
		case <-o.engine.ready:
			o.engine.poll()
		case r := <-o.results:
			o.settle(r)
		case end := <-o.outcomes:
			// The votes must be looked for in the state that followed them.
			changed = o.catchUp(source)
			o.conclude(end)
		}
	}
}

// catchUp follows the newest state and returns the channel that tells of a
// newer one.
func (o *Observer) catchUp(source Source) <-chan struct{} {
	state, changed := source.Watch()
	o.follow(state)
	return changed
}

// idle returns how long there is nothing to begin.
func (o *Observer) idle() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	next := min(o.ballot.next(), o.words.next(), o.journal.next(), o.diary.next(), o.connection.next())
	if t := o.queue.first(); t != nil && o.inFlight < maxInFlight {
		next = min(next, (t.due+tick-1)/tick*tick)
	}
	if at, ok := o.engine.next(); ok {
		next = min(next, at.Sub(o.started))
	}
	if next == never {
		return never
	}
	return max(0, next-o.now())
}

// probeDue begins the probes whose time has come.
func (o *Observer) probeDue(ctx context.Context, group *sync.WaitGroup) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	for o.inFlight < maxInFlight {
		t := o.queue.first()
		if t == nil || t.due > now {
			return
		}
		o.queue.remove(t)
		o.begin(ctx, group, t)
	}
}

func (o *Observer) begin(ctx context.Context, group *sync.WaitGroup, t *target) {
	o.inFlight++
	answering := t.take(o.now())
	if answering {
		o.counters.EvidenceProbes++
	}
	// A connection that was kept says nothing about whether others are accepted,
	// which is the question here.
	fresh := answering || t.inDoubt()
	opened := o.engine.isOpen
	if cancel, ok := o.engine.begin(result{target: t, start: t.starts}, fresh); ok {
		t.cancel = cancel
		if !opened {
			group.Go(o.engine.listen)
		}
		return
	}
	timeout := time.Duration(t.check.Timeout)
	ctx, t.cancel = context.WithTimeoutCause(ctx, timeout, timeoutError(timeout))
	start, prober, cancel, began := t.starts, t.prober, t.cancel, time.Now()
	group.Go(func() {
		defer cancel()
		reduction, err := prober.Probe(ctx)
		latency := time.Since(began)
		o.results <- result{t, start, stalled(err, latency, timeout), latency, reduction} // has room for all in flight
	})
}

// reap takes what the engine is done with.
func (o *Observer) reap(ctx context.Context, group *sync.WaitGroup) {
	for i, x := range o.engine.ended {
		o.settle(x.result)
		o.engine.recycle(x)
		o.engine.ended[i] = nil
	}
	o.engine.ended = o.engine.ended[:0]
	for _, h := range o.engine.handed {
		ctx, cancel := context.WithDeadlineCause(ctx, h.deadline(), timeoutError(h.timeout))
		o.mu.Lock()
		h.target.cancel = cancel
		o.mu.Unlock()
		group.Go(func() {
			defer cancel()
			o.results <- h.run(ctx) // has room for all in flight
		})
	}
	clear(o.engine.handed)
	o.engine.handed = o.engine.handed[:0]
}

// stalled blames this node for a probe that failed much too late.
func stalled(err error, latency, timeout time.Duration) error {
	if err == nil || latency <= timeout+timeout/2+stall {
		return err
	}
	return nodeError{fmt.Errorf("this node stalled: the probe took %s of %s", latency.Round(time.Millisecond), timeout)}
}

// stall is how much later than its timeout, beyond half of that, a probe ends
// only if this node was suspended or starved.
const stall = 100 * time.Millisecond

// timeoutError tells people how long was waited.
type timeoutError time.Duration

// Error implements error.
func (e timeoutError) Error() string { return "no answer within " + time.Duration(e).String() }

// settle counts the result of a probe and schedules the next.
func (o *Observer) settle(r result) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t, now := r.target, o.now()
	answering, superseded := t.answering, t.superseded
	o.inFlight--
	t.cancel, t.answering, t.superseded = nil, false, false
	switch {
	case !t.planned:
		delete(o.targets, t.name)
		return
	case t.starts != r.start: // planned anew meanwhile, due already set
		o.queue.add(t)
		return
	case superseded:
		t.due = now
		o.queue.add(t)
		return
	}
	o.record(r, answering)
	if t.doubted && !t.pending && t.tally.Run() >= t.check.Rise {
		o.assign(t, false, false)
		if !o.cutOff {
			o.drop(t)
			return
		}
	}
	t.advance(now)
	t.answered(answering, Void(r.err), now)
	o.queue.add(t)
	o.speak(t)
	o.ballot.consider(t, now)
}

// record counts a result. With evidence a single failure decides.
func (o *Observer) record(r result, evidence bool) {
	t := r.target
	t.last.at, t.last.latency, t.last.void = time.Now(), r.latency, ""
	before, changed := t.tally.Opinion(), false
	switch {
	case r.err == nil:
		o.counters.Passed++
		t.last.reason = ""
		t.weigh(r.reduction)
		changed = t.tally.Record(true)
	case Void(r.err):
		o.counters.Void++
		t.last.void = shorten(r.err.Error())
	default:
		o.counters.Failed++
		t.last.reason = shorten(r.err.Error())
		t.last.lastError, t.last.failed = t.last.reason, t.last.at
		if changed = t.tally.Record(false); evidence && !changed {
			changed = t.tally.Confirm()
		}
	}
	if changed {
		t.turned = o.now()
		t.last.evidence = evidence && t.tally.Opinion() == fsm.HealthDown
		o.logOpinion(t, before)
	}
}

func (o *Observer) logOpinion(t *target, before fsm.Health) {
	log := o.logger.Info
	switch opinion := t.tally.Opinion(); {
	case before == fsm.HealthUnknown && opinion == fsm.HealthUp:
		log = o.logger.Debug // expected, and one per backend at every start
	case !o.diary.admits(opinion, o.now()):
		return
	}
	log("health check changed its opinion", "pool", t.pool, "backend", t.backend,
		"health", t.tally.Opinion(), "before", before, "reason", t.last.reason, "evidence", t.last.evidence)
}

// voteDue proposes the votes whose time has come.
func (o *Observer) voteDue(ctx context.Context, proposer Proposer, group *sync.WaitGroup) {
	o.mu.Lock()
	defer o.mu.Unlock()
	casts := o.ballot.collect(o.now())
	if len(casts) == 0 {
		return
	}
	op := fsm.CastVotes{Observer: o.self, Votes: make([]fsm.BackendVote, len(casts))}
	for i, c := range casts {
		op.Votes[i] = fsm.BackendVote{Pool: c.pool, Name: c.backend, UID: c.uid, Generation: c.generation, Health: c.health, Reason: c.last.reason, Reduction: c.reduction}
	}
	o.counters.Votes += uint64(len(casts))
	o.counters.Commands++
	group.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, proposeTimeout)
		defer cancel()
		result, err := proposer.Propose(ctx, fsm.Command{Actor: "health", Op: op})
		if err == nil && result.Err != nil {
			err = result.Err
		}
		o.outcomes <- outcome{casts, err} // has room: one command at a time
	})
}

// conclude follows up on a command with votes.
func (o *Observer) conclude(end outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	failures := o.ballot.failures
	o.ballot.conclude(end.casts, end.err != nil, o.now())
	switch {
	case end.err != nil:
		o.counters.CommandsFailed++
		if failures == 0 {
			o.logger.Warn("votes could not be cast, trying again until they are", "votes", len(end.casts), "error", end.err)
		}
	case failures > 0:
		o.logger.Info("votes are cast again", "failures", failures)
	}
}
