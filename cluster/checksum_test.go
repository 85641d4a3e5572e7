package cluster

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

// openTestStore opens the store in a data directory; the caller closes both.
func openTestStore(t testing.TB, dir *dataDir) (*store, error) {
	t.Helper()
	return openStore(dir, slog.New(slog.DiscardHandler))
}

// storeDir makes a data directory whose store is filled.
func storeDir(t testing.TB, fill func(*store)) *dataDir {
	t.Helper()
	dir, err := openDataDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.close() })
	s, err := openTestStore(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	fill(s)
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// inBolt changes a store behind its back.
func inBolt(t testing.TB, dir *dataDir, change func(logs, conf *bbolt.Bucket) error) {
	t.Helper()
	db, err := bbolt.Open(dir.file(fileStore), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error { return change(tx.Bucket([]byte("logs")), tx.Bucket([]byte("conf"))) }); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// testEntries are entries of all kinds.
func testEntries(n int) (all []*raft.Log) {
	kinds := []raft.LogType{raft.LogCommand, raft.LogNoop, raft.LogBarrier, raft.LogConfiguration}
	for i := range n {
		all = append(all, &raft.Log{Index: uint64(i + 1), Term: uint64(1 + i/3), Type: kinds[i%len(kinds)], Data: bytes.Repeat([]byte{byte(i)}, 1+i%40)})
	}
	return all
}

func placeOf(index uint64) []byte { return binary.BigEndian.AppendUint64(nil, index) }

const testVoter = "0a1b2c3d-0000-4000-8000-000000000001"

// filled stores nine entries, a term and a vote.
func filled(t testing.TB) func(*store) {
	return func(s *store) {
		err := errors.Join(s.cache.StoreLogs(testEntries(9)), s.stable.SetUint64(termKey, 7),
			s.stable.SetUint64(votedTermKey, 6), s.stable.Set(votedForKey, []byte(testVoter)))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// wantFilled reads what filled has stored, from the disk.
func wantFilled(t testing.TB, s *store) {
	t.Helper()
	for _, want := range testEntries(9) {
		var got raft.Log
		if err := (checkedLog{s.bolt}).GetLog(want.Index, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(*want, got); diff != "" {
			t.Fatalf("entry %d (-want +got):\n%s", want.Index, diff)
		}
	}
	term, err := s.stable.GetUint64(termKey)
	votedTerm, err2 := s.stable.GetUint64(votedTermKey)
	voter, err3 := s.stable.Get(votedForKey)
	if err := errors.Join(err, err2, err3); err != nil || term != 7 || votedTerm != 6 || string(voter) != testVoter {
		t.Fatalf("term %d, vote in term %d for %q, %v", term, votedTerm, voter, err)
	}
}

func TestEveryStoredEntryCarriesAChecksum(t *testing.T) {
	given := testEntries(9)
	given[4].Extensions = []byte("a peer's")
	dir := storeDir(t, func(s *store) {
		filled(t)(s)
		if err := s.cache.StoreLogs(given); err != nil {
			t.Fatal(err)
		}
		if string(given[4].Extensions) != "a peer's" || given[5].Extensions != nil {
			t.Error("entries that raft shares with replication were changed")
		}
		for index := uint64(1); index <= 9; index++ {
			var raw raft.Log
			if err := s.bolt.GetLog(index, &raw); err != nil || len(raw.Extensions) != sumSize {
				t.Errorf("entry %d is stored with %q, %v", index, raw.Extensions, err)
			}
		}
	})
	s, err := openTestStore(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	wantFilled(t, s)
}

func TestDamageOfAnEntryOrAVoteIsFoundAtTheStart(t *testing.T) {
	move := func(from, to uint64) func(logs, _ *bbolt.Bucket) error {
		return func(logs, _ *bbolt.Bucket) error { return logs.Put(placeOf(to), bytes.Clone(logs.Get(placeOf(from)))) }
	}
	value := func(key, value []byte) func(_, conf *bbolt.Bucket) error {
		return func(_, conf *bbolt.Bucket) error { return conf.Put(key, value) }
	}
	for name, c := range map[string]struct {
		damage func(logs, conf *bbolt.Bucket) error
		want   string
	}{
		"data": {func(logs, _ *bbolt.Bucket) error {
			stored := bytes.Clone(logs.Get(placeOf(4)))
			at := bytes.Index(stored, []byte{3, 3, 3, 3})
			stored[at] ^= 1
			return logs.Put(placeOf(4), stored)
		}, "entry 4 does not match its checksum"},
		"an entry in the place of another": {move(5, 6), "in the place of entry 6 lies entry 5"},
		"an entry that is gone":            {func(logs, _ *bbolt.Bucket) error { return logs.Delete(placeOf(5)) }, "entry 5 is missing between 1 and 9"},
		"a term that was changed":          {value(termKey, append(placeOf(8), 1, 2, 3, 4)), "the value of CurrentTerm does not match"},
		"a term that is cut off":           {value(termKey, []byte{1, 2, 3}), "the value of CurrentTerm does not match"},
		"the term of another key":          {func(_, conf *bbolt.Bucket) error { return conf.Put(termKey, bytes.Clone(conf.Get(votedTermKey))) }, "the value of CurrentTerm does not match"},
		"a vote for nobody":                {value(votedForKey, nil), "the value of LastVoteCand does not match"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := storeDir(t, filled(t))
			inBolt(t, dir, c.damage)
			s, err := openTestStore(t, dir)
			if err == nil {
				s.close()
				t.Fatal("the store opens")
			}
			if !isDamage(err) {
				t.Errorf("%v does not count as damage", err)
			}
			for _, want := range []string{c.want, fileStore} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not name %q", err, want)
				}
			}
		})
	}
}

// TestNoFlippedBitChangesWhatRaftReads flips a bit of every value: either that
// is found, or what counts is as it was.
func TestNoFlippedBitChangesWhatRaftReads(t *testing.T) {
	dir := storeDir(t, filled(t))
	random := rand.New(rand.NewPCG(3, 4))
	sound := map[string][]byte{}
	each := func(of *bbolt.Bucket, f func(key, value []byte) error) error {
		var keys [][]byte
		if err := of.ForEach(func(key, _ []byte) error { keys = append(keys, bytes.Clone(key)); return nil }); err != nil {
			return err
		}
		for _, key := range keys {
			if err := f(key, bytes.Clone(of.Get(key))); err != nil {
				return err
			}
		}
		return nil
	}
	inBolt(t, dir, func(logs, conf *bbolt.Bucket) error {
		keep := func(key, value []byte) error { sound[string(key)] = value; return nil }
		return errors.Join(each(logs, keep), each(conf, keep))
	})
	found, missed := 0, 0
	for range 100 {
		inBolt(t, dir, func(logs, conf *bbolt.Bucket) error {
			for _, bucket := range []*bbolt.Bucket{logs, conf} {
				err := each(bucket, func(key, _ []byte) error {
					value := bytes.Clone(sound[string(key)])
					value[random.IntN(len(value))] ^= 1 << random.IntN(8)
					return bucket.Put(key, value)
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		bolt, err := raftboltdb.New(raftboltdb.Options{Path: dir.file(fileStore), NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		log, stable := checkedLog{bolt}, checkedStable{bolt}
		for _, want := range testEntries(9) {
			var got raft.Log
			err := contained(func() error { return log.GetLog(want.Index, &got) })
			if err != nil {
				found++
				continue
			}
			missed++
			got.AppendedAt = want.AppendedAt // for display
			if diff := cmp.Diff(*want, got); diff != "" {
				t.Errorf("entry %d (-want +got):\n%s", want.Index, diff)
			}
		}
		_, err = stable.GetUint64(termKey)
		_, err2 := stable.GetUint64(votedTermKey)
		_, err3 := stable.Get(votedForKey)
		if err == nil || err2 == nil || err3 == nil {
			t.Errorf("a flipped bit is not found: %v, %v, %v", err, err2, err3)
		}
		if err := bolt.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if t.Logf("%d found, %d in what does not count", found, missed); found < missed {
		t.Error("most are not found")
	}
}

func TestAStoreOfABuildWithoutChecksumsIsRead(t *testing.T) {
	dir := storeDir(t, func(s *store) {
		err := errors.Join(s.bolt.StoreLogs(testEntries(9)), s.bolt.SetUint64(termKey, 7),
			s.bolt.SetUint64(votedTermKey, 6), s.bolt.Set(votedForKey, []byte(testVoter)))
		if err != nil {
			t.Fatal(err)
		}
	})
	s, err := openTestStore(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	wantFilled(t, s)
	// And such a build finds the term that this one writes.
	if err := s.stable.SetUint64(termKey, 8); err != nil {
		t.Fatal(err)
	}
	if term, err := s.bolt.GetUint64(termKey); err != nil || term != 8 {
		t.Errorf("without checksums the term reads %d, %v", term, err)
	}
}

// TestEntriesThatASnapshotSkippedMayBeMissing: a follower that was given a
// snapshot keeps what it had before.
func TestEntriesThatASnapshotSkippedMayBeMissing(t *testing.T) {
	for name, c := range map[string]struct {
		gap         [2]uint64 // its first and last entry
		snapshotEnd uint64
		want        string
	}{
		"the gap ends with the snapshot":         {[2]uint64{4, 1_000_000_000}, 1_000_000_000, ""},
		"the snapshot reaches beyond":            {[2]uint64{4, 500}, 503, ""},
		"the gap reaches beyond the snapshot":    {[2]uint64{4, 500}, 499, "entry 500 is missing"},
		"there is no snapshot":                   {[2]uint64{4, 4}, 0, "entry 4 is missing"},
		"damage before the gap is found":         {[2]uint64{6, 500}, 500, "entry 3 does not match"},
		"damage behind the gap is found as well": {[2]uint64{2, 500}, 500, "entry 503 does not match"},
	} {
		t.Run(name, func(t *testing.T) {
			inner := raft.NewInmemStore()
			log := checkedLog{gapped{inner, c.gap}}
			for index := uint64(1); index <= c.gap[1]+5; index++ {
				if index == c.gap[0] {
					index = c.gap[1] + 1
				}
				if err := log.StoreLog(&raft.Log{Index: index, Term: 1, Data: []byte("x")}); err != nil {
					t.Fatal(err)
				}
			}
			var at uint64
			if _, err := fmt.Sscanf(c.want, "entry %d does not", &at); err == nil {
				if err := inner.StoreLog(&raft.Log{Index: at, Term: 1, Data: []byte("y"), Extensions: []byte{1, 2, 3, 4}}); err != nil {
					t.Fatal(err)
				}
			}
			err := log.check(c.snapshotEnd)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// gapped is a log in memory, which has no gaps of its own.
type gapped struct {
	*raft.InmemStore
	gap [2]uint64
}

func (g gapped) FirstIndex() (uint64, error) { return 1, nil }

func (g gapped) LastIndex() (uint64, error) { return g.gap[1] + 5, nil }
