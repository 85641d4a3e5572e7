package fsm

// Recovered returns the state with which the one node that is left of a
// cluster begins another, under another UID: the same objects, under another
// identity, and no other node. The node's own votes are kept, and results of
// commands, for those who repeat one.
func Recovered(s *State, clusterID, survivor, uid string) *State {
	d := newDraft(s)
	d.touched, d.recorded, d.levelRaised, d.pendingChanged, d.keysChanged = nil, recording{}, false, false, false
	for _, node := range below(d.nodes, "") {
		d.nodes.Delete([]byte(node.UID))
		d.counts[KindNode]--
		d.sum -= hashEntry(KindNode, node)
		d.touch(Ref{Kind: KindNode, Name: node.UID})
		if node.UID != survivor {
			continue
		}
		renamed := *node
		renamed.UID = uid
		d.nodes.Insert([]byte(uid), &renamed)
		d.counts[KindNode]++
		d.sum += hashEntry(KindNode, &renamed)
		d.touch(Ref{Kind: KindNode, Name: uid})
	}
	d.setObservers(candidatesOf(below(d.nodes, "")))
	for _, b := range below(d.backends, "") {
		own := []Vote{}
		for _, vote := range b.Status.Votes {
			if vote.Observer == survivor {
				vote.Observer = uid
				own = append(own, vote)
			}
		}
		if len(b.Status.Votes) > 0 {
			d.setVotes(b, own)
		}
	}
	d.settle(Command{})
	d.clusterID = clusterID
	return d.commit()
}
