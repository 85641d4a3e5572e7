package httpapi

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"hash/fnv"
	"iter"
	"slices"
	"strings"

	"evenkeel/fsm"
)

// page is where a page of a list begins, behind an object of the registry at a
// revision. To clients it is a text without a meaning.
type page struct {
	Revision uint64 `json:"r"`
	Pool     string `json:"p,omitempty"`
	Name     string `json:"n"`
	// List tells which list with which filters it is of.
	List uint32 `json:"l"`
}

// maxPage bounds the text of a page, in bytes.
const maxPage = 1024

func (p page) String() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic("httpapi: encode page: " + err.Error()) // texts and numbers alone
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

var errPage = errors.New("it is no page of this list: send what next was, with the same path, pool and label, or leave it out to begin anew")

// parsePage reads a page of the list.
func parsePage(text string, list uint32) (*page, error) {
	if len(text) > maxPage {
		return nil, errPage
	}
	plain, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errPage
	}
	var p page
	if err := json.Unmarshal(plain, &p); err != nil || p.List != list || p.Name == "" || p.String() != text {
		return nil, errPage
	}
	return &p, nil
}

// listSum stands for a list and its filters.
func listSum(parts ...string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(strings.Join(parts, "\x00"))) // a hash takes everything
	return h.Sum32()
}

// at yields the kind's objects as of a revision of the state's journal, from
// behind an object on, of one pool or, if that is "", of all. Their status is
// that of now; of those that are gone, the last that the journal knows.
func (res *resource) at(s *fsm.State, revision uint64, pool string, behind fsm.Ref) iter.Seq[fsm.AnyObject] {
	behind.Kind = res.kind
	if behind.Name == "" {
		behind.Pool = pool
	}
	before := map[fsm.Ref]fsm.AnyObject{} // what changed since then, nil for what came
	for entry := range s.RevisionsAfter(revision) {
		for _, c := range entry.Changes {
			_, known := before[c.Ref]
			if !known && c.Ref.Kind == res.kind && (pool == "" || c.Ref.Pool == pool) && compareNames(c.Ref, behind) > 0 {
				before[c.Ref] = c.Before
			}
		}
	}
	return func(yield func(fsm.AnyObject) bool) {
		past := make([]fsm.AnyObject, 0, len(before))
		for _, o := range before {
			if o != nil {
				past = append(past, o)
			}
		}
		slices.SortFunc(past, func(a, b fsm.AnyObject) int { return compareNames(a.Ref(), b.Ref()) })
		for o := range s.ObjectsAfter(behind) {
			ref := o.Ref()
			if pool != "" && ref.Pool != pool {
				break
			}
			for len(past) > 0 && compareNames(past[0].Ref(), ref) < 0 {
				if !yield(past[0]) {
					return
				}
				past = past[1:]
			}
			if old, changed := before[ref]; changed {
				if old == nil {
					continue
				}
				o, past = res.withStatus(old, o), past[1:]
			}
			if !yield(o) {
				return
			}
		}
		for _, o := range past {
			if !yield(o) {
				return
			}
		}
	}
}

func compareNames(a, b fsm.Ref) int {
	return cmp.Or(strings.Compare(a.Pool, b.Pool), strings.Compare(a.Name, b.Name))
}
