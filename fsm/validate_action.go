package fsm

import (
	"fmt"
	"slices"
	"strings"
)

// maxEdits is how many edits of header fields a list has, part of the feature
// level.
const maxEdits = 64

func (r *Redirect) validate(f *faults, match RouteMatch) {
	if !slices.Contains([]int{301, 302, 303, 307, 308}, r.Status) {
		f.add("/spec/redirect/status", "%d is not one of 301, 302, 303, 307, 308", r.Status)
	}
	switch r.Scheme {
	case "", "http", "https":
	default:
		f.add("/spec/redirect/scheme", "%q is not one of http, https: leave it out for the listener's own", clip(r.Scheme))
	}
	checkURLHost(f, "/spec/redirect/host", r.Host)
	checkRange(f, "/spec/redirect/port", r.Port, 0, 65535)
	checkTarget(f, "/spec/redirect/path", r.Path)
	checkPrefix(f, "/spec/redirect/prefix", r.Prefix, match)
	if r.Path != "" && r.Prefix != nil {
		f.add("/spec/redirect/prefix", "%q: path is set too (%q); set at most one of the two", clip(*r.Prefix), clip(r.Path))
	}
	if r.Scheme == "" && r.Host == "" && r.Port == 0 && r.Path == "" && r.Prefix == nil {
		f.add("/spec/redirect", "leads back to the same address: set scheme, host, port, path or prefix")
	}
}

// checkPrefix reports what cannot take the place of what path_prefix matched.
func checkPrefix(f *faults, pointer string, prefix *string, match RouteMatch) {
	if prefix == nil {
		return
	}
	if match.PathPrefix == "" {
		f.add(pointer, "%q replaces what match.path_prefix matched, and that is not set: set it, or use path", clip(*prefix))
	}
	checkTarget(f, pointer, *prefix)
}

func (r *Respond) validate(f *faults) {
	checkRange(f, "/spec/respond/status", r.Status, 200, 599)
	checkBody(f, "/spec/respond/body", r.Body)
	// RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5.
	if r.Body != "" && slices.Contains([]int{204, 205, 304}, r.Status) {
		f.add("/spec/respond/body", "a response of status %d has no body: leave it out, or use another status", r.Status)
	}
	checkContentType(f, "/spec/respond/content_type", r.ContentType)
}

func (r *Rewrite) validate(f *faults, match RouteMatch) {
	checkTarget(f, "/spec/rewrite/path", r.Path)
	checkPrefix(f, "/spec/rewrite/prefix", r.Prefix, match)
	pattern := checkRegexp(f, "/spec/rewrite/regexp", r.Regexp)
	var set []string
	for _, way := range []struct {
		name string
		set  bool
	}{{"path", r.Path != ""}, {"prefix", r.Prefix != nil}, {"regexp", r.Regexp != ""}} {
		if way.set {
			set = append(set, way.name)
		}
	}
	if len(set) > 1 {
		f.add("/spec/rewrite/"+set[len(set)-1], "%s is set too: set at most one of path, prefix and regexp", strings.Join(set[:len(set)-1], " and "))
	}
	if len(set) == 0 && r.Host == "" {
		f.add("/spec/rewrite", "changes nothing: set path, prefix, regexp or host, or leave it out")
	}
	if r.Regexp == "" && r.Replacement != "" {
		f.add("/spec/rewrite/replacement", "%q replaces what regexp matches, and that is not set: set it, or use path", clip(r.Replacement))
	}
	checkReplacement(f, "/spec/rewrite/replacement", r.Replacement, pattern)
	checkHostField(f, "/spec/rewrite/host", r.Host)
}

// checkHostField reports what cannot be the value of a Host field (RFC 9110,
// section 7.2). Empty is allowed.
func checkHostField(f *faults, pointer, value string) {
	if value == "" || isURLHost(value) {
		return
	}
	host, _, ok := SplitAddress(value)
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if !ok || !isURLHost(host) {
		f.add(pointer, `%q is not a host: write "www.example.com", with ":8080" behind it or not`, clip(value))
	}
}

// Fields that frame a message or belong to one connection alone (RFC 9110,
// section 7.6.1). Whoever edits them makes two parties disagree about where a
// message ends.
var unedited = [...]string{
	"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
}

func isUnedited(name string) bool {
	return slices.ContainsFunc(unedited[:], func(one string) bool { return strings.EqualFold(one, name) })
}

func checkEdits(f *faults, pointer string, edits []FieldEdit) {
	if len(edits) > maxEdits {
		f.add(pointer, "has %d edits, at most %d are taken", len(edits), maxEdits)
		return
	}
	for i, edit := range edits {
		edit.validate(f, fmt.Sprintf("%s/%d", pointer, i))
	}
}

func (e FieldEdit) validate(f *faults, at string) {
	switch e.Op {
	case EditSet, EditAdd:
	case EditRemove:
		if e.Value != "" {
			f.add(at+"/value", "%q: all fields of that name are removed, whatever their value: leave it out", clip(e.Value))
		}
	default:
		f.add(at+"/op", "%q is not one of %s, %s, %s", clip(e.Op), EditSet, EditAdd, EditRemove)
	}
	checkToken(f, at+"/name", "header field", e.Name)
	if strings.EqualFold(e.Name, "Host") {
		f.add(at+"/name", "%q cannot be edited as a field: use rewrite.host", e.Name)
	}
	if isUnedited(e.Name) {
		f.add(at+"/name", "%q cannot be edited: it frames the message or belongs to one connection, and Evenkeel writes it itself", e.Name)
	}
	checkFieldValue(f, at+"/value", e.Value)
}
