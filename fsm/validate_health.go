package fsm

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Bounds of what is said about health besides checks, part of the feature
// level.
const (
	minEjection      = 100 * time.Millisecond
	minHold          = time.Second
	maxFirstHold     = time.Hour
	maxHold          = 24 * time.Hour
	minRateInterval  = time.Second
	maxRateInterval  = time.Hour
	maxEjectionCount = 1000
	maxRateRequests  = 1_000_000
	maxRateBackends  = 1000
	maxRateFactor    = 10_000
	maxFlaps         = 100
	minDecay         = time.Second
	maxDecay         = 24 * time.Hour
	minDrainTimeout  = time.Second
	maxDrainTimeout  = 24 * time.Hour
	minOverride      = time.Second
	maxOverride      = 8760 * time.Hour
	maxItems         = 10_000 // of an [Expire] or [ReportIdle]
)

func (e *Ejection) validate(f *faults) {
	checkRange(f, "/spec/ejection/failures", e.Failures, 1, maxEjectionCount)
	checkRange(f, "/spec/ejection/errors", e.Errors, 0, maxEjectionCount)
	if e.SuccessRate != nil {
		e.SuccessRate.validate(f)
	}
	checkHolds(f, "/spec/ejection", e.Hold, e.MaxHold, minEjection)
	checkRange(f, "/spec/ejection/max_percent", e.MaxPercent, 0, 100)
}

func (r *SuccessRate) validate(f *faults) {
	checkWithin(f, "/spec/ejection/success_rate/interval", r.Interval, minRateInterval, maxRateInterval)
	checkRange(f, "/spec/ejection/success_rate/requests", r.Requests, 1, maxRateRequests)
	checkRange(f, "/spec/ejection/success_rate/backends", r.Backends, 2, maxRateBackends)
	checkRange(f, "/spec/ejection/success_rate/factor", r.Factor, 1, maxRateFactor)
}

func (d *Damping) validate(f *faults) {
	checkRange(f, "/spec/damping/flaps", d.Flaps, 1, maxFlaps)
	checkHolds(f, "/spec/damping", d.Hold, d.MaxHold, minHold)
	checkWithin(f, "/spec/damping/decay", d.Decay, minDecay, maxDecay)
}

// checkHolds reports a first and a longest hold that are out of bounds.
func checkHolds(f *faults, at string, first, longest Duration, low time.Duration) {
	checkWithin(f, at+"/hold", first, low, maxFirstHold)
	if longest < first || time.Duration(longest) > maxHold {
		f.add(at+"/max_hold", "%q is not from hold, %q, to %q", longest, first, maxHold)
	}
}

// checkWithin reports a time span that is not within the bounds.
func checkWithin(f *faults, pointer string, span Duration, low, high time.Duration) {
	if time.Duration(span) < low || time.Duration(span) > high {
		f.add(pointer, "%q is not from %q to %q", span, low, high)
	}
}

func (o SetOverride) validate(f *faults) {
	CheckName(o.Pool, "/pool", f.add)
	CheckName(o.Name, "/name", f.add)
	switch o.Health {
	case HealthUp, HealthDown:
	case "":
		if o.For != 0 {
			f.add("/for", "%q: an override that is taken back lasts no time: leave it out, or set health", o.For)
		}
		if o.Reason != "" {
			f.add("/reason", "%q: an override that is taken back has no reason: leave it out, or set health", clip(o.Reason))
		}
	default:
		f.add("/health", "%q is not one of up, down: leave it out to take the override back", clip(string(o.Health)))
	}
	if o.For != 0 && (time.Duration(o.For) < minOverride || time.Duration(o.For) > maxOverride) {
		f.add("/for", "%q is not from %q to %q: leave it out for an override that stays until it is taken back", o.For, minOverride, maxOverride)
	}
	if len(o.Reason) > maxReason {
		f.add("/reason", "has %d bytes, at most %d are taken", len(o.Reason), maxReason)
	}
	if f.writing && strings.ContainsFunc(o.Reason, func(r rune) bool { return !unicode.IsPrint(r) }) {
		f.add("/reason", "%q holds what cannot be printed in a line: write a text of one line", clip(o.Reason))
	}
	o.If.validate(f)
}

func (e Expire) validate(f *faults) {
	if len(e.Items) > maxItems {
		f.add("/items", "has %d items, at most %d are taken in one command", len(e.Items), maxItems)
		return
	}
	for i, item := range e.Items {
		switch item.What {
		case ExpireHold, ExpireFlap, ExpireRamp, ExpireOverride, ExpireDrain, ExpireTTL:
		default:
			f.add(fmt.Sprintf("/items/%d/what", i), "%q is not one of %s, %s, %s, %s, %s, %s", clip(string(item.What)),
				ExpireHold, ExpireFlap, ExpireRamp, ExpireOverride, ExpireDrain, ExpireTTL)
		}
	}
}

func (r ReportIdle) validate(f *faults) {
	checkUID(f, "/node", r.Node)
	if len(r.Backends) > maxItems {
		f.add("/backends", "has %d backends, at most %d are taken in one command", len(r.Backends), maxItems)
	}
}
