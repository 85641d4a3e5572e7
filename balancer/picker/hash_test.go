package picker

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// hashings are the strategies that choose by a key.
var hashings = []struct {
	name  string
	build func([]Candidate) Hashing
}{
	{"maglev", func(c []Candidate) Hashing { return NewMaglev(c) }},
	{"ring hash", func(c []Candidate) Hashing { return NewRingHash(c) }},
	{"rendezvous", func(c []Candidate) Hashing { return NewRendezvous(c) }},
}

// placed returns which candidate, by name, has each of k keys.
func placed(p Picker, candidates []Candidate, k int) []string {
	names := make([]string, k)
	for i := range names {
		names[i] = candidates[p.Pick(&Request{Hash: key(i)})].Name
	}
	return names
}

// The reference implementation's answers: nodes of other builds must agree.
func TestKeysAreHashedByXXHash64(t *testing.T) {
	for text, want := range map[string]uint64{
		"": 0xef46db3751d8e999, "a": 0xd24ec4f1a98c6e5b, "abc": 0x44bc2cf5ad770999,
	} {
		if got := HashString(text); got != want || HashBytes([]byte(text)) != want {
			t.Errorf("the hash of %q is %#x, want %#x", text, got, want)
		}
	}
}

// A change of these answers moves all keys of all users while a cluster is
// upgraded, and has nodes of two builds disagree.
func TestHashingStrategiesAnswerAsEver(t *testing.T) {
	candidates := idle(1, 1, 2, 5, 1, 3)
	for i := range candidates {
		candidates[i].Name = []string{"amber", "birch", "cedar", "downs", "ember", "fjord"}[i]
	}
	for name, want := range golden {
		t.Run(name, func(t *testing.T) {
			for _, h := range hashings {
				if h.name != name {
					continue
				}
				if got := initials(placed(h.build(candidates), candidates, 64)); got != want {
					t.Fatalf("got  %s\nwant %s", got, want)
				}
			}
		})
	}
}

var golden = map[string]string{
	"maglev":     "dbfbffdbffdfcbdffafceddedfdcfbdcdfcefbbddffbcedaddcdccaffebdccff",
	"ring hash":  "ffeddcccddcfadddfdffafcefdcfcfcdddedbfdaffddafddebfedfcfcfcdafac",
	"rendezvous": "fccdddbfaedddaccafeedfdddfcdfdcddadbdcdfedfbbfdddbddddbddeaadece",
}

func initials(names []string) string {
	var s []byte
	for _, name := range names {
		s = append(s, name[0])
	}
	return string(s)
}

func TestTheOrderOfCandidatesDoesNotMatterToAHash(t *testing.T) {
	weights := []int{3, 1, 1, 7, 1, 20, 1, 1, 3}
	one := idle(weights...)
	other := slices.Clone(one)
	slices.Reverse(other)
	other[2], other[5] = other[5], other[2]
	for _, h := range hashings {
		t.Run(h.name, func(t *testing.T) {
			if !slices.Equal(placed(h.build(one), one, 5000), placed(h.build(other), other, 5000)) {
				t.Fatal("two orders of the same candidates place keys differently")
			}
		})
	}
}

func TestHashesFollowTheWeights(t *testing.T) {
	const keys = 60_000
	for _, weights := range [][]int{{1, 1, 1, 1, 1}, {1, 2, 3, 4, 10}, {100, 100, 50, 1000}} {
		candidates := idle(weights...)
		for _, h := range hashings {
			t.Run(fmt.Sprint(h.name, weights), func(t *testing.T) {
				got := counts(h.build(candidates), len(weights), keys, nil)
				if h.name != "ring hash" {
					wantShares(t, got, floats(weights))
					return
				}
				wantRingShares(t, got, weights)
			})
		}
	}
}

