package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evenkeel/e2e/harness"
)

// The image is up to a second behind, the log is not. Which node is asked is the
// one that acknowledged the write.
func TestAllNodesAreKilledBehindAWriteAndOneAloneServesIt(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	cluster.Nodes[0].Add(t, harness.NewBackend(t, "web1"))
	for _, n := range cluster.Nodes {
		n.WaitServes(t)
	}
	asked := cluster.Followers(t)[0]
	for i := range 30 {
		asked.Write(t, http.MethodPut, fmt.Sprintf("/v1/pools/p%d", i), map[string]any{})
	}
	asked.Kill()
	for _, n := range cluster.Running() {
		n.Kill()
	}
	asked.Start(t)
	asked.WaitServes(t)
	var last map[string]any
	if err := asked.Get("/v1/pools/p29", &last); err != nil {
		t.Error(err)
	}
	if info, err := asked.Cluster(); err != nil || info.Quorum {
		t.Errorf("it is not alone: %+v, %v", info, err)
	}
}

// cutLog cuts a log store off within its pages.
func cutLog(t *testing.T, n *harness.Node) {
	t.Helper()
	if err := os.Truncate(filepath.Join(n.Dir, "raft.db"), 3*4096+100); err != nil {
		t.Fatal(err)
	}
}

func TestANodeWithADamagedLogServesAndJoinsAgain(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	cluster.Nodes[0].Add(t, harness.NewBackend(t, "web1"))
	for _, n := range cluster.Nodes {
		n.WaitServes(t)
	}
	damaged := cluster.Followers(t)[0]
	uid := uidOf(t, damaged)
	damaged.Stop(t)
	cutLog(t, damaged)
	damaged.Start(t)
	damaged.WaitServes(t)
	cluster.WaitFormed(t)
	harness.Eventually(t, "the cluster has three voters, the damaged one under another UID", func() error {
		members, err := cluster.Leader(t).Members()
		if err != nil {
			return err
		}
		for _, m := range members {
			if len(members) != 3 || m.UID == uid || m.Role == "nonvoter" {
				return fmt.Errorf("the members are %+v", members)
			}
		}
		return nil
	})
	cluster.WaitSame(t)
	if _, err := os.Stat(filepath.Join(damaged.Dir, "damaged-1", "raft.db")); err != nil {
		t.Error(err)
	}
}

func uidOf(t *testing.T, n *harness.Node) string {
	t.Helper()
	members, err := n.Members()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		if m.Name == n.Name {
			return m.UID
		}
	}
	t.Fatalf("node %s is not among %+v", n.Name, members)
	return ""
}

func TestWithoutASoundLogTheImageBecomesANewCluster(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	cluster.Nodes[0].Add(t, harness.NewBackend(t, "web1"))
	for _, n := range cluster.Nodes {
		n.WaitServes(t)
	}
	cluster.WaitSame(t)
	for _, n := range cluster.Nodes {
		n.Stop(t)
		cutLog(t, n)
	}
	for _, n := range cluster.Nodes {
		n.Start(t)
		n.WaitServes(t)
	}
	survivor := cluster.Nodes[0]
	harness.Eventually(t, "it says what it waits for", func() error {
		said, code := commandLine(t, "status", "--api", survivor.Address)
		for _, part := range []string{"raft.db", "damaged-1", "--from-image", "no node that leads"} {
			if !strings.Contains(said, part) {
				return fmt.Errorf("exit %d: %s: %q is missing", code, said, part)
			}
		}
		return nil
	})
	for _, n := range cluster.Nodes {
		n.Stop(t)
	}
	if said, code := commandLine(t, "recover", "--data-dir", survivor.Dir); code != 2 || !strings.Contains(said, "DAMAGE") || !strings.Contains(said, "repeat it with --from-image --yes") || !strings.Contains(said, " ago)") {
		t.Errorf("a look: exit %d: %s", code, said)
	}
	if said, code := commandLine(t, "recover", "--data-dir", survivor.Dir, "--yes"); code != 1 || !strings.Contains(said, "another survivor") {
		t.Errorf("without --from-image: exit %d: %s", code, said)
	}
	if said, code := commandLine(t, "recover", "--data-dir", survivor.Dir, "--from-image", "--yes"); code != 0 || !strings.Contains(said, "only member of the new cluster") {
		t.Errorf("exit %d: %s", code, said)
	}
	survivor.Start(t)
	survivor.WaitServes(t)
	survivor.Write(t, http.MethodPut, "/v1/pools/afterwards", map[string]any{})
	for _, n := range cluster.Nodes[1:] {
		if err := os.Rename(n.Dir, n.Dir+".old"); err != nil {
			t.Fatal(err)
		}
		n.Start(t)
	}
	cluster.WaitFormed(t)
	cluster.WaitSame(t)
}
