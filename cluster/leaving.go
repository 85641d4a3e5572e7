package cluster

import (
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// A node that stops follows the next leader for a moment, to learn the outcome of
// the writes that it took. It still votes, but takes no office: were it elected, the
// cluster would soon be without a leader again.

// leaving is whether a node stops. The zero value says that it does not.
type leaving struct{ begun atomic.Bool }

// askFor makes a call for a vote of a peer. While the node stops nobody is asked, and
// the answer is as if the peer had refused.
func (l *leaving) askFor(ask func() error, refused func()) error {
	if l.begun.Load() {
		refused()
		return nil
	}
	return ask()
}

// declines answers a leader that hands its leadership to a node that stops: it goes
// on to lead, and tries another one.
func (l *leaving) declines(call raft.RPC) bool {
	if _, offers := call.Command.(*raft.TimeoutNowRequest); !offers || !l.begun.Load() {
		return false
	}
	call.Respond(&raft.TimeoutNowResponse{}, ErrStopping)
	return true
}
