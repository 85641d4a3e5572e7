package main

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestQuantilesAreAtMostOne64thAboveTheTruth(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h histogram
	spans := make([]time.Duration, 10_000)
	for i := range spans {
		spans[i] = time.Duration(1) << random.IntN(40)
		spans[i] += time.Duration(random.Int64N(int64(spans[i])))
		h.add(spans[i])
	}
	slices.Sort(spans)
	for _, share := range []float64{0.001, 0.5, 0.9, 0.99, 0.9999, 1} {
		rank := int(share*float64(len(spans))+0.9999999) - 1
		exact, got := spans[rank], h.quantile(share)
		if got < exact || got > exact+exact/64 {
			t.Errorf("quantile(%v) = %v, want %v to 1/64 more", share, got, exact)
		}
	}
	if h.most != spans[len(spans)-1] {
		t.Errorf("most = %v, want %v", h.most, spans[len(spans)-1])
	}
}

func TestBucketsFollowEachOtherWithoutGaps(t *testing.T) {
	for bucket := range len(histogram{}.counts) - 1 {
		highest := uint64(highestOf(bucket))
		if got := bucketOf(highest); got != bucket {
			t.Fatalf("bucketOf(%d) = %d, want %d", highest, got, bucket)
		}
		if got := bucketOf(highest + 1); got != bucket+1 {
			t.Fatalf("bucketOf(%d) = %d, want %d", highest+1, got, bucket+1)
		}
	}
}

func TestAnEmptyHistogramHasNoQuantile(t *testing.T) {
	if got := new(histogram).quantile(0.99); got != 0 {
		t.Errorf("quantile = %v, want 0", got)
	}
}

func TestANegativeSpanCountsAsNone(t *testing.T) {
	var h histogram
	h.add(-time.Second)
	if h.total != 1 || h.quantile(1) != 0 {
		t.Errorf("%d spans, the longest of %v; want one of 0", h.total, h.quantile(1))
	}
}
