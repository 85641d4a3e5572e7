package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// process is one child, started again under the same name after it ended.
type process struct {
	name, path string
	args       []string
	log        string // the file that takes its output
	launcher   *launcher

	mu    sync.Mutex // guards run
	run   *run
	spent bool
}

// run is one life of a process. ended is closed after err is set.
type run struct {
	pid   int
	child *os.Process
	ended chan struct{}
	err   error
}

// start starts the process; it must not run.
func (p *process) start() error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open log of %s: %w", p.name, err)
	}
	defer log.Close() // the child has its own descriptor
	cmd := exec.Command(p.path, p.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = cleanEnvironment(os.Environ())
	cmd.SysProcAttr = childAttributes()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spent {
		return fmt.Errorf("start %s: the demo ends", p.name)
	}
	if err := p.launcher.do(cmd.Start); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	r := &run{pid: cmd.Process.Pid, child: cmd.Process, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		r.err = cmd.Wait()
	}()
	p.run = r
	return nil
}

// cleanEnvironment removes what the user set for a node of their own.
func cleanEnvironment(environ []string) []string {
	var clean []string
	for _, entry := range environ {
		if !strings.HasPrefix(entry, "EVENKEEL_") {
			clean = append(clean, entry)
		}
	}
	return clean
}

// life returns the newest run, or nil before the first.
func (p *process) life() *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run
}

// alive tells whether the run has not ended.
func (r *run) alive() bool {
	if r == nil {
		return false
	}
	select {
	case <-r.ended:
		return false
	default:
		return true
	}
}

// cause says how the run ended, such as "signal: killed".
func (r *run) cause() string {
	if r.err == nil {
		return "exit status 0"
	}
	return r.err.Error()
}

// terminate asks the process to end, and lets it start no more.
func (p *process) terminate() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spent = true
	if !p.run.alive() {
		return nil
	}
	if err := p.run.child.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return errors.Join(fmt.Errorf("stop %s: %w", p.name, err), p.run.kill())
	}
	return nil
}

// await waits for the end of the process, and kills it when ctx ends.
func (p *process) await(ctx context.Context) error {
	r := p.life()
	if r == nil {
		return nil
	}
	select {
	case <-r.ended:
		return nil
	case <-ctx.Done():
	}
	err := r.kill()
	<-r.ended
	return err
}

func (r *run) kill() error {
	if err := r.child.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill process %d: %w", r.pid, err)
	}
	return nil
}

// logTail returns the last lines that the process wrote.
func (p *process) logTail(lines int) string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimRight(data, "\n"), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

// launcher starts processes from one thread that lives as long as the demo:
// Linux sends a child its death signal when the thread that made it ends, not
// the process (golang.org/issue/27505).
type launcher struct {
	jobs chan func()
	done chan struct{}
}

func newLauncher() *launcher {
	l := &launcher{jobs: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for job := range l.jobs {
			job()
		}
	}()
	return l
}

func (l *launcher) do(job func() error) error {
	result := make(chan error, 1)
	l.jobs <- func() { result <- job() }
	return <-result
}

// close ends the thread, once nothing is started any more.
func (l *launcher) close() {
	close(l.jobs)
	<-l.done
}
