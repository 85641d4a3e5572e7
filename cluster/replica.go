package cluster

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"evenkeel/fsm"
)

// snapshotFormat is the first line of a Raft snapshot: the index of the last
// command within it. raft does not tell the state machine which index a
// snapshot ends at, and a linearizable read needs to know.
const snapshotFormat = "evenkeel-replica 1 %d\n"

// replica is raft's state machine: it applies committed entries to the
// registry and publishes the result, once per batch.
//
// raft calls its methods from one goroutine.
type replica struct {
	views   *views
	waiters *waiters
	// committed is told of each batch before it is applied.
	committed func(index, term uint64)
	// applied is told of each batch behind it; nil keeps no record.
	applied *appliedRecord
	// ignored counts votes that did not count; nil counts nothing.
	ignored *atomic.Uint64
	// detach is told why the replica cannot go on. It must not wait for raft.
	detach func(reason error)
	// applier is fsm.Apply but for tests: nil.
	applier func(*fsm.State, []fsm.Command) (*fsm.State, []fsm.Result)

	state *fsm.State
	index uint64
	// frozen is why the replica stopped. A replica that went on after an entry
	// that it cannot read would hold another state than the others.
	frozen error
}

var (
	_ raft.BatchingFSM = (*replica)(nil)

	errFrozen = errors.New("the replica has stopped")
)

// Apply implements [raft.FSM].
func (r *replica) Apply(log *raft.Log) any { return r.ApplyBatch([]*raft.Log{log})[0] }

// ApplyBatch implements [raft.BatchingFSM]. What it returns is only whether
// the entry was applied: each origin takes the result of its command from its
// own replica.
func (r *replica) ApplyBatch(logs []*raft.Log) []any {
	responses := make([]any, len(logs))
	if last := logs[len(logs)-1]; r.frozen == nil {
		r.committed(last.Index, last.Term)
	}
	var done []outcome
	for next := 0; next < len(logs) && r.frozen == nil; {
		var entries []entry
		var err error
		entries, next, err = decodeEntries(logs, next)
		done = r.apply(entries, done)
		if err != nil && r.frozen == nil {
			r.freeze(err)
		}
	}
	if r.index != r.views.applied.Load().index {
		r.views.advance(r.state, r.index)
	}
	if last := logs[len(logs)-1]; r.frozen == nil {
		r.applied.note(last.Index, last.Term)
	} else {
		refuse(logs, responses, r.index)
	}
	r.waiters.finish(done)
	return responses
}

// refuse fills in the responses of a replica that stopped behind an entry.
func refuse(logs []*raft.Log, responses []any, last uint64) {
	for i, log := range logs {
		if log.Type == raft.LogCommand && log.Index > last {
			responses[i] = errFrozen
		}
	}
}

// entry is what one entry of the log holds.
type entry struct {
	index    uint64
	commands []fsm.Command
}

// maxTogether bounds the commands that are applied as if they were of one entry.
const maxTogether = 1024

// decodeEntries reads the commands of the logs from one on, until they are many. It
// returns which log comes next. An error is that of the next one, which cannot be
// read.
func decodeEntries(logs []*raft.Log, from int) (entries []entry, next int, err error) {
	commands := 0
	for next = from; next < len(logs) && commands < maxTogether; next++ {
		log := logs[next]
		if log.Type != raft.LogCommand {
			continue
		}
		decoded, err := fsm.DecodeEntry(log.Data)
		if err != nil {
			return entries, next, fmt.Errorf("apply entry %d: %w", log.Index, err)
		}
		entries = append(entries, entry{log.Index, decoded})
		commands += len(decoded)
	}
	return entries, next, nil
}

// apply applies entries that follow each other and appends what became of their
// commands. The state that follows is the same as if each were applied by itself,
// and costs a fraction where they are many, since the trees are not copied for each:
// so a node catches up. If that panics, they are applied one by one, up to the one
// that does.
func (r *replica) apply(entries []entry, done []outcome) []outcome {
	if len(entries) == 0 {
		return done
	}
	var commands []fsm.Command
	for _, e := range entries {
		commands = append(commands, e.commands...)
	}
	err := r.perform(commands, entries[len(entries)-1].index, &done)
	switch {
	case err == nil:
	case len(entries) == 1:
		r.freeze(fmt.Errorf("apply entry %d: %w", entries[0].index, err))
	default:
		for i := range entries {
			if r.frozen == nil {
				done = r.apply(entries[i:i+1], done)
			}
		}
	}
	return done
}

// perform contains panics: to end every replica at the same entry would be the one
// fault that no other node can make good. With an error nothing has changed.
func (r *replica) perform(commands []fsm.Command, index uint64, done *[]outcome) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	apply := fsm.Apply
	if r.applier != nil {
		apply = r.applier
	}
	state, results := apply(r.state, commands)
	r.state, r.index = state, index
	for i, command := range commands {
		*done = append(*done, outcome{command.ID, results[i]})
		if _, votes := command.Op.(fsm.CastVotes); votes && r.ignored != nil {
			r.ignored.Add(uint64(results[i].Ignored))
		}
	}
	return nil
}

func (r *replica) freeze(reason error) {
	r.frozen = reason
	r.detach(fmt.Errorf("%w: this build cannot follow the cluster any further: start a build that can", reason))
}

// beyondBuild is not nil if the cluster uses commands that this build lacks: it
// was started in place of a newer one.
func beyondBuild(state *fsm.State) error {
	if level := state.FeatureLevel(); level > fsm.FeatureLevel {
		return fmt.Errorf("the cluster is at feature level %d and this build can apply commands up to level %d: start a newer build", level, fsm.FeatureLevel)
	}
	return nil
}

// Snapshot implements [raft.FSM]. It is a kept pointer.
func (r *replica) Snapshot() (raft.FSMSnapshot, error) {
	if r.frozen != nil {
		// raft believes that the replica is further than it is.
		return nil, r.frozen
	}
	return &replicaSnapshot{r.state, r.index}, nil
}

// Restore implements [raft.FSM].
func (r *replica) Restore(source io.ReadCloser) error {
	if r.frozen != nil {
		return r.frozen
	}
	buffered := bufio.NewReaderSize(source, 1<<16)
	line, err := buffered.ReadString('\n')
	if err != nil {
		return fmt.Errorf("read snapshot: %w", err)
	}
	var index uint64
	if _, err := fmt.Sscanf(line, snapshotFormat, &index); err != nil {
		return fmt.Errorf("read snapshot: its first line is %.40q: it is not one of Evenkeel's, or of a newer build", line)
	}
	state, err := fsm.ReadSnapshot(buffered)
	if err != nil {
		return err
	}
	if err := beyondBuild(state); err != nil {
		r.frozen = err
		r.detach(err)
		return err
	}
	r.state, r.index = state, index
	r.views.advance(state, index)
	// Commands that the snapshot contains are never applied here.
	r.waiters.restored(state)
	return nil
}

type replicaSnapshot struct {
	state *fsm.State
	index uint64
}

// Persist implements [raft.FSMSnapshot].
func (s *replicaSnapshot) Persist(sink raft.SnapshotSink) error {
	_, err := fmt.Fprintf(sink, snapshotFormat, s.index)
	if err == nil {
		err = s.state.WriteSnapshot(sink)
	}
	if err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

// Release implements [raft.FSMSnapshot].
func (*replicaSnapshot) Release() {}
