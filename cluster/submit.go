package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"evenkeel/fsm"
)

const (
	// maxCommand bounds one encoded command, so that no entry keeps heartbeats
	// waiting behind it for long.
	maxCommand = 1 << 20
	// maxQueued bounds the commands that wait for an entry.
	maxQueued = 1024
	// An entry takes commands until it has this many, or bytes.
	maxEntryCommands = 256
	maxEntryBytes    = 512 << 10
	// maxEntries bounds the entries that are on their way at once.
	maxEntries = 8
	// enqueueTimeout bounds the wait for raft's main loop.
	enqueueTimeout = time.Second
)

// What became of a command that was submitted to this node as leader.
var (
	// errNotLeader: it was not appended, and never will be.
	errNotLeader = errors.New("this node is not the leader")
	// errOverloaded: it was not appended, and never will be.
	errOverloaded = errors.New("the leader has more writes waiting than it takes: try again later")
	// errUnknown: it may be committed later, or never.
	errUnknown = errors.New("the write was sent, and what became of it is not known yet")
)

// submission is one encoded command on the leader.
type submission struct {
	command []byte
	done    chan error // gets one of the above, or nil
}

// submitter is the leader's group commit: commands that arrive while an entry
// is on its way share the next one.
type submitter struct {
	queue chan submission
	ended chan struct{} // closed when run has returned
}

func newSubmitter() *submitter {
	return &submitter{queue: make(chan submission, maxQueued), ended: make(chan struct{})}
}

// begin puts a command, one that fsm.DecodeCommand accepts, into the queue. The
// function that it returns waits until this node's replica has applied the command
// and returns nil, or one of the errors above.
func (s *submitter) begin(command []byte) (wait func(context.Context) error) {
	waiting := submission{command, make(chan error, 1)}
	select {
	case s.queue <- waiting:
	default:
		return func(context.Context) error { return errOverloaded }
	}
	return func(ctx context.Context) error { return s.wait(ctx, waiting) }
}

// submit is begin and the wait.
func (s *submitter) submit(ctx context.Context, command []byte) error { return s.begin(command)(ctx) }

func (s *submitter) wait(ctx context.Context, waiting submission) error {
	select {
	case err := <-waiting.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errUnknown, context.Cause(ctx))
	case <-s.ended:
	}
	select {
	case err := <-waiting.done:
		return err
	default:
		return errNotLeader // nobody took it from the queue, nobody will
	}
}

// run submits until ctx ends, then answers whoever waits and returns after the
// last entry on its way was decided. It runs once.
func (s *submitter) run(ctx context.Context, c *consensus) {
	defer close(s.ended)
	slots := make(chan struct{}, maxEntries)
	var entries sync.WaitGroup
	defer entries.Wait()
	for {
		select {
		case first := <-s.queue:
			slots <- struct{}{} // each is returned in bounded time
			batch := s.gather(first)
			// raft puts into one write all that waits to be taken when it begins one.
			// So each entry waits by itself: were they handed over one after the
			// other, only one could wait, and each would cost a write.
			entries.Go(func() {
				err := decided(c.await(c.raft.Apply(entryOf(batch), enqueueTimeout)))
				for _, one := range batch {
					one.done <- err
				}
				<-slots
			})
		case <-ctx.Done():
			s.refuse()
			return
		}
	}
}

// gather takes what waits already, within the bounds of an entry.
func (s *submitter) gather(first submission) []submission {
	batch, size := []submission{first}, len(first.command)
	for len(batch) < maxEntryCommands && size < maxEntryBytes {
		select {
		case next := <-s.queue:
			batch = append(batch, next)
			size += len(next.command)
		default:
			return batch
		}
	}
	return batch
}

func entryOf(batch []submission) []byte {
	commands := make([][]byte, len(batch))
	for i, one := range batch {
		commands[i] = one.command
	}
	return fsm.EncodeEntry(commands)
}

// refuse answers everything that is still queued.
func (s *submitter) refuse() {
	for {
		select {
		case waiting := <-s.queue:
			waiting.done <- errNotLeader
		default:
			return
		}
	}
}

// decided sorts raft's answers by whether the entry can still be committed.
func decided(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrEnqueueTimeout):
		return errNotLeader
	}
	return fmt.Errorf("%w: %w", errUnknown, err)
}

// checkCommand makes sure that every replica can read a command before it gets
// into the log, where it could not be taken back, and returns what it does.
func checkCommand(command []byte, origin string) (fsm.Operation, error) {
	if len(command) > maxCommand {
		return nil, fmt.Errorf("the command has %d bytes, at most %d are taken: split it", len(command), maxCommand)
	}
	decoded, err := fsm.DecodeCommand(command)
	if err != nil {
		return nil, err
	}
	if decoded.ID.Origin != origin {
		return nil, fmt.Errorf("the command is of node %q and comes from %q", decoded.ID.Origin, origin)
	}
	if _, raises := decoded.Op.(fsm.RaiseLevel); raises {
		return nil, errors.New("only the leader itself raises the level, since it keeps older builds out meanwhile")
	}
	return decoded.Op, nil
}
