package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"evenkeel/cluster/peer"
	"evenkeel/fsm"
)

// What a caller of Propose and ReadIndex can meet, besides the cause of its
// context. Test with errors.Is.
var (
	// ErrNoQuorum: there is no leader. Nothing was written.
	ErrNoQuorum = errors.New("no leader: a majority of the nodes cannot be reached")
	// ErrOutcomeUnknown: the write was sent and may still be applied.
	ErrOutcomeUnknown = errors.New("the outcome of the write is unknown")
	// ErrOverloaded: more writes are waiting than are taken. Nothing was
	// written.
	ErrOverloaded = errors.New("too many writes are waiting")
	// ErrDetached: this node has no part in the cluster any more. Nothing was
	// written; Status says why.
	ErrDetached = errors.New("this node is detached from the cluster")
)

const (
	// leaderPatience is how long a write waits while there is no leader: longer
	// than the change of a leader takes, so that a client does not see one.
	leaderPatience = 2 * time.Second
	// electionsPatience is how long a write that was not sent waits in all, if
	// leaders come and go before they take it: a client that waits for 5 s is to
	// learn that nothing was written.
	electionsPatience = 4 * time.Second
	// repeatPatience is how long a write that was sent is repeated.
	repeatPatience = 5 * time.Second
	// repeatPause is between attempts that failed at once.
	repeatPause = 5 * time.Millisecond
)

// Propose replicates a command, whose ID and Time it sets, and waits until the
// state of this node holds it, so that a reader of State sees its own write. A refusal by the registry
// is Result.Err, not an error; nor is it one if the operation is too large (1
// MiB when encoded).
//
// Without a leader it waits 2 s and returns [ErrNoQuorum], which it does after 4 s
// also if leaders come and go and none has taken the write. A write that was sent is repeated under the same command id for at most 5 s, and
// then is [ErrOutcomeUnknown], as it is when ctx ends before the outcome is
// known; ctx's cause is wrapped too. A node that stops returns [ErrStopping].
// Whatever else is returned, nothing was written. Propose may be called
// concurrently.
func (n *Node) Propose(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	if err := n.callers.enter(); err != nil {
		return fsm.Result{}, fmt.Errorf("propose: %w", err)
	}
	defer n.callers.leave()
	return n.propose(ctx, c)
}

func (n *Node) propose(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	if err := n.detachedError(); err != nil {
		return fsm.Result{}, err
	}
	if refusal := fsm.ValidateCommand(c); refusal != nil {
		return n.refused(refusal), nil
	}
	begun := time.Now()
	if err := n.awaitFormed(ctx, c.Op); err != nil {
		return fsm.Result{}, fmt.Errorf("propose: %w", err)
	}
	if refusal := n.State().CheckLevel(c); refusal != nil {
		return n.refused(refusal), nil // a node of an older build could not read it
	}
	// Room comes within the patience for a leader, as all who take it wait for
	// one too.
	waiting, cancel := context.WithTimeoutCause(ctx, leaderPatience, ErrOverloaded)
	id, result, err := n.waiters.add(waiting)
	cancel()
	if err != nil {
		return fsm.Result{}, fmt.Errorf("propose: %w", err)
	}
	defer n.waiters.remove(id)
	c.ID, c.Time = id, time.Now().UTC()
	command, refusal, err := Encode(c)
	if err != nil {
		return fsm.Result{}, fmt.Errorf("propose: %w", err)
	}
	if refusal != nil {
		return n.refused(refusal), nil
	}
	p := &proposal{node: n, command: command, result: result, begun: begun}
	applied, err := p.run(ctx)
	if err == nil {
		n.applied.await(ctx)
	}
	return applied, err
}

// Encode returns a command as it is replicated, or as [Node.Propose] does the
// refusal of one that is too large for that.
func Encode(c fsm.Command) (command []byte, refusal *fsm.Error, err error) {
	command, err = fsm.EncodeCommand(c)
	switch {
	case errors.As(err, &refusal):
		return nil, refusal, nil
	case err != nil:
		return nil, nil, err
	case len(command) > maxCommand:
		return nil, &fsm.Error{Code: fsm.CodeTooLarge, Faults: []fsm.Fault{{
			Message: fmt.Sprintf("the write has %d bytes when encoded, at most %d are taken: split it", len(command), maxCommand)}}}, nil
	}
	return command, nil, nil
}

func (n *Node) refused(refusal *fsm.Error) fsm.Result {
	state := n.State()
	return fsm.Result{Version: state.Version(), Revision: state.Revision(), Err: refusal}
}

