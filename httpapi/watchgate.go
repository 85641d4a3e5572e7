package httpapi

import (
	"encoding/hex"
	"maps"
	"net/http"
	"time"

	"evenkeel/cluster/secret"
	"evenkeel/fsm"
)

// gate is what the sender of a request may see, and for how long.
type gate struct {
	// sees tells whether the object, which is not nil, is shown.
	sees func(o fsm.AnyObject) bool
	// valid returns why the sender may see nothing any more, or nil. It is asked
	// before each write to a stream, and costs a look at the state.
	valid func() error
	// left is how long that holds if nothing is written; it ends with a token that
	// expires.
	left func() time.Duration
}

// gateOf ties what is read over time to who reads it: a stream ends with the token
// that it was opened with.
func (a *API) gateOf(r *http.Request) gate {
	p := principalOf(r)
	g := gate{sees: p.sees, valid: func() error { return nil }, left: func() time.Duration { return forEver }}
	switch p.name {
	case nameAnonymous, nameAdmin, nameBootstrap: // as long as the process
		return g
	}
	sum := secret.HashToken(bearer(r))
	hash := hex.EncodeToString(sum[:])
	g.valid = func() error {
		token := a.config.Cluster.State().TokenByHash(hash)
		switch {
		case token == nil:
			return unauthorized("the token is no longer valid")
		case expired(token):
			return unauthorized("the token has expired")
		case token.Spec.Role != p.role || !maps.Equal(token.Spec.Labels, p.labels):
			return unauthorized("the token may see other things than when the watch began: watch anew")
		}
		return nil
	}
	g.left = func() time.Duration {
		token := a.config.Cluster.State().TokenByHash(hash)
		if token == nil || token.Spec.Expires == nil {
			return forEver
		}
		return max(0, time.Until(*token.Spec.Expires))
	}
	return g
}

// forEver is longer than anything is watched.
const forEver = 1000 * time.Hour
