package manifest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"evenkeel/fsm"
	"evenkeel/httpapi/strictjson"
	"evenkeel/httpapi/strictyaml"
)

// Format is how a manifest is written.
type Format string

// The formats. Without one it is seen from the first characters: JSON begins with
// a brace, and behind that another or quotes.
const (
	YAML Format = "yaml"
	JSON Format = "json"
)

// Options are what is said about a manifest beside it.
type Options struct {
	Format Format // of the two, or ""
	// Owner, if not "", is whose manifest it is. A manifest may say so itself,
	// but not otherwise.
	Owner string
	// Now is when certificates that come with their keys must not have expired; zero:
	// that is not looked at.
	Now time.Time
}

// Parse reads a manifest. Either there are faults, 1 to 101 in the order in which
// they were found, or a manifest whose objects the registry would take, but for
// what depends on its state. It takes at most a few hundred megabytes and seconds,
// whatever the data are, and some milliseconds for each private key.
func Parse(data []byte, options Options) (*Manifest, []Fault) {
	if len(data) > MaxBytes { // there may be more than was read of it
		line, column := strictjson.Position(data, MaxBytes)
		return nil, []Fault{{Line: line, Column: column, Message: fmt.Sprintf("the manifest has more than the %d bytes that are taken, which end here: split it", MaxBytes)}}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	b := &builder{Manifest: &Manifest{data: data, index: map[fsm.Ref]int{}}, hint: ": put it in quotes"}
	b.setOwner(options.Owner, func(message string) { b.faults.add(Fault{Message: message}) })
	for _, root := range b.documents(options.Format) {
		b.document(root)
	}
	for _, item := range b.items {
		b.own(item)
		b.validate(item, options.Now)
	}
	b.checkAddresses()
	if len(b.faults) > 0 {
		b.hideKeys()
		return nil, b.faults
	}
	return b.Manifest, nil
}

// builder is a manifest while it is read.
type builder struct {
	*Manifest
	hint   string // what to do with a number that should be a text
	faults list
	root   *strictjson.Value // the document being read
	over   bool              // there are too many objects
	keys   int               // private keys
}

// documents returns the documents of the text, none if it cannot be read.
func (b *builder) documents(format Format) []*strictjson.Value {
	if len(bytes.TrimSpace(b.data)) == 0 {
		b.faults.add(Fault{Message: "the manifest is empty: an empty one is written as {}"})
		return nil
	}
	var roots []*strictjson.Value
	var faults []strictjson.Located
	if format == JSON || format == "" && looksLikeJSON(b.data) {
		b.hint = ""
		var root *strictjson.Value
		if root, faults = strictjson.ParseLocated(b.data, maxValues); root != nil {
			roots = append(roots, root)
		}
	} else {
		roots, faults = strictyaml.Parse(b.data, maxValues)
	}
	for _, fault := range faults {
		b.faults.add(b.at(fault.Offset, fault.Pointer, fault.Message))
	}
	if len(roots) == 0 && len(faults) == 0 {
		b.faults.add(Fault{Message: "the manifest holds nothing but comments: an empty one is written as {}"})
	}
	return roots
}

func looksLikeJSON(data []byte) bool {
	inside, ok := bytes.CutPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{"))
	inside = bytes.TrimLeft(inside, " \t\r\n")
	return ok && len(inside) > 0 && (inside[0] == '"' || inside[0] == '}')
}

// add reports a fault of the document being read.
func (b *builder) add(pointer, format string, args ...any) {
	if !b.faults.full() {
		b.faults.add(b.at(b.root.Locate(pointer), pointer, fmt.Sprintf(format, args...)))
	}
}

func (b *builder) document(root *strictjson.Value) {
	b.root = root
	if root.Kind != strictjson.Object {
		b.add("", "is %s: a document holds one object with its kind, or lists of them: %s", root.Kind, strings.Join(listNames(), ", "))
		return
	}
	if v := root.Member("owner"); v != nil {
		b.owner(v)
	}
	if v := root.Member("kind"); v != nil {
		b.single(v)
		return
	}
	for _, member := range root.Members {
		b.member(member)
	}
}

// listNames returns the fields of a document that hold objects.
func listNames() []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.list)
	}
	return names
}

func (b *builder) single(kind *strictjson.Value) {
	k := kindOf(fsm.Kind(kind.Text))
	if kind.Kind != strictjson.String || k == nil {
		b.add("/kind", "%q is not one of %s", clip(kind.Text), kindNames())
		return
	}
	b.object(k, b.root, "", nil, "kind", "owner")
}

// member reads one field of a document of lists.
func (b *builder) member(member strictjson.Member) {
	if member.Name == "owner" {
		return
	}
	pointer := "/" + fsm.EscapePointer(clip(member.Name))
	k := kindBy(func(k kind) bool { return k.list == member.Name })
	if k != nil {
		b.list(k, member.Value, pointer, nil)
		return
	}
	known := append(listNames(), "kind", "owner")
	near := strictjson.Nearest(member.Name, known)
	switch {
	case near != "":
		b.add(pointer, "%q is not a known field: did you mean %q?", clip(member.Name), near)
	case isField(member.Name):
		b.add(pointer, "%q is a field of an object: say of which kind with \"kind\", or put the object in one of the lists %s",
			clip(member.Name), strings.Join(listNames(), ", "))
	default:
		b.add(pointer, "%q is not a known field: use one of %s", clip(member.Name), strings.Join(known, ", "))
	}
}

