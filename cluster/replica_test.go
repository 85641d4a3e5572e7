package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"evenkeel/fsm"
)

// logOf returns entries with a command or three each, and now and then one that
// is not for the registry.
func logOf(t testing.TB, entries int) []*raft.Log {
	t.Helper()
	seq := uint64(0)
	encode := func(op fsm.Operation) []byte {
		seq++
		data, err := fsm.EncodeCommand(fsm.Command{ID: fsm.CommandID{Origin: "n1", Seq: seq}, Time: time.Unix(int64(seq), 0).UTC(), Actor: "a", Op: op})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	logs := []*raft.Log{{Index: 1, Term: 1, Data: fsm.EncodeEntry([][]byte{encode(fsm.Init{ClusterID: "c", FeatureLevel: 1, Objects: fsm.DefaultObjects()})})}}
	for index := uint64(2); len(logs) < entries; index++ {
		if index%7 == 0 {
			logs = append(logs, &raft.Log{Index: index, Term: 1, Type: raft.LogConfiguration})
			continue
		}
		var commands [][]byte
		for range 1 + index%3 {
			spec := fsm.BackendSpec{Address: fmt.Sprintf("10.0.0.%d:80", seq%100+1)} // some are refused: another has it
			spec.SetDefaults()
			commands = append(commands, encode(fsm.Put{Pool: "default", Name: fmt.Sprintf("b%d", seq%70), Spec: spec}))
		}
		logs = append(logs, &raft.Log{Index: index, Term: 1, Data: fsm.EncodeEntry(commands)})
	}
	return logs
}

// TestEntriesAppliedTogetherGiveWhatEachByItselfGives also beyond maxTogether.
func TestEntriesAppliedTogetherGiveWhatEachByItselfGives(t *testing.T) {
	logs := logOf(t, 2*maxTogether)
	one, together := newOfflineReplica(), newOfflineReplica()
	for _, log := range logs {
		one.Apply(log)
	}
	responses := together.ApplyBatch(logs)
	if one.frozen != nil || together.frozen != nil || slices.ContainsFunc(responses, func(r any) bool { return r != nil }) {
		t.Fatalf("one by one: %v; together: %v", one.frozen, together.frozen)
	}
	if one.index != together.index || one.state.Digest() != together.state.Digest() || one.state.Version() != together.state.Version() {
		t.Errorf("together they end at %d, version %d, digest %x; one by one at %d, %d, %x", together.index, together.state.Version(), together.state.Digest(),
			one.index, one.state.Version(), one.state.Digest())
	}
	last := uint64(0)
	for _, log := range logs {
		if commands, err := fsm.DecodeEntry(log.Data); err == nil {
			last += uint64(len(commands))
		}
	}
	for seq := last; seq > last-1000; seq-- {
		id := fsm.CommandID{Origin: "n1", Seq: seq}
		got, known := together.state.ResultOf(id)
		want, _ := one.state.ResultOf(id)
		if !known || got.Version != want.Version || (got.Err == nil) != (want.Err == nil) {
			t.Errorf("command %d: %+v, one by one %+v", seq, got, want)
		}
	}
	if view := together.views.applied.Load(); view.index != together.index || view.state != together.state {
		t.Errorf("entry %d is published, %d applied", view.index, together.index)
	}
}

// TestABatchIsAppliedUpToTheEntryThatCannotBe covers one that cannot be read and one
// whose application panics.
func TestABatchIsAppliedUpToTheEntryThatCannotBe(t *testing.T) {
	const bad = 40 // the place in logs
	panics := func(s *fsm.State, commands []fsm.Command) (*fsm.State, []fsm.Result) {
		for _, c := range commands {
			if put, ok := c.Op.(fsm.Put); ok && put.Name == "bad" {
				panic("a bug")
			}
		}
		return fsm.Apply(s, commands)
	}
	for name, damage := range map[string]func(*raft.Log){
		"decode entry": func(log *raft.Log) { log.Data = []byte("[{]") },
		"a bug": func(log *raft.Log) {
			data, err := fsm.EncodeCommand(fsm.Command{ID: fsm.CommandID{Origin: "n2", Seq: 1}, Time: time.Unix(1, 0).UTC(), Op: fsm.Put{Pool: "default", Name: "bad", Spec: fsm.BackendSpec{}}})
			if err != nil {
				t.Fatal(err)
			}
			log.Data = fsm.EncodeEntry([][]byte{data})
		},
	} {
		logs := logOf(t, 60)
		damage(logs[bad])
		want := newOfflineReplica()
		want.ApplyBatch(logs[:bad])
		var detached []error
		got := newOfflineReplica()
		got.applier, got.detach = panics, func(reason error) { detached = append(detached, reason) }
		responses := got.ApplyBatch(logs)
		if got.frozen == nil || !strings.Contains(got.frozen.Error(), fmt.Sprintf("entry %d: ", logs[bad].Index)) || !strings.Contains(got.frozen.Error(), name) || len(detached) != 1 {
			t.Errorf("%s: it stopped by %v, and was detached by %v", name, got.frozen, detached)
		}
		if got.index != want.index || got.state.Digest() != want.state.Digest() {
			t.Errorf("%s: it ends at entry %d, want %d", name, got.index, want.index)
		}
		for i, response := range responses {
			if refused := i >= bad && logs[i].Type == raft.LogCommand; (response != nil) != refused {
				t.Errorf("%s: the response to entry %d is %v", name, logs[i].Index, response)
			}
		}
	}
}

func BenchmarkCatchUp(b *testing.B) {
	logs := logOf(b, 2000)
	for _, together := range []int{1, 64} {
		b.Run(fmt.Sprintf("entries=%d", together), func(b *testing.B) {
			for b.Loop() {
				r := newOfflineReplica()
				for batch := range slices.Chunk(logs, together) {
					r.ApplyBatch(batch)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(logs)), "µs/entry")
		})
	}
}