// wantRingShares holds shares against those of random points: the share of k
// points of n strays by the root of (1/k-1/n), of its own size. Four such
// deviations.
func wantRingShares(t *testing.T, got, weights []int) {
	t.Helper()
	total, sum := 0, 0
	for i := range got {
		total += got[i]
		sum += weights[i]
	}
	each := pointsEach(idle(weights...))
	for i, w := range weights {
		points, share := each*float64(w), float64(w)/float64(sum)
		stray := math.Sqrt((1 - share) / points)
		if off := float64(got[i])/float64(total)/share - 1; math.Abs(off) > 4*stray+0.01 {
			t.Errorf("candidate %d of weight %d strays by %.3f of its share, want at most %.3f", i, w, off, 4*stray+0.01)
		}
	}
}

// However light a candidate, it has its place in a Maglev table, and shares are
// exact to about one.
func TestMaglevSharesAreExactToAboutOnePlace(t *testing.T) {
	random := seeded(10)
	for range 20 {
		weights := make([]int, 1+random.below(30))
		for i := range weights {
			weights[i] = 1 + int(random.below(1000))
		}
		table := NewMaglev(idle(weights...)).table
		places, sum := make([]float64, len(weights)), 0.0
		for _, i := range table {
			places[i]++
		}
		for _, w := range weights {
			sum += float64(w)
		}
		for i, w := range weights {
			want := float64(len(table)) * float64(w) / sum
			// Each of the others may be up to a place ahead in turns.
			if most := 1 + float64(len(weights))*float64(w)/sum; math.Abs(places[i]-want) > most || places[i] < 1 {
				t.Fatalf("weight %d has %v places, want %.2f give or take %.2f", w, places[i], want, most)
			}
		}
	}
}

// What a strategy moves beyond the keys of the candidate that comes or goes, of
// all keys: nothing for those that score or place candidates independently. The
// Maglev paper allows for some (section 5.3).
var extraMovement = map[string]float64{"maglev": 0.02, "ring hash": 0, "rendezvous": 0}

func TestAHashMovesTheKeysOfWhatComesOrGoesAlone(t *testing.T) {
	const keys = 20_000
	for _, h := range hashings {
		t.Run(h.name, func(t *testing.T) {
			for _, weights := range [][]int{
				{1, 1}, equalWeights(10), equalWeights(11), equalWeights(100), {1, 2, 3, 4, 5, 6}, {10, 1, 5, 1, 20},
			} {
				moves(t, h.build, weights, keys, extraMovement[h.name])
			}
		})
	}
}

// moves compares the keys' places with and without the last candidate: it may
// have come as well as gone.
func moves(t *testing.T, build func([]Candidate) Hashing, weights []int, keys int, extra float64) {
	t.Helper()
	with := idle(weights...)
	fewer, last := with[:len(with)-1], with[len(with)-1]
	before, after := placed(build(with), with, keys), placed(build(fewer), fewer, keys)
	own, others := 0, 0
	for i := range before {
		switch {
		case before[i] == last.Name:
			own++
		case before[i] != after[i]:
			others++
		}
	}
	sum := 0
	for _, w := range weights {
		sum += w
	}
	if share := float64(own) / float64(keys); share > 1.5*float64(last.Weight)/float64(sum) {
		t.Errorf("%d candidates: the last has %.3f of all keys, its weight is %d of %d", len(weights), share, last.Weight, sum)
	}
	if moved := float64(others) / float64(keys); moved > extra {
		t.Errorf("%d candidates: %.4f of all keys moved from one that stayed to another, want at most %.4f", len(weights), moved, extra)
	}
}

func equalWeights(n int) []int {
	weights := make([]int, n)
	for i := range weights {
		weights[i] = 1
	}
	return weights
}

func TestRingAndRendezvousMoveNothingElseWhateverTheWeights(t *testing.T) {
	for _, h := range hashings[1:] {
		t.Run(h.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				candidates := idle(rapid.SliceOfN(rapid.IntRange(1, 9), 2, 8).Draw(t, "weights")...)
				gone := rapid.IntRange(0, len(candidates)-1).Draw(t, "gone")
				rest := slices.Delete(slices.Clone(candidates), gone, gone+1)
				before, after := placed(h.build(candidates), candidates, 300), placed(h.build(rest), rest, 300)
				for i := range before {
					if before[i] != candidates[gone].Name && before[i] != after[i] {
						t.Fatalf("key %d moved from %s to %s when %s went", i, before[i], after[i], candidates[gone].Name)
					}
				}
			})
		})
	}
}

