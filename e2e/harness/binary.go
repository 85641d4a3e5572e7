package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// workshop holds what one run of a test binary builds once: the directory for
// it and the binaries.
type workshop struct {
	dir   func() (string, error)
	plain func() (string, error)
	race  func() (string, error)

	mu     sync.Mutex                        // guards others
	others map[string]func() (string, error) // by name
}

func newWorkshop() *workshop {
	w := &workshop{others: map[string]func() (string, error){}}
	w.dir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "evenkeel-e2e-") })
	w.plain = sync.OnceValues(func() (string, error) { return w.build("evenkeel", "", "CGO_ENABLED=0", "-ldflags=-s -w") })
	w.race = sync.OnceValues(func() (string, error) { return w.build("evenkeel-race", "", "CGO_ENABLED=1", "-race") })
	return w
}

// build builds the module around source, "" is this one, also for tests of a
// module that takes it from there.
func (w *workshop) build(name, source, env string, flags ...string) (string, error) {
	dir, err := w.dir()
	if err != nil {
		return "", err
	}
	if source == "" {
		if source, err = output("go", "list", "-m", "-f", "{{.Dir}}", "evenkeel"); err != nil {
			return "", err
		}
	}
	binary := filepath.Join(dir, name)
	args := append([]string{"build", "-o", binary}, flags...)
	cmd := exec.Command("go", append(args, "evenkeel/cmd/evenkeel")...)
	cmd.Dir, cmd.Env = source, append(os.Environ(), env)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(cmd.Args[1:], " "), err, out)
	}
	return binary, nil
}

// other returns the binary of that name, which make builds the first time.
func (w *workshop) other(name string, make func() (string, error)) (string, error) {
	w.mu.Lock()
	once := w.others[name]
	if once == nil {
		once = sync.OnceValues(make)
		w.others[name] = once
	}
	w.mu.Unlock()
	return once()
}

// fromHistory builds what a commit of the repository around the working
// directory held.
func (w *workshop) fromHistory(name, commit string) (string, error) {
	dir, err := w.dir()
	if err != nil {
		return "", err
	}
	root, err := output("git", "rev-parse", "--show-toplevel")
	if err != nil {
		return "", err
	}
	source, archive := filepath.Join(dir, name+".source"), filepath.Join(dir, name+".tar")
	if err := os.Mkdir(source, 0o700); err != nil {
		return "", err
	}
	if _, err := output("git", "-C", root, "archive", "--output", archive, commit); err != nil {
		return "", err
	}
	if _, err := output("tar", "-x", "-f", archive, "-C", source); err != nil {
		return "", err
	}
	return w.build(name, source, "CGO_ENABLED=0", "-ldflags=-s -w")
}

func output(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// shop is shared by all tests of one test binary, because a build costs more
// than most scenarios.
var shop = newWorkshop()

// Main runs the tests and removes what they built; the result is for os.Exit.
func Main(m *testing.M) int {
	code := m.Run()
	if dir, err := shop.dir(); err == nil {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	return code
}

// Binary returns the path of the binary, built as it is shipped.
func Binary(t testing.TB) string {
	t.Helper()
	binary, err := shop.plain()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// Tool returns the path of a program of another module, which the module around
// the working directory names as a tool of its.
func Tool(t testing.TB, name, importPath string) string {
	t.Helper()
	binary, err := shop.other(name, func() (string, error) {
		dir, err := shop.dir()
		if err != nil {
			return "", err
		}
		binary := filepath.Join(dir, name)
		_, err = output("go", "build", "-o", binary, importPath)
		return binary, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// RaceBinary returns the path of a binary with the race detector. The test is
// skipped where the detector cannot be built, which needs a C compiler.
func RaceBinary(t testing.TB) string {
	t.Helper()
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skip("the race detector needs a C compiler: ", err)
	}
	binary, err := shop.race()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// PlantedBinary returns the path of a binary with bugs planted in it, of which
// EVENKEEL_PLANT in a node's environment chooses one: lost-acknowledgement,
// stale-read or doubled-write. They show that a test would find such a bug.
func PlantedBinary(t testing.TB) string {
	t.Helper()
	return TaggedBinary(t, "planted")
}

// TaggedBinary returns the path of a binary with a build tag.
func TaggedBinary(t testing.TB, tag string) string {
	t.Helper()
	name := "evenkeel-" + tag
	binary, err := shop.other(name, func() (string, error) { return shop.build(name, "", "CGO_ENABLED=0", "-ldflags=-s -w", "-tags="+tag) })
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// BinaryOf returns the path of a binary of an earlier commit. The test is
// skipped where the history does not hold it, as in a shallow clone.
func BinaryOf(t testing.TB, commit string) string {
	t.Helper()
	if _, err := output("git", "cat-file", "-e", commit+"^{commit}"); err != nil {
		t.Skipf("the history here does not hold commit %s: %v", commit, err)
	}
	name := "evenkeel-" + commit
	binary, err := shop.other(name, func() (string, error) { return shop.fromHistory(name, commit) })
	if err != nil {
		t.Fatal(err)
	}
	return binary
}
