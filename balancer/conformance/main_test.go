package conformance

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"
)

// shared is the world of the table's rows. It takes a moment to start, so all
// tests use the same.
var shared sharedWorld

// sharedWorld starts when a test first asks for it.
type sharedWorld struct {
	once sync.Once
	w    *world
	err  error
}

func theWorld(t testing.TB) *world {
	t.Helper()
	shared.once.Do(func() { shared.w, shared.err = newWorld(profiles()) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.w
}

// close stops what was started.
func (s *sharedWorld) close() error {
	if s.w == nil || s.err != nil {
		return s.err
	}
	return s.w.close()
}

func TestMain(m *testing.M) {
	flag.Parse()
	if err := manyAtOnce(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := warmUp(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	base := openNow()
	code := m.Run()
	if err := leaks(base); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// manyAtOnce lets more tests run in parallel than there are cores: all they do
// is wait. A number that was asked for stays.
func manyAtOnce() error {
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "test.parallel" })
	if asked {
		return nil
	}
	return flag.Set("test.parallel", "48")
}
