package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"evenkeel/cluster"
	"evenkeel/httpapi/problem"
)

const (
	// healthTimeout is how long a read waits for the other nodes' part of it.
	healthTimeout = time.Second
	// maxHealthReads is how many reads of health are made at a time: each holds
	// what every node said, and asks for one of the 16 places for questions there.
	maxHealthReads = 4
)

// nodeHealth is one node's answer, or why there is none.
type nodeHealth struct {
	member  cluster.Member
	err     error
	cutOff  bool
	leftOff int
	faults  map[string]string // of TLS to the backends of pools
	// What it said, by the backend's UID: a read looks up every backend of every
	// pool on every node.
	opinions  map[string]Opinion
	vetoes    map[string]Veto
	ejections map[string]Ejection
	uses      map[string]use
}

// indexed returns a node's answer without whose it is.
func indexed(local LocalHealth) nodeHealth {
	n := nodeHealth{
		cutOff: local.CutOff, leftOff: local.LeftOff, faults: local.PoolFaults, opinions: make(map[string]Opinion, len(local.Opinions)),
		vetoes: make(map[string]Veto, len(local.Vetoes)), ejections: make(map[string]Ejection, len(local.Ejections)),
	}
	n.uses = make(map[string]use, len(local.Uses))
	for _, u := range local.Uses {
		n.uses[u.UID] = use(u.Use)
	}
	for _, o := range local.Opinions {
		n.opinions[o.UID] = o
	}
	for _, v := range local.Vetoes {
		n.vetoes[v.UID] = v
	}
	for _, e := range local.Ejections {
		n.ejections[e.UID] = e
	}
	return n
}

// ask asks every node that takes traffic and has not left, all at once. One that
// does not answer within a second has an error.
func (a *API) ask(ctx context.Context, question healthQuestion) []nodeHealth {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := json.Marshal(question)
	var all []nodeHealth
	for _, member := range a.config.Cluster.Members() {
		if !member.Witness && member.State != cluster.StateLeft {
			all = append(all, nodeHealth{member: member, err: err})
		}
	}
	var tasks sync.WaitGroup
	for i := range all {
		if all[i].err != nil {
			continue
		}
		if all[i].member.State == cluster.StateDead {
			all[i].err = errDead
			continue
		}
		tasks.Go(func() {
			local, err := a.askOne(ctx, all[i].member.UID, request)
			said := indexed(local)
			said.member, said.err = all[i].member, err
			all[i] = said
		})
	}
	tasks.Wait()
	return all
}

// why says in a few words why a node did not answer, or "".
func (n nodeHealth) why() string {
	switch {
	case n.err == nil:
		return ""
	case errors.Is(n.err, errDead):
		return "the node is dead"
	case errors.Is(n.err, cluster.ErrOlderBuild):
		return "the node runs an older build, which does not tell"
	case errors.Is(n.err, context.DeadlineExceeded):
		return "the node did not answer within " + healthTimeout.String()
	}
	if op, ok := errors.AsType[*net.OpError](n.err); ok {
		cause := op.Err
		if call, ok := errors.AsType[*os.SyscallError](cause); ok {
			cause = call.Err
		}
		return "the node cannot be reached: " + clip(cause.Error())
	}
	return clip(n.err.Error())
}

func (a *API) askOne(ctx context.Context, uid string, request []byte) (LocalHealth, error) {
	var local LocalHealth
	answer, err := a.config.Cluster.Ask(ctx, uid, TopicHealth, request)
	if err == nil {
		err = json.Unmarshal(answer, &local)
	}
	if err != nil {
		a.config.Logger.Debug("a node did not tell its own health of backends", "uid", uid, "error", err)
		return LocalHealth{}, err
	}
	return local, nil
}

// inTurn answers a read with the view that it makes. At most four are made at a
// time; a further one waits for its turn as long as its context lasts. Nobody
// waits for a client that is slow to take its answer.
func (a *API) inTurn(view func(http.ResponseWriter, *http.Request) (any, error)) handlerFunc {
	made := func(w http.ResponseWriter, r *http.Request) ([]byte, error) {
		select {
		case a.healthReads <- struct{}{}:
			defer func() { <-a.healthReads }()
		case <-r.Context().Done():
			return nil, problem.New(problem.Overloaded, "this node makes %d answers about health and explanations already, and none was ready in time", maxHealthReads).With("Retry-After", "1")
		}
		value, err := view(w, r)
		if err != nil {
			return nil, err
		}
		return encode(value)
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		if _, err := a.awaitIndex(w, r); err != nil { // before the turn, not in it
			return err
		}
		body, err := made(w, r)
		if err != nil {
			return err
		}
		return writeBody(w, http.StatusOK, body)
	}
}
