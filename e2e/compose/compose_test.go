package compose

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

// The test ends before go test would end it, whatever happens.
const limit = 9 * time.Minute

// built is the image that docker-compose.yml builds.
const built = "evenkeel"

// node is one node of docker-compose.yml as the host reaches it.
type node struct {
	harness.API
	name, http string
}

// nodes returns all nodes, whose APIs are called with the token.
func nodes(token string) []node {
	return []node{
		{harness.API{Address: "127.0.0.1:7070", Token: token}, "n1", "127.0.0.1:8080"},
		{harness.API{Address: "127.0.0.1:7170", Token: token}, "n2", "127.0.0.1:8180"},
		{harness.API{Address: "127.0.0.1:7270", Token: token}, "n3", "127.0.0.1:8280"},
	}
}

// bootstrapToken asks a node for the token of its secret, as README.md does.
func bootstrapToken(t *testing.T, e *engine) string {
	t.Helper()
	token := strings.TrimSpace(e.do(t, "exec", "-T", "n1", "evenkeel", "token", "bootstrap"))
	if !strings.HasPrefix(token, "ek-") {
		t.Fatalf("evenkeel token bootstrap says %q", token)
	}
	return token
}

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

func TestTheCoreStoryWithDockerCompose(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	engine := findEngine(t, ctx)
	image := baseImage(t)
	// What another run left behind goes first; its volumes would make the
	// nodes remember another cluster.
	engine.do(t, "down", "--volumes")
	engine.provideBase(t, image)
	engine.removeAfter(t, built)
	// All services share one image, so one is enough.
	engine.do(t, "build", "n1")

	harness.Lock(t)
	skipIfPublishedPortsAreTaken(t)
	t.Cleanup(func() { engine.down(t) })
	engine.do(t, "up", "--detach", "--no-build")
	all := nodes(bootstrapToken(t, engine))
	waitFormed(t, all)
	checkImage(t, engine)
	checkStory(t, all)
	checkDeathOfTheLeader(t, engine, all)
}

func skipIfPublishedPortsAreTaken(t *testing.T) {
	t.Helper()
	for _, n := range nodes("") {
		for _, address := range []string{n.Address, n.http} {
			if !harness.AddressFree(address) {
				t.Skipf("another program has %s, which docker-compose.yml publishes", address)
			}
		}
	}
}

// down removes all that Compose made; of a test that failed it shows the logs.
func (e *engine) down(t *testing.T) {
	e.ctx = context.WithoutCancel(e.ctx) // the test's own has ended
	if t.Failed() {
		t.Log(e.do(t, "logs", "--no-color", "--tail", "80"))
	}
	e.do(t, "down", "--volumes", "--timeout", "10")
}

func waitFormed(t *testing.T, nodes []node) {
	t.Helper()
	harness.Eventually(t, "the nodes form one cluster", func() error {
		for _, n := range nodes {
			if err := n.Ready(); err != nil {
				return err
			}
			info, err := n.Cluster()
			if err != nil || info.Leader == "" || !info.Quorum {
				return fmt.Errorf("%s: %+v, %v", n.name, info, err)
			}
			members, err := n.Members()
			if err != nil {
				return err
			}
			alive := 0
			for _, member := range members {
				if member.State == "alive" {
					alive++
				}
			}
			if alive != len(nodes) {
				return fmt.Errorf("%s sees %+v", n.name, members)
			}
		}
		return nil
	})
}

// checkImage looks at the promises of the Dockerfile: no root, and a health
// check without a shell.
func checkImage(t *testing.T, e *engine) {
	t.Helper()
	container := strings.TrimSpace(e.do(t, "ps", "-q", "n1"))
	if got := e.run(t, "docker", "inspect", "--format", "{{.Config.User}}", container); got != "65532:65532" {
		t.Errorf("the container runs as %q", got)
	}
	harness.Eventually(t, "the health check passes", func() error {
		out, err := e.try("docker", "inspect", "--format", "{{.State.Health.Status}}", container)
		if err != nil || strings.TrimSpace(out) != "healthy" {
			return fmt.Errorf("%s %v", out, err)
		}
		return nil
	})
}

// checkStory posts a backend to each node and asks each node for answers.
func checkStory(t *testing.T, nodes []node) {
	t.Helper()
	for i, n := range nodes {
		name := fmt.Sprintf("b%d", i+1)
		n.Write(t, http.MethodPost, "/v1/backends", map[string]any{"name": name, "address": name + ":9000"})
	}
	for _, n := range nodes {
		seen := make(map[string]bool)
		harness.Eventually(t, n.name+" uses all backends", func() error {
			name, err := answerOf(n)
			if err != nil {
				return err
			}
			if seen[name] = true; len(seen) < 3 {
				return fmt.Errorf("so far only %v", seen)
			}
			return nil
		})
	}
	answer, err := harness.API{Address: nodes[0].Address}.Call(http.MethodGet, "/v1/backends", nil)
	if err != nil || answer.Status != http.StatusUnauthorized {
		t.Errorf("a call without a token: %+v, %v", answer, err)
	}
}

// answerOf returns the name of the backend that answers through the node.
func answerOf(n node) (string, error) {
	answer, err := harness.API{Address: n.http}.Call(http.MethodGet, "/", nil)
	if err != nil {
		return "", err
	}
	if answer.Status != http.StatusOK {
		return "", fmt.Errorf("%s: %d %s", n.name, answer.Status, answer.Body)
	}
	name, _, _ := strings.Cut(string(answer.Body), "\n")
	return name, nil
}

func checkDeathOfTheLeader(t *testing.T, e *engine, nodes []node) {
	t.Helper()
	info, err := nodes[0].Cluster()
	if err != nil {
		t.Fatal(err)
	}
	var survivors []node
	for _, n := range nodes {
		if n.name != info.Leader {
			survivors = append(survivors, n)
		}
	}
	load := harness.StartLoad(t, 50, survivors[0].http, survivors[1].http)
	load.WaitRequests(t, 10, survivors[0].http, survivors[1].http)
	e.do(t, "kill", info.Leader)
	survivors[0].Write(t, http.MethodPut, "/v1/pools/after", map[string]any{})
	load.WaitRequests(t, 20, survivors[0].http, survivors[1].http)
	load.StopClean(t)

	e.do(t, "start", info.Leader)
	waitFormed(t, nodes)
	for _, n := range nodes {
		harness.Eventually(t, n.name+" has what was written meanwhile", func() error {
			var pool harness.Object
			if err := n.Get("/v1/pools/after", &pool); err != nil {
				return err
			}
			_, err := answerOf(n)
			return err
		})
	}
}
