package httpapi

import (
	"net/http"
	"strconv"
	"strings"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

// precondition reads If-Match and If-None-Match (RFC 9110, section 13.1). What
// the API could not honour is refused, because a write whose precondition is
// dropped silently overwrites.
func precondition(r *http.Request) (fsm.Precondition, error) {
	match, noneMatch := r.Header.Values("If-Match"), r.Header.Values("If-None-Match")
	switch {
	case len(match) > 0 && len(noneMatch) > 0:
		return fsm.Precondition{}, problem.New(problem.InvalidRequest, "If-Match and If-None-Match contradict each other: send one of them")
	case len(noneMatch) > 0:
		if tag := strings.Join(noneMatch, ", "); tag != "*" {
			return fsm.Precondition{}, problem.New(problem.InvalidRequest, "If-None-Match %q: only * is possible on a write, which creates and never replaces", clip(tag))
		}
		return fsm.Precondition{Absent: true}, nil
	case len(match) > 0:
		return ifMatch(strings.Join(match, ", "))
	}
	return fsm.Precondition{}, nil
}

func ifMatch(tag string) (fsm.Precondition, error) {
	if tag == "*" {
		return fsm.Precondition{Exists: true}, nil
	}
	inner, opened := strings.CutPrefix(tag, `"`)
	inner, closed := strings.CutSuffix(inner, `"`)
	revision, err := strconv.ParseUint(inner, 10, 64)
	// Revision 0 is no object's, and would ask for nothing.
	if !opened || !closed || err != nil || revision == 0 || inner != strconv.FormatUint(revision, 10) {
		return fsm.Precondition{}, problem.New(problem.InvalidRequest,
			`If-Match %q: write the object's ETag, which is its meta.revision in double quotes, such as "17", or *`, clip(tag))
	}
	return fsm.Precondition{Revision: revision}, nil
}
