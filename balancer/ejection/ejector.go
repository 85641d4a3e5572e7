package ejection

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"evenkeel/balancer/table"
	"evenkeel/fsm"
)

// Report is a backend that was ejected: its flag is set already.
type Report struct {
	Pool    *table.Pool
	Backend *table.Backend
	Reason  string // one of table's faults
}

// Ejection is one that is under way.
type Ejection struct {
	Pool, Name, UID, Reason string
	Began, Until            time.Duration
}

// Ejector ends what loops begin. [Ejector.Report], [Ejector.Woken] and
// [Ejector.List] may be called from any goroutine; all else belongs to one.
type Ejector struct {
	logger  *slog.Logger
	woken   chan struct{}
	records map[*table.Stats]*entry
	rates   map[string]*rating // by pool
	list    atomic.Pointer[[]Ejection]

	mu      sync.Mutex // guards reports
	reports []Report
}

// entry is a backend that is ejected, or was and is not forgotten yet.
type entry struct {
	Ejection
	record
	stats  *table.Stats
	shared *table.PoolStats
	rule   table.Ejection
	// address is where the requests went that failed.
	address string
	out     bool // it is ejected
	// superseded is set once the cluster has agreed that it is down: then it holds
	// no place among the ejected, and the ejection ends with that verdict.
	superseded bool
}

// rating is a pool whose backends are compared.
type rating struct {
	due     time.Duration
	earlier map[*table.Stats]sample
}

// New returns an ejector of no ejections.
func New(logger *slog.Logger) *Ejector {
	e := &Ejector{
		logger: logger, woken: make(chan struct{}, 1),
		records: map[*table.Stats]*entry{}, rates: map[string]*rating{},
	}
	e.list.Store(new([]Ejection))
	return e
}

// Report tells of a backend that a loop ejected. It does not block.
func (e *Ejector) Report(r Report) {
	e.mu.Lock()
	e.reports = append(e.reports, r)
	e.mu.Unlock()
	select {
	case e.woken <- struct{}{}:
	default:
	}
}

// Woken tells that there is a report.
func (e *Ejector) Woken() <-chan struct{} { return e.woken }

// List returns the ejections under way, in the order of pools and names. It must
// not be changed.
func (e *Ejector) List() []Ejection { return *e.list.Load() }

// Step takes in what was reported and what the newest state says, and ends what
// has lasted its time. It returns the pools whose tables are to be made anew.
func (e *Ejector) Step(state *fsm.State, now time.Duration) (pools []string) {
	e.mu.Lock()
	reports := e.reports
	e.reports = nil
	e.mu.Unlock()
	for _, r := range reports {
		e.begin(r, now)
		pools = append(pools, r.Backend.Pool)
	}
	changed := len(reports) > 0
	for stats, entry := range e.records {
		if entry.out && e.follow(entry, state, now) {
			changed = true
			pools = append(pools, entry.Pool)
		}
		if !entry.out {
			if entry.forget(now, entry.rule.Hold, entry.rule.MaxHold); entry.level == 0 || state.Backend(entry.Pool, entry.Name) == nil {
				delete(e.records, stats)
			}
		}
	}
	if changed {
		e.publish()
	}
	return pools
}

func (e *Ejector) begin(r Report, now time.Duration) {
	b := r.Backend
	known := e.records[b.Stats]
	if known == nil {
		known = &entry{stats: b.Stats}
		e.records[b.Stats] = known
	}
	known.shared, known.rule, known.address = r.Pool.Shared, r.Pool.Ejection, b.Address
	known.out, known.superseded = true, false
	lasts := known.record.begin(now, known.rule.Hold, known.rule.MaxHold)
	known.Ejection = Ejection{Pool: b.Pool, Name: b.Name, UID: b.UID, Reason: r.Reason, Began: now, Until: now + lasts}
	e.logger.Warn("backend ejected", "pool", b.Pool, "backend", b.Name, "reason", r.Reason, "for", lasts)
}

