package picker

import "github.com/cespare/xxhash/v2"

// HashString and HashBytes are the hash of keys and names: xxHash64, the same
// on every machine.
func HashString(s string) uint64 { return xxhash.Sum64String(s) }

// HashBytes is [HashString] of bytes.
func HashBytes(p []byte) uint64 { return xxhash.Sum64(p) }

// mix spreads a hash over all its bits (the finaliser of SplitMix64: Steele,
// Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// namesOf hashes the names of candidates.
func namesOf(candidates []Candidate) []uint64 {
	names := make([]uint64, len(candidates))
	for i, c := range candidates {
		names[i] = HashString(c.Name)
	}
	return names
}
