package ejection

import (
	"cmp"
	"math"
	"slices"

	"evenkeel/fsm"
)

// sample is what a backend did in an interval.
type sample struct{ attempts, successes uint64 }

// outliers returns the indexes of the samples whose share of successes is below
// the mean by more than the rule's factor of standard deviations, the worst
// first. Samples of too few attempts do not count, and too few samples tell
// nothing. (Envoy's outlier detection has the rule.)
func outliers(samples []sample, rule *fsm.SuccessRate) []int {
	var judged []int
	mean := 0.0
	for i, s := range samples {
		if s.attempts > 0 && s.attempts >= uint64(max(rule.Requests, 0)) {
			judged = append(judged, i)
			mean += s.rate()
		}
	}
	if len(judged) == 0 || len(judged) < rule.Backends {
		return nil
	}
	mean /= float64(len(judged))
	variance := 0.0
	for _, i := range judged {
		variance += (samples[i].rate() - mean) * (samples[i].rate() - mean)
	}
	deviation := math.Sqrt(variance / float64(len(judged)))
	// Without the last term a rounding error would set equal rates apart.
	least := mean - float64(rule.Factor)/1000*deviation - 1e-9
	bad := slices.DeleteFunc(judged, func(i int) bool { return samples[i].rate() >= least })
	slices.SortStableFunc(bad, func(a, b int) int { return cmp.Compare(samples[a].rate(), samples[b].rate()) })
	return bad
}

func (s sample) rate() float64 { return float64(s.successes) / float64(s.attempts) }

// since is what was done since an earlier sample.
func (s sample) since(earlier sample) sample {
	return sample{s.attempts - min(s.attempts, earlier.attempts), s.successes - min(s.successes, earlier.successes)}
}
