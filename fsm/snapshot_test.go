package fsm

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestADamagedSnapshotIsRefused(t *testing.T) {
	r := newRegistry(t)
	r.must(backend("web1", "10.0.0.5:9000"))
	text := snapshotText(t, r.State)
	for cut := range len(text) {
		if _, err := ReadSnapshot(strings.NewReader(text[:cut])); err == nil {
			t.Fatalf("cut after %d of %d bytes it was read", cut, len(text))
		}
	}
	for i := range len(text) {
		damaged := []byte(text)
		damaged[i] ^= 1
		if s, err := ReadSnapshot(bytes.NewReader(damaged)); err == nil && s.Digest() != r.Digest() {
			t.Fatalf("with byte %d flipped it was read as another state", i)
		}
	}
	cases := map[string]string{
		"of a newer version":       strings.Replace(text, `"v":1`, `"v":2`, 1),
		"with something behind it": text + "x\n",
		"with a line twice":        strings.Replace(text, "pool {", "pool {}\npool {", 1),
		"with an unknown line":     strings.Replace(text, "pool {", "vip {}\npool {", 1),
		"without its header":       text[strings.IndexByte(text, '\n')+1:],
		"with an endless line":     "evenkeel-state " + strings.Repeat(" ", maxLine+2),
	}
	for name, damaged := range cases {
		if _, err := ReadSnapshot(strings.NewReader(damaged)); err == nil {
			t.Errorf("a snapshot %s was read", name)
		}
	}
}

func TestAWriteErrorOfASnapshotIsReported(t *testing.T) {
	r := newRegistry(t)
	if err := r.WriteSnapshot(&fullDisk{room: 100}); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
	if err := r.WriteSnapshot(&fullDisk{room: len(snapshotText(t, r.State)) - 5}); !errors.Is(err, errFull) {
		t.Errorf("at the trailer: got %v", err)
	}
}

var errFull = errors.New("no space left")

type fullDisk struct{ room int }

func (f *fullDisk) Write(p []byte) (int, error) {
	if len(p) > f.room {
		return 0, errFull
	}
	f.room -= len(p)
	return len(p), nil
}