// awaitFormed returns nil once this node's state is that of a cluster: a new one
// has a leader a moment before that gives it its first objects, and would refuse
// a write as if the client were at fault.
func (n *Node) awaitFormed(ctx context.Context, op fsm.Operation) error {
	if _, forms := op.(fsm.Init); forms {
		return nil
	}
	timer := time.NewTimer(leaderPatience)
	defer timer.Stop()
	detached, _ := n.detachment.current()
	for {
		state, replaced := n.Watch()
		if state.ClusterID() != "" {
			return nil
		}
		select {
		case <-replaced:
		case <-timer.C:
			return fmt.Errorf("%w: this node has not got the registry of a cluster yet", ErrNoQuorum)
		case <-detached:
			return n.detachedError()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// proposal is one command on its way.
type proposal struct {
	node    *Node
	command []byte
	result  <-chan fsm.Result
	begun   time.Time
	// led is when there was last a leader to send it to; zero: never.
	led time.Time
	// early is the result, if this node's replica had it before the leader answered.
	early *fsm.Result
	// sent is when the command may first have reached a log; zero: never.
	sent time.Time
}

func (p *proposal) run(ctx context.Context) (fsm.Result, error) {
	for {
		begun := time.Now()
		err := p.attempt(ctx)
		if p.early != nil {
			return *p.early, nil
		}
		select {
		case result := <-p.result:
			return result, nil
		default:
		}
		if p.sent.IsZero() && (err == nil || errors.Is(err, errUnknown)) {
			p.sent = begun
		}
		if err == nil {
			// The leader has applied it, this node is about to.
			return p.await(ctx)
		}
		if result, planted := p.plantedAcknowledgement(); planted {
			return result, nil
		}
		if err := p.giveUp(ctx, err); err != nil {
			return fsm.Result{}, err
		}
		p.plantedRepeat(ctx, err)
		select {
		case result := <-p.result:
			return result, nil
		case <-time.After(repeatPause):
		case <-ctx.Done():
		}
	}
}

// left is how long a command that was sent may go on.
func (p *proposal) left() time.Duration {
	if p.sent.IsZero() {
		return repeatPatience // from its sending, which is about to be
	}
	return repeatPatience - time.Since(p.sent)
}

// patience is how long an attempt may wait for a leader.
func (p *proposal) patience() time.Duration {
	if !p.sent.IsZero() {
		return p.left()
	}
	since := p.begun
	if p.led.After(since) {
		since = p.led
	}
	return min(time.Until(since.Add(leaderPatience)), time.Until(p.begun.Add(electionsPatience)))
}

// giveUp returns the error to end with, or nil to go on.
func (p *proposal) giveUp(ctx context.Context, err error) error {
	detached := p.node.detachedError()
	if !p.sent.IsZero() {
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("propose: %w: %w", ErrOutcomeUnknown, context.Cause(ctx))
		case detached != nil:
			return fmt.Errorf("propose: %w: this node detached", ErrOutcomeUnknown)
		case time.Since(p.sent) >= repeatPatience:
			return fmt.Errorf("propose: %w after %s: %w", ErrOutcomeUnknown, repeatPatience, err)
		}
		return nil
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("propose: %w", context.Cause(ctx))
	case detached != nil:
		return detached
	case errors.Is(err, errOverloaded):
		return fmt.Errorf("propose: %w: %w", ErrOverloaded, err)
	case errors.Is(err, errRefused):
		return fmt.Errorf("propose: %w", err)
	case p.patience() <= 0:
		return fmt.Errorf("propose: %w: %w", ErrNoQuorum, err)
	}
	return nil
}

// await waits for this node's own replica.
func (p *proposal) await(ctx context.Context) (fsm.Result, error) {
	timer := time.NewTimer(p.left())
	defer timer.Stop()
	detached, _ := p.node.detachment.current()
	select {
	case result := <-p.result:
		return result, nil
	case <-detached:
		return fsm.Result{}, fmt.Errorf("propose: %w: this node detached before it could read the result", ErrOutcomeUnknown)
	case <-timer.C:
		return fsm.Result{}, fmt.Errorf("propose: %w: the write is committed, but this node has not caught up within %s", ErrOutcomeUnknown, repeatPatience)
	case <-ctx.Done():
		return fsm.Result{}, fmt.Errorf("propose: %w: %w", ErrOutcomeUnknown, context.Cause(ctx))
	}
}

// errRefused: a leader will not take the command, now or later.
var errRefused = errors.New("the leader refuses the command")

// attempt submits the command once to whoever leads. It returns nil when the
// leader has applied it; errUnknown when it may be in a log; any other error
// when this attempt appended nothing.
func (p *proposal) attempt(ctx context.Context) error {
	n := p.node
	leader, err := n.awaitLeader(ctx, p.patience())
	if err != nil {
		return err
	}
	p.led = time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, p.left(), errSlow)
	defer cancel()
	return n.untilLeaderChanges(ctx, leader, func(ctx context.Context) error {
		if leader == n.UID() {
			return n.appendCommand(ctx, p.command)
		}
		result, err := n.forwarder.forward(ctx, leader, p.command, p.result)
		p.early = result
		return err
	})
}

var errSlow = errors.New("the leader does not answer")

// The codes with which a leader answers a forwarded command.
const (
	codeNotLeader  = "not-leader"
	codeOverloaded = "overloaded"
	codeRefused    = "refused"
	codeUnknown    = "outcome-unknown"
)

// callOutcome sorts the errors of a call by whether the command can be in a
// log. Only what surely did not get there is not unknown.
func callOutcome(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, peer.ErrUnreachable), peer.IsRemote(err, codeNotLeader), peer.IsRemote(err, peer.CodeUnknownMethod):
		return fmt.Errorf("%w: %w", errNotLeader, err)
	case peer.IsRemote(err, codeOverloaded):
		return fmt.Errorf("%w: %w", errOverloaded, err)
	case peer.IsRemote(err, codeRefused), peer.IsRemote(err, peer.CodeTooLarge), peer.IsRemote(err, peer.CodeBadRequest):
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return fmt.Errorf("%w: %w", errUnknown, err)
}

