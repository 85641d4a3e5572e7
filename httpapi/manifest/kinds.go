package manifest

import (
	"strings"

	"evenkeel/fsm"
	"evenkeel/httpapi/keypair"
	"evenkeel/httpapi/strictjson"
)

// kind is one kind of object that a manifest may hold.
type kind struct {
	kind fsm.Kind
	// list is the field of a document that holds objects of this kind.
	list   string
	inPool bool
	// newSpec returns a pointer to a spec with its defaults, and spec what such
	// a pointer points to.
	newSpec func() any
	spec    func(pointer any) fsm.Spec
}

// kinds are in the order in which they are written.
var kinds = []kind{
	certificates(),
	describe[fsm.ListenerSpec]("listeners"),
	describe[fsm.RouteSpec]("routes"),
	describe[fsm.PoolSpec]("pools"),
	describe[fsm.BackendSpec]("backends"),
}

func describe[S fsm.Spec](list string) kind {
	var zero S
	return kind{
		kind:   zero.Kind(),
		list:   list,
		inPool: zero.Kind() == fsm.KindBackend,
		newSpec: func() any {
			spec := any(new(S))
			if defaulter, ok := spec.(strictjson.Defaulter); ok {
				defaulter.SetDefaults()
			}
			return spec
		},
		spec: func(pointer any) fsm.Spec { return *pointer.(*S) },
	}
}

// certificates are read as a client writes them, with keys that are not sealed.
func certificates() kind {
	k := describe[fsm.CertificateSpec]("certificates")
	k.newSpec = func() any { return &keypair.Document{} }
	k.spec = func(pointer any) fsm.Spec { return pointer.(*keypair.Document).Spec() }
	return k
}

// kindNames returns the kinds, as messages list them.
func kindNames() string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k.kind)
	}
	return strings.Join(names, ", ")
}

// kindBy returns the kind that same picks, or nil.
func kindBy(same func(k kind) bool) *kind {
	for i := range kinds {
		if same(kinds[i]) {
			return &kinds[i]
		}
	}
	return nil
}

func kindOf(name fsm.Kind) *kind {
	return kindBy(func(k kind) bool { return k.kind == name })
}
