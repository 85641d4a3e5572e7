package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"evenkeel/cluster/peer"
	"evenkeel/fsm"
)

// maxForwards bounds the calls with commands that are under way to one leader. With
// fewer, commands wait for each other; with more, each call has fewer of them.
const maxForwards = 2

// forwarder sends what this node proposes to the leader. Commands that come while
// calls are under way share the next one: a call costs many times what a command in
// it does. Safe for concurrent use.
type forwarder struct {
	// call sends commands to a leader and returns what became of each: nil,
	// errNotLeader, errOverloaded, errRefused or errUnknown. It returns soon when its
	// context ends.
	call func(ctx context.Context, leader string, commands [][]byte) []error

	calls sync.WaitGroup

	mu     sync.Mutex // guards what follows, and what hangs on it
	queues map[string]*forwardQueue
}

// forwardQueue is what waits for one leader. It is there while there are calls.
type forwardQueue struct {
	waiting []*forwarded
	calls   int
}

// forwarded is one command on its way.
type forwarded struct {
	command []byte
	done    chan error // gets one error or nil
	sent    *forwardBatch
}

// forwardBatch is one call.
type forwardBatch struct {
	all    []*forwarded
	cared  int // how many of all somebody waits for
	cancel context.CancelFunc
}

func newForwarder(call func(context.Context, string, [][]byte) []error) *forwarder {
	return &forwarder{call: call, queues: map[string]*forwardQueue{}}
}

// forward returns what became of the command, an error of call's, when that is known
// or ctx ends. This node's own replica may apply the command before the leader's answer
// is here: then it returns that result, and the call goes on.
func (f *forwarder) forward(ctx context.Context, leader string, command []byte, applied <-chan fsm.Result) (*fsm.Result, error) {
	one := &forwarded{command: command, done: make(chan error, 1)}
	f.mu.Lock()
	q := f.queues[leader]
	if q == nil {
		q = &forwardQueue{}
		f.queues[leader] = q
	}
	q.waiting = append(q.waiting, one)
	if q.calls < maxForwards {
		q.calls++
		f.calls.Go(func() { f.send(context.WithoutCancel(ctx), leader, q) })
	}
	f.mu.Unlock()
	select {
	case err := <-one.done:
		return nil, err
	case result := <-applied:
		return &result, nil
	case <-ctx.Done():
		return nil, f.leave(q, one, context.Cause(ctx))
	}
}

// leave ends the wait for a command. The call that has it ends when nobody waits for
// any of it any more.
func (f *forwarder) leave(q *forwardQueue, one *forwarded, cause error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one.sent == nil {
		q.waiting = slices.DeleteFunc(q.waiting, func(other *forwarded) bool { return other == one })
		return fmt.Errorf("%w: it was not asked: %w", errNotLeader, cause)
	}
	if one.sent.cared--; one.sent.cared == 0 {
		one.sent.cancel()
	}
	return fmt.Errorf("%w: %w", errUnknown, cause)
}

// send makes calls until nothing waits.
func (f *forwarder) send(ctx context.Context, leader string, q *forwardQueue) {
	for {
		within, cancel := context.WithTimeoutCause(ctx, repeatPatience, errSlow)
		batch := f.take(leader, q, cancel)
		if batch == nil {
			cancel()
			return
		}
		commands := make([][]byte, len(batch.all))
		for i, one := range batch.all {
			commands[i] = one.command
		}
		outcomes := f.call(within, leader, commands)
		cancel()
		for i, one := range batch.all {
			one.done <- outcomes[i]
		}
	}
}

// take returns what the next call has, within the bounds of an entry, or nil.
func (f *forwarder) take(leader string, q *forwardQueue, cancel context.CancelFunc) *forwardBatch {
	f.mu.Lock()
	defer f.mu.Unlock()
	count, size := 0, 0
	for count < len(q.waiting) && count < maxEntryCommands && (count == 0 || size+len(q.waiting[count].command) <= maxEntryBytes) {
		size += len(q.waiting[count].command)
		count++
	}
	if count == 0 {
		if q.calls--; q.calls == 0 {
			delete(f.queues, leader)
		}
		return nil
	}
	batch := &forwardBatch{all: slices.Clone(q.waiting[:count]), cared: count, cancel: cancel}
	q.waiting = slices.Delete(q.waiting, 0, count)
	for _, one := range batch.all {
		one.sent = batch
	}
	return batch
}

// callLeader is the call of a node's forwarder.
func (n *Node) callLeader(ctx context.Context, leader string, commands [][]byte) []error {
	if len(commands) > 1 {
		var response proposalsResponse
		err := n.port.RPC().Call(ctx, leader, methodProposals, proposalsRequest{Commands: commands}, &response)
		switch {
		case peer.IsRemote(err, peer.CodeUnknownMethod): // an older build, which takes them one by one
		case err == nil && len(response.Outcomes) != len(commands):
			return repeated(fmt.Errorf("%w: the leader answered for %d commands of %d", errUnknown, len(response.Outcomes), len(commands)), len(commands))
		case err != nil:
			return repeated(callOutcome(err), len(commands))
		default:
			return response.errors()
		}
	}
	outcomes := make([]error, len(commands))
	var calls sync.WaitGroup
	for i, command := range commands {
		calls.Go(func() {
			outcomes[i] = callOutcome(n.port.RPC().Call(ctx, leader, methodPropose, proposeRequest{Command: command}, nil))
		})
	}
	calls.Wait()
	return outcomes
}

func repeated(err error, times int) []error { return slices.Repeat([]error{err}, times) }

func (r proposalsResponse) errors() []error {
	all := make([]error, len(r.Outcomes))
	for i, one := range r.Outcomes {
		if one.Code != "" {
			all[i] = callOutcome(&peer.RemoteError{Code: one.Code, Message: one.Message})
		}
	}
	return all
}

// takeCommands is the leader's end of commands that were forwarded together. Each
// has an outcome of its own.
func (n *Node) takeCommands(ctx context.Context, caller string, request proposalsRequest) (proposalsResponse, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, repeatPatience, errSlow)
	defer cancel()
	response := proposalsResponse{Outcomes: make([]proposalOutcome, len(request.Commands))}
	waits := make([]func(context.Context) error, len(request.Commands))
	for i, command := range request.Commands {
		waits[i] = n.beginCommand(caller, command)
	}
	for i, wait := range waits {
		if err := wait(ctx); err != nil {
			response.Outcomes[i] = proposalOutcome{Code: outcomeCode(err), Message: err.Error()}
		}
	}
	return response, nil
}
