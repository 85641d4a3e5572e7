package fsm

import (
	"slices"

	"github.com/cespare/xxhash/v2"
)

// panel is the observers of one backend: places in State.observers, in their
// order. The nodes with the highest scores are taken (rendezvous hashing, Thaler
// and Ravishankar, 1998), so a node that comes or goes moves its own share alone.
type panel struct {
	seats [maxObservers]uint16
	size  int
}

// candidate is a node that may observe, as the scores need it.
type candidate struct {
	uid  string
	hash uint64
}

// candidatesOf returns the nodes whose votes can count. Nodes come in the order
// of their UIDs, so the result is sorted.
func candidatesOf(nodes []*Node) []candidate {
	var all []candidate
	for _, node := range nodes {
		if node.State == NodeAlive && !node.Witness {
			all = append(all, candidate{node.UID, xxhash.Sum64String(node.UID)})
		}
	}
	return all
}

// setObservers takes the candidates, with their UIDs beside for those who need
// them alone.
func (s *State) setObservers(all []candidate) {
	s.candidates, s.observers = all, nil
	for _, c := range all {
		s.observers = append(s.observers, c.uid)
	}
}

// Observers returns the UIDs, sorted, of the nodes whose votes about b count. Of
// the nodes that are alive and no witnesses these are as many as the pool's check
// asks for (see [Check.Observers]), chosen by rendezvous hashing over the UIDs of
// nodes and backend. Below feature level 4 it is all of them.
func (s *State) Observers(b *Backend) []string {
	k := observersWanted(s.Pool(b.Pool))
	if s.featureLevel < levelHealth || len(s.observers) <= k {
		return s.observers
	}
	p := elect(s.candidates, xxhash.Sum64String(b.Meta.UID), k)
	uids := make([]string, p.size)
	for i := range uids {
		uids[i] = s.observers[p.seats[i]]
	}
	return uids
}

// observersWanted is how many nodes are to observe a backend of the pool.
func observersWanted(pool *Pool) int {
	if pool == nil || pool.Spec.Check == nil || pool.Spec.Check.Observers == 0 {
		return DefaultObservers
	}
	return min(pool.Spec.Check.Observers, maxObservers)
}

// elect returns the k candidates with the highest scores, of equal ones those
// that come first.
func elect(candidates []candidate, backend uint64, k int) panel {
	var p panel
	var scores [maxObservers]uint64
	for i, c := range candidates {
		score := rendezvous(c.hash, backend)
		at := p.size
		for at > 0 && scores[at-1] < score {
			at--
		}
		if at >= k {
			continue
		}
		p.size = min(p.size+1, k)
		copy(scores[at+1:p.size], scores[at:])
		copy(p.seats[at+1:p.size], p.seats[at:])
		scores[at], p.seats[at] = score, uint16(i)
	}
	slices.Sort(p.seats[:p.size])
	return p
}

// elects tells whether elect takes the candidate at a place, for less than that: it
// looks for k better ones.
func elects(candidates []candidate, place int, backend uint64, k int) bool {
	own, better := rendezvous(candidates[place].hash, backend), 0
	for i, c := range candidates {
		if score := rendezvous(c.hash, backend); score > own || score == own && i < place {
			if better++; better == k {
				return false
			}
		}
	}
	return true
}

// rendezvous is a node's score for a backend, from hashes of their UIDs: the
// finalizer of MurmurHash3 (Appleby), every bit of which depends on every bit of
// both.
func rendezvous(node, backend uint64) uint64 {
	x := node ^ backend
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// has tells whether the node of that UID is on the panel.
func (p *panel) has(candidates []candidate, uid string) bool {
	for _, seat := range p.seats[:p.size] {
		if candidates[seat].uid == uid {
			return true
		}
	}
	return false
}
