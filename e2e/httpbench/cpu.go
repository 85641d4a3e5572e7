//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// reading is the state of the clocks at one end of a window.
type reading struct {
	at        time.Time
	processes map[string]processReading
	core      coreTicks
}

// processReading is what a process has used so far.
type processReading struct {
	cpu time.Duration
	// threads holds, by thread, the time that it ran or waited for a core.
	threads map[int]time.Duration
}

// window is the difference of two readings.
type window struct {
	usage    map[string]Usage
	coreIdle float64
}

// read reads the clocks of all that the job watches.
func read(job Job) (reading, error) {
	r := reading{at: time.Now(), processes: map[string]processReading{}}
	for _, watched := range job.Watch {
		pid := watched.PID
		if pid == 0 {
			pid = os.Getpid()
		}
		p, err := readProcess(pid)
		if err != nil {
			return r, fmt.Errorf("read the clocks of %s: %w", watched.Name, err)
		}
		r.processes[watched.Name] = p
	}
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return r, err
	}
	r.core, err = parseCore(string(text), job.Core)
	return r, err
}

// since returns what was used between two readings.
func (r reading) since(before reading) window {
	elapsed := r.at.Sub(before.at)
	w := window{usage: map[string]Usage{}, coreIdle: r.core.idleSince(before.core)}
	for name, p := range r.processes {
		w.usage[name] = p.since(before.processes[name], elapsed)
	}
	return w
}

func (p processReading) since(before processReading, elapsed time.Duration) Usage {
	var awake time.Duration
	for id, span := range p.threads {
		awake += span - before.threads[id]
	}
	return Usage{CPU: p.cpu - before.cpu, Asleep: max(0, 1-awake.Seconds()/elapsed.Seconds())}
}

func readProcess(pid int) (processReading, error) {
	cpu, err := cpuTime(pid)
	if err != nil {
		return processReading{}, err
	}
	p := processReading{cpu: cpu, threads: map[int]time.Duration{}}
	names, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*", pid))
	if err != nil {
		return p, err
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(name, "schedstat"))
		if os.IsNotExist(err) {
			continue // the thread has ended
		} else if err != nil {
			return p, err
		}
		id, err := strconv.Atoi(filepath.Base(name))
		if err != nil {
			return p, err
		}
		if p.threads[id], err = parseSchedstat(string(text)); err != nil {
			return p, fmt.Errorf("read %s: %w", name, err)
		}
	}
	return p, nil
}

// cpuTime returns the user and system time of all threads of a process, those
// too that have ended, in nanoseconds: what utime and stime of /proc/PID/stat
// show in ticks. The clock's number is that of clock_getcpuclockid(3).
func cpuTime(pid int) (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &ts); err != nil {
		return 0, fmt.Errorf("read the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}
