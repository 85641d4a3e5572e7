package manifest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"evenkeel/fsm"
	"evenkeel/httpapi/diff"
)

// PlanOptions say how a manifest is held against a state.
type PlanOptions struct {
	// Prune deletes what bears the owner's label and is not in the manifest.
	Prune bool
	// Owner is whose objects those are; "": the manifest's. Objects of a manifest
	// without an owner get the label. It may not contradict the manifest's.
	Owner string
	// Sees tells which objects whoever asks may know of; nil: all. Others are not
	// pruned, and not named.
	Sees func(fsm.AnyObject) bool
	// Seal returns a put of a certificate with its key sealed, or with the one that is
	// there if it has none, and what stands against that. nil: it stays as it is, and
	// cannot be written.
	Seal func(fsm.Put) (fsm.Put, []fsm.Fault)
}

func (o PlanOptions) sees(object fsm.AnyObject) bool { return o.Sees == nil || o.Sees(object) }

// Plan is the way from one state to what a manifest asks for.
type Plan struct {
	// Steps are the writes, in an order in which none needs what a later one
	// makes. There is none when nothing is to be changed. Deletes have the revision
	// that was seen as their precondition.
	Steps []fsm.Step
	// Diff tells of them in the same order, and names the state's revision.
	Diff diff.Document

	manifest *Manifest
}

// Plan returns what leads from a state to what the manifest asks for, or what
// stands against that: 1 to 101 faults.
func (m *Manifest) Plan(state *fsm.State, options PlanOptions) (*Plan, []Fault) {
	owner, fault := m.owner(options)
	if fault != nil {
		return nil, []Fault{*fault}
	}
	p := planner{manifest: m, state: state, owner: owner, sees: options.sees, seal: options.Seal, plan: &Plan{manifest: m}}
	p.plan.Diff = diff.Document{Revision: state.Revision(), Owner: owner, Changes: []diff.Change{}}
	if options.Prune {
		p.prune()
	}
	p.put()
	if faults := p.check(); len(faults) > 0 {
		return nil, faults
	}
	p.order()
	return p.plan, nil
}

func (m *Manifest) owner(options PlanOptions) (string, *Fault) {
	owner := options.Owner
	switch {
	case owner == "":
		owner = m.Owner
	case m.Owner != "" && m.Owner != owner:
		return "", &Fault{Message: fmt.Sprintf("the manifest says that its owner is %q, not %q: correct one of them", clip(m.Owner), clip(owner))}
	case len(owner) > maxOwner:
		return "", &Fault{Message: fmt.Sprintf("the owner has %d bytes, at most %d are taken", len(owner), maxOwner)}
	}
	if options.Prune && owner == "" {
		return "", &Fault{Message: "to prune needs an owner, whose objects are deleted that are not in the manifest: write \"owner: NAME\" at its top, or say it beside it"}
	}
	return owner, nil
}

// planner is a plan in the making.
type planner struct {
	manifest *Manifest
	state    *fsm.State
	owner    string
	sees     func(fsm.AnyObject) bool
	seal     func(fsm.Put) (fsm.Put, []fsm.Fault)
	faults   list // of sealing
	plan     *Plan
	deleted  map[fsm.Ref]bool
	writes   []planned
}

// planned is a step with what it changes.
type planned struct {
	step   fsm.Step
	change diff.Change
}

// prune plans the deletion of what the owner has and the manifest lacks.
func (p *planner) prune() {
	p.deleted = map[fsm.Ref]bool{}
	for o := range objects(p.state) {
		ref := o.Ref()
		if o.GetLabels()[OwnerLabel] != p.owner || p.manifest.Has(ref) || !p.sees(o) {
			continue
		}
		p.deleted[ref] = true
		change, _ := diff.Of(o, nil)
		p.writes = append(p.writes, planned{fsm.Step{Delete: &fsm.Delete{Ref: ref, If: fsm.Precondition{Revision: o.GetMeta().Revision}}}, change})
	}
}

// put plans the writes of what the manifest has and the state has otherwise.
func (p *planner) put() {
	for _, i := range p.manifest.items {
		put := i.put
		if p.owner != "" && p.manifest.Owner == "" {
			put.Labels = withOwner(put.Labels, p.owner)
		}
		if put.Ref().Kind == fsm.KindCertificate && p.seal != nil {
			var own []fsm.Fault
			if put, own = p.seal(put); len(own) > 0 {
				p.refuse(i, own)
				continue
			}
		}
		change, changed := diff.Of(p.state.Object(put.Ref()), diff.Planned(put))
		if !changed {
			p.plan.Diff.Unchanged++
			continue
		}
		p.writes = append(p.writes, planned{fsm.Step{Put: &put}, change})
	}
}

