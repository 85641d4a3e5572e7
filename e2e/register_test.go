package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

// exampleTTL is what the examples register with.
const exampleTTL = 15 * time.Second

// TestTheExamplesRegisterAndDrainThemselves runs the services of examples/ as
// their readers would, under load.
func TestTheExamplesRegisterAndDrainThemselves(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	start := func(command []string, name string) *harness.Process {
		host, port, _ := strings.Cut(harness.FreeAddress(t), ":")
		args := append(command[1:len(command):len(command)], "--name", name, "--host", host, "--port", port,
			"--api", cluster.Nodes[0].Address+","+cluster.Nodes[1].Address)
		return harness.Start(t, harness.Command{Name: name, Path: command[0], Args: args, Dir: t.TempDir(), Log: filepath.Join(t.TempDir(), name+".log")})
	}
	drained, killed := map[string]*harness.Process{}, map[string]*harness.Process{}
	for language, command := range map[string][]string{"python": pythonExample(t), "go": goExample(t)} {
		if command != nil {
			drained[language+"-1"], killed[language+"-2"] = start(command, language+"-1"), start(command, language+"-2")
		}
	}
	for _, services := range []map[string]*harness.Process{drained, killed} {
		for name := range services {
			waitRegistered(t, cluster.Nodes[2], name, true)
		}
	}
	for _, node := range cluster.Nodes {
		node.WaitServes(t)
	}
	load := harness.StartLoad(t, 100, cluster.Nodes[0].HTTP, cluster.Nodes[1].HTTP, cluster.Nodes[2].HTTP)
	for name, process := range drained {
		process.Terminate()
		process.WaitClean(t, time.Minute)
		waitRegistered(t, cluster.Nodes[2], name, false)
	}
	load.StopClean(t)

	// Those that are killed lapse.
	at := time.Now()
	for _, process := range killed {
		process.Kill()
	}
	for name := range killed {
		waitRegistered(t, cluster.Nodes[2], name, false)
	}
	if lasted := time.Since(at); lasted < exampleTTL/3 {
		t.Errorf("they were withdrawn %s after they were killed, their ttl is %s", lasted, exampleTTL)
	}
}

// pythonExample is nil where there is no Python.
func pythonExample(t *testing.T) []string {
	python, err := exec.LookPath("python3")
	if errors.Is(err, exec.ErrNotFound) {
		t.Log("there is no python3: its example is not run")
		return nil
	}
	script, err := filepath.Abs("../examples/register-python/register.py")
	if err != nil {
		t.Fatal(err)
	}
	return []string{python, script}
}

func goExample(t *testing.T) []string {
	binary := filepath.Join(t.TempDir(), "register")
	if out, err := exec.Command("go", "build", "-o", binary, "../examples/register-go").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return []string{binary}
}

func waitRegistered(t *testing.T, node *harness.Node, name string, want bool) {
	t.Helper()
	harness.Eventually(t, fmt.Sprintf("%s is registered: %t", name, want), func() error {
		answer, err := node.Call(http.MethodGet, "/v1/pools/default/backends/"+name, nil)
		if err != nil {
			return err
		}
		if (answer.Status == http.StatusOK) != want {
			return fmt.Errorf("%d %s", answer.Status, answer.Body)
		}
		return nil
	})
}
