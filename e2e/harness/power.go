package harness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// RecordPower has the node record, once it has started, what a loss of power
// would leave of its data directory, which becomes one that the node makes
// itself. It is called before the start and needs the [OverlaidBinary].
func (n *Node) RecordPower(t testing.TB) {
	t.Helper()
	if err := os.Mkdir(n.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	n.Env = append(n.Env, "INJECT_POWER_OF="+n.Dir, "INJECT_POWER_SHADOW="+n.Dir+".shadow")
	n.Dir = filepath.Join(n.Dir, "data")
}

// LosePower puts into the place of the data directory of a node, which was
// killed, what a loss of power at that moment would have left.
func (n *Node) LosePower(t testing.TB) {
	t.Helper()
	root := filepath.Dir(n.Dir)
	shadow := root + ".shadow"
	id, err := os.ReadFile(filepath.Join(shadow, "root"))
	if errors.Is(err, fs.ErrNotExist) { // it had not begun, and has written nothing
		if err := os.RemoveAll(shadow); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	// Not before all is there in its place: what was lost may tell more.
	lost := root + ".lost"
	if err := errors.Join(os.RemoveAll(lost), os.Rename(root, lost), restoreDir(shadow, string(id), root), os.RemoveAll(shadow)); err != nil {
		t.Fatal(err)
	}
}

// restoreDir makes a directory of what was synced of it.
func restoreDir(shadow, id, path string) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	names, err := os.ReadFile(filepath.Join(shadow, "dirs", id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it never was synced: it is empty
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(names)) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
		if len(parts) != 3 {
			return fmt.Errorf("read names of directory %q: line %q", id, line)
		}
		to := filepath.Join(path, parts[2])
		if parts[0] == "d" {
			err = restoreDir(shadow, parts[1], to)
		} else {
			err = restoreFile(filepath.Join(shadow, "files", parts[1]), to)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func restoreFile(synced, path string) error {
	content, err := os.ReadFile(synced)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // else it never was synced: it is empty
		return err
	}
	return os.WriteFile(path, content, 0o600)
}
