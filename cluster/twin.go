package cluster

import (
	"context"
	"fmt"
	"time"
)

// A twin is another process with this node's identity: somebody copied a data
// directory. Two processes that vote as one node could elect two leaders, and
// two that number their commands alike take each other's results for their
// own. So one has to go.

const (
	// young is how long after its start a node gives way to its twin. One that
	// has run for longer is the original, and goes on.
	young = 10 * time.Second
	// twinTimeout bounds the look for a twin, within a greeting.
	twinTimeout = greetTimeout / 2
)

func (j *joiner) begin() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.begun = time.Now()
}

// metTwin ends this node if it is young. Otherwise it says so now and then:
// the twin is told the same.
func (n *Node) metTwin(met error) {
	reason := fmt.Errorf("another process has this node's identity, so the directory of %q was copied: "+
		"stop one of the two, move its data directory aside and start it with an empty one: %w", n.dir.file(fileIdentity), met)
	n.joiner.mu.Lock()
	begun := n.joiner.begun
	n.joiner.mu.Unlock()
	if time.Since(begun) < young {
		select {
		case n.twins <- reason:
		default:
		}
		return
	}
	if ok, _ := n.notices.allow("twin", time.Now()); ok {
		n.logger.Error("the identity of this node is used twice", "error", reason)
	}
}

// twinOf returns where the caller runs already, or "". A node that comes back
// under another address is none: nobody answers at the old one.
func (n *Node) twinOf(ctx context.Context, caller, addr string) string {
	members, _ := n.gossip.view()
	m, known := members[caller]
	if !known || m.State != gossipAlive || m.Addr == addr {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, twinTimeout)
	defer cancel()
	if uid, err := n.port.RPC().CallAddr(ctx, m.Addr, methodWho, empty{}, nil); err != nil || uid != caller {
		return ""
	}
	return m.Addr
}

// who answers twinOf: that it answers is all that is asked.
func (n *Node) who(context.Context, string, empty) (empty, error) { return empty{}, nil }
