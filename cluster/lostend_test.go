package cluster

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

// noEnd takes the last entry out of a log, as a disk does that loses a write which
// it had synced, or an old copy of the file.
func noEnd(t *testing.T, dir string) {
	t.Helper()
	inStore(t, dir, func(logs, _ *bbolt.Bucket) error {
		last, _ := logs.Cursor().Last()
		return logs.Delete(last)
	})
}

// The entry may have been committed by this node and one other: with the third it
// could elect a leader that never had it.
func TestANodeWhoseLogLacksWhatItHadAppliedDoesNotVoteWithIt(t *testing.T) {
	c := newTestCluster(t)
	nodes := c.form(3)
	c.put(nodes[0], numbered(1))
	c.settled(nodes...)
	f := c.follower()
	c.put(f, numbered(2)) // so it is in the record
	uid := f.UID()
	c.kill(f.Name())
	noEnd(t, c.dirs[f.Name()])
	back := c.start(c.config(f.Name(), c.joins()...))
	if back.UID() == uid {
		t.Fatal("it may vote under its old UID")
	}
	c.rejoined(back, uid, 3)
	c.has(back, "b1", "b2")
}

func TestALogThatContradictsTheRecordOfWhatWasAppliedIsDamaged(t *testing.T) {
	for name, test := range map[string]struct {
		mark    appliedMark // the log has entries 1 to 9, the last of term 3
		another bool        // node's
		snap    bool        // up to entry 12
		damaged string
	}{
		"the end":                {mark: appliedMark{9, 3}},
		"before the end":         {mark: appliedMark{4, 2}},
		"behind the end":         {mark: appliedMark{10, 3}, damaged: "ends at entry 9"},
		"of another term":        {mark: appliedMark{9, 4}, damaged: "entry 9 is of term 3"},
		"another node's":         {mark: appliedMark{10, 3}, another: true},
		"a snapshot has it":      {mark: appliedMark{12, 4}, snap: true},
		"a snapshot is not it":   {mark: appliedMark{13, 4}, snap: true, damaged: "ends at entry 12"},
		"left over, as raft may": {mark: appliedMark{9, 4}, snap: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := storeDir(t, func(s *store) {
				filled(t)(s)
				if test.snap {
					storeSnapshot(t, s, 12)
				}
			})
			uid := dir.uid()
			if test.another {
				uid = newUID()
			}
			if err := os.WriteFile(dir.file(fileApplied), test.mark.encode(uid), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := openTestStore(t, dir)
			if err == nil {
				err = s.close()
			}
			if test.damaged == "" {
				if err != nil {
					t.Error(err)
				}
			} else if !isDamage(err) || !strings.Contains(err.Error(), test.damaged) {
				t.Errorf("%v, want damage that says %q", err, test.damaged)
			}
		})
	}
}

func storeSnapshot(t *testing.T, s *store, index uint64) {
	t.Helper()
	_, transport := raft.NewInmemTransport("")
	sink, err := s.snapshots.Create(raft.SnapshotVersionMax, index, 4, founding([]string{testVoter}), 1, transport)
	if err != nil {
		t.Fatal(err)
	}
	_, err = sink.Write([]byte("x"))
	if err := errors.Join(err, sink.Close()); err != nil {
		t.Fatal(err)
	}
}

// Of two logs the one whose last entry is of the later term wins a vote.
func TestASnapshotWhoseTermIsNotThatOfItsNameIsDamaged(t *testing.T) {
	for name, change := range map[string][2]string{
		"term":  {`"Term":4`, `"Term":5`},
		"index": {`"Index":12`, `"Index":13`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := storeDir(t, func(s *store) { storeSnapshot(t, s, 12) })
			path := snapshotFiles(t, dir.path, "meta.json")[0]
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.Replace(string(data), change[0], change[1], 1)
			if changed == string(data) {
				t.Fatalf("%q is not in %s", change[0], data)
			}
			if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := openTestStore(t, dir)
			if err == nil {
				err = s.close()
			}
			if !isDamage(err) || !strings.Contains(err.Error(), "it says of itself") {
				t.Errorf("%v, want damage of the snapshot", err)
			}
		})
	}
}
