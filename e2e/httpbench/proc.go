package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// coreTicks are the ticks of one core since the machine started.
type coreTicks struct{ idle, all uint64 }

// parseCore reads the line of a core from /proc/stat: ticks in user, nice,
// system, idle, iowait, irq, softirq, steal.
func parseCore(text string, core int) (coreTicks, error) {
	prefix := fmt.Sprintf("cpu%d ", core)
	for line := range strings.Lines(text) {
		fields, found := strings.CutPrefix(line, prefix)
		if !found {
			continue
		}
		var ticks coreTicks
		for i, field := range strings.Fields(fields)[:8] {
			n, err := strconv.ParseUint(field, 10, 64)
			if err != nil {
				return coreTicks{}, fmt.Errorf("read /proc/stat: core %d: %w", core, err)
			}
			ticks.all += n
			if i == 3 || i == 4 {
				ticks.idle += n
			}
		}
		return ticks, nil
	}
	return coreTicks{}, fmt.Errorf("read /proc/stat: it has no core %d", core)
}

// idleSince returns the share of the ticks in which the core had nothing to
// run.
func (t coreTicks) idleSince(before coreTicks) float64 {
	if t.all <= before.all || t.idle < before.idle {
		return 0 // less than a tick, or the kernel corrected its count
	}
	return float64(t.idle-before.idle) / float64(t.all-before.all)
}

// parseSchedstat returns the time that a thread has run or waited to run.
func parseSchedstat(text string) (time.Duration, error) {
	fields := strings.Fields(text)
	if len(fields) != 3 {
		return 0, fmt.Errorf("read %q: want the time run, the time waited and the number of slices", text)
	}
	var sum time.Duration
	for _, field := range fields[:2] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n)
	}
	return sum, nil
}

// parseKilobytes returns the bytes of a line "NAME: n kB" of /proc/PID/status
// or smaps_rollup.
func parseKilobytes(text, name string) (int64, error) {
	n, err := parseCount(strings.ReplaceAll(text, " kB\n", "\n"), name)
	return n << 10, err
}

// parseCount returns the number of a line "NAME: n" of a file below /proc/PID.
func parseCount(text, name string) (int64, error) {
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, name+":"); found {
			n, err := strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read %s: %w", name, err)
			}
			return n, nil
		}
	}
	return 0, fmt.Errorf("read counts: there is no line %q", name)
}

// parseMetric returns the value of a metric without labels from a Prometheus
// exposition.
func parseMetric(text, name string) (float64, error) {
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, name+" "); found {
			return strconv.ParseFloat(strings.TrimSpace(rest), 64)
		}
	}
	return 0, fmt.Errorf("read metrics: %s is not exported", name)
}

// parsePortRange reads /proc/sys/net/ipv4/ip_local_port_range.
func parsePortRange(text string) (low, high int, err error) {
	if _, err := fmt.Sscan(text, &low, &high); err != nil {
		return 0, 0, fmt.Errorf("read port range %q: %w", text, err)
	}
	return low, high, nil
}
