package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"time"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
	"evenkeel/httpapi/strictjson"
)

// The media types of a merge patch (RFC 7396) that PATCH takes.
const (
	mediaMergePatch = "application/merge-patch+json"
	mediaJSON       = "application/json"
)

// patchPatience is how long a patch is made again on an object that others change
// meanwhile.
const patchPatience = 10 * time.Second

// patch is a merge patch (RFC 7396) of the labels and the spec of an object. Like
// a document to put, it may have the spec's fields beside the name.
type patch struct {
	name, pool *string
	flat       bool
	// change is the patch of {"labels":…,"spec":…}; nil if nothing could be read.
	change *strictjson.Value
}

// readPatch reads a patch with all faults that need no object to be seen.
func readPatch(res *resource, value *strictjson.Value) (patch, []fsm.Fault) {
	var read document
	p := patch{flat: value.Member("spec") == nil}
	pointer := res.newSpec()
	spec, fields := strictjson.FieldsOf(pointer), read.envelope(res)
	var faults []fsm.Fault
	if p.flat {
		maps.Copy(fields, spec)
	} else {
		fields["spec"] = pointer
		faults = refuseFlat(value, fields, pointer)
	}
	faults = append(faults, value.DecodePatch(fields, "")...)
	for _, name := range []string{"name", "pool", "spec"} {
		if m := value.Member(name); m != nil && m.Kind == strictjson.Null && fields[name] != nil {
			faults = append(faults, fsm.Fault{Pointer: "/" + name, Message: "null would take it away, and no object is without it: leave it out, or DELETE the object"})
		}
	}
	p.name, p.pool = read.name, read.pool
	p.change = &strictjson.Value{Kind: strictjson.Object}
	inside := &strictjson.Value{Kind: strictjson.Object}
	envelope := read.envelope(res)
	for _, m := range value.Members {
		switch {
		case p.flat && (spec[m.Name] != nil || envelope[m.Name] == nil):
			inside.Members = append(inside.Members, m)
		case m.Name == "labels", m.Name == "spec" && m.Value.Kind == strictjson.Object:
			p.change.Members = append(p.change.Members, m)
		}
	}
	if p.flat {
		p.change.Members = append(p.change.Members, strictjson.Member{Name: "spec", Value: inside})
	}
	return p, faults
}

// on returns the document that the patch makes of an object.
func (p patch) on(res *resource, o fsm.AnyObject) (document, []fsm.Fault, error) {
	text, err := json.Marshal(map[string]any{"labels": o.GetLabels(), "spec": fsm.Shown(o).GetSpec()})
	if err != nil {
		return document{}, nil, fmt.Errorf("encode %s: %w", o.Ref(), err)
	}
	base, faults := strictjson.Parse(text)
	if base == nil {
		return document{}, nil, problem.New(problem.InvalidRequest, "%s is too large for a patch, replace it with PUT: %s", o.Ref(), messages(faults))
	}
	res.keepWritable(base.Member("spec"))
	doc, faults := readDocument(res, strictjson.Merge(base, p.change))
	doc.name, doc.pool, doc.flat = p.name, p.pool, p.flat
	return doc, doc.pointers(faults), nil
}

// keepWritable drops from a spec what no document may have, such as a token's hash.
func (res *resource) keepWritable(spec *strictjson.Value) {
	fields := strictjson.FieldsOf(res.newSpec())
	spec.Members = slices.DeleteFunc(spec.Members, func(m strictjson.Member) bool { return fields[m.Name] == nil })
}

// checkMedia refuses a patch that is of another kind, such as a list of operations
// (RFC 6902).
func checkMedia(r *http.Request) error {
	text := r.Header.Get("Content-Type")
	if media, _, err := mime.ParseMediaType(text); text == "" || err == nil && (media == mediaMergePatch || media == mediaJSON) {
		return nil
	}
	return problem.New(problem.UnsupportedMedia, "Content-Type %q: send a merge patch (RFC 7396) as %s or %s", clip(text), mediaMergePatch, mediaJSON).
		With("Accept-Patch", mediaMergePatch+", "+mediaJSON)
}

