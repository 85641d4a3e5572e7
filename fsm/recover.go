package fsm

// Recovered returns the state with which the one node that is left of a
// cluster begins another: the same objects, under another identity, and no
// other node. Results of commands are kept, for those who repeat one.
func Recovered(s *State, clusterID, survivor string) *State {
	d := newDraft(s)
	d.touched, d.specChanged, d.levelRaised = nil, false, false
	for _, node := range below(d.nodes, "") {
		if node.UID != survivor {
			d.forgetNode(node.UID)
		}
	}
	d.settle()
	d.clusterID = clusterID
	return d.commit()
}
