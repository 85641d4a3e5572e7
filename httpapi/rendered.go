package httpapi

import (
	"hash/maphash"
	"net/http"
	"sync/atomic"

	"evenkeel/fsm"
)

const (
	// renderingSlots bounds how many encoded objects are kept, and maxRendering the
	// bytes of each.
	renderingSlots = 1024
	maxRendering   = 4 << 10
)

// renderings are objects as they were sent last, since those that are read are often
// read again, and encoding one costs more than the rest of a read. An object is
// immutable, so it is known by its pointer; what its answer says beside it are the
// names of nodes. Each object has one slot, which it shares with others. Safe for
// concurrent use, without a lock.
type renderings [renderingSlots]atomic.Pointer[rendering]

type rendering struct {
	object fsm.AnyObject
	names  []toldName // of nodes, which the body has
	body   []byte
}

var renderingSeed = maphash.MakeSeed()

func (c *renderings) slot(ref fsm.Ref) *atomic.Pointer[rendering] {
	sum := maphash.String(renderingSeed, ref.Name) + 31*maphash.String(renderingSeed, ref.Pool)
	return &c[sum%renderingSlots]
}

// renderedBody returns the JSON of an object; it must not be changed.
func (a *API) renderedBody(r *http.Request, res *resource, o fsm.AnyObject) ([]byte, error) {
	if res.reports {
		return encode(res.render(a.readViewer(r, res, nil), o))
	}
	slot, alone := a.rendered.slot(o.Ref()), a.standsAlone(o)
	if kept := slot.Load(); kept != nil && kept.object == o && alone && (len(kept.names) == 0 || kept.holds(a.viewer(nil))) {
		return kept.body, nil
	}
	v := a.viewer(principalOf(r))
	v.keeps = true
	body, err := encode(res.render(v, o))
	if err == nil && len(body) <= maxRendering && alone && !drains(o) {
		slot.Store(&rendering{object: o, names: v.told, body: body})
	}
	return body, err
}

// holds tells whether the nodes are still called so.
func (k *rendering) holds(v *viewer) bool {
	for _, told := range k.names {
		if v.lookup(told.uid) != told.name {
			return false
		}
	}
	return true
}

// drains tells whether the object's answer says which nodes are alive.
func drains(o fsm.AnyObject) bool {
	backend, ok := o.(*fsm.Backend)
	return ok && backend.Status.Drain != nil
}
