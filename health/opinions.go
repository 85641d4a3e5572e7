package health

import (
	"cmp"
	"slices"
	"time"

	"evenkeel/fsm"
)

// Opinion is how this node alone sees a backend that it observes. What the
// cluster agreed is in the registry's state.
type Opinion struct {
	Pool string `json:"pool"`
	Name string `json:"name"`
	UID  string `json:"uid"`
	// Generation is [fsm.State.CheckGeneration] of what was probed.
	Generation uint64 `json:"generation"`
	// Health is unknown until the first opinion.
	Health fsm.Health `json:"health"`
	// Run is the number of equal results in a row, negative for failures.
	Run int `json:"run"`
	// Reason is why the last probe that counted failed, "" if it passed.
	Reason string `json:"reason,omitempty"`
	// Void is why the last probe did not count, "" if it did.
	Void string `json:"void,omitempty"`
	// At is when the last probe ended by this node's clock, for display; zero
	// before the first.
	At time.Time `json:"at"`
	// Latency is how long the last probe took.
	Latency fsm.Duration `json:"latency"`
}

// Opinion returns this node's opinion of a backend. ok is false if this node
// does not observe it.
func (o *Observer) Opinion(pool, backend string) (opinion Opinion, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.targets[name{pool, backend}]
	if t == nil || !t.planned {
		return Opinion{}, false
	}
	return t.opinion(), true
}

// Opinions returns this node's opinions of all backends that it observes, by
// pool and name.
func (o *Observer) Opinions() []Opinion {
	opinions := o.allOpinions()
	slices.SortFunc(opinions, func(a, b Opinion) int {
		return cmp.Or(cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.Name, b.Name))
	})
	return opinions
}

func (o *Observer) allOpinions() []Opinion {
	o.mu.Lock()
	defer o.mu.Unlock()
	opinions := make([]Opinion, 0, len(o.targets))
	for _, t := range o.targets {
		if t.planned {
			opinions = append(opinions, t.opinion())
		}
	}
	return opinions
}

func (t *target) opinion() Opinion {
	return Opinion{
		Pool: t.pool, Name: t.backend, UID: t.uid, Generation: t.generation,
		Health: t.tally.Opinion(), Run: t.tally.Run(),
		Reason: t.last.reason, Void: t.last.void,
		At: t.last.at, Latency: fsm.Duration(t.last.latency),
	}
}

// Counters count since the process began. The first three are of probes, by
// their result.
type Counters struct {
	Passed, Failed, Void uint64
	// Votes and Commands are what was proposed, repeats included;
	// CommandsFailed those that met an error or a refusal.
	Votes, Commands, CommandsFailed uint64
	// Observed is how many backends this node observes now, InFlight how many
	// probes are under way.
	Observed, InFlight int
}

// Counters returns the counters as they are now.
func (o *Observer) Counters() Counters {
	o.mu.Lock()
	defer o.mu.Unlock()
	counters := o.counters
	counters.Observed, counters.InFlight = len(o.targets), o.inFlight
	return counters
}
