//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// command is a program to start.
type command struct {
	name   string
	argv   []string
	env    []string // beside those of [bench.environment]
	cores  []int
	nice   int // 0 to 19
	input  io.Reader
	output io.Writer // nil: the log file
}

// process is a program that the bench started. It ends by kill, or with the
// bench: the kernel sees to that if the bench is killed itself.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string        // name of the file with what it printed
	done chan struct{} // closed when it has ended
	err  error         // of its end; to be read after done
}

// start starts a program; the bench ends it in [bench.close] at the latest.
func (b *bench) start(c command) (*process, error) {
	b.started++
	p := &process{name: c.name, log: filepath.Join(b.dir, fmt.Sprintf("%d-%s.log", b.started, c.name)), done: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command(c.argv[0], c.argv[1:]...)
	p.cmd.Dir, p.cmd.Env = b.dir, append(b.environment(), c.env...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = c.input, log, log
	if c.output != nil {
		p.cmd.Stdout = c.output
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := onCores(c.cores, p.cmd.Start); err != nil {
		if p.cmd.Process != nil {
			err = errors.Join(err, p.cmd.Process.Kill(), p.cmd.Wait())
		}
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
	}()
	b.processes[p] = struct{}{}
	if c.nice > 0 {
		if err := unix.Setpriority(unix.PRIO_PROCESS, p.pid(), c.nice); err != nil {
			return nil, errors.Join(fmt.Errorf("make %s nice: %w", c.name, err), b.end(p))
		}
	}
	return p, nil
}

// environment is that of all programs: nothing of the user's, and every file
// that a program likes to write goes to the bench's own directory.
func (b *bench) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir, "TMPDIR=" + b.dir, "XDG_CONFIG_HOME=" + b.dir, "XDG_DATA_HOME=" + b.dir}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// end kills a process, if it has not ended, and waits until it is gone.
func (b *bench) end(p *process) error {
	err := p.cmd.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	<-p.done
	delete(b.processes, p)
	return err
}

// wait waits until the process has ended by itself, and returns what it said
// if that was not in order.
func (b *bench) wait(ctx context.Context, p *process) error {
	select {
	case <-p.done:
		delete(b.processes, p)
		if p.err != nil {
			return fmt.Errorf("%s ended: %w: %s", p.name, p.err, p.lastWords())
		}
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("%s: %w", p.name, context.Cause(ctx)), b.end(p))
	}
}

// running returns an error once the process has ended.
func (p *process) running() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended: %v: %s", p.name, p.cmd.ProcessState, p.lastWords())
	default:
		return nil
	}
}

// lastWords is the end of what the process printed.
func (p *process) lastWords() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}
