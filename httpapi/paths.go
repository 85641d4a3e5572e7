package httpapi

import (
	"net/http"
	"strings"

	"github.com/gorilla/mux"
)

// paths finds the handler of a request by the segments of its path. mux tries one
// regular expression after the other, which took more than half as long as all else
// that a read of an object costs beyond HTTP; here those of the same length and
// beginning are looked at, in the order in which they were added. What does not
// match, and with which answer, is left to mux.
type paths struct {
	mux     *mux.Router
	entries map[pathStart][]pathEntry
}

// pathStart is how many segments there are, and the first two of them.
type pathStart struct {
	count         int
	first, second string
}

type pathEntry struct {
	methods  []string
	segments []string // one in braces is a variable
	handler  http.Handler
}

func newPaths(router *mux.Router) *paths {
	return &paths{mux: router, entries: map[pathStart][]pathEntry{}}
}

// add makes the handler that of the path, a template whose first two segments are no
// variables, in mux too.
func (p *paths) add(path string, handler http.Handler, methods ...string) {
	p.mux.Handle(path, handler).Methods(methods...)
	segments := strings.Split(path, "/")[1:]
	start := startOf(segments)
	p.entries[start] = append(p.entries[start], pathEntry{methods, segments, handler})
}

func startOf(segments []string) pathStart {
	start := pathStart{count: len(segments), first: segments[0]}
	if len(segments) > 1 {
		start.second = segments[1]
	}
	return start
}

// ServeHTTP implements [http.Handler].
func (p *paths) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var room [8]string
	segments := segmentsOf(r.URL.Path, room[:0])
	if len(segments) == 0 {
		p.mux.ServeHTTP(w, r)
		return
	}
	for _, entry := range p.entries[startOf(segments)] {
		if vars, ok := entry.match(r.Method, segments); ok {
			if len(vars) > 0 {
				r = mux.SetURLVars(r, vars)
			}
			entry.handler.ServeHTTP(w, r)
			return
		}
	}
	p.mux.ServeHTTP(w, r)
}

// segmentsOf takes a path apart that begins with "/", and has at most as many segments
// as there is room for; else it returns none.
func segmentsOf(path string, into []string) []string {
	rest, rooted := strings.CutPrefix(path, "/")
	for more := rooted; more; {
		if len(into) == cap(into) {
			return nil
		}
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		into = append(into, segment)
	}
	return into
}

func (e *pathEntry) match(method string, segments []string) (vars map[string]string, ok bool) {
	for _, one := range e.methods {
		ok = ok || one == method
	}
	if !ok {
		return nil, false
	}
	for i, want := range e.segments {
		if name, variable := strings.CutPrefix(want, "{"); variable {
			if segments[i] == "" {
				return nil, false
			}
			if vars == nil {
				vars = make(map[string]string, 2)
			}
			vars[strings.TrimSuffix(name, "}")] = segments[i]
		} else if segments[i] != want {
			return nil, false
		}
	}
	return vars, true
}
