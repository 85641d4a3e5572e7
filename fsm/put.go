package fsm

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

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
	case TokenSpec:
		return putObject(d, d.tokens, c, p, spec, nil)
	case CertificateSpec:
		return putObject(d, d.certs, c, p, spec, nil)
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
	if err := d.checkPut(p); err != nil {
		return nil, err
	}
	if old != nil && maps.Equal(old.Labels, p.Labels) && sameJSON(old.Spec, spec) {
		return old, nil
	}
	if err := d.checkFree(ref); err != nil {
		return nil, err
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
	d.record(ref, orNil(old), next)
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
	case old != nil && !bears(old.GetLabels(), p.Labels):
		return refuse(CodeForbidden, "", "%s does not bear the labels that this write is limited to", ref)
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

// bears tells whether labels has all that are wanted.
func bears(labels, wanted map[string]string) bool {
	for key, value := range wanted {
		if got, ok := labels[key]; !ok || got != value {
			return false
		}
	}
	return true
}

// checkPut reports what of others stands against the put: what it names and is
// not there, and what is another's already.
func (d *draft) checkPut(p Put) *Error {
	switch spec := p.Spec.(type) {
	case BackendSpec:
		switch {
		case lookup(d.pools, p.Pool) != nil:
			return d.checkAddress(p, spec)
		case d.joint.puts(KindPool, p.Pool):
			return errTold
		}
		return d.checkNames(p)
	case TokenSpec:
		name, taken := d.hashes.Get([]byte(spec.Hash))
		if !taken {
			name, taken = d.hashHeld(spec.Hash)
		}
		if taken && name != p.Name {
			return refuse(CodeDuplicate, "/spec/hash", "is that of another token")
		}
	}
	if d.joint != nil {
		return nil // when all steps are done
	}
	return d.checkNames(p)
}

// checkNames reports everything that the put names but the registry does not
// hold, and what of it does not fit what it names or is named by.
func (d *draft) checkNames(p Put) *Error {
	var f faults
	missing := func(pointer string, kind Kind, name string) {
		if err := d.checkName(kind, name); err != "" {
			f.add(pointer, "%s", err)
		}
	}
	switch spec := p.Spec.(type) {
	case ListenerSpec:
		if spec.TLS != nil {
			for i, name := range spec.TLS.Certificates {
				missing(fmt.Sprintf("/spec/tls/certificates/%d", i), KindCertificate, name)
			}
		}
		if !d.returning {
			d.checkRoutes(&f, p.Name, spec.Protocol)
		}
	case PoolSpec:
		if spec.TLS != nil && spec.TLS.Certificate != "" {
			missing("/spec/tls/certificate", KindCertificate, spec.TLS.Certificate)
		}
	case RouteSpec:
		for i, name := range spec.Listeners {
			missing(fmt.Sprintf("/spec/listeners/%d", i), KindListener, name)
		}
		for i, pool := range spec.Pools {
			missing(fmt.Sprintf("/spec/pools/%d/name", i), KindPool, pool.Name)
		}
		if m := spec.Mirror; m != nil {
			missing("/spec/mirror/pool", KindPool, m.Pool)
		}
		if !d.returning {
			d.checkFit(&f, spec)
		}
	case BackendSpec:
		if missing("/pool", KindPool, p.Pool); len(f.list) > 0 {
			return &Error{Code: CodeNotFound, Faults: f.list}
		}
	}
	return f.err()
}

// checkName says why a listener, pool or certificate cannot be named, or "".
func (d *draft) checkName(kind Kind, name string) string {
	exists := false
	switch kind {
	case KindListener:
		exists = lookup(d.listeners, name) != nil
	case KindPool:
		exists = lookup(d.pools, name) != nil
	case KindCertificate:
		exists = lookup(d.certs, name) != nil
	}
	switch ref := (Ref{Kind: kind, Name: name}); {
	case exists:
		return d.checkSettled(ref)
	case d.joint.puts(kind, name): // its own step is refused
		return ""
	default:
		return fmt.Sprintf("%s %q does not exist: create it first", kind, name)
	}
}

func (d *draft) checkAddress(p Put, spec BackendSpec) *Error {
	key := addressKey(p.Pool, spec.Address)
	name, taken := d.addresses.Get([]byte(key))
	if !taken {
		name, taken = d.addressHeld(key)
	}
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
		if held := d.roomHeld(kind); limit.kind == kind && d.counts[kind]+held >= limit.most && !d.unbounded {
			return refuse(CodeLimit, "", "the registry holds %d%s of at most %d objects of kind %s: delete some first",
				d.counts[kind], comingBack(held), limit.most, kind)
		}
	}
	return nil
}

