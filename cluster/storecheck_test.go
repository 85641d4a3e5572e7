package cluster

import (
	"bytes"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

// logFile returns the content of a log store with that many entries.
func logFile(t testing.TB, entries int) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), fileStore)
	store, err := raftboltdb.New(raftboltdb.Options{Path: path, NoSync: true, BoltOptions: &bbolt.Options{NoFreelistSync: true}})
	if err != nil {
		t.Fatal(err)
	}
	var logs []*raft.Log
	for i := range entries {
		data := make([]byte, 100)
		if i%50 == 0 {
			data = make([]byte, 10000) // takes more than one page
		}
		logs = append(logs, &raft.Log{Index: uint64(i + 1), Term: 1, Data: data})
	}
	if err := store.StoreLogs(logs); err != nil {
		t.Fatal(err)
	}
	if err := store.SetUint64([]byte("CurrentTerm"), 1); err != nil {
		t.Fatal(err)
	}
	if err := store.DeleteRange(1, uint64(entries/3)); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSoundLogStoresPassTheCheck(t *testing.T) {
	for _, entries := range []int{0, 1, 100, 10000} {
		if err := checkPages(bytes.NewReader(logFile(t, entries))); err != nil {
			t.Errorf("a store of %d entries: %v", entries, err)
		}
	}
}

// A panic of bbolt's would end the test.
func TestNoDamageThatPassesTheCheckEndsTheProcess(t *testing.T) {
	sound := logFile(t, 3000)
	random := rand.New(rand.NewPCG(1, 2))
	page := func() int { return random.IntN(len(sound)/4096) * 4096 }
	damages := map[string]func(data []byte) []byte{
		"cut off":        func(data []byte) []byte { return data[:random.IntN(len(data))] },
		"cut in the end": func(data []byte) []byte { return data[:len(data)/2+random.IntN(len(data)/2)] },
		"bits flipped": func(data []byte) []byte {
			for range 1 << random.IntN(12) {
				data[random.IntN(len(data))] ^= 1 << random.IntN(8)
			}
			return data
		},
		"a header flipped": func(data []byte) []byte {
			data[page()+random.IntN(64)] ^= 1 << random.IntN(8)
			return data
		},
		"a page zeroed":     func(data []byte) []byte { clear(data[page():][:4096]); return data },
		"a page of another": func(data []byte) []byte { copy(data[page():][:4096], data[page():][:4096]); return data },
	}
	refused := 0
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			for range 30 {
				data := damage(bytes.Clone(sound))
				if err := checkPages(bytes.NewReader(data)); err != nil {
					refused++
					continue
				}
				openDamaged(t, data)
			}
		})
	}
	if refused == 0 {
		t.Error("no damage was found")
	}
}

// openDamaged lets bbolt have a file that passed the check. It may refuse it,
// but not panic: in this goroutine the panic would be contained, but it has
// another that goes on.
func openDamaged(t *testing.T, data []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), fileStore)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("bbolt panics: %v", p)
		}
	}()
	store, err := raftboltdb.New(raftboltdb.Options{Path: path, NoSync: true, BoltOptions: &bbolt.Options{NoFreelistSync: true}})
	if err != nil {
		t.Logf("bbolt itself says: %v", err)
		return
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

// bbolt opens such a file as it was one write before.
func TestAStoreOneOfWhoseFirstPagesIsDamagedIsNotTakenBackByAWrite(t *testing.T) {
	var before, after []byte
	dir := storeDir(t, func(s *store) {
		filled(t)(s)
		read := func() []byte {
			data, err := os.ReadFile(filepath.Join(s.dir, fileStore))
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
		before = read()
		if err := s.stable.SetUint64(votedTermKey, 7); err != nil {
			t.Fatal(err)
		}
		after = read()
	})
	newest := 0
	if page := os.Getpagesize(); !bytes.Equal(before[page:][:page], after[page:][:page]) {
		newest = page
	}
	for _, at := range []int{8, 16, 48, 56} { // page size, root, number of the write, checksum
		data := bytes.Clone(after)
		data[newest+pageHeader+at] ^= 1
		if err := os.WriteFile(dir.file(fileStore), data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := openStore(dir, slog.New(slog.DiscardHandler))
		if err == nil {
			term, _ := s.stable.GetUint64(votedTermKey)
			t.Errorf("byte %d: it opens, and the last vote is of term %d", at, term)
			if err := s.close(); err != nil {
				t.Fatal(err)
			}
		} else if !isDamage(err) {
			t.Errorf("byte %d: %v", at, err)
		}
	}
}

// What is cut off may be pages that nothing uses just now.
func TestAStoreWithoutItsEndIsDamagedWhateverWasThere(t *testing.T) {
	dir := storeDir(t, func(s *store) {
		filled(t)(s)
		large := raft.Log{Index: 10, Term: 3, Data: make([]byte, 1<<20)}
		err := errors.Join(s.cache.StoreLogs([]*raft.Log{&large}), s.cache.DeleteRange(10, 10))
		for term := range uint64(3) { // so that both first pages are of after it
			err = errors.Join(err, s.stable.SetUint64(termKey, 7+term))
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	data, err := os.ReadFile(dir.file(fileStore))
	if err != nil {
		t.Fatal(err)
	}
	if err := checkPages(bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if err := checkPages(bytes.NewReader(data[:512<<10])); !isDamage(damage(err)) {
		t.Errorf("half of the store is taken for all of it: %v", err)
	}
}

func FuzzCheckPages(f *testing.F) {
	f.Add(logFile(f, 1)[:6*4096])
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = checkPages(bytes.NewReader(data)) // must not panic, hang or take memory
	})
}
