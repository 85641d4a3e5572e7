package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"evenkeel/cmd/evenkeel/cli"
)

// solo runs a node until the test ends, and returns the address of its API.
func solo(t *testing.T) string {
	t.Helper()
	api, _ := soloLogged(t)
	return api
}

// soloLogged is solo with what the node logs.
func soloLogged(t *testing.T, more ...string) (api string, log *logBuffer) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	log = &logBuffer{}
	ended := make(chan int, 1)
	args := []string{"serve", "--name", "solo", "--data-dir", filepath.Join(t.TempDir(), "data"), "--log-format", "json",
		"--api-addr", "127.0.0.1:0", "--cluster-addr", "127.0.0.1:0", "--listener-addr", "default=127.0.0.1:0"}
	args = append(args, more...)
	go func() { ended <- run(ctx, args, io.Discard, log) }()
	t.Cleanup(func() {
		stop()
		select {
		case code := <-ended:
			if code != cli.ExitOK {
				t.Errorf("exit %d: %s", code, log)
			}
		case <-time.After(30 * time.Second):
			t.Errorf("did not stop: %s", log)
		}
	})
	eventually(t, "the node is ready", func() bool { return log.find("ready") != nil })
	return log.find("ready")["api"].(string), log
}

// TestTheVerbsOfTheRegistryAgainstANode holds the command line to what a node really
// answers, as the tests of its own hold it to what they say that a node answers.
func TestTheVerbsOfTheRegistryAgainstANode(t *testing.T) {
	api := solo(t)
	t.Chdir(t.TempDir())
	ek := func(line string, code int, wants ...string) string {
		t.Helper()
		var out, errOut bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		got := run(ctx, append(strings.Fields(line), "--api", api), &out, &errOut)
		text := out.String() + errOut.String()
		for _, want := range wants {
			if !regexp.MustCompile(want).MatchString(text) {
				t.Errorf("%s: %q does not match %s", line, text, want)
			}
		}
		if got != code {
			t.Errorf("%s: exit %d, want %d: %s", line, got, code, text)
		}
		return out.String()
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ek("backend add 127.0.0.1:9 --name a --reason first --wait all", cli.ExitOK, `default +a +127.0.0.1:9`)
	ek("backend weight a 5 --dry-run", cli.ExitOK, `(?s)^~ backend default/a  weight 1 → 5\n.*dry run`)
	ek("history", cli.ExitOK, `(?m)^2 .* \+ backend default/a .*first$`)
	ek("history 2", cli.ExitOK, `\+ backend default/a  address 127.0.0.1:9, weight 1`)
	ek("backend add 127.0.0.1:10 --name b --idempotency-key k", cli.ExitOK)
	ek("backend add 127.0.0.1:10 --name b --idempotency-key k", cli.ExitOK)
	ek("backend add 127.0.0.1:11 --name c --idempotency-key k", cli.ExitConflict, `another request`)

	manifest := ek("export", cli.ExitOK, `name: a`)
	write("as-it-is.yaml", manifest)
	write("other.yaml", strings.Replace(manifest, "127.0.0.1:10", "127.0.0.1:12", 1))
	write("faulty.yaml", "pools:\n  - name: x\n    strategi: random\n")
	ek("diff -f as-it-is.yaml", cli.ExitOK, `^$`)
	ek("apply -f as-it-is.yaml", cli.ExitOK, `no new revision`)
	ek("diff -f other.yaml", cli.ExitError, `~ backend default/b  address 127.0.0.1:10 → 127.0.0.1:12`)
	ek("diff -f faulty.yaml", cli.ExitUsage, `line 3, column 5: .*strategi`)
	ek("apply -f faulty.yaml", cli.ExitError, `line 3, column 5: .*strategi`)
	ek("apply -f other.yaml --confirm-within 1h", cli.ExitOK, `revision 4: 1 updated`, `evenkeel confirm 4`)
	ek("history --pending", cli.ExitOK, `(?m)^4 .* ~ backend default/b`)
	ek("backend rm b", cli.ExitConflict, `revision 4`)
	ek("undo 4", cli.ExitOK, `~ backend default/b  address 127.0.0.1:12 → 127.0.0.1:10`, `revision 4 is undone`)
	ek("backend rm b --confirm-within 1h", cli.ExitOK, `evenkeel confirm 6`)
	ek("confirm 6", cli.ExitOK, `revision 6 stays`)
	ek("confirm 6", cli.ExitNotFound)
	ek("history 5 current", cli.ExitOK, `^- backend default/b\n$`)
	ek("rollback 2 --dry-run", cli.ExitOK, `nothing to change`)
	ek("rollback 3 --reason oops", cli.ExitOK, `\+ backend default/b`, `revision 7: 1 created`)
	ek("history 99", cli.ExitNotFound)
	ek("__complete rollback ", cli.ExitOK)
}

// TestAWatchOfANode has the command line tell of changes that were made before it began.
func TestAWatchOfANode(t *testing.T) {
	api := solo(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, line := range []string{"backend add 127.0.0.1:9 --name a", "backend weight a 5", "backend rm a"} {
		if code := run(ctx, append(strings.Fields(line), "--api", api), io.Discard, io.Discard); code != cli.ExitOK {
			t.Fatalf("%s: exit %d", line, code)
		}
	}
	watching, stop := context.WithCancel(ctx)
	var out logBuffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(watching, []string{"watch", "--since", "1", "--name", "a", "--api", api}, &out, io.Discard)
	}()
	defer stop()
	eventually(t, "all three changes are told", func() bool { return strings.Count(out.String(), "backend default/a") == 3 })
	stop()
	if code := <-ended; code != cli.ExitOK {
		t.Errorf("exit %d", code)
	}
	if !regexp.MustCompile(`(?s)^\S+  2  \+ .*\n\S+  3  ~ .*\n\S+  4  - `).MatchString(out.String()) {
		t.Errorf("it told %s", out.String())
	}
}
