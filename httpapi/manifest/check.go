package manifest

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"evenkeel/fsm"
	"evenkeel/httpapi/keypair"
	"evenkeel/httpapi/strictjson"
)

const maxOwner = 256 // bytes, as of a label's value

// owner takes over what a document says about its owner.
func (b *builder) owner(v *strictjson.Value) {
	if v.Kind != strictjson.String || v.Text == "" {
		b.add("/owner", "is %s, must be a name that is not empty%s", v.Kind, b.hint)
		return
	}
	b.setOwner(v.Text, func(message string) { b.add("/owner", "%s", message) })
}

func (b *builder) setOwner(name string, refuse func(message string)) {
	switch {
	case len(name) > maxOwner:
		refuse(fmt.Sprintf("the owner has %d bytes, at most %d are taken", len(name), maxOwner))
	case b.Owner != "" && name != b.Owner && name != "":
		refuse(fmt.Sprintf("%q is not the owner that was said before, %q: one manifest has one owner", clip(name), clip(b.Owner)))
	case name != "":
		b.Owner = name
	}
}

// own puts the owner's label on an object, which may not name another one.
func (b *builder) own(i *item) {
	if b.Owner == "" {
		return
	}
	if other, ok := i.put.Labels[OwnerLabel]; ok && other != b.Owner {
		b.root = i.root
		b.add(i.pointer("/labels/"+OwnerLabel), "%q is not the owner of this manifest, %q: leave the label out", clip(other), clip(b.Owner))
	}
	i.put.Labels = withOwner(i.put.Labels, b.Owner)
}

func withOwner(labels map[string]string, owner string) map[string]string {
	owned := maps.Clone(labels)
	if owned == nil {
		owned = map[string]string{}
	}
	owned[OwnerLabel] = owner
	return owned
}

// validate holds an object to the rules of the registry that need no state, but
// for fields whose value was not understood anyway.
func (b *builder) validate(i *item, now time.Time) {
	if b.faults.full() {
		return
	}
	var faults []fsm.Fault
	if refusal := fsm.Validate(i.put); refusal != nil {
		faults = refusal.Faults
	}
	if spec, is := i.put.Spec.(fsm.CertificateSpec); is {
		faults = append(faults, b.checkKey(spec, now)...)
	}
	b.root = i.root
	for _, fault := range faults {
		if i.nested && fault.Pointer == "/pool" {
			continue // it is told of the pool
		}
		pointer := i.pointer(fault.Pointer)
		if !slices.ContainsFunc(i.faulty, func(faulty string) bool {
			return within(faulty, pointer) || within(pointer, faulty) && faulty != i.at
		}) {
			b.add(pointer, "%s", fault.Message)
		}
	}
}

// checkKey holds a private key that is given to its chain.
func (b *builder) checkKey(spec fsm.CertificateSpec, now time.Time) []fsm.Fault {
	key, _ := keypair.Key(spec)
	if key == "" {
		return nil
	}
	if b.keys++; b.keys <= keypair.MaxKeys {
		return keypair.Check(spec.Chain, key, now)
	}
	return []fsm.Fault{{Pointer: "/spec/key", Message: fmt.Sprintf("the manifest holds more than %d private keys: split it", keypair.MaxKeys)}}
}

// keyText is what a line of a key looks like, in YAML and in JSON.
var keyText = regexp.MustCompile(`[A-Za-z0-9+/=]{16,}`)

// keyHead is how much of a line tells that it is of a key, where one is clipped.
const keyHead = 16

// hideKeys takes out of the faults what is of a private key: one that is put in the
// wrong place is quoted as any other text would be. It costs as much as reading does.
func (b *builder) hideKeys() {
	const begin, end = "PRIVATE KEY-----", "-----END "
	heads := map[string]bool{}
	for rest := b.data; ; {
		_, key, found := bytes.Cut(rest, []byte(begin))
		if !found {
			break
		}
		key, rest, _ = bytes.Cut(key, []byte(end))
		key = bytes.ReplaceAll(key, []byte(`\/`), []byte("/")) // as some write JSON
		for _, line := range keyText.FindAll(key, -1) {
			heads[string(line[:keyHead])] = true
			if after, escaped := bytes.CutPrefix(line, []byte("n")); escaped && len(after) >= keyHead { // of \n in JSON
				heads[string(after[:keyHead])] = true
			}
		}
	}
	if len(heads) == 0 {
		return
	}
	hide := func(text string) string {
		if after, escaped := strings.CutPrefix(text, "n"); heads[text[:keyHead]] || escaped && len(after) >= keyHead && heads[after[:keyHead]] {
			return "(of a private key)"
		}
		return text
	}
	for i := range b.faults {
		fault := &b.faults[i]
		fault.Message = keyText.ReplaceAllStringFunc(fault.Message, hide)
		fault.Pointer = hideNames(fault.Pointer, func(name string) string { return keyText.ReplaceAllStringFunc(name, hide) })
	}
}

