package httpapi

import (
	"time"

	"evenkeel/fsm"
)

// tokenDocument is what a client says of a token. The hash is not among it:
// only tokens that this API made are valid.
type tokenDocument struct {
	Role fsm.Role `json:"role"`
	// Labels limits the token to objects that bear all of them.
	Labels  map[string]string `json:"labels,omitempty"`
	Expires *time.Time        `json:"expires,omitempty"`
}

// tokens is the resource of the API's tokens. What is its own of writes is in
// [principal.narrowToken], so that it holds however a token is written.
func tokens() *resource {
	res := describe("/v1/tokens", unfiltered((*fsm.State).Tokens), agreedStatus[fsm.TokenSpec, fsm.NoStatus])
	res.newSpec = func() any { return &tokenDocument{} }
	res.spec = func(pointer any) fsm.Spec {
		doc := pointer.(*tokenDocument)
		return fsm.TokenSpec{Role: doc.Role, Hash: unknownHash, Labels: doc.Labels, Expires: doc.Expires}
	}
	return res
}
