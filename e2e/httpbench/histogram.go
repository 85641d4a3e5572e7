package main

import (
	"math"
	"math/bits"
	"time"
)

// precision is the number of leading bits of a span that a histogram keeps:
// what it tells is at most 1/64 above the truth.
const precision = 7

// histogram counts spans of 0 to 292 years in buckets whose width grows with
// the span, after Tene's HdrHistogram. Its zero value is empty.
type histogram struct {
	counts [(64 - precision + 2) << (precision - 1)]uint32
	total  uint64
	most   time.Duration
}

// add counts one span; a negative one counts as 0.
func (h *histogram) add(span time.Duration) {
	span = max(span, 0)
	h.counts[bucketOf(uint64(span))]++
	h.total++
	h.most = max(h.most, span)
}

// quantile returns the span below or at which that share of all lies, by the
// nearest rank; 0 when the histogram is empty.
func (h *histogram) quantile(share float64) time.Duration {
	rank := uint64(math.Ceil(share * float64(h.total)))
	rank = max(rank, 1)
	var seen uint64
	for i, count := range h.counts {
		if seen += uint64(count); seen >= rank {
			return min(highestOf(i), h.most)
		}
	}
	return h.most
}

// bucketOf returns the index of the bucket that a value falls into: values
// below 1<<precision have one each, further ones share one with all that have
// the same leading bits.
func bucketOf(value uint64) int {
	shift := max(bits.Len64(value)-precision, 0)
	if shift == 0 {
		return int(value)
	}
	return shift<<(precision-1) + int(value>>shift)
}

// highestOf returns the highest value of a bucket.
func highestOf(bucket int) time.Duration {
	if bucket < 1<<precision {
		return time.Duration(bucket)
	}
	shift := bucket>>(precision-1) - 1
	leading := uint64(bucket - shift<<(precision-1))
	return time.Duration(((leading + 1) << shift) - 1)
}
