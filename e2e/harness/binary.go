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
	dir     func() (string, error)
	plain   func() (string, error)
	race    func() (string, error)
	planted func() (string, error)
	inject  func() (string, error)
	// overlaid is that of inject.go on another standard library.
	overlaid func() (string, error)
}

func newWorkshop() *workshop {
	w := &workshop{}
	w.dir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "evenkeel-e2e-") })
	w.plain = sync.OnceValues(func() (string, error) { return w.build("evenkeel", "CGO_ENABLED=0", "-ldflags=-s -w") })
	w.race = sync.OnceValues(func() (string, error) { return w.build("evenkeel-race", "CGO_ENABLED=1", "-race") })
	w.planted = sync.OnceValues(func() (string, error) { return w.build("evenkeel-planted", "CGO_ENABLED=0", "-tags=planted") })
	w.inject = sync.OnceValues(func() (string, error) { return w.build("evenkeel-inject", "CGO_ENABLED=0", "-tags=inject") })
	w.overlaid = sync.OnceValues(w.buildOverlaid)
	return w
}

func (w *workshop) build(name, env string, flags ...string) (string, error) {
	dir, err := w.dir()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, name)
	args := append([]string{"build", "-o", binary}, flags...)
	cmd := exec.Command("go", append(args, "evenkeel/cmd/evenkeel")...)
	cmd.Env = append(os.Environ(), env)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(cmd.Args[1:], " "), err, out)
	}
	return binary, nil
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
	binary, err := shop.planted()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}
