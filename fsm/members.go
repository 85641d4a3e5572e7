package fsm

import "slices"

// setNode records a member. When the set of observers changes by it, the
// verdicts are drawn again.
func (d *draft) setNode(node Node) *Error {
	old := lookup(d.nodes, node.UID)
	if old != nil && *old == node {
		return nil
	}
	if old == nil {
		if err := d.checkRoom(KindNode); err != nil {
			return err
		}
		d.counts[KindNode]++
	} else {
		d.sum -= hashEntry(KindNode, old)
	}
	d.nodes.Insert([]byte(node.UID), &node)
	d.sum += hashEntry(KindNode, &node)
	d.membersChanged(node.UID)
	return nil
}

func (d *draft) forgetNode(uid string) {
	old, known := d.nodes.Delete([]byte(uid))
	if !known {
		return
	}
	d.counts[KindNode]--
	d.sum -= hashEntry(KindNode, old)
	d.membersChanged(uid)
}

func (d *draft) membersChanged(uid string) {
	d.touch(Ref{Kind: KindNode, Name: uid})
	before := d.candidates
	now := candidatesOf(below(d.nodes, ""))
	if slices.EqualFunc(before, now, func(a, b candidate) bool { return a.uid == b.uid }) {
		return
	}
	d.setObservers(now)
	d.redraw(before)
}
