package fsm

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

func (d *draft) put(c Command, p Put) (AnyObject, *Error) {
	switch spec := p.Spec.(type) {
	case ListenerSpec:
		return putObject(d, d.listeners, c, p, spec, nil)
	case RouteSpec:
		return putObject(d, d.routes, c, p, spec, nil)
	case PoolSpec:
		return putObject(d, d.pools, c, p, spec, d.poolStatus)
	case BackendSpec:
		return putObject(d, d.backends, c, p, spec, func(old *Backend, spec BackendSpec) BackendStatus {
			return d.backendStatus(p.Pool, old, spec)
		})
	}
	return nil, refuse(CodeInvalid, "/spec", "kind of object %T is not known", p.Spec)
}

// putObject is the one way every kind is written. status, if not nil, tells
// what the cluster goes on to hold about the object; old is nil for a new one.
func putObject[S Spec, T any](d *draft, tree *iradix.Txn[*Object[S, T]], c Command, p Put, spec S,
	status func(old *Object[S, T], spec S) T,
) (AnyObject, *Error) {
	ref := p.Ref()
	old := lookup(tree, objectKey(ref))
	if err := p.If.check(ref, orNil(old)); err != nil {
		return nil, err
	}
	if err := d.checkReferences(p); err != nil {
		return nil, err
	}
	if old != nil && maps.Equal(old.Labels, p.Labels) && sameJSON(old.Spec, spec) {
		return old, nil
	}
	if old == nil {
		if err := d.checkRoom(ref.Kind); err != nil {
			return nil, err
		}
		d.created = true
	}
	next := &Object[S, T]{Pool: p.Pool, Name: p.Name, Labels: maps.Clone(p.Labels), Spec: spec}
	if next.Labels == nil {
		next.Labels = map[string]string{}
	}
	next.Meta = d.nextMeta(c, ref, orNil(old))
	if status != nil {
		next.Status = status(old, spec)
	}
	store(d, tree, next)
	d.touch(ref)
	d.specChanged = true
	if old != nil {
		d.unindex(old)
	}
	d.index(next)
	return next, nil
}

func (d *draft) nextMeta(c Command, ref Ref, old AnyObject) Meta {
	now := c.Time.UTC().Round(0)
	meta := Meta{Created: now, UID: d.newUID(ref)}
	if old != nil {
		meta = old.GetMeta()
	}
	meta.Revision, meta.Modified, meta.Actor = d.nextRevision(), now, c.Actor
	return meta
}

