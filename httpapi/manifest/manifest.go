package manifest

import (
	"fmt"

	"evenkeel/fsm"
	"evenkeel/httpapi/strictjson"
)

// Bounds of a manifest. MaxObjects is what one transaction takes. One of YAML is
// held to those of package strictyaml besides.
const (
	MaxBytes   = 16 << 20
	MaxObjects = 20_000
	// maxValues is some fifty for each object, which keeps what a hostile file
	// costs below 200 MB.
	maxValues = 1_000_000
	maxFaults = 100
)

// OwnerLabel is the label that tells whose manifest an object belongs to. To
// prune is to delete what bears it and is no longer in that manifest.
const OwnerLabel = "evenkeel.owner"

// DefaultPool is where a backend goes that names no pool, as with a PUT.
const DefaultPool = "default"

// Manifest is a file whose objects are valid each for itself. It is immutable.
type Manifest struct {
	// Owner is what its objects bear as [OwnerLabel]; "": they say it themselves
	// or bear none.
	Owner string

	data  []byte
	items []*item
	index map[fsm.Ref]int
}

// item is one object of the file.
type item struct {
	put fsm.Put
	// root is the document that the object is in, and at its pointer there.
	root *strictjson.Value
	at   string
	// flat tells that the spec's fields stand beside the name, and nested that
	// the pool is where the object stands.
	flat, nested bool
	faulty       []string // pointers of what could not be decoded
}

// Fault is one thing that is wrong with a manifest.
type Fault struct {
	// Line and Column are from 1 and in characters; 0 for what has no place in
	// the file.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Pointer is the place's JSON pointer within its document of the file.
	Pointer string `json:"pointer"`
	// Message names the value, what is wrong with it and what to do.
	Message string `json:"message"`
	// Code is why the registry refused, for faults that it found.
	Code fsm.Code `json:"code,omitempty"`
}

// String returns the fault as compilers write it, to be put behind the file's
// name and a colon: "3:5: /pools/0/name: …".
func (f Fault) String() string {
	text := f.Message
	if f.Pointer != "" {
		text = f.Pointer + ": " + text
	}
	if f.Line == 0 {
		return text
	}
	return fmt.Sprintf("%d:%d: %s", f.Line, f.Column, text)
}

// Plain returns the fault in the form of the API's problems, with line and
// column in the message.
func (f Fault) Plain() fsm.Fault {
	fault := fsm.Fault{Pointer: f.Pointer, Message: f.Message, Code: f.Code}
	if f.Line > 0 {
		fault.Message = fmt.Sprintf("line %d, column %d: %s", f.Line, f.Column, f.Message)
	}
	return fault
}

// Plain returns the faults in the form of the API's problems.
func Plain(faults []Fault) []fsm.Fault {
	plain := make([]fsm.Fault, len(faults))
	for i, fault := range faults {
		plain[i] = fault.Plain()
	}
	return plain
}

// Puts returns what the manifest asks for, in the order of the file. The owner's
// label is among the labels.
func (m *Manifest) Puts() []fsm.Put {
	puts := make([]fsm.Put, len(m.items))
	for i, item := range m.items {
		puts[i] = item.put
	}
	return puts
}

// Has tells whether the object is in the manifest.
func (m *Manifest) Has(ref fsm.Ref) bool {
	_, ok := m.index[ref]
	return ok
}

// Fault returns a fault of an object, whose pointer is that of the registry,
// such as "/spec/weight", with its place in the file. Of an object that is not
// in the file it has no place.
func (m *Manifest) Fault(ref fsm.Ref, fault fsm.Fault) Fault {
	n, ok := m.index[ref]
	if !ok {
		return Fault{Message: ref.String() + ": " + fault.Message, Code: fault.Code}
	}
	pointer := m.items[n].pointer(fault.Pointer)
	located := m.at(m.items[n].root.Locate(pointer), pointer, fault.Message)
	located.Code = fault.Code
	return located
}

func (m *Manifest) at(offset int, pointer, message string) Fault {
	line, column := strictjson.Position(m.data, offset)
	return Fault{Line: line, Column: column, Pointer: pointer, Message: message}
}

// pointer turns a pointer of the registry into one of the document.
func (i *item) pointer(pointer string) string {
	const spec = "/spec"
	if i.flat && within(pointer, spec) {
		pointer = pointer[len(spec):]
	}
	return i.at + pointer
}

// list gathers faults up to [maxFaults] and then says that it stopped.
type list []Fault

func (l *list) add(fault Fault) {
	switch {
	case len(*l) < maxFaults:
		*l = append(*l, fault)
	case len(*l) == maxFaults:
		*l = append(*l, Fault{Message: fmt.Sprintf("there are more faults than the %d listed", maxFaults)})
	}
}

func (l *list) full() bool { return len(*l) > maxFaults }
