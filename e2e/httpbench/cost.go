//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// costCase is a closed loop whose figure is CPU time per request.
type costCase struct {
	name, title string
	job         Job
	megabytes   float64 // of an answer, where that is what the cost is per
	bounds      map[string]float64
	// reference is the bound against the program of --reference.
	reference float64
	splice    bool // HAProxy that splices takes part
	front     front
	twin      bool // tickets are from another node
	whole     bool // the window is the job's requests, without a warm-up, however long they take
	shared    bool // the load is on the same cores, so nobody is the limit
}

// costCases are the cases of one kind of request each, with the most that
// Evenkeel may cost in relation to others.
func costCases() []costCase {
	return []costCase{
		{
			name: "get64", title: "GET of 1 KB, 64 keep-alive connections",
			job:    Job{Shape: GetSmall, Connections: 64},
			bounds: map[string]float64{nameHAProxy: 0.92, nameNginx: 0.92}, reference: 1.15,
		}, {
			name: "get512", title: "GET of 1 KB, 512 keep-alive connections",
			job:    Job{Shape: GetSmall, Connections: 512},
			bounds: map[string]float64{nameHAProxy: 0.65, nameNginx: 0.80}, reference: 1.20,
		}, {
			name: "post64", title: "POST of 4 KB, 64 keep-alive connections",
			job:    Job{Shape: PostForm, Connections: 64},
			bounds: map[string]float64{nameHAProxy: 0.92, nameNginx: 0.90}, reference: 1.15,
		}, {
			name: "connect64", title: "a new connection for each GET of 1 KB, 64 at a time",
			job:    Job{Shape: GetSmall, Connections: 64, Reconnect: true},
			bounds: map[string]float64{nameHAProxy: 0.95, nameNginx: 0.90}, reference: 1.15,
		}, {
			name: "big16", title: "GET of 1 MB, 16 keep-alive connections", megabytes: 1, splice: true,
			job:    Job{Shape: GetBig, Connections: 16},
			bounds: map[string]float64{nameHAProxy: 0.60, nameSplice: 0.85, nameAuto: 0.85, nameNginx: 0.60}, reference: 1.15,
		},
	}
}

// unit is what the cost is counted per.
func (c costCase) unit() string {
	if c.megabytes > 0 {
		return "MB"
	}
	return "request"
}

// bound returns the most that Evenkeel may cost in relation to a program, or 0.
func (c costCase) bound(peer, reference string) float64 {
	if peer == reference {
		return c.reference
	}
	return c.bounds[peer]
}

// runCost measures the case with all programs.
func (b *bench) runCost(ctx context.Context, c costCase) (err error) {
	programs := b.fitting(c.front, c.splice)
	p := alone()
	p.front, p.twin = c.front, c.twin
	servers, err := b.startAll(ctx, p, programs...)
	defer func() { err = errors.Join(err, b.endAll(servers)) }()
	if err != nil {
		return err
	}
	t, err := b.costs(ctx, c, p, servers)
	if err != nil {
		return err
	}
	b.printCosts(c, t, nameEvenkeel, func(peer string) float64 { return c.bound(peer, b.options.reference) })
	return nil
}

// costTable is what a cost case measured: outcomes by mode, program and round.
type costTable struct {
	names    []string
	outcomes map[mode]map[string]map[int]Outcome
}

// costs measures all servers in both modes.
func (b *bench) costs(ctx context.Context, c costCase, p placing, servers []*server) (costTable, error) {
	t := costTable{outcomes: map[mode]map[string]map[int]Outcome{modeAlone: {}, modeSaturated: {}}}
	for _, s := range servers {
		t.names = append(t.names, s.name)
		t.outcomes[modeAlone][s.name], t.outcomes[modeSaturated][s.name] = map[int]Outcome{}, map[int]Outcome{}
	}
	job := c.job
	job.Warmup, job.Window = warmup, b.options.window
	if c.whole {
		job.Warmup, job.Window = 0, startLimit
	}
	err := b.interleave(ctx, b.options.rounds, p, servers, func(round int, m mode, s *server) error {
		o, err := b.measure(ctx, p, s, job)
		t.outcomes[m][s.name][round] = o
		b.out.check(fmt.Sprintf("%s, %s, %s, round %d", c.name, s.name, m, round+1), o)
		return err
	})
	return t, err
}

