package httpapi

import (
	"fmt"
	"slices"
	"strconv"

	"evenkeel/fsm"
	"evenkeel/httpapi/strictjson"
)

// The operations of a transaction.
const (
	opPut    = "put"
	opPatch  = "patch"
	opDelete = "delete"
)

const (
	maxOperations = 20_000
	// maxTxnValues bounds the JSON values of a transaction: what they take is a
	// multiple of the body.
	maxTxnValues = 30 * maxOperations
)

// operation is one write of a transaction on its way.
type operation struct {
	op   string
	res  *resource
	ref  fsm.Ref
	cond fsm.Precondition
	doc  document // of a put
	// patch is of a patch, which becomes a put of the object that is there.
	patch patch
}

// operationFields are what an operation says beside labels and spec.
type operationFields struct {
	Op          string  `json:"op"`
	Kind        string  `json:"kind"`
	Pool        *string `json:"pool"`
	Name        string  `json:"name"`
	IfMatch     *uint64 `json:"if_match"`
	IfNoneMatch bool    `json:"if_none_match"`
}

// operationAt is where an operation stands in the body.
func operationAt(n int) string { return "/operations/" + strconv.Itoa(n) }

// parseOperations reads the body of a transaction. It reports the faults of all
// operations that need no registry to be seen.
func (a *API) parseOperations(body []byte) ([]operation, []fsm.Fault) {
	value, faults := strictjson.ParseUpTo(body, maxTxnValues)
	if value == nil {
		return nil, faults
	}
	list := value.Member("operations")
	faults = append(faults, value.DecodeFields(strictjson.Fields{"operations": &strictjson.Ignored{}}, "")...)
	switch {
	case value.Kind != strictjson.Object:
		return nil, faults
	case list == nil:
		return nil, append(faults, fsm.Fault{Pointer: "/operations", Message: "is missing: list 1 to 20000 operations"})
	case list.Kind != strictjson.Array:
		return nil, append(faults, fsm.Fault{Pointer: "/operations", Message: "is " + list.Kind.String() + ", must be an array of operations"})
	case len(list.Elements) < 1 || len(list.Elements) > maxOperations:
		return nil, append(faults, fsm.Fault{Pointer: "/operations", Message: fmt.Sprintf("has %d items, 1 to %d are taken", len(list.Elements), maxOperations)})
	}
	operations := make([]operation, len(list.Elements))
	first := make(map[fsm.Ref]int, len(operations))
	for n, element := range list.Elements {
		var own []fsm.Fault
		operations[n], own = a.readOperation(element)
		if ref := operations[n].ref; ref.Name != "" {
			if before, twice := first[ref]; twice {
				own = append(own, fsm.Fault{Message: fmt.Sprintf("%s is written by operation %d already: write it once", clip(ref.String()), before)})
			} else {
				first[ref] = n
			}
		}
		if faults = append(faults, prefixed(own, operationAt(n))...); len(faults) > strictjson.MaxFaults {
			return nil, append(faults[:strictjson.MaxFaults], fsm.Fault{Message: fmt.Sprintf("there are more faults than the %d listed", strictjson.MaxFaults)})
		}
	}
	return operations, faults
}

func prefixed(faults []fsm.Fault, pointer string) []fsm.Fault {
	for i := range faults {
		faults[i].Pointer = pointer + faults[i].Pointer
	}
	return faults
}

