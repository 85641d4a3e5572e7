package httpapi

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

// principal is who sent a request, and what that one may.
type principal struct {
	// name is that of the token, or anonymous, admin, bootstrap.
	name   string
	remote string // the host that it came from
	role   fsm.Role
	// labels limit it to objects that bear all of these; empty means no limit.
	labels map[string]string
	// issued is the token that the request made, to be told once. Only the
	// request's own goroutine uses it.
	issued string
}

// The names of those who have no token of the registry. No token may have one.
const (
	nameAnonymous = "anonymous"
	nameAdmin     = "admin"
	nameBootstrap = "bootstrap"
)

type principalKey struct{}

func withPrincipal(ctx context.Context, p *principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// principalOf returns who sent the request. A path that asks for nobody's token
// is nobody's.
func principalOf(r *http.Request) *principal {
	if p, ok := r.Context().Value(principalKey{}).(*principal); ok {
		return p
	}
	return &principal{}
}

// senderOf returns who sends a command.
func senderOf(ctx context.Context) *principal {
	if p, known := ctx.Value(principalKey{}).(*principal); known {
		return p
	}
	return &principal{name: "nobody"} // no handler asks so, and if one does it gets nothing
}

// actor returns who sent the request, as the registry records it.
func actor(r *http.Request) string {
	p := principalOf(r)
	if p.name == "" {
		return ""
	}
	return p.name + "@" + p.remote
}

// limited tells whether there are objects that the principal does not see.
func (p *principal) limited() bool { return len(p.labels) > 0 }

// visible tells whether the principal may see an object with those labels. For
// one that does not, the object does not exist.
func visible(p *principal, labels map[string]string) bool {
	for name, value := range p.labels {
		if got, has := labels[name]; !has || got != value {
			return false
		}
	}
	return true
}

// sees tells whether the principal may see an object, which may be nil: what
// does not exist is seen by nobody. Tokens are for admins.
func (p *principal) sees(o fsm.AnyObject) bool {
	if o == nil || !visible(p, o.GetLabels()) {
		return false
	}
	_, token := o.(*fsm.Token)
	return !token || permit(p, need{role: fsm.RoleAdmin, whole: true}) == nil
}

// find returns the object as the principal sees it, or nil.
func (p *principal) find(s *fsm.State, ref fsm.Ref) fsm.AnyObject {
	if o := s.Object(ref); p.sees(o) {
		return o
	}
	return nil
}

// seesAny tells whether the principal sees any of the backends.
func (p *principal) seesAny(backends iter.Seq[*fsm.Backend]) bool {
	for b := range backends {
		if p.sees(b) {
			return true
		}
	}
	return false
}

// describeLimit names the labels that the principal is limited to.
func (p *principal) describeLimit() string {
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(p.labels)) {
		texts = append(texts, name+"="+p.labels[name])
	}
	return strings.Join(texts, ",")
}

// permit returns the refusal of a request that needs more than its sender has.
// It knows the route alone, so it tells nothing about any object.
func permit(p *principal, n need) error {
	switch {
	case n.role == "":
		return nil
	case !p.role.Allows(n.role):
		return p.lacks(n.role, "")
	case n.whole && p.limited():
		return problem.New(problem.Forbidden, "this is about all objects, and the token %q is limited to those with the labels %s: use one without a limit", p.name, p.describeLimit())
	}
	return nil
}

// lacks is the refusal that names the role which is needed.
func (p *principal) lacks(role fsm.Role, why string) error {
	if why != "" {
		why = ": " + why
	}
	has := fmt.Sprintf("the token %q has the role %s", p.name, p.role)
	return problem.New(problem.Forbidden, "the role %s is needed, and %s%s", role, has, why)
}
