package health

import (
	"cmp"
	"slices"
	"time"

	"evenkeel/fsm"
)

// Opinion is how this node alone sees a backend that it probes. What the
// cluster agreed is in the registry's state.
type Opinion struct {
	Pool string `json:"pool"`
	Name string `json:"name"`
	UID  string `json:"uid"`
	// Generation is [fsm.State.CheckGeneration] of what was probed.
	Generation uint64 `json:"generation"`
	// Health is unknown until the first opinion.
	Health fsm.Health `json:"health"`
	// Observes is set if this node's vote counts. Else it probes the backend for
	// itself: Doubted is set if that is for what its own requests met, and not if
	// the node is cut off from the cluster.
	Observes bool `json:"observes"`
	Doubted  bool `json:"doubted,omitempty"`
	// Evidence is set if the opinion took one failed probe, because requests had
	// failed as well.
	Evidence bool `json:"evidence,omitempty"`
	// Reduction is how many percent of its weight the backend asked to be spared
	// when it passed last.
	Reduction int `json:"reduction,omitempty"`
	// WeightError is what was wrong with the weight that it told then.
	WeightError string `json:"weight_error,omitempty"`
	// Run is the number of equal results in a row, negative for failures.
	Run int `json:"run"`
	// Reason is why the last probe that counted failed, "" if it passed.
	Reason string `json:"reason,omitempty"`
	// Void is why the last probe did not count, "" if it did.
	Void string `json:"void,omitempty"`
	// At is when the last probe ended by this node's clock, for display; zero
	// before the first.
	At time.Time `json:"at"`
	// Age is how long ago that was, by a clock that nobody sets.
	Age fsm.Duration `json:"age"`
	// Latency is how long the last probe took.
	Latency fsm.Duration `json:"latency"`
	// LastError is why a probe failed last, also if others passed since, and
	// LastErrorAt when that was.
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
}

// Opinion returns this node's opinion of a backend. ok is false if this node
// does not probe it.
func (o *Observer) Opinion(pool, backend string) (opinion Opinion, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.targets[name{pool, backend}]
	if t == nil || !t.planned {
		return Opinion{}, false
	}
	return t.opinion(), true
}

// OpinionsOf returns this node's opinions of the backends of a pool that it
// probes, by name. If uid is not "", it is that of the only one that is wanted.
func (o *Observer) OpinionsOf(pool, uid string) []Opinion {
	opinions := o.unsortedOpinions(pool, uid)
	slices.SortFunc(opinions, func(a, b Opinion) int { return cmp.Compare(a.Name, b.Name) })
	return opinions
}

func (o *Observer) unsortedOpinions(pool, uid string) []Opinion {
	o.mu.Lock()
	defer o.mu.Unlock()
	var opinions []Opinion
	for _, t := range o.targets {
		if t.planned && t.pool == pool && (uid == "" || t.uid == uid) {
			opinions = append(opinions, t.opinion())
		}
	}
	return opinions
}

func (t *target) opinion() Opinion {
	opinion := Opinion{
		Pool: t.pool, Name: t.backend, UID: t.uid, Generation: t.generation,
		Health: t.tally.Opinion(), Observes: t.observes, Doubted: t.doubted,
		Evidence: t.last.evidence, Reduction: t.reduction, WeightError: t.last.weight, Run: t.tally.Run(),
		Reason: t.last.reason, Void: t.last.void,
		At: t.last.at, Latency: fsm.Duration(t.last.latency),
		LastError: t.last.lastError, LastErrorAt: t.last.failed,
	}
	if !t.last.at.IsZero() {
		opinion.Age = fsm.Duration(time.Since(t.last.at))
	}
	return opinion
}

// Counters count since the process began. The first three are of probes, by
// their result.
type Counters struct {
	Passed, Failed, Void uint64
	// Votes and Commands are what was proposed, repeats included;
	// CommandsFailed those that met an error or a refusal.
	Votes, Commands, CommandsFailed uint64
	// Evidence is how often this node heard of requests that failed;
	// EvidenceProbes is of probes made for it, EvidenceIgnored of what was about
	// no backend of the registry, EvidenceDropped of what was too much.
	Evidence, EvidenceProbes, EvidenceIgnored, EvidenceDropped uint64
	// Observed is how many backends this node observes now, Doubted how many
	// others it probes because its own requests failed there, Probed how many it
	// probes in all, InFlight how many probes are under way.
	Observed, Doubted, Probed, InFlight int
}

// Counters returns the counters as they are now.
func (o *Observer) Counters() Counters {
	o.mu.Lock()
	defer o.mu.Unlock()
	counters := o.counters
	counters.Probed, counters.InFlight = len(o.targets), o.inFlight
	o.docket.mu.Lock()
	defer o.docket.mu.Unlock()
	counters.Evidence = o.docket.received
	counters.EvidenceDropped += o.docket.dropped
	return counters
}
