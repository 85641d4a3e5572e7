package health

import "time"

// When a node that has no leader trusts its own probes.
const (
	// grace is longer than a leader's death ever takes to be made good (0.4 s
	// mostly, 0.55 s at worst, a second on a busy machine), and shorter than
	// people wait: from then on verdicts grow old.
	grace = 3 * time.Second
	// pollPeriod is how often a node looks whether it has a leader.
	pollPeriod = 100 * time.Millisecond
)

// connection is how this node's tie to the cluster stands.
type connection struct {
	connected func() bool
	polled    time.Duration
	alone     time.Duration // how long it has had no leader, as far as it looked
}

// next returns when to look again.
func (c *connection) next() time.Duration {
	if c.connected == nil {
		return never
	}
	return c.polled + pollPeriod
}

// look asks whether the node is connected and adds up how long it is not. A
// process that was stopped did not look, and must not blame the cluster.
func (c *connection) look(now time.Duration) (alone time.Duration) {
	if c.connected() {
		c.alone = 0
	} else {
		c.alone += min(now-c.polled, 2*pollPeriod)
	}
	c.polled = now
	return c.alone
}

// watchQuorum begins and ends the time in which this node's own opinions stand
// in place of the verdicts. hint is set when there is reason to look at once.
func (o *Observer) watchQuorum(hint bool) {
	now := o.now()
	if o.connection.connected == nil || !hint && now < o.connection.next() {
		return
	}
	alone := o.connection.look(now)
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case alone >= grace && !o.cutOff:
		o.logger.Warn("this node has no leader: its own probes decide which backends it uses", "for", alone.Round(time.Millisecond))
	case alone == 0 && o.cutOff:
		o.logger.Info("this node has a leader again: the cluster's verdicts decide")
	default:
		return
	}
	o.cutOff, o.words.changed = !o.cutOff, true
	o.planAll(o.state)
}
