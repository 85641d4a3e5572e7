package table

import (
	"regexp"

	"evenkeel/fsm"
)

// maxTarget is the longest path that a regular expression may rewrite to: a few
// times what servers take, and far from what a replacement could grow to that
// repeats the path at each of its bytes.
const maxTarget = 64 << 10

// Rewrite changes what a backend is asked for. See [fsm.Rewrite].
type Rewrite struct {
	// Host replaces the Host field, unless it is empty.
	Host string

	path        pathChange
	pattern     *regexp.Regexp // nil for none
	replacement string
}

func compileRewrite(spec *fsm.Rewrite, matched string) (*Rewrite, error) {
	w := &Rewrite{Host: spec.Host, path: newPathChange(spec.Path, spec.Prefix, matched), replacement: spec.Replacement}
	if spec.Regexp == "" {
		return w, nil
	}
	pattern, err := regexp.Compile(spec.Regexp)
	w.pattern = pattern
	return w, err
}

// AppendTarget appends the target that the backend is asked for, in origin-form
// (RFC 9112 section 3.2.1). path and query are as they were sent, and stay so
// but for what a request line cannot hold; a path that is changed is escaped as
// RFC 3986 section 3.3 has it. "*" (section 3.2.4) is no path and stays "*".
//
// It returns nil if a regular expression made the path longer than 64 KiB:
// that is to be answered with 414, and never to be sent as it came.
func (w *Rewrite) AppendTarget(dst []byte, path, query string, hasQuery bool) []byte {
	switch {
	case path == "*":
		return append(dst, '*')
	case w.pattern != nil:
		replaced, ok := w.replaceAll(path)
		if !ok {
			return nil
		}
		dst = appendPath(dst, replaced, true)
	case w.path.changes():
		dst = w.path.appendTo(dst, path)
	default:
		dst = appendEscaped(appendSlash(dst, path), path, inQuery)
	}
	if hasQuery {
		dst = appendQuery(dst, query)
	}
	return dst
}

// replaceAll is [regexp.Regexp.ReplaceAllString] with a bound, at which it gives
// up (ok is false).
func (w *Rewrite) replaceAll(path string) (made string, ok bool) {
	var out []byte
	at := 0
	for _, found := range w.pattern.FindAllStringSubmatchIndex(path, -1) {
		out = append(out, path[at:found[0]]...)
		out = w.pattern.ExpandString(out, w.replacement, path, found)
		at = found[1]
		if len(out) > maxTarget {
			return aliased(out), false
		}
	}
	out = append(out, path[at:]...)
	return aliased(out), len(out) <= maxTarget
}
