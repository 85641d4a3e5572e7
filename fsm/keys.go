package fsm

// maxKeys is how many keys are remembered; the one used first makes room. Part of
// the feature level.
const (
	maxKeys    = 8192
	maxRequest = 64
	// maxKeyRefs is how many names are remembered with a key.
	maxKeyRefs = 16
)

// keyRecord is the remembered outcome of what was accepted under a key.
type keyRecord struct {
	Key
	// Used is State.applied at that command.
	Used     uint64 `json:"used"`
	Version  uint64 `json:"version"`
	Revision uint64 `json:"revision"`
	Created  bool   `json:"created,omitempty"`
	Refs     []Ref  `json:"refs,omitempty"`
}

func (k Key) validate(f *faults) {
	if !isUID(k.Name) { // the same characters and length
		f.add("/key", "%q is not 1 to %d printable ASCII characters without a space", clip(k.Name), maxUID)
	}
	if len(k.Request) > maxRequest {
		f.add("/key/request", "has %d bytes, at most %d are taken", len(k.Request), maxRequest)
	}
}

// Recall returns the outcome of what was accepted under the key, as a command that
// bears it would get it, and false if nothing was: a refusal if that was another
// request.
func (s *State) Recall(k Key) (Result, bool) { return newDraft(s).recallKey(k) }

// recallKey returns the outcome of the command that was accepted under the key.
func (d *draft) recallKey(k Key) (Result, bool) {
	r, known := d.keys.Get([]byte(k.Name))
	if k.Name == "" || !known {
		return Result{}, false
	}
	if r.Request != k.Request {
		return Result{Version: d.version, Revision: d.revision, Err: refuse(CodeKeyReused, "/key",
			"key %q was used for another request: take a new one", k.Name)}, true
	}
	return Result{Version: r.Version, Revision: r.Revision, Created: r.Created, Repeat: true, Refs: append([]Ref{}, r.Refs...)}, true
}

// rememberKey keeps what was accepted. What was refused changed nothing, and may
// be tried again under the same key.
func (d *draft) rememberKey(c Command, result Result) {
	if c.Key.Name == "" || result.Err != nil || result.Repeat {
		return
	}
	r := &keyRecord{Key: c.Key, Used: d.applied, Version: result.Version, Revision: result.Revision, Created: result.Created}
	for _, ref := range d.refsOf(c.Op) {
		if len(r.Refs) < maxKeyRefs {
			r.Refs = append(r.Refs, ref)
		}
	}
	d.insertKey(r)
	for d.keysHeld > maxKeys {
		it := d.keyOrder.Root().Iterator()
		first, name, _ := it.Next()
		d.keyOrder.Delete(first)
		d.keys.Delete([]byte(name))
		d.keysHeld--
	}
}

func (d *draft) insertKey(r *keyRecord) {
	d.keys.Insert([]byte(r.Name), r)
	d.keyOrder.Insert(versionKey(r.Used), r.Name)
	d.keysHeld++
}

// refsOf are the objects that the operation at work writes. Those of a rollback are
// what it changed: it names none itself.
func (d *draft) refsOf(op Operation) []Ref {
	switch op := op.(type) {
	case Put:
		return []Ref{op.Ref()}
	case Delete:
		return []Ref{op.Ref}
	case SetOverride:
		return []Ref{{Kind: KindBackend, Pool: op.Pool, Name: op.Name}}
	case Txn:
		refs := make([]Ref, len(op.Steps))
		for i, step := range op.Steps {
			refs[i] = step.Ref()
		}
		return refs
	case Rollback:
		changes := d.recorded.changes
		refs := make([]Ref, min(len(changes), maxKeyRefs))
		for i := range refs {
			refs[i] = changes[i].Ref
		}
		return refs
	}
	return nil
}
