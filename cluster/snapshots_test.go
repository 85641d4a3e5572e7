package cluster

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
)

// flipInMembers turns one of the members that a snapshot names into another one.
func flipInMembers(t *testing.T, dir string) {
	t.Helper()
	path := snapshotFiles(t, dir, "meta.json")[0]
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const before = `"Address":"`
	at := bytes.Index(data, []byte(before))
	if at < 0 {
		t.Fatalf("there is no member in %s", data)
	}
	data[at+len(before)] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// readNewest returns what raft takes from the newest sound snapshot, nil if there is none.
func readNewest(t *testing.T, s *store) *raft.SnapshotMeta {
	t.Helper()
	files := s.snapshots.(newestSound).SnapshotStore
	found, err := soundSnapshots(files, filepath.Join(s.dir, dirSnapshots))
	if err != nil {
		t.Fatal(err)
	}
	listed, err := found.List()
	if err != nil {
		t.Fatal(err)
	}
	if len(listed) == 0 {
		return nil
	}
	listed[0].Peers = nil // raft does not read it
	return listed[0]
}

func TestNoFlippedBitChangesWhatASnapshotSaysOfItself(t *testing.T) {
	dir := storeDir(t, func(s *store) { storeSnapshot(t, s, 12) })
	s, err := openTestStore(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	want := readNewest(t, s)
	if want == nil {
		t.Fatal("the snapshot is not sound as it was written")
	}
	path := snapshotFiles(t, dir.path, "meta.json")[0]
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	noticed := 0
	for i := range data {
		flipped := bytes.Clone(data)
		flipped[i] ^= 1 << (i % 8)
		if err := os.WriteFile(path, flipped, 0o600); err != nil {
			t.Fatal(err)
		}
		got := readNewest(t, s)
		if got == nil {
			noticed++
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("bit %d of byte %d, in %q: raft would take\n%s", i%8, i, data[max(0, i-10):min(len(data), i+10)], diff)
		}
	}
	if noticed < len(data)/2 {
		t.Errorf("only %d of %d flipped bits were noticed", noticed, len(data))
	}
}

func TestASnapshotOfABuildWithoutItsChecksumIsRead(t *testing.T) {
	dir := storeDir(t, func(s *store) { storeSnapshot(t, s, 12) })
	if err := os.Remove(snapshotFiles(t, dir.path, fileSnapshotSum)[0]); err != nil {
		t.Fatal(err)
	}
	s, err := openTestStore(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if got := readNewest(t, s); got == nil || got.Index != 12 {
		t.Errorf("it is read as %+v", got)
	}
}

func TestADamagedChecksumOfASnapshotIsDamage(t *testing.T) {
	dir := storeDir(t, func(s *store) { storeSnapshot(t, s, 12) })
	if err := os.WriteFile(snapshotFiles(t, dir.path, fileSnapshotSum)[0], fmt.Appendf(nil, formatSnapshotSum, 7), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := openTestStore(t, dir)
	if err == nil {
		err = s.close()
	}
	if !isDamage(err) {
		t.Errorf("%v, want damage of the snapshot", err)
	}
}

// What is on disks was summed so by the builds before.
func TestTheChecksumOfWhatASnapshotSaysIsAsItWas(t *testing.T) {
	meta := &raft.SnapshotMeta{
		Version: 1, ID: "2-12-1700000000000", Index: 12, Term: 2, Peers: []byte("not read"), ConfigurationIndex: 5, Size: 99,
		Configuration: raft.Configuration{Servers: []raft.Server{{Suffrage: raft.Voter, ID: "a", Address: "b"}, {Suffrage: raft.Nonvoter, ID: "c", Address: "d"}}},
	}
	if sum, err := snapshotSum(meta); err != nil || sum != "2e9f49a4\n" {
		t.Errorf("%q, %v", sum, err)
	}
}
