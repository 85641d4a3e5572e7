package client

import (
	"context"
	"errors"
	"time"

	"evenkeel/fsm"
)

// Tokens returns the tokens, without what they are: the cluster itself knows
// only a hash. They are for admins. A new one is made by [Client.CreateToken], and
// what one may do is changed by Patch.
func (c *Client) Tokens() *Collection[fsm.TokenSpec, fsm.NoStatus] {
	return &Collection[fsm.TokenSpec, fsm.NoStatus]{c, fsm.KindToken, ""}
}

// NewToken is what a token to be made may do.
type NewToken struct {
	Name string
	Role fsm.Role
	// Labels limits it to objects that bear all of them.
	Labels map[string]string
	// Expires is when it ends; nil: never.
	Expires *time.Time
}

// CreateToken makes a token and returns what to send as [Config.Token]. It is
// shown this once. Since that answer cannot be had again, the request bears no
// Idempotency-Key unless write has one.
func (c *Client) CreateToken(ctx context.Context, token NewToken, write Write) (secret string, made *Written[fsm.TokenSpec, fsm.NoStatus], err error) {
	spec := map[string]any{"role": token.Role}
	if len(token.Labels) > 0 {
		spec["labels"] = token.Labels
	}
	if token.Expires != nil {
		spec["expires"] = token.Expires
	}
	write.noKey = true
	got, err := c.CreateRaw(ctx, fsm.KindToken, "", map[string]any{"name": token.Name, "spec": spec}, write)
	if made, err = c.Tokens().written(got, err); err != nil || made.Dry != nil {
		return "", made, err
	}
	var answer struct {
		Token string `json:"token"`
	}
	if err := got.Decode(&answer); err != nil {
		return "", nil, err
	}
	if answer.Token == "" {
		return "", nil, errors.New("the token was made, and the answer does not say what it is: delete it, and make another")
	}
	return answer.Token, made, nil
}
