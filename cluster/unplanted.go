//go:build !planted

package cluster

import (
	"context"

	"evenkeel/fsm"
)

// Where planted.go has bugs, to see that they are found, there is nothing.

func plantedStaleRead() bool { return false }

func (*proposal) plantedAcknowledgement() (fsm.Result, bool) { return fsm.Result{}, false }

func (*proposal) plantedRepeat(context.Context, error) {}
