package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// copyOf makes a configuration that runs on a copy of a node's directory.
func (c *testCluster) copyOf(name string, join ...string) Config {
	c.t.Helper()
	dir := c.freshDir()
	if err := os.CopyFS(dir, os.DirFS(c.dirs[name])); err != nil {
		c.t.Fatal(err)
	}
	twin := c.config("copy-of-"+name, join...)
	twin.DataDir = dir
	return twin
}

func TestCopyOfADataDirectoryGivesWayToTheNodeThatRuns(t *testing.T) {
	for name, joins := range map[string]func(*testCluster) []string{
		"that knows where the original is": (*testCluster).joins,
		"that is told by another":          func(c *testCluster) []string { return []string{c.binds["n1"]} },
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestCluster(t)
			nodes := c.form(3)
			c.put(nodes[0], numbered(1))
			twin := c.copyOf("n3", joins(c)...)
			err := c.open(twin).Run(t.Context())
			for _, part := range []string{filepath.Join(twin.DataDir, fileIdentity), "was copied: stop one of the two, move its data directory aside"} {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("the copy ended with %v, want %q", err, part)
				}
			}
			c.settled(nodes...)
			c.put(nodes[2], numbered(2))
			for _, m := range nodes[0].Members() {
				if m.State != StateAlive {
					t.Errorf("node %s is %s", m.Name, m.State)
				}
			}
		})
	}
}