// readOperation reads one operation; pointers are within it.
func (a *API) readOperation(value *strictjson.Value) (operation, []fsm.Fault) {
	var said operationFields
	fields := strictjson.FieldsOf(&said)
	fields["labels"], fields["spec"] = &strictjson.Ignored{}, &strictjson.Ignored{}
	faults := value.DecodeFields(fields, "")
	if value.Kind != strictjson.Object {
		return operation{}, faults
	}
	o := operation{op: said.Op, res: a.resource(fsm.Kind(said.Kind))}
	add := func(pointer, format string, args ...any) {
		if !overlaps(faults, pointer) {
			faults = append(faults, fsm.Fault{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
		}
	}
	if !slices.Contains([]string{opPut, opPatch, opDelete}, o.op) {
		add("/op", "%q is not one of put, patch, delete", clip(said.Op))
	}
	switch {
	case o.res == nil:
		add("/kind", "%q is not one of listener, route, pool, backend, certificate", clip(said.Kind))
		return o, faults
	case o.res.kind == fsm.KindToken:
		add("/kind", "tokens are written one by one, at /v1/tokens")
	}
	o.ref = fsm.Ref{Kind: o.res.kind, Name: said.Name}
	switch {
	case o.res.inPool && said.Pool == nil:
		o.ref.Pool = defaultPool
	case o.res.inPool:
		o.ref.Pool = *said.Pool
	case said.Pool != nil:
		add("/pool", "only a backend is in a pool: leave it out")
	}
	o.condition(said, add)
	return o, o.content(value, faults)
}

// condition reads what the operation asks of the object that is there.
func (o *operation) condition(said operationFields, add func(pointer, format string, args ...any)) {
	switch {
	case said.IfMatch != nil && *said.IfMatch == 0:
		add("/if_match", "0 is no object's revision: write its meta.revision")
	case said.IfMatch != nil && said.IfNoneMatch:
		add("/if_none_match", "and if_match contradict each other: leave one of them out")
		return
	case said.IfNoneMatch && o.op != opPut:
		add("/if_none_match", "asks for an object that does not exist, and a %s is of one that does: leave it out", o.op)
	}
	o.cond.Absent = said.IfNoneMatch
	if said.IfMatch != nil {
		o.cond.Revision = *said.IfMatch
	}
}

// content reads labels and spec, and adds what is wrong with the operation as a
// whole to its faults.
func (o *operation) content(value *strictjson.Value, faults []fsm.Fault) []fsm.Fault {
	inner := &strictjson.Value{Kind: strictjson.Object}
	for _, m := range value.Members {
		if m.Name == "labels" || m.Name == "spec" {
			inner.Members = append(inner.Members, m)
		}
	}
	switch o.op {
	case opPut:
		if inner.Member("spec") == nil {
			return append(faults, fsm.Fault{Pointer: "/spec", Message: "is missing: a put says all of the object; patch says what changes"})
		}
		doc, own := readDocument(o.res, inner)
		o.doc = doc
		return doc.validated(append(faults, own...), o.put(doc))
	case opPatch:
		p, own := readPatch(o.res, inner)
		o.patch = p
		faults = append(faults, own...)
	case opDelete:
		for _, m := range inner.Members {
			faults = append(faults, fsm.Fault{Pointer: "/" + m.Name, Message: "a delete has none: leave it out"})
		}
	}
	return (&document{}).validated(faults, fsm.Delete{Ref: o.ref, If: o.cond}) // the name and the pool
}

func (o *operation) put(doc document) fsm.Put {
	return fsm.Put{Pool: o.ref.Pool, Name: o.ref.Name, Labels: doc.labels, Spec: doc.spec, If: o.cond}
}

// step compiles the operation on the object that is there, nil for none. The faults
// have pointers within the operation.
func (o *operation) step(there fsm.AnyObject) (fsm.Step, []fsm.Fault, error) {
	switch o.op {
	case opDelete:
		return fsm.Step{Delete: &fsm.Delete{Ref: o.ref, If: o.cond}}, nil, nil
	case opPut:
		put := o.put(o.doc)
		return fsm.Step{Put: &put}, nil, nil
	}
	if there == nil {
		return fsm.Step{}, []fsm.Fault{{Message: clip(o.ref.String()) + " does not exist, and a patch changes what does: put it", Code: fsm.CodeNotFound}}, nil
	}
	doc, faults, err := o.patch.on(o.res, there)
	if err != nil {
		return fsm.Step{}, nil, err
	}
	put := o.put(doc)
	if put.If.Revision == 0 {
		put.If.Revision = there.GetMeta().Revision
	}
	return fsm.Step{Put: &put}, doc.validated(faults, put), nil
}
