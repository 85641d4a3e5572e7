package httpapi

import (
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"evenkeel/fsm"
	"evenkeel/httpapi/manifest"
	"evenkeel/httpapi/problem"
)

// applyOptions is what an apply says beside its manifest.
type applyOptions struct {
	format manifest.Format
	prune  bool
	owner  string
}

// apply makes the objects of a manifest what it says, at one revision, and none if
// they are so already.
func (a *API) apply(rw http.ResponseWriter, r *http.Request) error {
	want, err := wantedOf(r)
	if err != nil {
		return err
	}
	if err := want.ofNone("leave them out; each object is checked to be as it was when the apply was planned"); err != nil {
		return err
	}
	options, err := parseApplyOptions(r)
	if err != nil {
		return err
	}
	body, done, err := a.readBulk(rw, r)
	if err != nil {
		return err
	}
	defer done()
	m, faults := manifest.Parse(body, manifest.Options{Format: options.format, Owner: options.owner, Now: time.Now()})
	if len(faults) > 0 {
		return faultyManifest(faults)
	}
	by := principalOf(r)
	for _, put := range m.Puts() { // one that is so already must not tell that it is
		if err := by.mayLeave(put); err != nil {
			return err
		}
	}
	return a.performBatch(rw, r, want, body, func(s *fsm.State) (*batch, error) {
		b, err := a.planApply(m, s, options.prune, by)
		if err == nil {
			b.planned = done
		}
		return b, err
	})
}

func parseApplyOptions(r *http.Request) (applyOptions, error) {
	query := r.URL.Query()
	options := applyOptions{owner: query.Get("owner")}
	var err error
	if options.format, err = manifestFormat(r.Header.Get("Content-Type")); err != nil {
		return options, err
	}
	switch text := query.Get("prune"); {
	case !query.Has("prune") || text == "false":
	case text == "true":
		options.prune = true
	default:
		return options, problem.New(problem.InvalidRequest, "prune %q: write true or false", clip(text))
	}
	return options, checkOwner(query)
}

// checkOwner holds the owner of a query to what a label may be.
func checkOwner(query url.Values) error {
	if !query.Has("owner") {
		return nil
	}
	owner := query.Get("owner")
	if owner == "" {
		return problem.New(problem.InvalidRequest, "owner is empty: name one, or leave it out")
	}
	spec := fsm.PoolSpec{}
	spec.SetDefaults()
	refusal := fsm.Validate(fsm.Put{Name: "a", Labels: map[string]string{manifest.OwnerLabel: owner}, Spec: spec})
	if refusal != nil {
		return problem.New(problem.InvalidRequest, "owner %q cannot be the value of a label: %s", clip(owner), clip(messages(refusal.Faults)))
	}
	return nil
}

// manifestFormat returns how a body is written; "" is seen from the body itself.
// What curl says of anything it sends means nothing.
func manifestFormat(contentType string) (manifest.Format, error) {
	media, _, err := mime.ParseMediaType(contentType)
	if contentType == "" {
		return "", nil
	}
	switch media {
	case "application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml":
		return manifest.YAML, nil
	case "application/json", "text/json":
		return manifest.JSON, nil
	case "application/x-www-form-urlencoded", "application/octet-stream", "text/plain":
		return "", nil
	}
	if err == nil && strings.HasSuffix(media, "+yaml") {
		return manifest.YAML, nil
	}
	return "", problem.New(problem.UnsupportedMedia, "Content-Type %q is no manifest's: send application/yaml or application/json, or leave it out", clip(contentType))
}

// planApply returns the steps from a state to what the manifest says.
func (a *API) planApply(m *manifest.Manifest, s *fsm.State, prune bool, by *principal) (*batch, error) {
	var failed error
	seal := func(put fsm.Put) (fsm.Put, []fsm.Fault) {
		if failed != nil {
			return put, nil
		}
		faults, _, err := a.authorized.sealChecked(by, s, &put) // the manifest was checked
		failed = err
		return put, faults
	}
	plan, faults := m.Plan(s, manifest.PlanOptions{Prune: prune, Sees: by.sees, Seal: seal})
	if failed != nil {
		return nil, failed
	}
	if len(faults) > 0 {
		return nil, faultyManifest(faults)
	}
	guardPlan(plan, s, by)
	b := &batch{steps: plan.Steps, unchanged: plan.Diff.Unchanged, owner: plan.Diff.Owner}
	b.refused = func(refusal *fsm.Error) ([]fsm.Fault, []problem.Place) { return placed(plan.Faults(refusal)) }
	var err error
	b.changes, err = listPlanned(plan.Diff.Changes)
	return b, err
}

// guardPlan has each put hold only for the object that it was planned for, as the
// deletes do. A name that an object has which the sender does not see is refused as
// such, and not as one that changed meanwhile.
func guardPlan(plan *manifest.Plan, s *fsm.State, by *principal) {
	for i, step := range plan.Steps {
		if step.Put == nil {
			continue
		}
		put := *step.Put
		old := s.Object(put.Ref())
		if old != nil && !by.sees(old) {
			continue
		}
		if put.If.Absent = old == nil; old != nil {
			put.If.Revision = old.GetMeta().Revision
		}
		plan.Steps[i].Put = &put
	}
}

// faultyManifest is the problem of a manifest with these faults.
func faultyManifest(faults []manifest.Fault) error {
	plain, places := placed(faults)
	p := problem.Invalid(plain)
	p.Places = places
	if inUse(plain) {
		p.Kind = problem.InUse
	}
	return p
}

// inUse tells whether nothing is wrong but that something else needs what would go.
func inUse(faults []fsm.Fault) bool {
	for _, fault := range faults {
		if fault.Code != fsm.CodeInUse {
			return false
		}
	}
	return true
}

// placed returns faults with their lines and columns apart.
func placed(faults []manifest.Fault) ([]fsm.Fault, []problem.Place) {
	plain, places := make([]fsm.Fault, len(faults)), make([]problem.Place, len(faults))
	for i, fault := range faults {
		plain[i] = fsm.Fault{Pointer: fault.Pointer, Message: fault.Message, Code: fault.Code}
		places[i] = problem.Place{Line: fault.Line, Column: fault.Column}
	}
	return plain, places
}
