package conformance

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/goleak"
)

// descriptors returns what this process has open, by number, or nil where the
// system does not tell.
func descriptors() (map[string]string, error) {
	// What the runtime opens once for all sockets is not to be counted later.
	warm, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if err := warm.Close(); err != nil {
		return nil, err
	}
	return openNow(), nil
}

func openNow() map[string]string {
	const folder = "/proc/self/fd"
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	all := map[string]string{}
	for _, entry := range entries {
		// The one that reads the folder is gone by now.
		if target, err := os.Readlink(filepath.Join(folder, entry.Name())); err == nil {
			all[entry.Name()] = target
		}
	}
	return all
}

// leaks ends the shared world and names what is left of it.
func leaks(base map[string]string) error {
	if err := shared.close(); err != nil {
		return err
	}
	if err := goleak.Find(); err != nil {
		return fmt.Errorf("goroutines are left: %w", err)
	}
	return leftOpen(base)
}

// leftOpen names descriptors that were not open before.
func leftOpen(base map[string]string) error {
	deadline := time.Now().Add(patience)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		now := openNow()
		maps.DeleteFunc(now, func(fd, target string) bool { return base[fd] != "" || !isSocket(target) })
		if len(now) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d descriptors are left open: %v", len(now), now)
		}
		<-ticker.C
	}
}

// isSocket tells sockets, pipes and the like from files.
func isSocket(target string) bool { return !strings.HasPrefix(target, "/") }
