package compose

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// root is the module's root, seen from this package.
const root = "../.."

// project keeps the test's containers and volumes apart from those of a
// person who tries the same file out.
const project = "evenkeel-test"

// toolTimeout bounds a command that only asks or changes something small.
const toolTimeout = time.Minute

// engine is how to talk to Docker: the command line of Compose, which is a
// program of its own in version 1 and a verb of docker in version 2.
type engine struct {
	compose []string
	ctx     context.Context
}

// findEngine skips the test where there is no Docker engine or no Compose.
func findEngine(t *testing.T, ctx context.Context) *engine {
	t.Helper()
	e := &engine{ctx: ctx}
	if out, err := e.try("docker", "version", "--format", "{{.Server.Version}}"); err != nil {
		t.Skipf("no Docker engine: %v %s", err, out)
	}
	for _, compose := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if _, err := e.try(compose[0], append(compose[1:], "version")...); err == nil {
			e.compose = append(compose, "-p", project)
			return e
		}
	}
	t.Skip("neither docker compose nor docker-compose is there")
	return nil
}

// try runs a command and returns what it wrote to both outputs.
func (e *engine) try(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(e.ctx, toolTimeout)
	defer cancel()
	return runIn(ctx, nil, name, args...)
}

// run is try for what must work.
func (e *engine) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := e.try(name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

// do runs a verb of Compose that may take as long as the test.
func (e *engine) do(t *testing.T, args ...string) string {
	t.Helper()
	all := append(append([]string{}, e.compose[1:]...), args...)
	out, err := runIn(e.ctx, nil, e.compose[0], all...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", e.compose[0], strings.Join(all, " "), err, out)
	}
	return strings.TrimSpace(out)
}

// removeAfter removes an image after the test, unless it is there already: then
// a person uses it.
func (e *engine) removeAfter(t *testing.T, image string) {
	t.Helper()
	if _, err := e.try("docker", "image", "inspect", image); err == nil {
		return
	}
	t.Cleanup(func() {
		out, err := runIn(context.WithoutCancel(e.ctx), nil, "docker", "image", "rm", "--force", image)
		if err != nil && !t.Failed() {
			t.Errorf("remove the image %s: %v: %s", image, err, out)
		}
	})
}

func runIn(ctx context.Context, in io.Reader, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdin = root, in
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", err, ctx.Err())
	}
	return out.String(), err
}