// follow brings an ejection up to date, and tells whether anything of it
// changed.
func (e *Ejector) follow(entry *entry, state *fsm.State, now time.Duration) bool {
	object, pool := state.Backend(entry.Pool, entry.Name), state.Pool(entry.Pool)
	switch {
	case object == nil || object.Meta.UID != entry.UID || pool == nil:
		e.end(entry, now, "the backend is gone")
	case object.Spec.Address != entry.address:
		e.end(entry, now, "the backend moved")
		entry.record = record{} // that was another server
	case pool.Spec.EffectiveEjection().Off:
		e.end(entry, now, "the pool ejects no more")
	case table.IsDown(object):
		if entry.superseded {
			return false
		}
		entry.superseded = true
		entry.shared.Vacate()
	case entry.superseded:
		e.end(entry, now, "it was agreed down and up again")
	case now >= entry.Until:
		e.end(entry, now, "it has lasted its time")
	default:
		return false
	}
	return true
}

func (e *Ejector) end(entry *entry, now time.Duration, why string) {
	entry.out = false
	entry.record.end(now)
	if !entry.superseded {
		entry.shared.Vacate()
	}
	entry.stats.Readmit()
	e.logger.Info("ejection ended", "pool", entry.Pool, "backend", entry.Name, "why", why)
}

func (e *Ejector) publish() {
	all := []Ejection{}
	for _, entry := range e.records {
		if entry.out && !entry.superseded {
			all = append(all, entry.Ejection)
		}
	}
	slices.SortFunc(all, func(a, b Ejection) int { return cmp.Or(cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.Name, b.Name)) })
	e.list.Store(&all)
}

// Next returns when [Ejector.Step] or [Ejector.Rate] has something to do; ok is
// false if nothing is planned.
func (e *Ejector) Next() (at time.Duration, ok bool) {
	earlier := func(t time.Duration) {
		if !ok || t < at {
			at, ok = t, true
		}
	}
	for _, entry := range e.records {
		switch {
		case !entry.out:
			earlier(entry.forgetAt())
		case !entry.superseded:
			earlier(entry.Until)
		}
	}
	for _, rating := range e.rates {
		earlier(rating.due)
	}
	return at, ok
}

// Rate compares the backends of each of the pools whose interval has passed, and
// ejects those that fail more often than the others. It returns what it ejected,
// of which the next [Ejector.Step] has to be told.
func (e *Ejector) Rate(pools map[string]*table.Pool, now time.Duration) (ejected []Report) {
	for name := range e.rates {
		if pools[name] == nil {
			delete(e.rates, name)
		}
	}
	for name, pool := range pools {
		interval := time.Duration(pool.Ejection.Rate.Interval)
		known := e.rates[name]
		switch {
		case known == nil:
			e.rates[name] = &rating{due: now + interval, earlier: outcomes(pool)}
		case now >= known.due:
			ejected = append(ejected, known.judge(pool)...)
			known.due, known.earlier = now+interval, outcomes(pool)
		default: // the interval may have become shorter
			known.due = min(known.due, now+interval)
		}
	}
	return ejected
}

func outcomes(pool *table.Pool) map[*table.Stats]sample {
	all := make(map[*table.Stats]sample, len(pool.Backends()))
	for _, b := range pool.Backends() {
		attempts, successes := b.Stats.Outcomes()
		all[b.Stats] = sample{attempts, successes}
	}
	return all
}

// judge compares those that take requests, and were there for the whole
// interval.
func (r *rating) judge(pool *table.Pool) (ejected []Report) {
	var of []*table.Backend
	var samples []sample
	now := outcomes(pool)
	for _, b := range pool.Choices() {
		if earlier, there := r.earlier[b.Stats]; there && !b.Stats.Ejected() {
			of, samples = append(of, b), append(samples, now[b.Stats].since(earlier))
		}
	}
	for _, i := range outliers(samples, pool.Ejection.Rate) {
		if pool.Eject(of[i]) {
			ejected = append(ejected, Report{Pool: pool, Backend: of[i], Reason: table.FaultSuccessRate})
		}
	}
	return ejected
}
