package cluster

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// noted is a record of a file's that is not written yet.
func noted(t *testing.T, path string) *appliedRecord {
	t.Helper()
	r, err := openApplied(path, testVoter)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// write writes a mark as run does, and ends.
func writeMark(t *testing.T, path string, marks ...appliedMark) {
	t.Helper()
	r := noted(t, path)
	var file *os.File
	for _, m := range marks {
		r.note(m.index, m.term)
		var err error
		if file, err = r.write(file); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasAppliedIsReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), fileApplied)
	if got := *noted(t, path).newest.Load(); got != (appliedMark{}) {
		t.Errorf("without a file it is %+v", got)
	}
	for i := range uint64(5) {
		want := appliedMark{10 + i, 2}
		writeMark(t, path, want)
		if got := *noted(t, path).newest.Load(); got != want {
			t.Errorf("it is %+v, want %+v", got, want)
		}
		if info, err := os.Stat(path); err != nil || info.Size() != appliedSize {
			t.Errorf("the file: %v, %v", info, err)
		}
	}
	if other, err := openApplied(path, newUID()); err != nil || *other.newest.Load() != (appliedMark{}) {
		t.Errorf("another node is told %+v, %v", *other.newest.Load(), err)
	}
	r := noted(t, path)
	r.note(12, 1)
	if got := *r.newest.Load(); got != (appliedMark{14, 2}) {
		t.Errorf("an older entry takes it back to %+v", got)
	}
}

func TestATornRecordLeavesTheOneBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), fileApplied)
	writeMark(t, path, appliedMark{7, 1}, appliedMark{8, 1})
	older, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	writeMark(t, path, appliedMark{9, 3})
	newer, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin := 0
	for older[begin] == newer[begin] {
		begin++
	}
	begin = begin / slotDistance * slotDistance
	for written := range slotSize {
		torn := bytes.Clone(older)
		copy(torn[begin:], newer[begin:begin+written])
		want := appliedMark{8, 1}
		if bytes.Equal(torn, newer) {
			want = appliedMark{9, 3}
		}
		if got, _ := parseApplied(torn, testVoter); got != want {
			t.Fatalf("with %d bytes written it is %+v", written, got)
		}
		flipped := bytes.Clone(newer)
		flipped[begin+written] ^= 0x10
		if got, next := parseApplied(flipped, testVoter); got != (appliedMark{8, 1}) || next*slotDistance != begin {
			t.Fatalf("with byte %d changed it is %+v, the next slot %d", written, got, next)
		}
	}
	for size := range appliedSize {
		if got, _ := parseApplied(newer[:size], testVoter); got != (appliedMark{}) && got != (appliedMark{8, 1}) && got != (appliedMark{9, 3}) {
			t.Fatalf("cut at %d it is %+v", size, got)
		}
	}
}

// What hangs is only the record: nobody writes it here.
func TestToNoteWhatWasAppliedNeverWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), fileApplied)
	r := noted(t, path)
	for i := range uint64(1000) {
		r.note(i+1, 4)
		r.await(t.Context()) // once, and then no more
	}
	ctx, cancel := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() { r.run(ctx, func(err error) { t.Error(err) }) })
	eventually(t, "the newest is written", func() bool { return *noted(t, path).newest.Load() == appliedMark{1000, 4} })
	r.note(1001, 5)
	eventually(t, "and the one after", func() bool { return *noted(t, path).newest.Load() == appliedMark{1001, 5} })
	r.note(1002, 5)
	r.await(t.Context())
	if got := *noted(t, path).newest.Load(); got != (appliedMark{1002, 5}) {
		t.Errorf("who waited finds %+v", got)
	}
	r.note(1003, 5)
	cancel()
	writing.Wait()
	if got := *noted(t, path).newest.Load(); got != (appliedMark{1003, 5}) {
		t.Errorf("at its end it has written %+v", got)
	}
}

func TestARecordThatCannotBeWrittenIsTriedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", fileApplied)
	r := noted(t, path)
	failed := make(chan error, 100)
	ctx, cancel := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() { r.run(ctx, func(err error) { failed <- err }) })
	r.note(3, 1)
	if err := <-failed; !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it failed with %v", err)
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is written", func() bool { return *noted(t, path).newest.Load() == appliedMark{3, 1} })
	cancel()
	writing.Wait()
}

func FuzzParseApplied(f *testing.F) {
	two := make([]byte, appliedSize)
	copy(two, appliedMark{7, 1}.encode(testVoter))
	copy(two[slotDistance:], appliedMark{8, 2}.encode(testVoter))
	f.Add(two)
	f.Add(two[:slotSize])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		m, next := parseApplied(data, testVoter)
		if next != 0 && next != 1 {
			t.Fatalf("the next slot is %d", next)
		}
		if m == (appliedMark{}) {
			return
		}
		if slot := (1 - next) * slotDistance; !bytes.Equal(data[slot:][:slotSize], m.encode(testVoter)) {
			t.Errorf("%+v is not what the slot says", m)
		}
	})
}
