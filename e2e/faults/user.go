package faults

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// remembered is how many revisions of a key a client remembers, for conditions
// that are out of date on purpose.
const remembered = 4

// user is one client of the API. It is for one goroutine.
type user struct {
	of     *operations
	id     int
	node   int // which of the APIs it uses
	random *rand.Rand
	client *apiClient
	// seen are the revisions that it knows each place's key had, the latest
	// last.
	seen [keys]memory
	// then is what it does next in any case, if it is of some kind.
	then intention
}

type memory struct {
	key       string
	revisions []uint64
}

// intention is an operation whose key and value are not drawn yet.
type intention struct {
	kind  kind
	place int
	old   bool // expect a revision that is out of date
}

func newUser(o *operations, id int) *user {
	return &user{of: o, id: id, node: id % len(o.options.apis), random: o.source(id), client: newAPIClient()}
}

// run uses the API until the flow ends.
func (u *user) run() {
	defer u.client.close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(time.Until(u.of.pacer.turn()))
		select {
		case <-u.of.quit:
			return
		case <-timer.C:
		}
		if u.random.IntN(100) == 0 {
			u.move()
		}
		u.one(u.choose())
	}
}

// move goes to another node.
func (u *user) move() {
	if n := len(u.of.options.apis); n > 1 {
		u.node = (u.node + 1 + u.random.IntN(n-1)) % n
	}
}

// choose draws what to do. About half are reads, and half of those are followed
// by a compare-and-swap on what was read, as a careful client does it.
func (u *user) choose() intention {
	if then := u.then; then.kind != "" {
		u.then = intention{}
		return then
	}
	next := intention{kind: kindRead, place: u.random.IntN(keys)}
	switch roll := u.random.IntN(100); {
	case roll < 60:
		if roll < 25 {
			u.then = intention{kind: kindSwap, place: next.place}
		}
	case roll < 66:
		next.kind, next.old = kindSwap, true
	case roll < 82:
		next.kind = kindPut
	case roll < 92:
		next.kind = kindCreate
	case roll < 96:
		next.kind = kindDelete
	default:
		next.kind = kindDeleteAt
	}
	return next
}

// one does what was chosen and remembers the revision.
func (u *user) one(next intention) {
	o := operation{Kind: next.kind, Key: u.of.slots.use(next.place)}
	known := &u.seen[next.place]
	if known.key != o.Key {
		*known = memory{key: o.Key}
	}
	if o.Kind == kindSwap || o.Kind == kindDeleteAt {
		switch n := len(known.revisions); {
		case n == 0: // nothing to compare with
			o.Kind = kindCreate
		case next.old:
			o.Expected = known.revisions[0]
		default:
			o.Expected = known.revisions[n-1]
		}
	}
	if o.Kind.writesValue() {
		o.Value = fmt.Sprintf("v%d", u.of.values.Add(1))
	}
	o = u.perform(o)
	if o.Outcome == outcomeDone && o.Revision != 0 {
		known.learn(o.Revision)
	}
	if u.then.kind != "" && (o.Outcome != outcomeDone || o.Seen == "") {
		u.then.kind = kindCreate
	}
}

func (m *memory) learn(revision uint64) {
	if n := len(m.revisions); n > 0 && m.revisions[n-1] == revision {
		return
	}
	m.revisions = append(m.revisions, revision)
	m.revisions = m.revisions[max(0, len(m.revisions)-remembered):]
}

// perform has the operation done and recorded.
func (u *user) perform(o operation) operation {
	api := u.of.options.apis[u.node]
	o.Client, o.Node, o.Call = u.id, api.Address, u.of.history.now()
	fault := u.client.perform(api, &o)
	o.Return = u.of.history.now()
	u.of.history.add(o, fault)
	if o.Outcome == outcomeDone || o.Outcome == outcomeUnmet {
		return o
	}
	u.move()
	if o.Outcome == outcomeUnknown {
		u.id = int(u.of.ids.Add(1) - 1)
		if o.Kind != kindRead {
			u.of.slots.leaveOpen(o.Key)
		}
	}
	return o
}