// cost returns the balancer's CPU time per unit of the case, in microseconds.
func (c costCase) cost(o Outcome) float64 { return o.cpuPerRequest(watchProxy) / max(c.megabytes, 1) }

// printCosts prints the figures of all programs and the subject's ratios to
// the others. What has no bound has 0.
func (b *bench) printCosts(c costCase, t costTable, subject string, bound func(peer string) float64) {
	for _, m := range []mode{modeAlone, modeSaturated} {
		b.out.title("%s: %s; %s", c.name, c.title, m)
		rows := [][]string{{"program", "requests/s", "p50", "p99", "CPU µs/" + c.unit(), ""}}
		for _, name := range t.names {
			rows = append(rows, c.row(name, t.outcomes[m][name]))
		}
		b.out.table(rows)
		if !slices.Contains(t.names, subject) {
			continue // left out by --programs
		}
		rows = [][]string{{subject + " to", "CPU/" + c.unit() + ", median", "range", "bound", ""}}
		for _, peer := range t.names {
			if peer == subject {
				continue
			}
			measured := spreadOf(ratios(figures(t.outcomes[m][subject], c.cost), figures(t.outcomes[m][peer], c.cost)))
			cells := append(spreadCells(measured, two), "", "")
			if most := bound(peer); most > 0 && m == modeSaturated {
				cells = b.out.judge(fmt.Sprintf("%s: CPU/%s, %s to %s", c.name, c.unit(), subject, peer), measured, most, two)
			}
			rows = append(rows, append([]string{peer}, cells...))
		}
		b.out.table(rows)
		if c.shared {
			b.printRates(c, m, t, subject)
		}
	}
}

// printRates prints the subject's rates beside the others': where the load is
// on the same cores, they are the sum of what everybody costs.
func (b *bench) printRates(c costCase, m mode, t costTable, subject string) {
	rows := [][]string{{"to " + subject, "requests/s, median", "range", "bound", ""}}
	for _, peer := range t.names {
		if peer == subject {
			continue
		}
		measured := spreadOf(ratios(figures(t.outcomes[m][peer], Outcome.rate), figures(t.outcomes[m][subject], Outcome.rate)))
		cells := append(spreadCells(measured, two), "", "")
		if m == modeSaturated {
			cells = b.out.judge(fmt.Sprintf("%s: requests/s, %s to %s", c.name, peer, subject), measured, 1, two)
		}
		rows = append(rows, append([]string{peer}, cells...))
	}
	b.out.table(rows)
}

// row shows the medians of a program.
func (c costCase) row(name string, outcomes map[int]Outcome) []string {
	var limits []limit
	for _, o := range outcomes {
		if !c.shared {
			limits = append(limits, limitOf(o.Usage[watchProxy].Asleep, o.CoreIdle))
		}
	}
	return []string{
		name, whole(median(outcomes, Outcome.rate)), micros(median(outcomes, Outcome.p50)), micros(median(outcomes, Outcome.p99)),
		two(median(outcomes, c.cost)), limitNote(limits),
	}
}

// figures returns one figure of each round that has any.
func figures(outcomes map[int]Outcome, f func(Outcome) float64) map[int]float64 {
	values := map[int]float64{}
	for round, o := range outcomes {
		if o.Requests > 0 {
			values[round] = f(o)
		}
	}
	return values
}

// median is that of the rounds.
func median(outcomes map[int]Outcome, f func(Outcome) float64) float64 {
	return spreadOf(slices.Collect(maps.Values(figures(outcomes, f)))).median
}