// A retry goes where the key would go if what was tried had never been there,
// so that all nodes' retries meet at one candidate's cache.
func TestARetryGoesToTheKeysNextCandidate(t *testing.T) {
	candidates := idle(1, 4, 2, 1, 1, 9, 3)
	for _, h := range hashings[1:] {
		t.Run(h.name, func(t *testing.T) {
			p, keys := h.build(candidates), 2000
			for gone := range candidates {
				rest := slices.Delete(slices.Clone(candidates), gone, gone+1)
				want := placed(h.build(rest), rest, keys)
				for k := range keys {
					if p.Pick(&Request{Hash: key(k)}) != gone {
						continue
					}
					second := p.Pick(&Request{Hash: key(k), Tried: without(gone)})
					if got := candidates[second].Name; got != want[k] {
						t.Fatalf("key %d goes on to %s, want %s", k, got, want[k])
					}
				}
			}
		})
	}
}

// A key that hashes like a name gave the lowest score of all.
func TestRendezvousHasAnAnswerForAKeyThatIsAName(t *testing.T) {
	candidates := idle(1)
	if got := NewRendezvous(candidates).Pick(&Request{Hash: HashString(candidates[0].Name)}); got != 0 {
		t.Fatalf("got %d", got)
	}
}

// The shortcuts must not change the winner.
func TestRendezvousTakesTheHighestScore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		candidates := idle(rapid.SliceOfN(rapid.IntRange(1, 1000), 1, 50).Draw(t, "weights")...)
		p := NewRendezvous(candidates)
		for range 50 {
			key := rapid.Uint64().Draw(t, "key")
			want, top := -1, 0.0
			for i, c := range candidates {
				if score := -float64(c.Weight) / math.Log(fraction(hashOf(HashString(c.Name), key))); score > top {
					want, top = i, score
				}
			}
			if got := p.Pick(&Request{Hash: key}); got != want {
				t.Fatalf("got %d, want %d with the highest score", got, want)
			}
		}
	})
}

func TestRingSearchFindsTheNextPoint(t *testing.T) {
	p := NewRingHash(idle(1, 2, 3))
	keys := []uint64{0, 1, math.MaxUint64, p.points[0].at, p.points[len(p.points)-1].at, p.points[7].at + 1, p.points[7].at - 1}
	for i := range 5000 {
		keys = append(keys, key(i))
	}
	for _, key := range keys {
		want := slices.IndexFunc(p.points, func(a point) bool { return a.at >= key })
		if want < 0 {
			want = len(p.points)
		}
		if got := p.search(key); got != want {
			t.Fatalf("key %#x is at point %d, want %d", key, got, want)
		}
	}
}

func TestARingIsBounded(t *testing.T) {
	for _, weights := range [][]int{manyWeights(300), {1_000_000, 1, 1_000_000}, equalWeights(3000)} {
		if n := len(NewRingHash(idle(weights...)).points); n > ringMost+len(weights) {
			t.Errorf("%d candidates have %d points, want at most %d", len(weights), n, ringMost+len(weights))
		}
	}
}

func BenchmarkNewHash(b *testing.B) {
	for _, h := range hashings {
		for _, n := range []int{10, 100, 1000} {
			b.Run(fmt.Sprintf("%s/%d", h.name, n), func(b *testing.B) {
				candidates := equal(n)
				b.ReportAllocs()
				for b.Loop() {
					h.build(candidates)
				}
			})
		}
	}
}

func BenchmarkRendezvousOfEqualWeights(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p, r := NewRendezvous(equal(n)), new(Request)
			for b.Loop() {
				r.Hash = mix(r.Hash + 1)
				p.Pick(r)
			}
		})
	}
}
