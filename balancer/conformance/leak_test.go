package conformance

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"evenkeel/internal/freeport"
)

// descriptors counts what this process has open but for files, by what it is;
// it is empty where the system does not tell.
type descriptors map[string]int

// openNow returns what is open, but for what keeps ports free.
func openNow() descriptors {
	const folder = "/proc/self/fd"
	all := descriptors{}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return all
	}
	locks, err := freeport.Descriptors()
	if err != nil {
		panic(err) // they are never closed
	}
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && slices.Contains(locks, fd) {
			continue
		}
		// The one that reads the folder is gone by now.
		target, err := os.Readlink(filepath.Join(folder, entry.Name()))
		if err == nil && !strings.HasPrefix(target, "/") {
			all[target]++
		}
	}
	return all
}

// since names what is open and was not.
func (d descriptors) since(base descriptors) (all []string) {
	for target, n := range d {
		if n > base[target] {
			all = append(all, fmt.Sprintf("%d %s", n-base[target], target))
		}
	}
	return all
}

// warmUp opens what the runtime keeps open once it has had a socket.
func warmUp() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	return listener.Close()
}

// leaks ends the shared world and names what it and the tests left behind.
func leaks(base descriptors) error {
	if w := shared.w; w != nil && shared.err == nil {
		// All clients have gone, and all backends have ended their connections.
		if err := leftOpen(w.atStart, keptPipes*runtime.NumCPU()); err != nil {
			return fmt.Errorf("while the balancer runs on: %w", err)
		}
	}
	if err := shared.close(); err != nil {
		return err
	}
	if err := goleak.Find(); err != nil {
		return fmt.Errorf("goroutines are left: %w", err)
	}
	return leftOpen(base, 0)
}

// keptPipes is how many pipes each loop keeps for bodies to come.
const keptPipes = 64

// withoutPipes leaves out pipes, at most so many.
func withoutPipes(left []string, most int) (others []string) {
	for _, one := range left {
		if most > 0 && strings.Contains(one, " pipe:") {
			most--
			continue
		}
		others = append(others, one)
	}
	return others
}

// leftOpen waits until nothing is open that was not before, but for so many
// pipes.
func leftOpen(base descriptors, pipes int) error {
	deadline := time.Now().Add(patience)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		left := withoutPipes(openNow().since(base), pipes)
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d descriptors are left open: %q", len(left), left)
		}
		<-ticker.C
	}
}

func TestAPlantedLeakIsCaught(t *testing.T) {
	base := openNow()
	if len(base) == 0 {
		t.Skip("this system does not tell what a process has open")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if left := openNow().since(base); len(left) != 1 || !strings.Contains(left[0], "socket") {
		t.Errorf("an open socket is reported as %q", left)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if left := openNow().since(base); len(left) != 0 {
		t.Errorf("a closed socket is reported as %q", left)
	}
}
