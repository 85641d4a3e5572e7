package httpapi

import (
	"iter"
	"reflect"
	"strings"

	"evenkeel/fsm"
	"evenkeel/httpapi/strictjson"
)

// defaultPool is where a backend goes that names no pool.
const defaultPool = "default"

// resource is what the handlers need to know of one kind of object.
type resource struct {
	kind fsm.Kind
	// collection is the path of the list, a template of mux.
	collection string
	// inPool tells that names are unique within a pool only.
	inPool bool
	// reports tells that the status comes from the nodes, not from the state.
	reports bool
	// objects yields the objects of one pool, or all of them if pool is "".
	objects func(s *fsm.State, pool string) iter.Seq[fsm.AnyObject]
	// newSpec returns a pointer to a spec with its defaults, and spec what such
	// a pointer points to.
	newSpec func() any
	spec    func(pointer any) fsm.Spec
	render  func(v *viewer, o fsm.AnyObject) object
	// withStatus returns old with the status that the object has now, unless that
	// is another object of the same name.
	withStatus func(old, now fsm.AnyObject) fsm.AnyObject
	// shape tells what fields an object has on the wire.
	shape *shape
	// readableName makes up a name from the spec, or returns "".
	readableName func(spec fsm.Spec) string
}

// resources returns all kinds of objects that users write. A new kind is a
// new entry here.
func resources() []*resource {
	listeners := describe("/v1/listeners", unfiltered((*fsm.State).Listeners), listenerStatus)
	listeners.reports = true
	listeners.shape.members["status"] = shapeOf(reflect.TypeFor[listenersView]())
	backends := describe("/v1/pools/{pool}/backends", backendsOf, backendStatus)
	backends.inPool = true
	backends.shape = objectShape(true, reflect.TypeFor[fsm.BackendSpec](), reflect.TypeFor[backendView]())
	backends.readableName = func(spec fsm.Spec) string { return addressName(spec.(fsm.BackendSpec).Address) }
	routes := describe("/v1/routes", unfiltered((*fsm.State).Routes), routeStatus)
	routes.shape.members["status"] = shapeOf(reflect.TypeFor[routeView]())
	return []*resource{
		listeners,
		routes,
		describe("/v1/pools", unfiltered((*fsm.State).Pools), agreedStatus[fsm.PoolSpec, fsm.PoolStatus]),
		backends,
		certificates(),
		tokens(),
	}
}

func describe[S fsm.Spec, T any](
	collection string,
	objects func(s *fsm.State, pool string) iter.Seq[*fsm.Object[S, T]],
	status func(v *viewer, o *fsm.Object[S, T]) any,
) *resource {
	var zero S
	return &resource{
		kind:       zero.Kind(),
		collection: collection,
		objects: func(s *fsm.State, pool string) iter.Seq[fsm.AnyObject] {
			return func(yield func(fsm.AnyObject) bool) {
				for o := range objects(s, pool) {
					if !yield(o) {
						return
					}
				}
			}
		},
		newSpec: func() any {
			spec := any(new(S))
			if defaulter, ok := spec.(strictjson.Defaulter); ok {
				defaulter.SetDefaults()
			}
			return spec
		},
		spec: func(pointer any) fsm.Spec { return *pointer.(*S) },
		render: func(v *viewer, any fsm.AnyObject) object {
			o := fsm.Shown(any).(*fsm.Object[S, T])
			return object{Pool: o.Pool, Name: o.Name, Labels: o.Labels, Spec: o.Spec, Status: status(v, o), Meta: o.Meta}
		},
		withStatus: func(old, now fsm.AnyObject) fsm.AnyObject {
			was, is := *old.(*fsm.Object[S, T]), now.(*fsm.Object[S, T])
			if was.Meta.UID == is.Meta.UID {
				was.Status = is.Status
			}
			return &was
		},
		shape:        objectShape(false, reflect.TypeFor[S](), reflect.TypeFor[T]()),
		readableName: func(fsm.Spec) string { return "" },
	}
}

func unfiltered[O any](all func(*fsm.State) iter.Seq[O]) func(*fsm.State, string) iter.Seq[O] {
	return func(s *fsm.State, _ string) iter.Seq[O] { return all(s) }
}

func backendsOf(s *fsm.State, pool string) iter.Seq[*fsm.Backend] {
	if pool == "" {
		return s.Backends()
	}
	return s.PoolBackends(pool)
}

// path returns where the object is found.
func (res *resource) path(ref fsm.Ref) string {
	return strings.ReplaceAll(res.collection, "{pool}", ref.Pool) + "/" + ref.Name
}

func (a *API) resource(kind fsm.Kind) *resource {
	for _, res := range a.resources {
		if res.kind == kind {
			return res
		}
	}
	return nil
}
