package strictjson

import "strings"

// maxTypo is how many edits still count as a slip of the fingers.
const maxTypo = 2

// Nearest returns the candidate that a misspelt name most likely meant: one
// that differs in case only, or in at most two edits. It is "" when none is
// near.
func Nearest(name string, candidates []string) string {
	best, fewest := "", maxTypo+1
	for _, candidate := range candidates {
		if strings.EqualFold(name, candidate) {
			return candidate
		}
		if abs(len(name)-len(candidate)) > maxTypo || len(candidate) <= maxTypo {
			continue
		}
		if edits := distance(name, candidate); edits < fewest {
			best, fewest = candidate, edits
		}
	}
	return best
}

func abs(n int) int { return max(n, -n) }

// distance is the optimal string alignment distance in bytes: insertions,
// deletions, substitutions, and swaps of neighbours count one each.
func distance(a, b string) int {
	previous, current, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range current {
		current[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(current[j]+1, next[j-1]+1, current[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], previous[j-2]+1)
			}
		}
		previous, current, next = current, next, previous
	}
	return current[len(b)]
}
