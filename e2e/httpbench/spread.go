package main

import (
	"fmt"
	"math"
	"slices"
)

// spread is a figure over the rounds.
type spread struct{ median, least, most float64 }

// spreadOf returns NaN for all of no values.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return spread{median: (sorted[(n-1)/2] + sorted[n/2]) / 2, least: sorted[0], most: sorted[n-1]}
}

// ratios returns a/b for the rounds in which both have a figure.
func ratios(a, b map[int]float64) []float64 {
	var all []float64
	for round, value := range a {
		if other, both := b[round]; both && other > 0 {
			all = append(all, value/other)
		}
	}
	return all
}

// limit is what kept a closed loop from being faster.
type limit int

const (
	limitProxy limit = iota // the balancer had no rest: as it should be
	limitLoad               // the load generator and the backend had none
	limitOther              // both had: other programs on the machine, or waiting
)

const (
	// busy is the idle share below which somebody counts as without rest.
	busy = 0.1
	// full is the idle share that is none, within what can be measured.
	full = 0.05
)

// limitOf tells what the limit was of the idle shares of the balancer and of
// the core of the load: the balancer if it had no rest at all, otherwise who
// had the least.
func limitOf(proxyAsleep, loadIdle float64) limit {
	switch {
	case proxyAsleep <= full:
		return limitProxy
	case min(proxyAsleep, loadIdle) > busy:
		return limitOther
	case loadIdle < proxyAsleep:
		return limitLoad
	}
	return limitProxy
}

// limitNote says in how many of the rounds the balancer was not the limit, or
// nothing if it always was.
func limitNote(limits []limit) string {
	var load, other int
	for _, l := range limits {
		switch l {
		case limitLoad:
			load++
		case limitOther:
			other++
		}
	}
	note := ""
	if load > 0 {
		note = fmt.Sprintf("the load was the limit in %d of %d", load, len(limits))
	}
	if other > 0 {
		if note != "" {
			note += "; "
		}
		note += fmt.Sprintf("neither side was the limit in %d of %d", other, len(limits))
	}
	return note
}