// answerOutcome is the leader's side of callOutcome.
func answerOutcome(err error) error {
	if err == nil {
		return nil
	}
	return &peer.RemoteError{Code: outcomeCode(err), Message: err.Error()}
}

func outcomeCode(err error) string {
	switch {
	case errors.Is(err, errNotLeader):
		return codeNotLeader
	case errors.Is(err, errOverloaded):
		return codeOverloaded
	case errors.Is(err, errRefused):
		return codeRefused
	}
	return codeUnknown
}

// takeCommand is the leader's end of a forwarded command.
func (n *Node) takeCommand(ctx context.Context, caller string, request proposeRequest) (empty, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, repeatPatience, errSlow)
	defer cancel()
	return empty{}, answerOutcome(n.beginCommand(caller, request.Command)(ctx))
}

// beginCommand submits a command of another node to this one as the leader. The
// function that it returns waits for the outcome.
func (n *Node) beginCommand(caller string, command []byte) (wait func(context.Context) error) {
	refused := func(err error) func(context.Context) error {
		return func(context.Context) error { return err }
	}
	if own, _, _ := n.leaders.current(); own == nil {
		return refused(errNotLeader)
	}
	op, err := checkCommand(command, caller)
	if err != nil {
		return refused(fmt.Errorf("%w: %w", errRefused, err))
	}
	if err := n.admitVotes(op, caller); err != nil {
		return refused(err)
	}
	c := n.consensus.Load()
	if c == nil {
		return refused(errNotLeader)
	}
	return c.submitter.begin(command)
}

// appendCommand submits a command of this node to itself as the leader.
func (n *Node) appendCommand(ctx context.Context, command []byte) error {
	c := n.consensus.Load()
	if c == nil {
		return errNotLeader
	}
	return c.submitter.submit(ctx, command)
}

// awaitLeader returns the UID of the leader, waiting for one if there is none.
// This node counts once it may vouch for what earlier leaders committed.
func (n *Node) awaitLeader(ctx context.Context, patience time.Duration) (string, error) {
	timer := time.NewTimer(max(patience, 0))
	defer timer.Stop()
	for {
		detached, _ := n.detachment.current()
		own, uid, changed := n.leaders.current()
		if uid != "" && (uid != n.UID() || own != nil && own.isReady()) {
			return uid, nil
		}
		select {
		case <-changed:
		case <-timer.C:
			return "", errNoLeader
		case <-detached:
			return "", n.detachedError()
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

var errNoLeader = errors.New("no leader is known")

// untilLeaderChanges runs call with a context that ends as soon as another
// node leads, or none has for leaderPatience: a leader that is paused or cut
// off never answers.
func (n *Node) untilLeaderChanges(ctx context.Context, leader string, call func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error, 1)
	go func() { done <- call(ctx) }()
	leaderless := time.NewTimer(leaderPatience)
	defer leaderless.Stop()
	for {
		_, uid, changed := n.leaders.current()
		switch {
		case uid == leader:
			leaderless.Reset(leaderPatience)
		case uid != "":
			cancel(errLeaderChanged)
			return <-done // call returns soon, its context has ended
		}
		select {
		case err := <-done:
			return err
		case <-changed:
		case <-leaderless.C:
			if uid == "" {
				cancel(errNoLeader)
				return <-done
			}
			leaderless.Reset(leaderPatience)
		}
	}
}

var errLeaderChanged = errors.New("another node leads now")
