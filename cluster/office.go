package cluster

import (
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

// A node that stops follows the next leader for a moment, to learn the outcome of
// the writes that it took. It still votes, but takes no office: were it elected, the
// cluster would soon be without a leader again. Nor does one whose last write to the
// log failed: as a leader it would step down with its first entry, and where its
// turn to stand is before the others' it was elected up to eight times on end.

// unfitFor is for how long a node takes no office after a failed write: longer than
// an election of another takes, and not for ever, as nobody may write to a node
// that is alone with its vote until it leads.
const unfitFor = time.Second

// abstains returns why this node takes no office, nil if it does.
func (t *transport) abstains() error {
	if t.leaving.Load() {
		return ErrStopping
	}
	if at := t.writing.failed.Load(); at != nil && time.Since(*at) < unfitFor {
		return errUnfit
	}
	return nil
}

var errUnfit = errors.New("the last write to the log failed here")

// askFor makes a call for a vote of a peer. While this node abstains nobody is asked,
// and the answer is as if the peer had refused.
func (t *transport) askFor(ask func() error, refused func()) error {
	if t.abstains() != nil {
		refused()
		return nil
	}
	return ask()
}

// declines answers a leader that hands its leadership to a node which abstains: it
// goes on to lead, and tries another one.
func (t *transport) declines(call raft.RPC) bool {
	why := t.abstains()
	if _, offers := call.Command.(*raft.TimeoutNowRequest); !offers || why == nil {
		return false
	}
	call.Respond(&raft.TimeoutNowResponse{}, why)
	return true
}
