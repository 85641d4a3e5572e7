package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// damagedDir is a member's directory with a damaged store, a snapshot and a list
// of founders.
func damagedDir(t *testing.T) (path, uid string) {
	t.Helper()
	dir := storeDir(t, filled(t))
	inBolt(t, dir, func(logs, _ *bbolt.Bucket) error { return logs.Delete(placeOf(5)) })
	if err := errors.Join(
		dir.setClusterID("c"),
		os.Mkdir(filepath.Join(dir.file(dirSnapshots), "1-3-0"), 0o700),
		replaceJSON(dir.file(fileForming), founders{List: []string{dir.uid()}}),
	); err != nil {
		t.Fatal(err)
	}
	if err := dir.close(); err != nil {
		t.Fatal(err)
	}
	return dir.path, dir.uid()
}

// reopened starts on a directory as a node does, and ends at once.
func reopened(t *testing.T, path string) identity {
	t.Helper()
	dir, err := openDataDir(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := openOrSucceed(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if has, err := s.hasState(); has || err != nil {
		t.Errorf("the new store has state: %t, %v", has, err)
	}
	if err := errors.Join(s.close(), dir.close()); err != nil {
		t.Fatal(err)
	}
	return dir.id
}

func TestADamagedStoreIsMovedAsideWhateverStepACrashComesAfter(t *testing.T) {
	cause := &damagedError{"entry 5 is missing"}
	part := func(names ...string) func(*dataDir) error { // of the second step
		return func(d *dataDir) error {
			err := os.Mkdir(d.file(d.id.Rejoin.Aside), 0o700)
			for _, name := range names {
				err = errors.Join(err, os.Rename(d.file(name), filepath.Join(d.file(d.id.Rejoin.Aside), name)))
			}
			return err
		}
	}
	steps := []func(*dataDir) error{
		func(d *dataDir) error { return d.renounce(cause) }, (*dataDir).moveAside, (*dataDir).makeStore, (*dataDir).endMove,
	}
	for name, before := range map[string][]func(*dataDir) error{
		"none":                        nil,
		"the new identity":            steps[:1],
		"the folder is made":          {steps[0], part()},
		"the store is moved":          {steps[0], part(fileStore)},
		"the store and the snapshots": {steps[0], part(fileStore, dirSnapshots)},
		"the files are moved":         steps[:2],
		"the new store":               steps[:3],
		"all":                         steps,
	} {
		t.Run(name, func(t *testing.T) {
			path, uid := damagedDir(t)
			dir, err := openDataDir(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range before {
				if err := step(dir); err != nil {
					t.Fatal(err)
				}
			}
			if err := dir.close(); err != nil {
				t.Fatal(err)
			}
			id := reopened(t, path)
			if r := id.Rejoin; id.UID == uid || id.ClusterID != "c" || r == nil || !r.Moved || len(r.Was) != 1 || r.Was[0] != uid || !strings.Contains(r.Damage, "entry 5 is missing") {
				t.Fatalf("the identity is %+v, %+v", id, id.Rejoin)
			}
			aside := filepath.Join(path, id.Rejoin.Aside)
			old, err := openBolt(filepath.Join(aside, fileStore))
			if err != nil {
				t.Fatal(err)
			}
			if last, err := old.LastIndex(); last != 9 || err != nil {
				t.Errorf("the old store ends at entry %d, %v", last, err)
			}
			if err := old.Close(); err != nil {
				t.Fatal(err)
			}
			if !exists(filepath.Join(aside, dirSnapshots, "1-3-0")) || !exists(filepath.Join(aside, fileForming)) || exists(filepath.Join(path, fileForming)) {
				t.Error("not all is moved")
			}
			var was identity
			if _, err := readJSON(filepath.Join(aside, fileIdentity), &was); err != nil || was.UID != uid || was.Rejoin != nil {
				t.Errorf("the old identity is %+v, %v", was, err)
			}
			if again := reopened(t, path); again.UID != id.UID || again.Rejoin.Aside != id.Rejoin.Aside {
				t.Errorf("the next start makes it %+v", again)
			}
		})
	}
}

// A node that has thrown its log away must be another one, whatever of its identity
// the disk takes: with the old one and an empty log it could vote twice in a term.
func TestALogIsNeverThrownAwayUnderTheOldIdentity(t *testing.T) {
	for name, write := range map[string]func(path string, value any) error{
		"it cannot be written":   func(string, any) error { return syscall.ENOSPC },
		"it cannot be synced":    func(path string, value any) error { return errors.Join(replaceJSON(path, value), syscall.EIO) },
		"the system goes beyond": func(string, any) error { return errors.New("no errno") },
	} {
		for failing := 1; failing <= 2; failing++ { // of the writes of the identity: the new one, and that all is done
			t.Run(fmt.Sprintf("%s, write %d", name, failing), func(t *testing.T) {
				path, uid := damagedDir(t)
				dir, err := openDataDir(path)
				if err != nil {
					t.Fatal(err)
				}
				writes := 0
				dir.write = func(path string, value any) error {
					if writes++; writes == failing {
						return write(path, value)
					}
					return replaceJSON(path, value)
				}
				s, err := openOrSucceed(dir, slog.New(slog.DiscardHandler))
				if err == nil {
					s.close()
					t.Fatal("the store is used")
				}
				if writes != failing || !strings.Contains(err.Error(), "mend that and start the node again") {
					t.Errorf("after %d writes: %v", writes, err)
				}
				var written identity
				if _, err := readJSON(filepath.Join(path, fileIdentity), &written); err != nil {
					t.Fatal(err)
				}
				if log, err := openBolt(filepath.Join(path, fileStore)); err != nil {
					t.Error(err)
				} else {
					last, err := log.LastIndex()
					if err := errors.Join(err, log.Close()); err != nil {
						t.Fatal(err)
					}
					if last != 9 && written.UID == uid {
						t.Errorf("it is %s as before, and its log ends at entry %d", uid, last)
					}
				}
				if err := dir.close(); err != nil {
					t.Fatal(err)
				}
				id := reopened(t, path)
				if r := id.Rejoin; id.UID == uid || r == nil || !r.Moved || len(r.Was) != 1 || r.Was[0] != uid {
					t.Errorf("the next start makes it %+v, %+v", id, id.Rejoin)
				}
			})
		}
	}
}

func TestAStoreThatIsDamagedAgainIsMovedAsideUpToABound(t *testing.T) {
	path, uid := damagedDir(t)
	was := []string{uid}
	for round := 1; ; round++ {
		if round > 1 {
			if err := os.Remove(filepath.Join(path, fileStore)); err != nil { // also of the new one
				t.Fatal(err)
			}
		}
		if round > maxFormer {
			break
		}
		id := reopened(t, path)
		if fmt.Sprint(id.Rejoin.Was) != fmt.Sprint(was) || id.Rejoin.Aside != fmt.Sprint(asidePrefix, round) {
			t.Fatalf("round %d: %+v, want %v", round, id.Rejoin, was)
		}
		was = append(was, id.UID)
	}
	dir, err := openDataDir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.close()
	if _, err := openOrSucceed(dir, slog.New(slog.DiscardHandler)); !errors.Is(err, errWornOut) {
		t.Errorf("one time too often: %v", err)
	}
	if all, err := dir.asides(); err != nil || fmt.Sprint(all) != "[6 7 8]" {
		t.Errorf("kept are %v, %v", all, err)
	}
	if dir.defaultName() != "node-"+uid[:8] {
		t.Errorf("without a name it is %q now", dir.defaultName())
	}
}

func TestWhatMayPassIsNoDamage(t *testing.T) {
	for name, err := range map[string]error{
		"a right that is missing": &os.PathError{Op: "open", Err: syscall.EACCES},
		"an error of the disk":    fmt.Errorf("page 3: %w", syscall.EIO),
		"a full disk":             syscall.ENOSPC,
		"too many files":          syscall.EMFILE,
		"a lock":                  fmt.Errorf("open: %w", bolterrors.ErrTimeout),
	} {
		if isDamage(damage(err)) {
			t.Errorf("%s counts as damage", name)
		}
	}
	for _, err := range []error{bolterrors.ErrInvalid, bolterrors.ErrChecksum, errors.New("msgpack"), os.ErrNotExist} {
		if !isDamage(damage(err)) {
			t.Errorf("%v does not count as damage", err)
		}
	}
}

func TestAStoreThatCannotBeReadNowStaysWhereItIs(t *testing.T) {
	for name, obstruct := range map[string]func(t *testing.T, path string){
		"another process has it": func(t *testing.T, path string) {
			db, err := bbolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
		},
		"it cannot be read": func(t *testing.T, path string) { // by root either
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				t.Fatal(err)
			}
		},
		"a snapshot cannot be read": func(t *testing.T, path string) {
			if err := os.MkdirAll(filepath.Join(filepath.Dir(path), dirSnapshots, "1-30-0", "meta.json"), 0o700); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := storeDir(t, filled(t))
			if err := dir.setClusterID("c"); err != nil {
				t.Fatal(err)
			}
			obstruct(t, dir.file(fileStore))
			uid := dir.uid()
			s, err := openOrSucceed(dir, slog.New(slog.DiscardHandler))
			if err == nil {
				s.close()
				t.Fatal("the store opens")
			}
			if isDamage(err) || dir.uid() != uid || dir.id.Rejoin != nil || !exists(dir.file(fileStore)) {
				t.Errorf("it is taken for damaged: %v", err)
			}
			if !strings.Contains(err.Error(), dir.path) || !strings.Contains(err.Error(), "mend that") {
				t.Errorf("%v does not name file and remedy", err)
			}
		})
	}
}

func TestDamageOfANodeWithoutAClusterIsNamedWithTheRemedy(t *testing.T) {
	dir := storeDir(t, filled(t))
	inBolt(t, dir, func(logs, _ *bbolt.Bucket) error { return logs.Delete(placeOf(5)) })
	if _, err := openOrSucceed(dir, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "aside") || dir.id.Rejoin != nil {
		t.Errorf("%v, the identity is %+v", err, dir.id)
	}
}

// A folder with a damaged store is state: a node beside it forms no cluster.
func TestAFolderWithADamagedStoreWithoutIdentityIsRefused(t *testing.T) {
	path, _ := damagedDir(t)
	reopened(t, path)
	for _, name := range []string{fileIdentity, fileStore} {
		if err := os.Remove(filepath.Join(path, name)); err != nil {
			t.Fatal(err)
		}
	}
	if dir, err := openDataDir(path); err == nil || !strings.Contains(err.Error(), asidePrefix+"1") {
		t.Errorf("%v, %v", dir, err)
	}
}

func TestAnIdentityThatCannotBeIsRefused(t *testing.T) {
	uid := newUID()
	for name, id := range map[string]identity{
		"no UID":                 {},
		"named after nobody":     {UID: uid, NamedAfter: "x"},
		"successor of nobody":    {UID: uid, ClusterID: "c", Rejoin: &rejoin{Aside: "damaged-1"}},
		"without a cluster":      {UID: uid, Rejoin: &rejoin{Was: []string{uid}, Aside: "damaged-1"}},
		"a folder somewhere":     {UID: uid, ClusterID: "c", Rejoin: &rejoin{Was: []string{uid}, Aside: "damaged-1/../.."}},
		"a folder of other sort": {UID: uid, ClusterID: "c", Rejoin: &rejoin{Was: []string{uid}, Aside: "snapshots"}},
	} {
		if id.check() == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if err := (identity{UID: uid, ClusterID: "c", Rejoin: &rejoin{Was: []string{uid}, Aside: "damaged-1"}}).check(); err != nil {
		t.Error(err)
	}
}

// raft never looks at them again, and each may be as large as the registry.
func TestSnapshotsThatACrashLeftUnfinishedAreRemoved(t *testing.T) {
	dir := storeDir(t, func(s *store) { storeSnapshot(t, s, 12) })
	left := filepath.Join(dir.file(dirSnapshots), "4-13-0"+unfinished)
	if err := errors.Join(os.Mkdir(left, 0o700), os.WriteFile(filepath.Join(left, "state.bin"), []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s, err := openTestStore(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if exists(left) || len(snapshotFiles(t, dir.path, "state.bin")) != 1 {
		t.Error("it is still there, or another is gone")
	}
}
