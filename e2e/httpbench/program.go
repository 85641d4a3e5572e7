//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"time"

	"evenkeel/e2e/harness"
)

// startLimit bounds how long a program may take until it answers.
const startLimit = 30 * time.Second

// program is a balancer that can be measured.
type program struct {
	name string
	// executable is what is looked for in PATH, with the arguments that make
	// it tell its version; nil if there is nothing to look for.
	executable []string
	// install is the package of the distribution that has it.
	install string
	onlyBig bool    // for large bodies alone
	fronts  []front // what it can be measured with beside [frontHTTP]
	start   func(ctx context.Context, b *bench, p placing) (*server, error)
}

// placing is how a program is run, and what its listener speaks.
type placing struct {
	cores   []int
	threads int
	front   front
	twin    bool // a second node is there, which gives tickets for the first
}

// alone is the placing of all cases but one: a thread on core 0.
func alone() placing { return placing{cores: []int{proxyCore}, threads: 1} }

// server is a program that runs.
type server struct {
	name    string
	address string
	process *process
	api     harness.API // of Evenkeel
	dataDir string      // of Evenkeel
	twin    *process    // the second node, if there is one
	cluster string      // of Evenkeel: the address that other nodes join
	tickets string      // where clients get tickets: the twin's address or its own
}

// findPrograms keeps those that are installed, and says how to install the
// others. Without Evenkeel there is nothing to measure.
func (b *bench) findPrograms(ctx context.Context) error {
	all := []program{
		evenkeelProgram(b.evenkeel),
		haproxyProgram(nameHAProxy, ""), haproxyProgram(nameSplice, "splice-response"), haproxyProgram(nameAuto, "splice-auto"),
		nginxProgram(), caddyProgram(),
	}
	for _, e := range b.options.extras {
		all = append(all, extraProgram(e))
	}
	missing := map[string]bool{}
	for _, p := range all {
		version, err := p.version(ctx)
		switch {
		case err == nil:
			b.programs = append(b.programs, p)
			if !p.onlyBig {
				b.out.print("%s: %s", p.name, version)
			}
		case p.name == nameEvenkeel:
			return fmt.Errorf("run %s: %w", b.evenkeel, err)
		case !missing[p.install]:
			missing[p.install] = true
			b.out.print("%s: left out, because %v; to install it: apt-get install %s", p.name, err, p.install)
		}
	}
	return nil
}

// version returns what the program says of itself, or why it cannot run.
func (p program) version(ctx context.Context) (string, error) {
	if p.executable == nil {
		return "by --extra", nil
	}
	path, err := executable(p.executable[0])
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, path, p.executable[1:]...).CombinedOutput()
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return first, err
}

// executable finds a program also where only an administrator's PATH leads.
func executable(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	if path, sbinErr := exec.LookPath("/usr/sbin/" + name); sbinErr == nil {
		return path, nil
	}
	return "", err
}

// named returns the programs of those names that are there, in that order. No
// names are all programs but those that only the case of large bodies needs.
func (b *bench) named(names ...string) []program {
	var found []program
	for _, p := range b.programs {
		if len(names) == 0 && !p.onlyBig {
			found = append(found, p)
		}
	}
	for _, name := range names {
		for _, p := range b.programs {
			if p.name == name {
				found = append(found, p)
			}
		}
	}
	return found
}

// startAll starts the programs. Whoever calls it ends them, also after an
// error.
func (b *bench) startAll(ctx context.Context, p placing, programs ...program) ([]*server, error) {
	var servers []*server
	for _, program := range programs {
		s, err := program.start(ctx, b, p)
		if err != nil {
			return servers, fmt.Errorf("start %s: %w", program.name, err)
		}
		servers = append(servers, s)
	}
	return servers, nil
}

// endAll ends the servers.
func (b *bench) endAll(servers []*server) error {
	var faults []error
	for _, s := range servers {
		faults = append(faults, b.end(s.process))
		if s.twin != nil {
			faults = append(faults, b.end(s.twin))
		}
	}
	return errors.Join(faults...)
}

// launch starts a program's process and waits until backends answer through
// it.
func (b *bench) launch(ctx context.Context, address string, c command, f front) (*server, error) {
	process, err := b.start(c)
	if err != nil {
		return nil, err
	}
	s := &server{name: c.name, address: address, process: process, tickets: address}
	if err := b.waitServes(ctx, s, f); err != nil {
		return nil, errors.Join(err, b.end(process))
	}
	return s, nil
}

// waitServes waits until an answer comes through the server. What is in it the
// load generator will check.
func (b *bench) waitServes(ctx context.Context, s *server, f front) error {
	if f != frontHTTP {
		return b.waitAnswers(ctx, s, f)
	}
	return s.until(ctx, "answers from a backend", func() error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+smallPath, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("GET %s: %s: %.200q", smallPath, response.Status, body)
		}
		return err
	})
}

// until polls until the condition returns nil, the process ends or the time is
// up.
func (s *server) until(ctx context.Context, what string, condition func() error) error {
	deadline := time.Now().Add(startLimit)
	for {
		err := condition()
		if err == nil {
			return nil
		}
		if ended := s.process.running(); ended != nil {
			return ended
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("wait until %s %s: not within %v: %w: %s", s.name, what, startLimit, err, s.process.lastWords())
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}
