//go:build planted

package cluster

import (
	"context"
	"errors"
	"os"
	"time"

	"evenkeel/fsm"
)

// The bugs of this file are planted so that the checker of e2e/faults can be
// seen to find them. They are in no binary that is built without the tag
// planted.

// plant is the bug that this process has.
var plant = os.Getenv("EVENKEEL_PLANT")

// plantedStaleRead: a linearizable read is answered from what is here.
func plantedStaleRead() bool { return plant == "stale-read" }

// plantedAcknowledgement: a write that did not get through is acknowledged as
// if it had.
func (p *proposal) plantedAcknowledgement() (result fsm.Result, planted bool) {
	if plant != "lost-acknowledgement" {
		return fsm.Result{}, false
	}
	command, err := fsm.DecodeCommand(p.command)
	if err != nil {
		return fsm.Result{}, false
	}
	_, results := fsm.Apply(p.node.State(), []fsm.Command{command})
	p.node.logger.Warn("planted bug: acknowledged, and given up", "seq", command.ID.Seq)
	return results[0], true
}

// plantedRepeat: a write of unknown outcome is repeated under another id, so
// that the registry takes it for another write.
func (p *proposal) plantedRepeat(ctx context.Context, attempt error) {
	if plant != "doubled-write" || !errors.Is(attempt, errUnknown) {
		return
	}
	command, err := fsm.DecodeCommand(p.command)
	if err != nil {
		return
	}
	waiters := p.node.waiters
	id, result, err := waiters.add(ctx)
	if err != nil {
		return
	}
	context.AfterFunc(ctx, func() { waiters.remove(id) }) // ctx ends with the request
	command.ID, command.Time = id, time.Now().UTC()
	encoded, err := fsm.EncodeCommand(command)
	if err != nil {
		return
	}
	p.node.logger.Warn("planted bug: repeated under another id", "seq", id.Seq)
	p.command, p.result = encoded, result
}
