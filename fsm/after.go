package fsm

import (
	"iter"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// ObjectsAfter yields the objects of the kind of ref that stand behind ref in the
// order of lists, which is that of pools and names. Nothing needs to have the
// name of ref; one without pool and name stands before all.
func (s *State) ObjectsAfter(ref Ref) iter.Seq[AnyObject] {
	switch ref.Kind {
	case KindListener:
		return after(s.listeners, ref.Name)
	case KindRoute:
		return after(s.routes, ref.Name)
	case KindPool:
		return after(s.pools, ref.Name)
	case KindBackend:
		return after(s.backends, backendKey(ref.Pool, ref.Name))
	case KindToken:
		return after(s.tokens, ref.Name)
	case KindCertificate:
		return after(s.certs, ref.Name)
	}
	return func(func(AnyObject) bool) {}
}

// after yields what stands behind the key. No key is another with a zero behind
// it, so that one is where they begin.
func after[S Spec, T any](tree *iradix.Tree[*Object[S, T]], key string) iter.Seq[AnyObject] {
	return func(yield func(AnyObject) bool) {
		it := tree.Root().Iterator()
		it.SeekLowerBound([]byte(key + "\x00"))
		for _, o, more := it.Next(); more && yield(o); _, o, more = it.Next() {
		}
	}
}
