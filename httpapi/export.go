package httpapi

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"evenkeel/fsm"
	"evenkeel/httpapi/manifest"
	"evenkeel/httpapi/problem"
)

// exportKinds are the kinds that a manifest can hold.
var exportKinds = []fsm.Kind{fsm.KindListener, fsm.KindRoute, fsm.KindPool, fsm.KindBackend, fsm.KindCertificate}

// maxExports is how many objects an export has that waits for no other.
const maxExports = 1000

// exportQuery is which objects are exported, and how.
type exportQuery struct {
	format manifest.Format
	owner  string // "": whoever's
	kinds  []fsm.Kind
	labels selector
}

// export writes objects as a manifest. To apply it changes nothing. Tokens are in
// none, and neither are keys of certificates.
func (a *API) export(w http.ResponseWriter, r *http.Request) error {
	query, err := parseExportQuery(r)
	if err != nil {
		return err
	}
	s, err := a.state(w, r)
	if err != nil {
		return err
	}
	by := principalOf(r)
	var objects []fsm.AnyObject
	for _, res := range a.resources {
		if !slices.Contains(query.kinds, res.kind) {
			continue
		}
		for o := range res.objects(s, "") {
			if by.sees(o) && query.takes(o) {
				objects = append(objects, o)
			}
			if len(objects) > manifest.MaxObjects {
				return tooLargeExport("%d objects", manifest.MaxObjects)
			}
		}
	}
	if len(objects) > maxExports {
		select {
		case a.bulk <- struct{}{}:
			defer func() { <-a.bulk }()
		case <-r.Context().Done():
			return problem.New(problem.Overloaded, "this node takes or makes %d large manifests already, and was done with none in time", maxBulk).With("Retry-After", "1")
		}
	}
	var body bytes.Buffer // whole, so that a fault is told and not cut off
	if err := manifest.Write(&body, objects, query.format); err != nil {
		return err
	}
	if body.Len() > manifest.MaxBytes {
		return tooLargeExport("%d bytes", manifest.MaxBytes)
	}
	w.Header().Set("Content-Type", "application/"+string(query.format))
	w.WriteHeader(http.StatusOK)
	_, err = w.Write(body.Bytes())
	return gone(err)
}

// tooLargeExport refuses what nobody could apply.
func tooLargeExport(format string, most int) error {
	return problem.New(problem.InvalidRequest, "the export would have more than "+format+", which no manifest may: narrow it with kind, owner or label; for all of a registry take GET /v1/snapshot", most)
}

func (q *exportQuery) takes(o fsm.AnyObject) bool {
	labels := o.GetLabels()
	return (q.owner == "" || labels[manifest.OwnerLabel] == q.owner) && q.labels.matches(labels)
}

func parseExportQuery(r *http.Request) (*exportQuery, error) {
	values := r.URL.Query()
	q := &exportQuery{format: manifest.YAML, owner: values.Get("owner"), kinds: exportKinds}
	var faults []string
	if values.Has("format") {
		q.format = manifest.Format(values.Get("format"))
	} else if strings.HasPrefix(r.Header.Get("Accept"), "application/json") {
		q.format = manifest.JSON
	}
	if q.format != manifest.YAML && q.format != manifest.JSON {
		faults = append(faults, fmt.Sprintf("format %q: write yaml or json", clip(string(q.format))))
	}
	if values.Has("kind") {
		q.kinds = nil
		for word := range strings.SplitSeq(values.Get("kind"), ",") {
			if !slices.Contains(exportKinds, fsm.Kind(word)) {
				faults = append(faults, fmt.Sprintf("kind %q is not one of listener, route, pool, backend, certificate", clip(word)))
			}
			q.kinds = append(q.kinds, fsm.Kind(word))
		}
	}
	if values.Has("owner") && q.owner == "" {
		faults = append(faults, "owner is empty: name one, or leave it out for the objects of all")
	}
	if values.Has("label") {
		var err error
		if q.labels, err = parseSelector(values.Get("label")); err != nil {
			faults = append(faults, "label "+err.Error())
		}
	}
	if len(faults) > 0 {
		return nil, problem.New(problem.InvalidRequest, "query parameter %s", strings.Join(faults, "; "))
	}
	return q, nil
}