// isField tells whether objects of some kind have such a field.
func isField(name string) bool {
	if slices.Contains([]string{"name", "pool", "labels", "spec"}, name) {
		return true
	}
	return kindBy(func(k kind) bool { return strictjson.FieldsOf(k.newSpec())[name] != nil }) != nil
}

func (b *builder) list(k *kind, v *strictjson.Value, at string, pool *string) {
	if v.Kind != strictjson.Array && v.Kind != strictjson.Null {
		b.add(at, "is %s, must be an array", v.Kind)
		return
	}
	for i, element := range v.Elements {
		if b.over || b.faults.full() {
			return
		}
		b.object(k, element, at+"/"+strconv.Itoa(i), pool)
	}
}

// object reads one object. pool is that in which a backend stands, or nil; known
// are fields beside the object's own.
func (b *builder) object(k *kind, v *strictjson.Value, at string, pool *string, known ...string) {
	if v.Kind != strictjson.Object {
		b.add(at, "is %s, must be an object with a name", v.Kind)
		return
	}
	if len(b.items) == MaxObjects {
		b.over = true
		b.add(at, "the manifest holds more than %d objects: split it", MaxObjects)
		return
	}
	e := envelope{spec: k.newSpec()}
	i := &item{root: b.root, at: at, flat: v.Member("spec") == nil, nested: pool != nil}
	fields := e.fields(k, i.flat, known)
	b.refuseFlat(v, i, fields, e.spec)
	for _, fault := range v.DecodeFields(fields, at) {
		i.faulty = append(i.faulty, fault.Pointer)
		b.add(fault.Pointer, "%s%s", fault.Message, b.remedy(fault.Message))
	}
	i.put = fsm.Put{Pool: b.pool(k, &e, at, pool), Labels: e.labels, Spec: k.spec(e.spec)}
	b.items = append(b.items, i)
	b.name(i, &e)
	if backends := v.Member("backends"); k.kind == fsm.KindPool && backends != nil {
		b.list(kindOf(fsm.KindBackend), backends, at+"/backends", &i.put.Name)
	}
}

// remedy says what to do with a scalar of YAML that should be a text.
func (b *builder) remedy(message string) string {
	if strings.HasSuffix(message, "is a number, must be a string") || strings.HasSuffix(message, "is a boolean, must be a string") {
		return b.hint
	}
	return ""
}

// name takes the object's name over, and tells of an object that is there twice.
func (b *builder) name(i *item, e *envelope) {
	switch {
	case e.name != nil:
		i.put.Name = *e.name
	case !slices.Contains(i.faulty, i.at+"/name"):
		b.add(i.at, "the name is missing: give the object one")
		fallthrough
	default:
		i.faulty = append(i.faulty, i.at+"/name")
		return
	}
	ref := i.put.Ref()
	first, twice := b.index[ref]
	if !twice {
		b.index[ref] = len(b.items) - 1
		return
	}
	before := b.items[first]
	line, column := strictjson.Position(b.data, before.root.Locate(before.at))
	b.add(i.at, "%s is given twice: line %d, column %d has it first: keep one", ref, line, column)
}

// pool returns the pool of a backend.
func (b *builder) pool(k *kind, e *envelope, at string, pool *string) string {
	switch {
	case !k.inPool:
		return ""
	case pool == nil && e.pool == nil:
		return DefaultPool
	case pool == nil:
		return *e.pool
	case e.pool != nil && *e.pool != *pool:
		b.add(at+"/pool", "%q is not the pool that the backend stands in, %q: correct it or leave it out", clip(*e.pool), clip(*pool))
	}
	return *pool
}

// refuseFlat reports fields of the spec that stand beside it, and makes fields
// pass over them.
func (b *builder) refuseFlat(v *strictjson.Value, i *item, fields strictjson.Fields, spec any) {
	if i.flat {
		return
	}
	flat := strictjson.FieldsOf(spec)
	for _, member := range v.Members {
		if _, known := flat[member.Name]; !known {
			continue
		}
		fields[member.Name] = &strictjson.Ignored{}
		b.add(i.at+"/"+member.Name, `stands beside "spec": put it inside, or leave "spec" out and give all fields flat`)
	}
}

// envelope is what an object has besides its spec.
type envelope struct {
	name, pool *string
	labels     map[string]string
	spec       any
}

// fields returns where the fields of an object go. What only the cluster writes
// is ignored, so that what a GET returned can be put into a manifest.
func (e *envelope) fields(k *kind, flat bool, known []string) strictjson.Fields {
	fields := strictjson.Fields{}
	if flat {
		maps.Copy(fields, strictjson.FieldsOf(e.spec))
	} else {
		fields["spec"] = e.spec
	}
	fields["name"], fields["labels"] = &e.name, &e.labels
	if k.inPool {
		fields["pool"] = &e.pool
	}
	ignored := append([]string{"status", "meta", "local"}, known...)
	if k.kind == fsm.KindPool {
		ignored = append(ignored, "backends")
	}
	for _, name := range ignored {
		fields[name] = &strictjson.Ignored{}
	}
	return fields
}

// clip shortens what a message quotes.
func clip(text string) string {
	if len(text) <= 80 {
		return text
	}
	return strings.ToValidUTF8(text[:77], "") + "..."
}

// within reports whether inner is outer or a place below it.
func within(inner, outer string) bool {
	return inner == outer || strings.HasPrefix(inner, outer) && inner[len(outer)] == '/'
}
