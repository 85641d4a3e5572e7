package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestExchanges(t *testing.T) {
	w := theWorld(t)
	rows := 0
	for _, group := range table() {
		all := group.rows()
		rows += len(all)
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			for _, r := range all {
				if r.gets == nil {
					r.gets = slices.Repeat([]got{ok}, len(asSent(r.in)))
				}
				t.Run(r.name, func(t *testing.T) {
					t.Parallel()
					w.runRow(t, &r)
				})
			}
		})
	}
	t.Logf("%d rows", rows)
}

// runRow runs a row in one piece and, if that is right, in all others.
func (w *world) runRow(t *testing.T, r *row) {
	s := <-w.slots[r.on]
	defer func() { w.slots[r.on] <- s }()
	for _, p := range append([]plan{{}}, plansFor(r)...) {
		x := newExchange(r, p)
		if faults := w.run(s, x); len(faults) > 0 {
			t.Error(x.report(faults))
			w.awaitQuiet(s)
			return
		}
	}
}

// awaitQuiet waits until nothing is under way at a slot, so that what went
// wrong does not spoil the next row. It returns false if that never comes.
func (w *world) awaitQuiet(s *slot) bool {
	deadline := time.Now().Add(patience)
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for w.active(s) > 0 {
		if time.Now().After(deadline) {
			return false
		}
		<-ticker.C
	}
	return true
}

// run is one exchange on a slot that is free.
func (w *world) run(s *slot, x *exchange) []string {
	var before uint64
	if x.row.blame != whatever {
		before = w.failures(s)
	}
	s.current.Store(x)
	x.runClient(s.address)
	if x.row.dropped {
		x.awaitDrop()
	}
	if x.mayHaveLate() {
		for _, b := range s.backends {
			x.fence(b)
		}
	}
	s.current.Store(nil)
	close(x.over)
	x.endConns()
	faults := x.check()
	if x.row.blame != whatever {
		if n := w.failures(s) - before; n > 0 {
			faults = append(faults, fmt.Sprintf("the backend was blamed %d times", n))
		}
	}
	return faults
}

// awaitDrop waits until the proxy closes its first backend connection.
func (x *exchange) awaitDrop() {
	gone := x.await(func() bool {
		if len(x.conns) == 0 {
			return false
		}
		select {
		case <-x.conns[0].gone:
			return true
		default:
			return false
		}
	})
	if !gone {
		x.fail("the proxy kept a backend connection that it must not use again")
	}
}

// mayHaveLate tells whether the proxy may have made a connection that its
// backend has not accepted yet. It has not if the last response was a backend's.
func (x *exchange) mayHaveLate() bool {
	for _, want := range x.row.gets {
		if want.own {
			return true
		}
	}
	return x.row.end != usable
}

// fence waits until the backend has accepted every connection that was made
// before: a refusal may reach the client sooner, and the connection would be
// taken for one of the next run.
func (x *exchange) fence(b *backend) {
	conn, err := dial(b.listener.Addr().String())
	if err != nil {
		x.fail("fence: %v", err)
		return
	}
	defer conn.Close()
	mine := func(c *backendConn) bool { return c.RemoteAddr().String() == conn.LocalAddr().String() }
	if !x.await(func() bool { return slices.ContainsFunc(x.conns, mine) }) {
		x.fail("fence: the backend did not accept")
	}
	x.update(func() { x.conns = slices.DeleteFunc(x.conns, mine) })
}

// endConns ends all backend connections and waits for the end of their scripts.
func (x *exchange) endConns() {
	x.mu.Lock()
	conns := slices.Clone(x.conns)
	x.mu.Unlock()
	for _, c := range conns {
		c.end()
	}
	for _, c := range conns {
		<-c.ended
	}
}

// plansFor returns the ways in which a row's bytes are cut.
func plansFor(r *row) (plans []plan) {
	if r.follow {
		plans = append(plans, plan{follow: true})
	}
	if r.alone || len(r.client) > 0 {
		return plans
	}
	if r.out > 0 {
		for _, at := range cuts(r.out) {
			plans = append(plans, plan{backend: at})
		}
		return plans
	}
	for _, at := range cuts(len(r.in)) {
		plans = append(plans, plan{client: at})
	}
	if len(r.in) <= 90 {
		plans = append(plans, plan{bytewise: true})
	}
	return plans
}

// cuts returns where n bytes are cut in two: everywhere if they are few, else
// near their ends and here and there.
func cuts(n int) (all []int) {
	const few, ends, between = 200, 24, 40
	for at := 1; at < n; at++ {
		near := at <= ends || at >= n-ends
		if n <= few || near || at%(n/between) == 0 {
			all = append(all, at)
		}
	}
	if testing.Short() {
		all = slices.DeleteFunc(all, func(at int) bool { return at%8 != 0 })
	}
	return all
}

// report shows a run that went wrong.
func (x *exchange) report(faults []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "RFC %s, %s\n", x.row.rfc, x.plan)
	for _, fault := range faults {
		fmt.Fprintf(&b, "  * %s\n", fault)
	}
	if x.row.in != "" {
		fmt.Fprintf(&b, "    client sent: %q\n", long(x.row.in))
	}
	fmt.Fprintf(&b, "    client got:  %q, then %q\n", long(string(x.raw)), x.ending)
	for _, m := range x.seen {
		fmt.Fprintf(&b, "    backend saw on connection %d: %s\n", m.conn+1, m)
	}
	return b.String()
}

func long(s string) string {
	if len(s) > 1000 {
		return s[:700] + " ... " + s[len(s)-200:]
	}
	return s
}