func (p *planner) refuse(i *item, faults []fsm.Fault) {
	for _, fault := range faults {
		if !p.faults.full() {
			p.faults.add(p.manifest.Fault(i.put.Ref(), fault))
		}
	}
}

// check tells of references to what is not there, or would no longer be.
func (p *planner) check() []Fault {
	faults := p.faults
	for _, fault := range p.manifest.References(func(ref fsm.Ref) bool {
		return p.state.Object(ref) != nil && !p.deleted[ref]
	}) {
		if !faults.full() {
			faults.add(fault)
		}
	}
	if len(p.deleted) > 0 {
		p.checkNeeded(&faults)
	}
	if p.owner != "" && p.manifest.Owner == "" {
		p.checkOthers(&faults)
	}
	if len(p.writes) > MaxObjects {
		faults.add(Fault{Message: fmt.Sprintf("%d objects would change, at most %d can at once: split the manifest", len(p.writes), MaxObjects)})
	}
	return faults
}

// checkNeeded tells of what is to be deleted while an object needs it that is not
// in the manifest.
func (p *planner) checkNeeded(faults *list) {
	for o := range objects(p.state) {
		ref := o.Ref()
		if p.deleted[ref] || p.manifest.Has(ref) {
			continue
		}
		name := ref.String()
		if !p.sees(o) {
			name = "an object that the token does not see"
		}
		for _, r := range references(fsm.PutOf(o)) {
			if p.deleted[r.to] {
				faults.add(Fault{Code: fsm.CodeInUse, Message: fmt.Sprintf(
					"%s is not in the manifest and would be deleted, but %s needs it, which is not of the owner %q: keep it, or change that first", r.to, name, clip(p.owner))})
			}
		}
	}
}

// checkOthers tells of objects of a manifest without an owner that name one.
func (p *planner) checkOthers(faults *list) {
	for _, i := range p.manifest.items {
		if other, ok := i.put.Labels[OwnerLabel]; ok && other != p.owner {
			faults.add(p.manifest.Fault(i.put.Ref(), fsm.Fault{Pointer: "/labels/" + OwnerLabel,
				Message: fmt.Sprintf("%q is not the owner of this manifest, %q: leave the label out", clip(other), clip(p.owner))}))
		}
	}
}

// order puts what others refer to first when it is written and last when it is
// deleted.
func (p *planner) order() {
	slices.SortStableFunc(p.writes, func(a, b planned) int { return turn(a.step) - turn(b.step) })
	for _, w := range p.writes {
		p.plan.Steps = append(p.plan.Steps, w.step)
		p.plan.Diff.Changes = append(p.plan.Diff.Changes, w.change)
	}
}

func turn(s fsm.Step) int {
	deleted := s.Delete != nil
	switch s.Ref().Kind {
	case fsm.KindBackend:
		if deleted {
			return 0
		}
		return 6
	case fsm.KindRoute:
		if deleted {
			return 1
		}
		return 5
	case fsm.KindPool:
		if deleted {
			return 8
		}
		return 3
	case fsm.KindCertificate:
		if deleted {
			return 9
		}
		return 2
	}
	if deleted {
		return 7
	}
	return 4
}

// objects yields all objects that a manifest may hold.
func objects(s *fsm.State) func(yield func(fsm.AnyObject) bool) {
	return func(yield func(fsm.AnyObject) bool) {
		_ = each(s.Certificates(), yield) && each(s.Listeners(), yield) && each(s.Routes(), yield) && each(s.Pools(), yield) && each(s.Backends(), yield)
	}
}

func each[O fsm.AnyObject](all func(yield func(O) bool), yield func(fsm.AnyObject) bool) bool {
	for o := range all {
		if !yield(o) {
			return false
		}
	}
	return true
}

// Operation returns the plan as one command. It is of no use without steps.
func (p *Plan) Operation() fsm.Txn { return fsm.Txn{Steps: p.Steps} }

// Faults returns why the registry refused the plan, with places in the file. The
// pointers of the refusal are those of a transaction, "/steps/3/spec/weight".
func (p *Plan) Faults(refusal *fsm.Error) []Fault {
	var faults list
	for _, fault := range refusal.Faults {
		faults.add(p.fault(fault))
	}
	return faults
}

func (p *Plan) fault(fault fsm.Fault) Fault {
	rest, ok := strings.CutPrefix(fault.Pointer, "/steps/")
	number, pointer, deeper := strings.Cut(rest, "/")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 0 || n >= len(p.Steps) {
		return Fault{Message: fault.Message, Code: fault.Code}
	}
	fault.Pointer = ""
	if deeper {
		fault.Pointer = "/" + pointer
	}
	return p.manifest.Fault(p.Steps[n].Ref(), fault)
}
