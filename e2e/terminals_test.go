package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"evenkeel/e2e/harness"
)

// The README's story is typed in as it stands: a newcomer has nothing else.
func TestTheREADMEsThreeTerminalsWorkAsTheyStand(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("the README's commands use curl: ", err)
	}
	binary := harness.Binary(t)
	harness.Lock(t)
	for _, port := range []int{7070, 7071, 7170, 7171, 7270, 7271, 8080, 8180, 8280, 9001, 9002} {
		if address := fmt.Sprintf("127.0.0.1:%d", port); !harness.AddressFree(address) {
			t.Skipf("another program has %s, which the README's commands use", address)
		}
	}
	dir := t.TempDir()
	if err := os.Symlink(binary, filepath.Join(dir, "evenkeel")); err != nil {
		t.Fatal(err)
	}
	var nodes []*harness.Process
	for i, command := range readmeCommands(t, "## Three terminals") {
		start := func(name string) *harness.Process {
			return harness.Start(t, harness.Command{Name: name, Path: "/bin/sh", Args: []string{"-c", "exec " + strings.TrimSuffix(command, "&")},
				Dir: dir, Log: filepath.Join(dir, fmt.Sprintf("%d.log", i))})
		}
		switch {
		case strings.Contains(command, "go build"):
			// The binary is there already.
		case strings.HasPrefix(command, "./evenkeel serve"):
			nodes = append(nodes, start(fmt.Sprintf("n%d", len(nodes)+1)))
		case strings.HasSuffix(command, "&"):
			start("sample")
		case strings.HasPrefix(command, "kill -9"):
			nodes[0].Kill() // by its id, because others may run nodes of that name
		default:
			harness.Eventually(t, command, func() error { return shell(dir, command) })
		}
	}
	if len(nodes) != 3 {
		t.Fatalf("the README starts %d nodes", len(nodes))
	}
}

// shell runs a command; an answer of curl's that is an error is one.
func shell(dir, command string) error {
	cmd := exec.Command("/bin/sh", "-c", strings.Replace(command, "curl ", "curl --silent --show-error --fail-with-body ", 1))
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// readmeCommands returns the commands of one section of the README, without
// their comments and with continued lines joined.
func readmeCommands(t *testing.T, section string) []string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), section+"\n")
	if !found {
		t.Fatalf("the README has no section %q", section)
	}
	body, _, _ := strings.Cut(after, "\n## ")
	var commands []string
	for line := range strings.Lines(strings.ReplaceAll(body, "\\\n", " ")) {
		command, code := strings.CutPrefix(line, "    ")
		command, _, _ = strings.Cut(command, " #")
		if command = strings.TrimSpace(command); code && command != "" && !strings.HasPrefix(command, "#") {
			commands = append(commands, command)
		}
	}
	return commands
}
