//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
)

const (
	tailShare       = 0.6 // of the highest rate
	tailRounds      = 9
	tailBound       = 1.1
	tailConnections = 256
)

// tailPeers are the programs that the p99 is compared with.
func tailPeers() []string { return []string{nameHAProxy, nameNginx} }

// tails are the outcomes of one program, by mode, peer and round. Each peer
// has a rate of its own.
type tails map[mode]map[string]map[int]Outcome

func (t tails) set(m mode, peer string, round int, o Outcome) {
	if t[m] == nil {
		t[m] = map[string]map[int]Outcome{}
	}
	if t[m][peer] == nil {
		t[m][peer] = map[int]Outcome{}
	}
	t[m][peer][round] = o
}

// runTail compares the p99 in open loops, at 60 % of what the slower one of
// each pair can do.
func (b *bench) runTail(ctx context.Context) (err error) {
	p := alone()
	servers, err := b.startAll(ctx, p, b.named(append([]string{nameEvenkeel}, tailPeers()...)...)...)
	defer func() { err = errors.Join(err, b.endAll(servers)) }()
	if err != nil {
		return err
	}
	highest, err := b.highestRates(ctx, p, servers)
	if err != nil {
		return err
	}
	peers := servers[1:]
	rate := func(m mode, peer string) float64 {
		return tailShare * min(highest[m][nameEvenkeel], highest[m][peer])
	}
	own, others := tails{}, tails{}
	rounds := tailRounds
	if b.options.quick {
		rounds = 1
	}
	err = b.interleave(ctx, rounds, p, servers, func(round int, m mode, s *server) error {
		for _, peer := range peers {
			if s.name != nameEvenkeel && s.name != peer.name {
				continue
			}
			o, err := b.openLoop(ctx, p, s, rate(m, peer.name))
			if err != nil {
				return err
			}
			into := others
			if s.name == nameEvenkeel {
				into = own
			}
			into.set(m, peer.name, round, o)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, m := range []mode{modeAlone, modeSaturated} {
		b.printTails(m, highest[m], peers, rate, own, others)
	}
	return nil
}

// highestRates measures what each server does in a closed loop, by mode and
// name.
func (b *bench) highestRates(ctx context.Context, p placing, servers []*server) (map[mode]map[string]float64, error) {
	highest := map[mode]map[string]float64{modeAlone: {}, modeSaturated: {}}
	job := Job{Shape: GetSmall, Connections: 64, Warmup: warmup, Window: b.options.window}
	err := b.interleave(ctx, 1, p, servers, func(_ int, m mode, s *server) error {
		o, err := b.measure(ctx, p, s, job)
		b.out.check(fmt.Sprintf("highest rate of %s, %s", s.name, m), o)
		highest[m][s.name] = o.rate()
		return err
	})
	return highest, err
}

// openLoop sends small requests at that rate.
func (b *bench) openLoop(ctx context.Context, p placing, s *server, rate float64) (Outcome, error) {
	o, err := b.measure(ctx, p, s, Job{Shape: GetSmall, Connections: tailConnections, Rate: rate, Warmup: warmup, Window: b.options.window})
	b.out.check(fmt.Sprintf("open loop on %s", s.name), o)
	return o, err
}

func (b *bench) printTails(m mode, highest map[string]float64, peers []*server, rate func(mode, string) float64, own, others tails) {
	b.out.title("p99: open loop, GET of 1 KB, %d connections, at %.0f %% of the slower one's highest rate; %s", tailConnections, 100*tailShare, m)
	rows := [][]string{{"pair", "highest/s", "sent/s", "p50", "p99", "longest", ""}}
	for _, peer := range peers {
		for _, side := range []struct {
			name     string
			outcomes map[int]Outcome
		}{{nameEvenkeel, own[m][peer.name]}, {peer.name, others[m][peer.name]}} {
			cells := latencyCells(side.outcomes)
			rows = append(rows, append([]string{side.name, whole(highest[side.name]), whole(rate(m, peer.name))}, cells...))
		}
	}
	b.out.table(rows)
	rows = [][]string{{nameEvenkeel + " to", "p99, median", "range", "bound", ""}}
	for _, peer := range peers {
		measured := spreadOf(ratios(figures(own[m][peer.name], Outcome.p99), figures(others[m][peer.name], Outcome.p99)))
		cells := append(spreadCells(measured, two), "", "")
		if m == modeSaturated {
			cells = b.out.judge(fmt.Sprintf("p99: %s to %s", nameEvenkeel, peer.name), measured, tailBound, two)
		}
		rows = append(rows, append([]string{peer.name}, cells...))
	}
	b.out.table(rows)
}

// latencyCells shows the medians of p50, p99 and longest, and whether the rate
// was kept.
func latencyCells(outcomes map[int]Outcome) []string {
	behind := 0
	for _, o := range outcomes {
		if o.Unsent > 0 {
			behind++
		}
	}
	note := ""
	if behind > 0 {
		note = fmt.Sprintf("did not keep up in %d of %d", behind, len(outcomes))
	}
	return []string{
		micros(median(outcomes, Outcome.p50)), micros(median(outcomes, Outcome.p99)), micros(median(outcomes, Outcome.most)), note,
	}
}
