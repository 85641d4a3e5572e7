package cluster

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

func TestFailureToReachANodeThatLeftIsNoWarning(t *testing.T) {
	const left, lost = "left", "lost"
	for name, about := range map[string]func(uid string) any{
		"as a server":  func(uid string) any { return raft.Server{ID: raft.ServerID(uid), Address: raft.ServerAddress(uid)} },
		"by its id":    func(uid string) any { return raft.ServerID(uid) },
		"by its place": func(uid string) any { return raft.ServerAddress(uid) },
	} {
		t.Run(name, func(t *testing.T) {
			for uid, warns := range map[string]bool{left: false, lost: true} {
				var log syncBuffer
				logger := newRaftLogger(slog.New(slog.NewTextHandler(&log, nil)), "raft")
				logger.hasLeft = func(uid string) bool { return uid == left }
				logger.Error("failed to heartbeat to", "peer", about(uid))
				if got := strings.Contains(log.String(), "level=WARN"); got != warns {
					t.Errorf("of node %q it warns: %t", uid, got)
				}
			}
		})
	}
}