// comingBack tells of the room that is kept for what may come back.
func comingBack(held int) string {
	if held == 0 {
		return ""
	}
	return fmt.Sprintf(", and %d more if what is not confirmed is undone,", held)
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
	case KindToken:
		return deleteObject(d, d.tokens, op)
	case KindCertificate:
		return deleteObject(d, d.certs, op)
	}
	return refuse(CodeInvalid, "/kind", "%q is not a kind that can be deleted", op.Kind)
}

func deleteObject[S Spec, T any](d *draft, tree *iradix.Txn[*Object[S, T]], op Delete) *Error {
	old := lookup(tree, objectKey(op.Ref))
	if err := op.If.check(op.Ref, orNil(old)); err != nil || old == nil {
		return err
	}
	if err := d.checkFree(op.Ref); err != nil {
		return err
	}
	if d.joint == nil {
		if err := d.checkUnused(op.Ref); err != nil {
			return err
		}
	}
	remove(d, tree, op.Ref)
	d.unindex(old)
	d.touch(op.Ref)
	d.record(op.Ref, old, nil)
	return nil
}

// checkUnused reports what still needs a listener, a pool or a certificate.
func (d *draft) checkUnused(ref Ref) *Error {
	if by, used := firstKey(d.uses, usePrefix(ref)); used {
		kind, name, _ := strings.Cut(by, "\x00")
		return inUse(ref, Ref{Kind: Kind(kind), Name: name}, "change or delete the "+kind+" first")
	}
	if ref.Kind != KindPool {
		return d.checkNotHeld(ref)
	}
	if backend, used := firstKey(d.backends, backendKey(ref.Name, "")); used {
		return inUse(ref, Ref{Kind: KindBackend, Pool: ref.Name, Name: backend}, "delete its backends first")
	}
	return d.checkNotHeld(ref)
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
	case *Route, *Listener, *Pool:
		for _, used := range namedBy(o.GetSpec()) {
			d.uses.Insert(useKey(used, o.Ref()), struct{}{})
		}
	case *Token:
		d.hashes.Insert([]byte(o.Spec.Hash), o.Name)
	}
}

func (d *draft) unindex(o AnyObject) {
	switch o := o.(type) {
	case *Backend:
		forget(d.addresses, addressKey(o.Pool, o.Spec.Address), o.Name)
	case *Route, *Listener, *Pool:
		for _, used := range namedBy(o.GetSpec()) {
			d.uses.Delete(useKey(used, o.Ref()))
		}
	case *Token:
		forget(d.hashes, o.Spec.Hash, o.Name)
	}
}

// forget removes an index's entry, if it is still of that object: within a
// transaction another one may have taken it.
func forget(index *iradix.Txn[string], key, name string) {
	if of, _ := index.Get([]byte(key)); of == name {
		index.Delete([]byte(key))
	}
}

// namedBy returns what of other kinds a spec names: what cannot be removed before.
func namedBy(spec Spec) []Ref {
	var refs []Ref
	name := func(kind Kind, name string) { refs = append(refs, Ref{Kind: kind, Name: name}) }
	switch spec := spec.(type) {
	case RouteSpec:
		for _, listener := range spec.Listeners {
			name(KindListener, listener)
		}
		for _, pool := range spec.Pools {
			name(KindPool, pool.Name)
		}
		if spec.Mirror != nil {
			name(KindPool, spec.Mirror.Pool)
		}
	case ListenerSpec:
		if spec.TLS != nil {
			for _, certificate := range spec.TLS.Certificates {
				name(KindCertificate, certificate)
			}
		}
	case PoolSpec:
		if spec.TLS != nil && spec.TLS.Certificate != "" {
			name(KindCertificate, spec.TLS.Certificate)
		}
	}
	return refs
}

// useKey is the key of the index for what is used by whom; usePrefix begins those of
// all that use it.
func useKey(used, by Ref) []byte {
	return []byte(usePrefix(used) + string(by.Kind) + "\x00" + by.Name)
}

func usePrefix(used Ref) string { return string(used.Kind) + "\x00" + used.Name + "\x00" }

// sameJSON compares what is stored and sent, so that an absent list and an
// empty one are the same.
func sameJSON(a, b any) bool {
	left, leftErr := json.Marshal(a)
	right, rightErr := json.Marshal(b)
	return leftErr == nil && rightErr == nil && bytes.Equal(left, right)
}
