package httpapi

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
	"evenkeel/httpapi/strictjson"
)

const (
	// maxBody is the most bytes that a request's body may have.
	maxBody = 1 << 20
	// maxDiscard is the most bytes of a larger body that are read to no use.
	maxDiscard = 8 << 20
)

// document is what a POST or PUT sent.
type document struct {
	pool   *string
	name   *string
	labels map[string]string
	spec   fsm.Spec
	// flat tells that the spec's fields stood beside the name.
	flat bool
}

// readBody returns the whole body, whatever its Content-Type: curl -d sends a
// form's.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	return readBodyUpTo(w, r, maxBody)
}

// readBodyUpTo is [readBody] of a body of at most so many bytes.
func readBodyUpTo(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, problem.New(problem.UnsupportedEncoding, "Content-Encoding %q is not understood", clip(encoding))
	}
	if err := checkLength(r, most); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err != nil {
		return nil, bodyProblem(err)
	}
	return body, nil
}

// checkLength refuses a body that says itself that it is longer, before any of it
// is read.
func checkLength(r *http.Request, most int64) error {
	if r.ContentLength > most {
		return problem.New(problem.BodyTooLarge, "the body has %d bytes, at most %d are taken", r.ContentLength, most)
	}
	return nil
}

// refuseBody sends the refusal of a body that is too large while the client still
// sends it, and then reads on, so that the client gets to read that, see [discard].
func refuseBody(w http.ResponseWriter, r *http.Request, refusal *problem.Problem) error {
	control := http.NewResponseController(w)
	// A connection that cannot do both at once sends it at the end.
	if err := control.EnableFullDuplex(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if err := refusal.With("Connection", "close").Write(w); err != nil {
		return err
	}
	if err := control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	discard(r, maxDiscard)
	return nil
}

// discard reads what the client still sends, up to so many bytes, so that it gets
// to read the refusal: closing a connection with bytes unread resets it, and
// net/http does that at once when the client asked for Connection: close. A
// client that waits for 100 Continue sends nothing more.
func discard(r *http.Request, most int64) {
	if r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, r.Body, most) // the refusal says it all
	}
}

// parseDocument reads a document of the resource's kind. It reports all
// faults that need no registry to be seen, of the JSON as well as of the
// values; the rest of the document is still returned if there is any.
func parseDocument(res *resource, body []byte) (document, []fsm.Fault) {
	value, faults := strictjson.Parse(body)
	if value == nil {
		return document{}, faults
	}
	doc, more := readDocument(res, value)
	return doc, append(faults, more...)
}

// readDocument is [parseDocument] of what was parsed.
func readDocument(res *resource, value *strictjson.Value) (document, []fsm.Fault) {
	var faults []fsm.Fault
	doc := document{flat: value.Member("spec") == nil}
	pointer := res.newSpec()
	fields := doc.envelope(res)
	if doc.flat {
		for name, target := range strictjson.FieldsOf(pointer) {
			fields[name] = target
		}
	} else {
		fields["spec"] = pointer
		faults = append(faults, refuseFlat(value, fields, pointer)...)
	}
	faults = append(faults, value.DecodeFields(fields, "")...)
	doc.spec = res.spec(pointer)
	return doc, faults
}

// envelope returns the fields beside the spec. What only the cluster writes
// is ignored, so that an object can be read, edited and sent back.
func (doc *document) envelope(res *resource) strictjson.Fields {
	fields := strictjson.Fields{"name": &doc.name, "labels": &doc.labels}
	if res.inPool {
		fields["pool"] = &doc.pool
	}
	for _, name := range []string{"status", "meta", "local"} {
		fields[name] = &strictjson.Ignored{}
	}
	return fields
}

// refuseFlat reports fields of the spec that stand beside it, and makes fields
// pass over them.
func refuseFlat(value *strictjson.Value, fields strictjson.Fields, pointer any) []fsm.Fault {
	var faults []fsm.Fault
	flat := strictjson.FieldsOf(pointer)
	for _, member := range value.Members {
		if _, known := flat[member.Name]; !known || fields[member.Name] != nil {
			continue // what both have, a token's labels, is the object's here
		}
		fields[member.Name] = &strictjson.Ignored{}
		faults = append(faults, fsm.Fault{Pointer: "/" + member.Name, Message: `stands beside "spec": put it inside, or leave "spec" out and give all fields flat`})
	}
	return faults
}

// pointers turns the registry's pointers into those of the document as it was
// sent.
func (doc *document) pointers(faults []fsm.Fault) []fsm.Fault {
	if !doc.flat {
		return faults
	}
	mapped := make([]fsm.Fault, len(faults))
	for i, fault := range faults {
		if rest, ok := strings.CutPrefix(fault.Pointer, "/spec/"); ok {
			fault.Pointer = "/" + rest
		}
		mapped[i] = fault
	}
	return mapped
}

// validated adds to the faults of decoding those that the registry's own
// rules find, but for fields whose value was not understood anyway.
func (doc *document) validated(faults []fsm.Fault, op fsm.Operation) []fsm.Fault {
	refusal := fsm.Validate(op)
	if refusal == nil {
		return faults
	}
	all := faults
	for _, fault := range doc.pointers(refusal.Faults) {
		if !overlaps(faults, fault.Pointer) {
			all = append(all, fault)
		}
	}
	return all
}

func overlaps(faults []fsm.Fault, pointer string) bool {
	for _, fault := range faults {
		if within(fault.Pointer, pointer) || within(pointer, fault.Pointer) {
			return true
		}
	}
	return false
}

// within reports whether inner is outer or a place below it. The whole
// document is no such place: a fault of it says nothing about its fields.
func within(inner, outer string) bool {
	return outer != "" && (inner == outer || strings.HasPrefix(inner, outer+"/"))
}
