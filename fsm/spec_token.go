package fsm

import (
	"slices"
	"time"
)

// Role is what the holder of a token may do.
type Role string

// The roles; each may do what those before it may.
const (
	RoleViewer   Role = "viewer"   // reads
	RoleOperator Role = "operator" // weights, drains and overrides of backends
	RoleEditor   Role = "editor"   // all objects but tokens
	RoleAdmin    Role = "admin"    // tokens, members, snapshots
)

// Roles returns all roles, the least first.
func Roles() []Role { return []Role{RoleViewer, RoleOperator, RoleEditor, RoleAdmin} }

// Allows tells whether the holder of r may do what needs the other role. An
// unknown role allows nothing, and nothing but an unknown role is needed in vain.
func (r Role) Allows(needed Role) bool {
	own, other := slices.Index(Roles(), r), slices.Index(Roles(), needed)
	return own >= 0 && other >= 0 && own >= other
}

// TokenSpec is a bearer token of the API, of which only a hash is known.
type TokenSpec struct {
	Role Role `json:"role"`
	// Hash is the SHA-256 of the token in lower-case hexadecimal digits. It leaves
	// no node but to its peers, see [Shown].
	Hash string `json:"hash,omitempty"`
	// Labels limits the token to objects that bear all of them.
	Labels map[string]string `json:"labels,omitempty"`
	// Expires is when the token ends, by the clock of the node that is shown it; nil:
	// it does not.
	Expires *time.Time `json:"expires,omitempty"`
}

// Kind implements [Spec].
func (TokenSpec) Kind() Kind { return KindToken }

func (s TokenSpec) validate(f *faults) {
	if !slices.Contains(Roles(), s.Role) {
		f.add("/spec/role", "%q is not one of viewer, operator, editor, admin", clip(string(s.Role)))
	}
	if !isHash(s.Hash) {
		f.add("/spec/hash", "is not the SHA-256 of a token in 64 hexadecimal digits")
	}
	labels := faults{writing: f.writing}
	checkLabels(&labels, s.Labels)
	for _, fault := range labels.list {
		f.add("/spec"+fault.Pointer, "%s", fault.Message)
	}
	if s.Expires != nil && (s.Expires.UTC().Year() < 1970 || s.Expires.UTC().Year() > 9999) {
		f.add("/spec/expires", "%s is not of a year from 1970 to 9999", s.Expires)
	}
}

func isHash(text string) bool {
	for _, c := range []byte(text) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(text) == 64
}

// newFields names the whole spec: level 4 knows no tokens.
func (TokenSpec) newFields() []newField { return []newField{{"/kind", levelHistory, true}} }

// Shown returns the object as it may be seen outside of the cluster: a token
// without its hash, a certificate without its key, any other as it is. Nil stays
// nil.
func Shown(o AnyObject) AnyObject {
	switch o := o.(type) {
	case *Token:
		if o != nil {
			shown := *o
			shown.Spec.Hash = ""
			return &shown
		}
	case *Certificate:
		if o != nil {
			shown := *o
			shown.Spec.Key, shown.Spec.SealedKey = "", ""
			return &shown
		}
	}
	return o
}
