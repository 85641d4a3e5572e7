package health

import "container/heap"

// queue holds the targets that wait for their next probe, the one that is due
// first on top. It implements [heap.Interface]; use its lower-case methods.
type queue []*target

func (q *queue) add(t *target) { heap.Push(q, t) }

func (q *queue) remove(t *target) {
	if t.slot >= 0 {
		heap.Remove(q, t.slot)
	}
}

// first returns the target that is due first without removing it, or nil.
func (q queue) first() *target {
	if len(q) == 0 {
		return nil
	}
	return q[0]
}

// Len implements [heap.Interface].
func (q queue) Len() int { return len(q) }

// Less implements [heap.Interface].
func (q queue) Less(i, j int) bool { return q[i].due < q[j].due }

// Swap implements [heap.Interface].
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].slot, q[j].slot = i, j
}

// Push implements [heap.Interface].
func (q *queue) Push(x any) {
	t := x.(*target)
	t.slot = len(*q)
	*q = append(*q, t)
}

// Pop implements [heap.Interface].
func (q *queue) Pop() any {
	last := len(*q) - 1
	t := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	t.slot = -1
	return t
}
