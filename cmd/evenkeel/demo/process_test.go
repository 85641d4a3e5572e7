package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain lets this test's binary stand in for the children of a demo.
func TestMain(m *testing.M) {
	switch mode := os.Getenv("DEMO_TEST_CHILD"); mode {
	case "":
		goleak.VerifyTestMain(m)
	case "waits":
		fmt.Printf("EVENKEEL_NAME=%q\n", os.Getenv("EVENKEEL_NAME"))
		_, _ = io.Copy(io.Discard, os.Stdin) // /dev/null: ends at once
		<-make(chan struct{})
	case "fails":
		fmt.Println("one\ntwo\nthree")
		os.Exit(3)
	}
}

func newProcess(t testing.TB, mode string) *process {
	t.Helper()
	t.Setenv("DEMO_TEST_CHILD", mode)
	t.Setenv("EVENKEEL_NAME", "of the user")
	l := newLauncher()
	p := &process{name: "p", path: os.Args[0], launcher: l, log: filepath.Join(t.TempDir(), "log")}
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		if err := p.await(ended); err != nil {
			t.Error(err)
		}
		l.close()
	})
	return p
}

// eventually polls until check is content.
func eventually(t testing.TB, what string, check func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !check(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

func TestAProcessEndsInOrderAndStaysEnded(t *testing.T) {
	p := newProcess(t, "waits")
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the child writes", func() bool { return strings.Contains(p.logTail(1), "EVENKEEL") })
	if got := p.logTail(1); got != `EVENKEEL_NAME=""` {
		t.Errorf("the child sees the user's options: %s", got)
	}
	life := p.life()
	if !life.alive() {
		t.Fatalf("ended: %s", life.cause())
	}
	if err := p.terminate(); err != nil {
		t.Error(err)
	}
	if err := p.await(t.Context()); err != nil || life.alive() || life.cause() == "" {
		t.Errorf("await: %v; alive %v, cause %q", err, life.alive(), life.cause())
	}
	if err := p.start(); err == nil {
		t.Error("a process started after the end of the demo")
	}
}

func TestADeadProcessIsStartedAgain(t *testing.T) {
	p := newProcess(t, "waits")
	d := &demo{config: Config{Out: io.Discard, Err: io.Discard}, backends: []*backend{{process: p}}}
	k := &keeper{demo: d, dead: map[string]time.Time{}}
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	look := func(at time.Time) string {
		t.Helper()
		events, err := k.look(at)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(events, "\n")
	}
	now := time.Now()
	if got := look(now); got != "" {
		t.Errorf("events %q of a process that lives", got)
	}
	first := p.life()
	if err := first.kill(); err != nil {
		t.Fatal(err)
	}
	<-first.ended
	if got := look(now); !strings.Contains(got, "is dead (signal: killed)") {
		t.Errorf("events %q after the death", got)
	}
	if got := look(now.Add(restartDelay - 1)); got != "" {
		t.Errorf("events %q before the return", got)
	}
	if got := look(now.Add(restartDelay)); !strings.Contains(got, "is started again") || !p.life().alive() {
		t.Errorf("events %q at the return", got)
	}
}

func TestAStartThatFailsShowsTheEndOfTheLog(t *testing.T) {
	p := newProcess(t, "fails")
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	d := &demo{}
	err := d.wait(t.Context(), p, func() error { return io.EOF })
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "two\nthree") {
		t.Errorf("error %v", err)
	}
}

func TestThePlanHasAnAddressForEachAndLeavesThemFree(t *testing.T) {
	l := newLauncher()
	defer l.close()
	d := &demo{dir: t.TempDir(), executable: "evenkeel", launcher: l}
	if err := d.plan(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, n := range d.nodes {
		for _, address := range []string{n.api, n.cluster, n.traffic} {
			if seen[address] || address == "" {
				t.Errorf("address %q twice", address)
			}
			seen[address] = true
		}
	}
	if len(d.processes()) != 6 || len(seen) != 9 {
		t.Errorf("%d processes, addresses %v", len(d.processes()), seen)
	}
	secret, err := os.ReadFile(filepath.Join(d.dir, "cluster.secret"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range d.processes() {
		if strings.Contains(strings.Join(p.args, " "), string(bytes.TrimSpace(secret))) {
			t.Errorf("the secret is in the command line of %s", p.name)
		}
	}
}