// change is the PATCH of every kind of object.
func (a *API) change(res *resource) handlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) error {
		w, err := newWrite(res, r)
		if err != nil {
			return err
		}
		if w.want.cond.Absent {
			return problem.New(problem.InvalidRequest, "If-None-Match * asks for an object that does not exist, and PATCH changes one that does: use PUT")
		}
		if err := checkMedia(r); err != nil {
			return err
		}
		if w.body, err = readBody(rw, r); err != nil {
			return err
		}
		value, faults := strictjson.Parse(w.body)
		if value == nil {
			return problem.Invalid(faults)
		}
		p, more := readPatch(res, value)
		done, err := a.performPatch(r.Context(), w, p, unite(faults, more))
		if err == nil {
			err = a.renewPatched(r, done)
		}
		if err != nil {
			return w.located(err)
		}
		return a.written(rw, r, w, done)
	}
}

// errOutrun is in the chain of what [API.tryPatch] returns if another write came
// between.
var errOutrun = errors.New("the object was changed meanwhile")

// performPatch reads the object, changes it and writes it if it is still what was
// read; if it is not, it does so again, but for a client that named a revision.
// faults are those of the patch itself.
func (a *API) performPatch(ctx context.Context, w *write, p patch, faults []fsm.Fault) (performed, error) {
	for begun := time.Now(); ; {
		done, err := a.tryPatch(ctx, w, p, faults)
		switch {
		case !errors.Is(err, errOutrun):
			return done, err
		case time.Since(begun) > patchPatience:
			return done, problem.New(problem.Outrun, "%s is changed by others again and again, faster than this patch could be made on it", w.ref).With("Retry-After", "1")
		}
	}
}

func (a *API) tryPatch(ctx context.Context, w *write, p patch, faults []fsm.Fault) (performed, error) {
	if done, known := a.recall(w.want, w.body); known {
		return done, a.refusal(w, done)
	}
	o, err := a.patched(ctx, w, len(faults) == 0)
	if err != nil {
		return performed{}, err
	}
	if o == nil {
		if done, known := a.recall(w.want, w.body); known { // this node was behind
			return done, a.refusal(w, done)
		}
		return performed{}, a.noneToPatch(w, faults)
	}
	doc, more, err := p.on(w.res, o)
	if err != nil {
		return performed{}, err
	}
	if err := w.take(doc, unite(faults, more), nil); err != nil {
		return performed{}, err
	}
	op := w.operation()
	op.If = fsm.Precondition{Revision: w.want.cond.Revision}
	if op.If.Revision == 0 {
		op.If.Revision = o.GetMeta().Revision
	}
	done, err := a.perform(ctx, w.want, op, w.body)
	if err == nil && done.Err != nil && done.Err.Code == fsm.CodePrecondition && w.want.cond.Revision == 0 {
		return done, errOutrun
	}
	if err != nil {
		return done, err
	}
	return done, a.refusal(w, done)
}

// refusal returns the refusal of what was performed as an error, or nil.
func (a *API) refusal(w *write, p performed) error {
	if p.Err == nil {
		return nil
	}
	return a.refused(w, p.Err)
}

// patched returns the object that a patch is of, or nil. This node may be behind
// what the client has seen, which is asked for before it is told that there is
// nothing, or something else: but not for a patch that is refused anyway.
func (a *API) patched(ctx context.Context, w *write, ask bool) (fsm.AnyObject, error) {
	o := w.want.by.find(a.config.Cluster.State(), w.ref)
	behind := o == nil || o.GetMeta().Revision < w.want.cond.Revision
	if !behind || !ask {
		return o, nil
	}
	if err := a.config.Cluster.ReadIndex(ctx); err != nil {
		return nil, readProblem(err)
	}
	return w.want.by.find(a.config.Cluster.State(), w.ref), nil
}

// noneToPatch is the answer to a patch of nothing.
func (a *API) noneToPatch(w *write, faults []fsm.Fault) error {
	switch {
	case len(faults) > 0:
		return problem.Invalid(faults)
	case w.want.cond.Exists || w.want.cond.Revision != 0:
		return a.stale(w, clip(w.ref.String())+" does not exist")
	}
	return problem.New(problem.NotFound, "%s does not exist, and PATCH changes what does: create it with PUT", clip(w.ref.String()))
}

// unite returns the faults of a patch and those of what it makes, each place once.
func unite(faults, more []fsm.Fault) []fsm.Fault {
	all := faults[:len(faults):len(faults)]
	for _, fault := range more {
		if !overlaps(faults, fault.Pointer) {
			all = append(all, fault)
		}
	}
	return all
}
