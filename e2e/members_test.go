package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"evenkeel/e2e/harness"
)

// commandLine runs the binary's other verbs, and returns what they say and how
// they end.
func commandLine(t *testing.T, args ...string) (said string, code int) {
	t.Helper()
	cmd := exec.Command(harness.Binary(t), args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("evenkeel %s: %v", strings.Join(args, " "), err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func names(t *testing.T, n *harness.Node) []string {
	t.Helper()
	members, err := n.Members()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range members {
		all = append(all, m.Name)
	}
	slices.Sort(all)
	return all
}

func TestMembersAreChangedByTheCommandLine(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	backends := harness.NewBackends(t, 2)
	cluster.Nodes[0].Add(t, backends...)
	for _, n := range cluster.Nodes {
		n.WaitServes(t)
	}
	next := cluster.Followers(t)[0]
	other := cluster.Without(next)[0]
	harness.Eventually(t, "the leadership is transferred", func() error {
		if said, code := commandLine(t, "members", "transfer-leader", next.Name, "--api", other.Address); code != 0 {
			return fmt.Errorf("exit %d: %s", code, said)
		}
		if leader := cluster.Leader(t); leader != next {
			return fmt.Errorf("%s leads", leader.Name)
		}
		return nil
	})
	if said, code := commandLine(t, "members", "remove", "n9", "--api", other.Address); code != 5 || !strings.Contains(said, "n9") {
		t.Errorf("a node that is not there: exit %d: %s", code, said)
	}
	// The leader goes, and traffic through it does not end.
	gone := cluster.Leader(t)
	rest := cluster.Without(gone)
	harness.Eventually(t, "the leader is removed", func() error {
		said, code := commandLine(t, "members", "remove", gone.Name, "--api", rest[0].Address)
		for _, n := range rest {
			if slices.Contains(names(t, n), gone.Name) {
				return fmt.Errorf("%s is a member; exit %d: %s", gone.Name, code, said)
			}
		}
		return nil
	})
	gone.WaitServes(t)
	harness.Eventually(t, "it says that it is detached", func() error {
		if said, _ := commandLine(t, "status", "--api", gone.Address); !strings.Contains(said, "no member of cluster") {
			return errors.New(said)
		}
		return nil
	})
	rest[0].Write(t, http.MethodPut, "/v1/pools/afterwards", map[string]any{})
	if said, code := commandLine(t, "members", "remove", rest[0].Name, "--api", rest[1].Address); code != 0 {
		t.Errorf("one of two: exit %d: %s", code, said)
	}
	if said, code := commandLine(t, "members", "remove", rest[1].Name, "--api", rest[1].Address); code != 3 || !strings.Contains(said, "only one with a vote") {
		t.Errorf("the last: exit %d: %s", code, said)
	}
}

func TestTheOnlySurvivorBecomesANewCluster(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	cluster.Nodes[0].Add(t, harness.NewBackend(t, "web1"))
	survivor := cluster.Nodes[1]
	for _, n := range cluster.Nodes {
		n.WaitServes(t)
	}
	cluster.WaitSame(t)
	lost := cluster.Without(survivor)
	for _, n := range lost {
		n.Kill()
	}
	survivor.WaitServes(t)
	if said, code := commandLine(t, "recover", "--data-dir", survivor.Dir, "--yes"); code != 1 || !strings.Contains(said, "stop that one") {
		t.Errorf("of a node that runs: exit %d: %s", code, said)
	}
	survivor.Stop(t)
	if said, code := commandLine(t, "recover", "--data-dir", survivor.Dir); code != 2 || !strings.Contains(said, "n1, n3") || !strings.Contains(said, "nothing was changed") {
		t.Errorf("a look: exit %d: %s", code, said)
	}
	if said, code := commandLine(t, "recover", "--data-dir", survivor.Dir, "--yes"); code != 0 || !strings.Contains(said, "only member of the new cluster") {
		t.Errorf("exit %d: %s", code, said)
	}
	survivor.Start(t)
	survivor.WaitServes(t)
	survivor.Write(t, http.MethodPut, "/v1/pools/afterwards", map[string]any{})
	if got := names(t, survivor); !slices.Equal(got, []string{"n2"}) {
		t.Errorf("the members are %q", got)
	}
	// The others join with empty directories, under their old names.
	for _, n := range lost {
		if err := os.Rename(n.Dir, n.Dir+".old"); err != nil {
			t.Fatal(err)
		}
		n.Start(t)
	}
	cluster.WaitFormed(t)
	cluster.WaitSame(t)
	for _, n := range lost {
		n.WaitServes(t)
	}
}
