package httpapi

import (
	"context"
	"encoding/json"
	"fmt"

	"evenkeel/fsm"
)

const (
	// TopicHealth is what a node asks others for: their [LocalHealth].
	TopicHealth = "health"
	// maxLocal bounds each list of a LocalHealth, maxLocalBytes all of them as JSON:
	// three quarters of what an answer between nodes may have.
	maxLocal      = 5000
	maxLocalBytes = 3 << 19
)

// LocalHealth is what one node by itself says of backends. It is a node's answer
// to others, so a released field is never changed.
type LocalHealth struct {
	// CutOff tells that the node follows no leader, and goes by its own probes.
	CutOff bool `json:"cut_off,omitempty"`
	// Opinions are of the backends that it observes, Vetoes are those that it
	// avoids because its own probes fail, and Ejections those that it avoids
	// because its own requests failed.
	Opinions  []Opinion  `json:"opinions,omitempty"`
	Vetoes    []Veto     `json:"vetoes,omitempty"`
	Ejections []Ejection `json:"ejections,omitempty"`
	// Uses are what it does with the backends of the pool that is asked about, which
	// is as its table has them. A build that does not tell is reckoned by standing.go.
	Uses []Use `json:"uses,omitempty"`
	// PoolFaults are, by pool, why the node does not speak TLS to its backends as the
	// registry says.
	PoolFaults map[string]string `json:"pool_faults,omitempty"`
	// LeftOff is how many entries there were beyond 5,000 of each kind and 1.5 MiB
	// of all. Texts of over 200 bytes are cut.
	LeftOff int `json:"left_off,omitempty"`
	// OpinionsOf, if not nil, returns the opinions of a pool's backends, or of the
	// only one with that UID if uid is not "", and Opinions are not heeded: nobody
	// wants those of all pools. It is called concurrently and must not block.
	OpinionsOf func(pool, uid string) []Opinion `json:"-"`
	// UsesOf is the same of Uses.
	UsesOf func(pool, uid string) []Use `json:"-"`
}

// Use is whether a node gives a backend new requests, and if not why: one of the
// API's words for it.
type Use struct {
	UID string `json:"uid"`
	Use string `json:"use"`
}

// Opinion is what a node's own probes say of a backend.
type Opinion struct {
	Pool   string     `json:"pool"`
	Name   string     `json:"name"`
	UID    string     `json:"uid"`
	Health fsm.Health `json:"health"`
	// Run is the number of equal results in a row, negative for failures.
	Run int `json:"run"`
	// Error is why the last probe that counted failed; Void why the last one did
	// not count.
	Error string `json:"error,omitempty"`
	Void  string `json:"void,omitempty"`
	// LastError is why a probe failed last, also if others passed since. Evidence
	// tells that one failed probe was enough, because requests had failed too.
	LastError string `json:"last_error,omitempty"`
	Evidence  bool   `json:"evidence,omitempty"`
	// WeightError is what was wrong with the weight that the backend told when it
	// passed last.
	WeightError string `json:"weight_error,omitempty"`
	// AgeSeconds is how long ago the last probe ended, nil before the first, and
	// LatencySeconds how long it took.
	AgeSeconds     *float64 `json:"age_seconds,omitempty"`
	LatencySeconds float64  `json:"latency_seconds,omitempty"`
}

// Veto is a backend of which the node has a word of its own: down, or, while it
// is cut off, also up.
type Veto struct {
	UID    string     `json:"uid"`
	Health fsm.Health `json:"health"`
	Reason string     `json:"reason,omitempty"`
	// AgeSeconds is since when; 0 is not known.
	AgeSeconds float64 `json:"age_seconds,omitempty"`
}

// Ejection is a backend that a node keeps requests from because of those that
// failed.
type Ejection struct {
	Pool       string  `json:"pool"`
	Name       string  `json:"name"`
	UID        string  `json:"uid"`
	Reason     string  `json:"reason"`
	AgeSeconds float64 `json:"age_seconds"`
	// LeftSeconds is until when.
	LeftSeconds float64 `json:"left_seconds"`
}

// healthQuestion is what other nodes are asked.
type healthQuestion struct {
	// Pool is whose backends are asked about; "": vetoes and ejections of all,
	// without opinions.
	Pool string `json:"pool,omitempty"`
	// Backend is the UID of the only one whose opinions are asked for, or "".
	Backend string `json:"backend,omitempty"`
}

// AnswerHealth answers what another node asks under [TopicHealth]. It does not
// block.
func (a *API) AnswerHealth(_ context.Context, _ string, request []byte) ([]byte, error) {
	var question healthQuestion
	if err := json.Unmarshal(request, &question); err != nil {
		return nil, fmt.Errorf("read question: %w", err)
	}
	var local LocalHealth
	if a.config.Health != nil {
		local = a.config.Health()
	}
	return json.Marshal(local.about(question, a.config.Cluster.State()))
}

// about returns the part that a question is about.
func (l LocalHealth) about(q healthQuestion, s *fsm.State) LocalHealth {
	asked := func(pool string) bool { return q.Pool == "" || q.Pool == pool }
	part := LocalHealth{CutOff: l.CutOff, LeftOff: l.LeftOff}
	pools := map[string]string{}
	if q.Pool != "" && len(l.Vetoes) > 0 {
		for b := range s.PoolBackends(q.Pool) {
			pools[b.Meta.UID] = q.Pool
		}
	}
	// Opinions come last: they explain what the others decide.
	room := room{bytes: maxLocalBytes}
	part.Vetoes = fitting(&room, l.Vetoes, func(v Veto) bool { return asked(pools[v.UID]) })
	part.Ejections = fitting(&room, l.Ejections, func(e Ejection) bool { return asked(e.Pool) })
	if fault := l.PoolFaults[q.Pool]; fault != "" {
		part.PoolFaults = map[string]string{q.Pool: clip(fault)}
	}
	if q.Pool != "" {
		if l.UsesOf != nil {
			l.Uses = l.UsesOf(q.Pool, q.Backend)
		}
		part.Uses = fitting(&room, l.Uses, func(u Use) bool { return q.Backend == "" || q.Backend == u.UID })
		if l.OpinionsOf != nil {
			l.Opinions = l.OpinionsOf(q.Pool, q.Backend)
		}
		part.Opinions = fitting(&room, l.Opinions, func(o Opinion) bool {
			return o.Pool == q.Pool && (q.Backend == "" || q.Backend == o.UID)
		})
	}
	part.LeftOff += room.leftOff
	return part
}
