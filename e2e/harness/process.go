package harness

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// stopTimeout bounds how long a process may take to end after SIGTERM.
const stopTimeout = 30 * time.Second

// Process is one running program whose output goes to a log file. It is
// killed when the test ends; that it ended before without being told to fails
// the test.
type Process struct {
	name     string
	cmd      *exec.Cmd
	logName  string
	done     chan struct{} // closed when the process has ended
	expected atomic.Bool   // it was told to end
}

// Command is what to run: Log is the file that its output is appended to.
type Command struct {
	Name string
	Path string
	Args []string
	Env  []string
	Dir  string
	Log  string
}

// Start runs the command.
func Start(t testing.TB, c Command) *Process {
	t.Helper()
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p := &Process{name: c.Name, logName: c.Log, done: make(chan struct{})}
	p.cmd = exec.Command(c.Path, c.Args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = c.Dir, log, log
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.Dir, "TMPDIR=" + os.TempDir()}, c.Env...)
	p.cmd.SysProcAttr = dieWithParent()
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", c.Name, err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // how it ended is in ProcessState
	}()
	t.Cleanup(func() { p.cleanup(t) })
	return p
}

// PID returns the id of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Running tells whether the process has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Kill ends the process at once, as kill -9 does, and waits until it is gone.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// Terminate asks the process to end and returns at once.
func (p *Process) Terminate() { p.signal(syscall.SIGTERM) }

// Interrupt asks the process to end as Ctrl-C does and returns at once.
func (p *Process) Interrupt() { p.signal(syscall.SIGINT) }

// Pause stops the process where it is, as a frozen virtual machine does, until
// Resume. Its connections stay open and nothing answers on them.
func (p *Process) Pause(t testing.TB) {
	t.Helper()
	p.freeze(t, syscall.SIGSTOP)
}

// Resume has a paused process go on.
func (p *Process) Resume(t testing.TB) {
	t.Helper()
	p.freeze(t, syscall.SIGCONT)
}

func (p *Process) freeze(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("%s (pid %d): %v: %v", p.name, p.PID(), sig, err)
	}
}

// Stop asks the process to end and waits until it has. Anything but a clean
// exit fails the test.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	p.Terminate()
	p.WaitClean(t, stopTimeout)
}

// WaitClean waits until the process has ended by itself with exit code 0.
func (p *Process) WaitClean(t testing.TB, limit time.Duration) {
	t.Helper()
	p.expected.Store(true)
	if code := p.WaitCode(t, limit); code != 0 {
		t.Errorf("%s: ended with exit code %d, want 0", p.name, code)
	}
}

// WaitCode waits until the process has ended by itself and returns its exit
// code; -1 means a signal.
func (p *Process) WaitCode(t testing.TB, limit time.Duration) int {
	t.Helper()
	p.expected.Store(true)
	select {
	case <-p.done:
	case <-time.After(limit):
		t.Errorf("%s (pid %d): still running after %v", p.name, p.PID(), limit)
		p.Kill()
	}
	return p.cmd.ProcessState.ExitCode()
}

// Log returns what the process, and those that ran before it with the same
// log file, have written.
func (p *Process) Log(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(p.logName)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (p *Process) signal(sig syscall.Signal) {
	p.expected.Store(true)
	// A process that has ended already is as good as one that ends now.
	_ = p.cmd.Process.Signal(sig)
}

// deadly are words of a log that no scenario may leave behind.
var deadly = []string{"panic: ", "fatal error: ", "WARNING: DATA RACE"}

func (p *Process) cleanup(t testing.TB) {
	if !p.Running() && !p.expected.Load() {
		t.Errorf("%s (pid %d): ended by itself: %v", p.name, p.PID(), p.cmd.ProcessState)
	}
	p.Kill()
	text, err := os.ReadFile(p.logName)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	for _, word := range deadly {
		if at := bytes.Index(text, []byte(word)); at >= 0 {
			t.Errorf("%s: its log has %q:\n%s", p.name, word, text[at:min(at+4000, len(text))])
		}
	}
	if t.Failed() {
		t.Logf("%s: end of its log:\n%s", p.name, tail(string(text), 120))
	}
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(all) <= lines {
		return strings.Join(all, "\n")
	}
	return fmt.Sprintf("(%d lines before)\n%s", len(all)-lines, strings.Join(all[len(all)-lines:], "\n"))
}
