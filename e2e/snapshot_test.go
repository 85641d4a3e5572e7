package e2e

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"evenkeel/e2e/harness"
)

func TestASnapshotIsRestoredUnderLoadAndIntoAnotherCluster(t *testing.T) {
	file := filepath.Join(t.TempDir(), "saved")
	backends := harness.NewBackends(t, 2)
	t.Run("into its own", func(t *testing.T) {
		cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
		cluster.Nodes[0].Add(t, backends...)
		for _, n := range cluster.Nodes {
			n.WaitServes(t)
		}
		if said, code := commandLine(t, "snapshot", "save", file, "--api", cluster.Nodes[1].Address); code != 0 {
			t.Fatalf("save: exit %d: %s", code, said)
		}
		if said, code := commandLine(t, "snapshot", "inspect", file); code != 0 || !strings.Contains(said, "backends") {
			t.Errorf("inspect: exit %d: %s", code, said)
		}
		before, err := cluster.Nodes[0].Backends("default")
		if err != nil {
			t.Fatal(err)
		}
		cluster.Nodes[0].Write(t, http.MethodPut, "/v1/pools/later", map[string]any{})
		gone := slices.Sorted(maps.Keys(before))[0]
		cluster.Nodes[0].Write(t, http.MethodDelete, "/v1/pools/default/backends/"+gone, nil)
		load := harness.StartLoad(t, 100, harness.HTTPAddresses(cluster.Nodes)...)
		load.WaitRequests(t, 20, harness.HTTPAddresses(cluster.Nodes)...)
		if said, code := commandLine(t, "snapshot", "restore", file, "--yes", "--api", cluster.Nodes[2].Address); code != 0 {
			t.Fatalf("restore: exit %d: %s", code, said)
		}
		cluster.WaitSame(t)
		load.WaitRequests(t, 60, harness.HTTPAddresses(cluster.Nodes)...)
		load.StopClean(t)
		for _, n := range cluster.Nodes {
			after, err := n.Backends("default")
			if err != nil || !slices.Equal(slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before))) {
				t.Errorf("%s has %v, want %v; %v", n.Name, after, before, err)
			}
			if answer, err := n.Call(http.MethodGet, "/v1/pools/later", nil); err != nil || answer.Status != http.StatusNotFound {
				t.Errorf("%s has a pool that the snapshot lacks: %v, %v", n.Name, answer, err)
			}
		}
	})
	t.Run("into another", func(t *testing.T) {
		if _, err := os.Stat(file); err != nil {
			t.Fatal(err)
		}
		cluster := harness.NewCluster(t, harness.Options{Nodes: 1})
		if said, code := commandLine(t, "snapshot", "restore", file, "--yes", "--api", cluster.Nodes[0].Address); code != 0 {
			t.Fatalf("restore: exit %d: %s", code, said)
		}
		cluster.Nodes[0].WaitServes(t)
		if got := names(t, cluster.Nodes[0]); !slices.Equal(got, []string{"n1"}) {
			t.Errorf("the nodes are %q", got)
		}
	})
}