// newUID makes up an identity in the form of a UUID (RFC 9562, version 8)
// from what no two objects of one cluster share: a revision and a name.
func (d *draft) newUID(ref Ref) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%s\x00%s\x00%s", d.clusterID, d.nextRevision(), ref.Kind, ref.Pool, ref.Name))
	h[6] = h[6]&0x0f | 0x80
	h[8] = h[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// check reports why the precondition does not hold for what stands at ref.
func (p Precondition) check(ref Ref, old AnyObject) *Error {
	switch {
	case p.Absent && old != nil:
		err := refuse(CodeExists, "/name", "%s exists already", ref)
		err.Other = &ref
		return err
	case (p.Exists || p.Revision != 0) && old == nil:
		return refuse(CodePrecondition, "", "%s does not exist", ref)
	case p.Revision != 0 && old.GetMeta().Revision != p.Revision:
		return refuse(CodePrecondition, "", "%s is at revision %d, not %d: read it again and repeat the change on that",
			ref, old.GetMeta().Revision, p.Revision)
	}
	return nil
}

// checkReferences reports everything that the put names but the registry does
// not hold, and an address that another backend has.
func (d *draft) checkReferences(p Put) *Error {
	var f faults
	switch spec := p.Spec.(type) {
	case RouteSpec:
		for i, name := range spec.Listeners {
			if lookup(d.listeners, name) == nil {
				f.add(fmt.Sprintf("/spec/listeners/%d", i), "listener %q does not exist: create it first", name)
			}
		}
		for i, pool := range spec.Pools {
			if lookup(d.pools, pool.Name) == nil {
				f.add(fmt.Sprintf("/spec/pools/%d/name", i), "pool %q does not exist: create it first", pool.Name)
			}
		}
		if m := spec.Mirror; m != nil && lookup(d.pools, m.Pool) == nil {
			f.add("/spec/mirror/pool", "pool %q does not exist: create it first", m.Pool)
		}
	case BackendSpec:
		if lookup(d.pools, p.Pool) == nil {
			return refuse(CodeNotFound, "/pool", "pool %q does not exist: create it first", p.Pool)
		}
		return d.checkAddress(p, spec)
	}
	return f.err()
}

func (d *draft) checkAddress(p Put, spec BackendSpec) *Error {
	name, taken := d.addresses.Get([]byte(addressKey(p.Pool, spec.Address)))
	if !taken || name == p.Name {
		return nil
	}
	other := Ref{Kind: KindBackend, Pool: p.Pool, Name: name}
	err := refuse(CodeDuplicate, "/spec/address", "%q is the address of %s already", spec.Address, other)
	err.Other = &other
	return err
}

func (d *draft) checkRoom(kind Kind) *Error {
	for _, limit := range limits {
		if limit.kind == kind && d.counts[kind] >= limit.most && !d.unbounded {
			return refuse(CodeLimit, "", "the registry holds %d of at most %d objects of kind %s: delete some first",
				d.counts[kind], limit.most, kind)
		}
	}
	return nil
}

// poolStatus moves the check's generation when the check changes, so that
// votes about the old check no longer count. A pool that loses its check has
// backends of unknown health.
func (d *draft) poolStatus(old *Pool, spec PoolSpec) PoolStatus {
	if old != nil && sameJSON(old.Spec.Check, spec.Check) {
		return old.Status
	}
	if old != nil && spec.Check == nil {
		d.forgetHealth(old.Name)
	}
	return PoolStatus{CheckGeneration: d.nextRevision()}
}

// backendStatus forgets health and votes when the address changes: they were
// about another server. Maintenance ends the checks, so what they said is
// forgotten too; an operator's override was not said by them, and stays.
func (d *draft) backendStatus(pool string, old *Backend, spec BackendSpec) BackendStatus {
	status := BackendStatus{Health: HealthUnknown, Since: d.nextVersion(), Generation: d.nextRevision(), Votes: []Vote{}}
	moved := old != nil && canonicalAddress(old.Spec.Address) != canonicalAddress(spec.Address)
	same := old != nil && !moved
	if same && (spec.AdminState != AdminMaint || old.Spec.AdminState == AdminMaint) {
		status = old.Status
	}
	if d.featureLevel < levelHealth {
		return status
	}
	if old != nil {
		status.Epoch = old.Status.Epoch
	}
	if same {
		status.Override = old.Status.Override
	}
	d.settleAdminState(lookup(d.pools, pool), old, same, spec, &status)
	return status
}

// settleAdminState begins and ends the drain and the slow start that the spec
// asks for. same is false for a new backend and another server.
func (d *draft) settleAdminState(pool *Pool, old *Backend, same bool, spec BackendSpec, status *BackendStatus) {
	switch {
	case spec.AdminState != AdminDrain:
		status.Drain = nil
	case !same || old.Spec.AdminState != AdminDrain:
		d.beginDrain(status)
	}
	next := &Backend{Spec: spec, Status: *status}
	if !same {
		old = nil
	}
	d.settleRamp(old, next, pool)
	*status = next.Status
}

func (d *draft) delete(op Delete) *Error {
	switch op.Kind {
	case KindListener:
		return deleteObject(d, d.listeners, op)
	case KindRoute:
		return deleteObject(d, d.routes, op)
	case KindPool:
		return deleteObject(d, d.pools, op)
	case KindBackend:
		return deleteObject(d, d.backends, op)
	}
	return refuse(CodeInvalid, "/kind", "%q is not a kind that can be deleted", op.Kind)
}

func deleteObject[S Spec, T any](d *draft, tree *iradix.Txn[*Object[S, T]], op Delete) *Error {
	old := lookup(tree, objectKey(op.Ref))
	if err := op.If.check(op.Ref, orNil(old)); err != nil || old == nil {
		return err
	}
	if err := d.checkUnused(op.Ref); err != nil {
		return err
	}
	remove(d, tree, op.Ref)
	d.unindex(old)
	d.touch(op.Ref)
	d.specChanged = true
	return nil
}

// checkUnused reports what still needs a listener or a pool.
func (d *draft) checkUnused(ref Ref) *Error {
	if route, used := firstKey(d.uses, useKey(ref.Kind, ref.Name, "")); used {
		return inUse(ref, Ref{Kind: KindRoute, Name: route}, "change or delete the route first")
	}
	if ref.Kind != KindPool {
		return nil
	}
	if backend, used := firstKey(d.backends, backendKey(ref.Name, "")); used {
		return inUse(ref, Ref{Kind: KindBackend, Pool: ref.Name, Name: backend}, "delete its backends first")
	}
	return nil
}

func inUse(ref, other Ref, remedy string) *Error {
	err := refuse(CodeInUse, "", "%s is in use by %s: %s", ref, other, remedy)
	err.Other = &other
	return err
}

// index and unindex keep the indexes of what names what.
func (d *draft) index(o AnyObject) {
	switch o := o.(type) {
	case *Backend:
		d.addresses.Insert([]byte(addressKey(o.Pool, o.Spec.Address)), o.Name)
	case *Route:
		for _, key := range useKeys(o) {
			d.uses.Insert([]byte(key), struct{}{})
		}
	}
}

func (d *draft) unindex(o AnyObject) {
	switch o := o.(type) {
	case *Backend:
		d.addresses.Delete([]byte(addressKey(o.Pool, o.Spec.Address)))
	case *Route:
		for _, key := range useKeys(o) {
			d.uses.Delete([]byte(key))
		}
	}
}

func useKeys(route *Route) []string {
	var keys []string
	for _, name := range route.Spec.Listeners {
		keys = append(keys, useKey(KindListener, name, route.Name))
	}
	for _, pool := range route.Spec.Pools {
		keys = append(keys, useKey(KindPool, pool.Name, route.Name))
	}
	if m := route.Spec.Mirror; m != nil {
		keys = append(keys, useKey(KindPool, m.Pool, route.Name))
	}
	return keys
}

func useKey(kind Kind, name, route string) string {
	return string(kind) + "\x00" + name + "\x00" + route
}

// sameJSON compares what is stored and sent, so that an absent list and an
// empty one are the same.
func sameJSON(a, b any) bool {
	left, leftErr := json.Marshal(a)
	right, rightErr := json.Marshal(b)
	return leftErr == nil && rightErr == nil && bytes.Equal(left, right)
}
