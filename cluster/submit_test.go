package cluster

import (
	"context"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/raft"
)

// countedLog counts the entries of each write, and holds writes up.
type countedLog struct {
	*raft.InmemStore
	mu     sync.Mutex // guards writes
	writes []int
	held   chan struct{} // nil: they are not held up
}

func (l *countedLog) StoreLog(log *raft.Log) error { return l.StoreLogs([]*raft.Log{log}) }

func (l *countedLog) StoreLogs(logs []*raft.Log) error {
	l.mu.Lock()
	l.writes = append(l.writes, len(logs))
	held := l.held
	l.mu.Unlock()
	if held != nil {
		<-held
	}
	return l.InmemStore.StoreLogs(logs)
}

// hold holds up the writes that begin from now on, and forgets those before.
func (l *countedLog) hold() (release func()) {
	held := make(chan struct{})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held, l.writes = held, nil
	return func() { close(held) }
}

func (l *countedLog) sizes() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.writes)
}

// deaf is a state machine that takes everything.
type deaf struct{}

func (deaf) Apply(*raft.Log) any                  { return nil }
func (deaf) Snapshot() (raft.FSMSnapshot, error)  { return nil, raft.ErrNothingNewToSnapshot }
func (deaf) Restore(snapshot io.ReadCloser) error { return snapshot.Close() }

// TestCommandsThatComeDuringAWriteShareTheNext: on a slow disk each write that a
// command has to wait for is as long as the disk takes.
func TestCommandsThatComeDuringAWriteShareTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &countedLog{InmemStore: raft.NewInmemStore()}
		config := raft.DefaultConfig()
		config.LocalID, config.LogOutput = "n1", io.Discard
		address, transport := raft.NewInmemTransport("n1")
		alone := raft.Configuration{Servers: []raft.Server{{ID: config.LocalID, Address: address}}}
		if err := raft.BootstrapCluster(config, log, log, raft.NewInmemSnapshotStore(), transport, alone); err != nil {
			t.Fatal(err)
		}
		replica, err := raft.NewRaft(config, deaf{}, log, log, raft.NewInmemSnapshotStore(), transport)
		if err != nil {
			t.Fatal(err)
		}
		for !<-replica.LeaderCh() {
		}
		synctest.Wait()
		ctx, stop := context.WithCancel(t.Context())
		s := newSubmitter()
		go s.run(ctx, &consensus{raft: replica, ended: make(chan struct{})})
		release := log.hold()
		var submitted sync.WaitGroup
		submit := func() {
			submitted.Go(func() {
				if err := s.submit(ctx, []byte("{}")); err != nil {
					t.Errorf("the command is not applied: %v", err)
				}
			})
			synctest.Wait()
		}
		submit()
		for range maxEntries - 1 {
			submit()
		}
		release()
		submitted.Wait()
		if got, want := log.sizes(), []int{1, maxEntries - 1}; !slices.Equal(got, want) {
			t.Errorf("the writes were of %v entries, want %v", got, want)
		}
		stop()
		<-s.ended
		if err := replica.Shutdown().Error(); err != nil {
			t.Error(err)
		}
	})
}