var (
	unescapeName = strings.NewReplacer("~1", "/", "~0", "~")
	escapeName   = strings.NewReplacer("~", "~0", "/", "~1")
)

// hideNames has each name of a pointer hidden as it is, unescaped and without those
// before it: a slash is as common in a key as any letter.
func hideNames(pointer string, hide func(string) string) string {
	names := strings.Split(pointer, "/")
	for i, escaped := range names {
		name := unescapeName.Replace(escaped)
		if hidden := hide(name); hidden != name {
			names[i] = escapeName.Replace(hidden)
		}
	}
	return strings.Join(names, "/")
}

// checkAddresses tells of backends of one pool that have the same address.
func (b *builder) checkAddresses() {
	type address struct{ pool, address string }
	seen := map[address]*item{}
	for _, i := range b.items {
		spec, ok := i.put.Spec.(fsm.BackendSpec)
		if !ok || spec.Address == "" {
			continue
		}
		key := address{i.put.Pool, strings.ToLower(spec.Address)}
		if first := seen[key]; first != nil && first.put.Name != i.put.Name {
			b.root = i.root
			line, column := strictjson.Position(b.data, first.root.Locate(first.pointer("/spec/address")))
			b.add(i.pointer("/spec/address"), "%q is the address of %s already, at line %d, column %d", clip(spec.Address), first.put.Ref(), line, column)
			continue
		}
		seen[key] = i
	}
}

// exists tells whether an object is known.
type exists func(ref fsm.Ref) bool

// References returns a fault for every object that one of the manifest's names
// and that is neither in the manifest nor known otherwise; known may be nil.
func (m *Manifest) References(known func(ref fsm.Ref) bool) []Fault {
	var faults list
	there := exists(func(ref fsm.Ref) bool { return m.Has(ref) || known != nil && known(ref) })
	for _, i := range m.items {
		for _, r := range references(i.put) {
			if !faults.full() && !there(r.to) {
				faults.add(m.Fault(i.put.Ref(), fsm.Fault{Pointer: r.pointer, Code: fsm.CodeNotFound,
					Message: fmt.Sprintf("%s does not exist: add it to the manifest, or create it first", r.to)}))
			}
		}
	}
	return faults
}

// Keyless returns a fault for every certificate without its key, which is right for one
// that is there already, of the same key.
func (m *Manifest) Keyless() []Fault {
	var faults list
	for _, i := range m.items {
		if spec, is := i.put.Spec.(fsm.CertificateSpec); is && !faults.full() {
			if key, unsealed := keypair.Key(spec); unsealed && key == "" {
				faults.add(m.Fault(i.put.Ref(), fsm.Fault{Pointer: "/spec/key", Code: fsm.CodeNotFound,
					Message: "is missing: give it, unless the cluster has the certificate and its key already"}))
			}
		}
	}
	return faults
}

// reference is one object's naming of another.
type reference struct {
	pointer string
	to      fsm.Ref
}

func references(p fsm.Put) []reference {
	var list []reference
	add := func(kind fsm.Kind, name, format string, args ...any) {
		list = append(list, reference{fmt.Sprintf(format, args...), fsm.Ref{Kind: kind, Name: name}})
	}
	switch spec := p.Spec.(type) {
	case fsm.RouteSpec:
		for i, name := range spec.Listeners {
			add(fsm.KindListener, name, "/spec/listeners/%d", i)
		}
		for i, pool := range spec.Pools {
			add(fsm.KindPool, pool.Name, "/spec/pools/%d/name", i)
		}
		if spec.Mirror != nil {
			add(fsm.KindPool, spec.Mirror.Pool, "/spec/mirror/pool")
		}
	case fsm.ListenerSpec:
		if spec.TLS != nil {
			for i, name := range spec.TLS.Certificates {
				add(fsm.KindCertificate, name, "/spec/tls/certificates/%d", i)
			}
		}
	case fsm.PoolSpec:
		if spec.TLS != nil && spec.TLS.Certificate != "" {
			add(fsm.KindCertificate, spec.TLS.Certificate, "/spec/tls/certificate")
		}
	case fsm.BackendSpec:
		add(fsm.KindPool, p.Pool, "/pool")
	}
	return list
}
